r"""Specification of a recurrent network whose weights move, over learning, inside a few fixed directions."""

import math
from dataclasses import asdict, dataclass, field

from weightpath.networks.kernels import AbstractKernel, RationalQuadratic

#: What the settings that are words may say.
WORDS = {
    "decoder": ("identity", "linear"),
    "inputs": ("free", "none"),
    "initial_state": ("condition", "shared"),
    "changes": ("trial", "fixed", "epoch", "inputs_epoch", "readout_epoch", "per_trial", "per_epoch"),
    "solver": ("rk4", "heun"),
}
#: Largest step, in time constants, that each solver takes (the loss is then settled to four digits).
LARGEST_STEP = {"rk4": 0.25, "heun": 0.1}


@dataclass(frozen=True)
class SmoothOffset:
    """An offset added to every neuron that moves smoothly over trials and is the same for all conditions.

    `length` in trials, `sd` in units of the recording's standard deviation, `by_epoch`: it may jump between epochs.
    It takes up slow drift of the recording, which otherwise the weights would have to explain. The defaults did best
    on held-out trials of one recording.
    """

    length: float | int = 100.0
    sd: float | int = 0.3
    by_epoch: bool = True

    def kernel(self) -> AbstractKernel:
        """The kernel over trials of one neuron's offset."""
        return RationalQuadratic(length=self.length, sd=self.sd, by_epoch=self.by_epoch)

    def __post_init__(self):
        self.kernel()


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
    """`identity`: unit i is neuron i, y = tanh(x). `linear`: y = Q tanh(x) + d, learnt."""
    inputs: str = "free"
    """`free`: a table condition x time x rank, learnt, held over each bin; `none`: autonomous after the start."""
    initial_state: str = "condition"
    """One initial state per condition, or one for all."""
    kernel: AbstractKernel = field(
        default_factory=lambda: RationalQuadratic(length=200.0, sd=0.3, noise_sd=0.05, by_epoch=True)
    )
    """Prior of the trial factors."""
    changes: str = "trial"
    """What may change over learning. `trial`: c, smoothly over trials; `epoch`: c, once per epoch; `fixed`: nothing;
    `inputs_epoch`: inputs and initial states per epoch; `readout_epoch`: the decoder per epoch; `per_trial` and
    `per_epoch`: a full rank x rank core in place of diag(c), per trial without smoothness or per epoch."""
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

    def __post_init__(self):
        for name, allowed in WORDS.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {getattr(self, name)!r}.")
        for name, value in (("rank", self.rank), ("units", self.units), ("substeps", self.substeps)):
            if value not in (None, "auto") and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"{name} must be a whole number, at least 1; got {value!r}.")
        if not isinstance(self.kernel, AbstractKernel):
            raise ValueError(f"kernel must be a kernel such as RationalQuadratic(length, sd); got {self.kernel!r}.")
        if not isinstance(self.trial_offset, SmoothOffset | None):
            raise ValueError(f"trial_offset must be a SmoothOffset(length, sd) or None; got {self.trial_offset!r}.")
        if self.prior_weight != "auto" and not _is_number(self.prior_weight, least=0.0):
            raise ValueError(f'prior_weight must be "auto" or a number, not negative; got {self.prior_weight!r}.')
        for name in ("prior_multiplier", "input_penalty", "decoder_penalty", "activity_penalty"):
            if not _is_number(getattr(self, name), least=0.0):
                raise ValueError(f"{name} must be a finite number, not negative; got {getattr(self, name)!r}.")
        if not _is_number(self.time_constant, least=1.0):
            raise ValueError(
                f"time_constant must be at least one bin (got {self.time_constant!r}): with a shorter one the state "
                "forgets everything within a bin. Give it in bins, or use finer bins."
            )

    @property
    def solver_steps(self) -> int:
        """Solver steps per bin."""
        if isinstance(self.substeps, int):
            return self.substeps
        return max(1, math.ceil(1 / self.time_constant / LARGEST_STEP[self.solver] - 1e-9))

    @property
    def core(self) -> bool:
        """Whether a full rank x rank matrix stands in place of diag(c)."""
        return self.changes in ("per_trial", "per_epoch")

    def describe(self) -> dict:
        """All settings as plain values, for JSON, provenance and content hashes."""
        values = asdict(self)
        values["kernel"] = {"name": type(self.kernel).__name__, **asdict(self.kernel)}
        return values


def _is_number(value, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= least
