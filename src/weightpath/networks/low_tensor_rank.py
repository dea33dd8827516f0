r"""Specification of a recurrent network whose weights move, over learning, inside a few fixed directions."""

import math
from dataclasses import asdict, dataclass, field

from weightpath.networks.fit_parts import InputNetwork, KnownInput, SmoothOffset, as_known
from weightpath.networks.fit_settings import check_settings
from weightpath.networks.kernels import AbstractKernel, RationalQuadratic

__all__ = ["InputNetwork", "KnownInput", "LowTensorRankRNN", "SmoothOffset"]

#: What the settings that are words may say.
WORDS = {
    "likelihood": ("gaussian", "poisson", "negative_binomial"),
    "decoder": ("identity", "linear", "orthogonal"),
    "inputs": ("free", "ode", "known", "none"),
    "initial_state": ("condition", "shared", "trial"),
    "changes": ("trial", "fixed", "epoch", "inputs_epoch", "readout_epoch", "per_trial", "per_epoch", "inputs_only",
                "low_matrix_rank", "full", "per_trial_full"),
    "solver": ("rk4", "heun"),
}  # fmt: skip
#: Largest step, in time constants, that each solver takes (the loss is then settled to four digits).
LARGEST_STEP = {"rk4": 0.25, "heun": 0.1}


