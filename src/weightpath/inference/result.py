"""A finished fit: factors, states, predictions, scores, and the same `Trajectory` type that training gives."""

import os
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Bool, Complex, Float
from weightpath.inference.observe import softplus
from weightpath.inference.recording import Recording
from weightpath.networks.factored import FactoredRNN
from weightpath.networks.low_tensor_rank import LowTensorRankRNN
from weightpath.trajectory import Trajectory


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    r"""A low-tensor-rank network fitted to a recording. Learning axis: step = trial; units are those of the recording.

    $W^{(k)} = \sum_r c_r^{(k)} a_r b_r^\top$ with unit columns $a_r, b_r$: the factors carry all the scale.
    """

    model: LowTensorRankRNN
    recording: Recording
    mask: Bool[np.ndarray, "trial time neuron"]
    """Training entries."""
    network: FactoredRNN
    """The network of every trial; what changes over learning has a leading step axis."""
    inputs: Float[np.ndarray, "copy condition time rank"] | None
    """Inputs in the coordinates of `a`; one copy, or one per epoch."""
    offset: Float[np.ndarray, "trial neuron"] | None
    """Slow offset of the neurons."""
    level: Float[np.ndarray, "step rank"]
    """beta: the level around which the factors of each trial vary (the diagonal, for a core)."""
    c_smooth: Float[np.ndarray, "step rank"]
    """Posterior mean of the smooth part of the factors given the factors; the level included."""
    c_sd: Float[np.ndarray, "step rank"]
    """Its standard deviation under the prior, given the factors."""
    z: Float[np.ndarray, "trial time rank"]
    """States, x = A z."""
    history: dict[str, Float[np.ndarray, " iteration"]]
    """`loss` before each iteration, and `r2` of the training entries."""
    prior_weight: float
    """Weight on the mean squared standardised deviation of the factors, as last used."""
    n_eff: float
    """Effective number of training entries."""
    result: RESULTS
    reason: str
    notes: tuple[str, ...]
    """What was said before the fit: held-out trials, thin data."""
    settings: dict
    """seed, iterations, learning_rate, dtype."""
    known: Float[np.ndarray, "trial time rank"] | None = None
    """Inputs from measured covariates, in the coordinates of `a`."""
    known_map: Float[np.ndarray, "rank channel"] | None = None
    """Their map from standardised, lagged channels."""
    own_inputs: Float[np.ndarray, "trial time rank"] | None = None
    """Inputs of each trial about its condition's, with `changes="inputs_only"`; zero for held-out trials."""
    dispersion: Float[np.ndarray, " neuron"] | None = None
    r"""Overdispersion $\alpha$ of negative binomial counts, with the variance $\mu + \alpha\mu^2$."""

    @property
    def converged(self) -> bool:
        """Whether the loss had settled."""
        return bool(self.result == RESULTS.successful)

    @property
    def a(self) -> Float[np.ndarray, "*step post rank"]:
        """Directions a_r, unit columns; with the step as first axis where each trial has its own."""
        return np.asarray(self.network.post_factor)

    @property
    def b(self) -> Float[np.ndarray, "*step pre rank"]:
        """Directions b_r, unit columns; with the step as first axis where each trial has its own."""
        return np.asarray(self.network.pre_factor)

    @property
    def c(self) -> Float[np.ndarray, "step *core rank"]:
        """Trial factors (step, rank); the cores (step, rank, rank) where the model has them."""
        return np.asarray(self.network.trial_factor)

    @property
    def training_trials(self) -> Bool[np.ndarray, " trial"]:
        """Trials with any training entry; the factors of the others are predictive means."""
        return np.asarray(self.mask.any(axis=(1, 2)))

    @property
    def held_out(self) -> Bool[np.ndarray, "trial time neuron"]:
        """Observed entries that were not trained on."""
        return self.recording.observed & ~self.mask

    def check_shared_directions(self, what: str) -> None:
        """**Raises:** ValueError where every trial has directions of its own, so that `what` has no meaning."""
        if self.a.ndim == 3:
            raise ValueError(f"{what} needs directions that all trials share; changes={self.model.changes!r} has none.")

    def mixing(self) -> Float[np.ndarray, "step rank rank"]:
        """diag(c), or the core, of every trial."""
        c = self.c
        return c if self.model.core else c[:, :, None] * np.eye(c.shape[1], dtype=c.dtype)

    def weights(self, k: int) -> Float[np.ndarray, "post pre"]:
        """Recurrent weights of trial `k` (index in the recording), (post, pre)."""
        mixing = self.c[k] if self.model.core else np.diag(self.c[k])
        a, b = (one[k] if one.ndim == 3 else one for one in (self.a, self.b))
        return a @ mixing @ b.T

    def eigenvalues(self) -> Complex[np.ndarray, "step eig"]:
        r"""Nonzero eigenvalues of every trial's weights, from the rank x rank matrix $\mathrm{diag}(c) B^\top A$."""
        inner = self.b.astype(np.float64).swapaxes(-1, -2) @ self.a.astype(np.float64)
        return np.linalg.eigvals(self.mixing().astype(np.float64) @ inner).astype(np.complex128)

    def trial_inputs(self) -> Float[np.ndarray, "trial time rank"]:
        """All inputs of every trial, learnt and measured, in the coordinates of `a`."""
        total = sum((one for one in (self.known, self.own_inputs) if one is not None), np.zeros_like(self.z))
        if self.inputs is not None:
            copy = self.recording.epoch if len(self.inputs) > 1 else 0
            total = total + self.inputs[copy, self.recording.condition]
        return total

    def predict(self, trials=None) -> Float[np.ndarray, "trial time neuron"]:
        """Predicted activity (counts: their expectation) of all trials, or of `trials` (indices or a boolean array)."""
        index = np.arange(len(self.z))[slice(None) if trials is None else np.atleast_1d(trials)]
        rate = np.tanh(self.z[index] @ (self.a.T if self.a.ndim == 2 else self.a[index].swapaxes(-1, -2)))
        w_out, bias = np.asarray(self.network.w_out), np.asarray(self.network.readout_bias)
        if self.model.decoder != "identity" or self.model.trains_gain:
            rate = rate @ (w_out[index].transpose(0, 2, 1) if w_out.ndim == 3 else w_out.T)
        result = rate + (bias[index][:, None] if bias.ndim == 2 else bias)
        result = result if self.offset is None else result + self.offset[index][:, None]
        return softplus(result) if self.model.counts else result

    def score(self, mask=None) -> float:
        r"""$R^2 = 1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2$ over the entries of `mask`, with one scalar mean.

        Default `mask`: the held-out entries, or the training entries where none are held out. Missing entries, silent
        neurons and neurons without training entries do not count.

        **Raises:** ValueError when no entry is left.
        """
        mask = self._scored(mask)
        values = self.recording.values[mask]
        return float(1 - np.sum((values - self.predict()[mask]) ** 2) / np.sum((values - values.mean()) ** 2))

    def bits_per_spike(self, mask=None) -> float:
        r"""Gain in log likelihood over each neuron's mean rate on training entries, in bits per spike, within `mask`.

        $(\sum \log p(n|\mu) - \sum \log p(n|\bar\mu_i)) / (\log 2 \sum n)$ with Poisson p whatever the likelihood of
        the fit, so that fits can be compared (see `inference.bits`). Entries as in `score`.

        **Raises:** ValueError for data that are not counts, or when no entry or no spike is left.
        """
        from weightpath.inference.bits import bits_per_spike

        if not self.model.counts:
            raise ValueError(
                f"bits per spike need counts; this fit has likelihood={self.model.likelihood!r}. Use score()."
            )
        scored = self._scored(mask)
        if not self.recording.values[scored].any():
            raise ValueError("the scored entries hold no spike; give a mask with some.")
        return bits_per_spike(self.recording.values, self.predict(), self.mask, scored)

    def _scored(self, mask) -> np.ndarray:
        """The entries of `mask` that count in a score."""
        if mask is None:
            mask = self.held_out if self.held_out.any() else self.mask
        scored = self.recording.observed & ~self.recording.silent & self.mask.any(axis=(0, 1))
        mask = np.asarray(mask, dtype=bool) & scored
        if not mask.any():
            raise ValueError("no observed entry is left to score; give a mask with True where to score.")
        return mask

    def recheck_solver(self, *, rtol: float = 1e-8) -> float:
        """Largest error of the solver: states against an adaptive solver of order 5, relative to their spread."""
        from weightpath.inference.recheck import recheck_solver

        return recheck_solver(self, rtol=rtol)

    def canonical(self):
        """The factors in a form that can be shown and compared between fits; see `inference.canonical`."""
        from weightpath.inference.canonical import canonical

        return canonical(self)

    def to_trajectory(self) -> Trajectory:
        """The weights over learning as a `Trajectory`: step = trial, factors shared, loss = squared error per trial."""
        observed = self.recording.observed
        error = np.where(observed, self.recording.values - self.predict(), 0.0) ** 2
        loss = error.sum(axis=(1, 2)) / np.maximum(observed.sum(axis=(1, 2)), 1)
        shared = ["time_constant"]
        if self.model.changes != "low_matrix_rank":
            shared += ["post_factor", "pre_factor"]
        if self.model.changes != "readout_epoch":
            shared += ["w_out", "readout_bias"]
        return Trajectory(
            time=jnp.asarray(self.recording.trial_id), networks=self.network, loss=jnp.asarray(loss),
            result=self.result, shared=tuple(shared),
        )  # fmt: skip

    def save(self, path: str | os.PathLike) -> None:
        """Write the fit, its recording included, to one file; `load_fit` reads it."""
        from weightpath.inference.keep import save_fit

        save_fit(self, Path(path))

    def __repr__(self) -> str:
        state, r2 = "settled" if self.converged else self.reason, self.history["r2"]
        return (
            f"Fit(rank {self.model.rank}, changes={self.model.changes!r}, {self.recording.name!r}, "
            f"train R2 {r2[-1] if len(r2) else np.nan:.3f}, {state})"
        )