@dataclass(frozen=True)
class LowTensorRankRNN:
    r"""A recurrent network with weights of low tensor rank over trials: a frozen specification without arrays.

    $W^{(k)} = \sum_r c_r^{(k)} a_r b_r^\top$ on trial $k$, $\tau \dot x = -x + W^{(k)} \tanh(x) + A u$, with inputs
    $u$ and initial state in the span of the $a_r$. Then $x = A z$ exactly and only
    $\tau \dot z = -z + c^{(k)} \odot B^\top \tanh(A z) + u$ in `rank` dimensions is integrated.
    `wp.fit(model, recording)` finds the arrays.

    Source: Pellegrino et al. 2023 (arXiv 2308.11567), with condition inputs as a table and a MAP prior over trials.
    **Raises:** ValueError for a number or a word outside its range.
    """

    rank: int
    """Number of rank-one terms of the weights, R."""
    units: int | None = None
    """Model units N; the number of neurons with the identity decoder, 60 otherwise when left out."""
    decoder: str = "linear"
    """`identity`: unit i is neuron i, y = tanh(x). `linear`: y = Q tanh(x) + d, learnt. `orthogonal`: the same with
    semi-orthogonal Q (orthonormal columns or rows, whichever are fewer)."""
    inputs: str = "free"
    """`free`: a table condition x time x rank, learnt, held over each bin; `ode`: an autonomous `input_network` per
    condition; `known`: the measured inputs in `known` alone; `none`: autonomous after the start."""
    initial_state: str = "condition"
    """One initial state per condition, or one for all (`shared`). `trial`: one per training trial, normally distributed
    around its condition's with `initial_state_sd`; a held-out trial has its condition's."""
    kernel: AbstractKernel = field(
        default_factory=lambda: RationalQuadratic(length=200.0, sd=0.3, noise_sd=0.05, by_epoch=True)
    )
    """Prior of the trial factors."""
    changes: str = "trial"
    """What may change over learning. `trial`: c, smoothly over trials; `epoch`: c, once per epoch; `fixed`: nothing;
    `inputs_epoch`: inputs and initial states per epoch; `readout_epoch`: the decoder per epoch; `per_trial` and
    `per_epoch`: a full rank x rank core in place of diag(c), per trial without smoothness or per epoch; `inputs_only`:
    inputs and initial states per trial, normally distributed about their condition's with `initial_state_sd`;
    `low_matrix_rank`: the directions a_r and b_r, per trial, with a ridge penalty towards those of all trials;
    `full`: nothing, with one unconstrained matrix units x units; `per_trial_full`: such a matrix per trial, with a
    ridge penalty towards their mean."""
    trial_offset: SmoothOffset | None = None
    """A slow offset of the neurons, or None."""
    prior_weight: float | int | str = "auto"
    """Weight of the mean squared standardised deviation of the factors, against the mean squared error."""
    prior_multiplier: float | int = 1.0
    """Multiplies the automatic prior weight; choose it by held-out trials (1, 3, 8, 30)."""
    time_constant: float | int = 4.0
    """tau in bins, at least 1."""
    solver: str = "rk4"
    substeps: int | str = "auto"
    """Solver steps per bin; `auto`: as many as keep the step below a quarter (RK4) or a tenth (Heun) of tau."""
    input_penalty: float | int = 1e-4
    """Weight of the mean squared difference of the inputs between bins (inputs divided by sqrt(units))."""
    decoder_penalty: float | int = 1e-5
    """Weight of the sum of squares of the decoder."""
    activity_penalty: float | int = 0.0
    """Weight of the mean squared activity tanh(x)."""
    likelihood: str = "gaussian"
    r"""`gaussian`: mean squared error. `poisson`, `negative_binomial` (variance $\mu + \alpha_i \mu^2$, $\alpha_i$
    learnt per neuron): counts with the mean $\mu = \mathrm{softplus}(y)$ per bin, y the read-out with offsets. It is
    linear at high rates with slopes below one, so a transient of the network cannot overflow, as it can with exp."""
    gain: bool | None = None
    """A trained gain before the offset: one for all neurons with the orthogonal decoder (default on), one per neuron,
    and an offset, with the identity decoder (default off), and for both with counts (always on). The matrix of the
    linear decoder carries its own."""
    known: tuple[KnownInput | str, ...] = ()
    """Measured inputs, beside `inputs`; a name stands for `KnownInput(name)`, behaviour at a lag of one bin."""
    input_network: InputNetwork = field(default_factory=InputNetwork)
    """Network behind `inputs="ode"`."""
    initial_state_sd: float | int = 0.2
    """Prior sd of the initial states of trials, in units of sqrt(units)."""
    trial_dropout: float | int = 0.0
    """Share of training trials left out of each iteration, drawn anew each time from the seed."""
    batch_trials: int | None = None
    """Training trials, drawn without replacement, that each iteration works out; None for all."""
    process_noise: float | int = 0.0
    r"""White noise in training, $dx = \ldots + \sigma \tau^{-1/2} dB$ within the span: a leaky state alone would have
    the standard deviation $\sigma / \sqrt 2$. A regulariser; nothing infers it and predictions are without it."""

    def __post_init__(self):
        object.__setattr__(self, "known", as_known(self.known))
        check_settings(self, WORDS)

    @property
    def solver_steps(self) -> int:
        """Solver steps per bin."""
        if isinstance(self.substeps, int):
            return self.substeps
        return max(1, math.ceil(1 / self.time_constant / LARGEST_STEP[self.solver] - 1e-9))

    @property
    def counts(self) -> bool:
        """Whether the data are counts."""
        return self.likelihood != "gaussian"

    @property
    def trains_gain(self) -> bool:
        """Whether a gain is trained."""
        if self.gain is not None:
            return self.gain
        return self.decoder == "orthogonal" or (self.decoder == "identity" and self.counts)

    @property
    def gain_by_neuron(self) -> bool:
        """Whether each neuron has a gain of its own; otherwise there is one for all."""
        return self.counts or self.decoder == "identity"

    @property
    def core(self) -> bool:
        """Whether a full rank x rank matrix stands in place of diag(c)."""
        return self.changes in ("per_trial", "per_epoch") or self.dense

    @property
    def dense(self) -> bool:
        """Whether the weights are unconstrained square matrices: a core in as many directions as units."""
        return self.changes in ("full", "per_trial_full")

    @property
    def own_starts(self) -> bool:
        """Whether training trials have initial states of their own."""
        return self.initial_state == "trial" or self.changes == "inputs_only"

    def describe(self) -> dict:
        """All settings as plain values, for JSON, provenance and content hashes."""
        values = asdict(self)
        values["kernel"] = {"name": type(self.kernel).__name__, **asdict(self.kernel)}
        return values
