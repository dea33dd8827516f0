"""A finished fit: factors, states, predictions, scores, and the same `Trajectory` type that training gives."""

import os
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Bool, Complex, Float
from weightpath.inference.objective import drive_of, predict
from weightpath.inference.prior import settled_level, smooth_factor
from weightpath.inference.problem import Arrangement
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

    @property
    def converged(self) -> bool:
        """Whether the loss had settled."""
        return bool(self.result == RESULTS.successful)

    @property
    def a(self) -> Float[np.ndarray, "post rank"]:
        """Directions a_r, unit columns."""
        return np.asarray(self.network.post_factor)

    @property
    def b(self) -> Float[np.ndarray, "pre rank"]:
        """Directions b_r, unit columns."""
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

    def mixing(self) -> Float[np.ndarray, "step rank rank"]:
        """diag(c), or the core, of every trial."""
        c = self.c
        return c if self.model.core else c[:, :, None] * np.eye(c.shape[1], dtype=c.dtype)

    def weights(self, k: int) -> Float[np.ndarray, "post pre"]:
        """Recurrent weights of trial `k` (index in the recording), (post, pre)."""
        mixing = self.c[k] if self.model.core else np.diag(self.c[k])
        return self.a @ mixing @ self.b.T

    def eigenvalues(self) -> Complex[np.ndarray, "step eig"]:
        r"""Nonzero eigenvalues of every trial's weights, from the rank x rank matrix $\mathrm{diag}(c) B^\top A$."""
        inner = self.b.astype(np.float64).T @ self.a.astype(np.float64)
        return np.linalg.eigvals(self.mixing().astype(np.float64) @ inner).astype(np.complex128)

    def predict(self, trials=None) -> Float[np.ndarray, "trial time neuron"]:
        """Predicted activity of all trials, or of `trials` (indices or a boolean array), held-out ones included."""
        index = np.arange(len(self.z))[slice(None) if trials is None else np.atleast_1d(trials)]
        rate = np.tanh(self.z[index] @ self.a.T)
        w_out, bias = np.asarray(self.network.w_out), np.asarray(self.network.readout_bias)
        if self.model.decoder == "linear":
            rate = rate @ (w_out[index].transpose(0, 2, 1) if w_out.ndim == 3 else w_out.T)
        result = rate + (bias[index][:, None] if bias.ndim == 2 else bias)
        return result if self.offset is None else result + self.offset[index][:, None]

    def score(self, mask=None) -> float:
        r"""$R^2 = 1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2$ over the entries of `mask`, with one scalar mean.

        Default `mask`: the held-out entries, or the training entries where none are held out. Missing entries, silent
        neurons and neurons without training entries do not count.

        **Raises:** ValueError when no entry is left.
        """
        if mask is None:
            mask = self.held_out if self.held_out.any() else self.mask
        scored = self.recording.observed & ~self.recording.silent & self.mask.any(axis=(0, 1))
        mask = np.asarray(mask, dtype=bool) & scored
        if not mask.any():
            raise ValueError("no observed entry is left to score; give a mask with True where to score.")
        values = self.recording.values[mask]
        return float(1 - np.sum((values - self.predict()[mask]) ** 2) / np.sum((values - values.mean()) ** 2))

    def canonical(self):
        """The factors in a form that can be shown and compared between fits; see `inference.canonical`."""
        from weightpath.inference.canonical import canonical

        return canonical(self)

    def to_trajectory(self) -> Trajectory:
        """The weights over learning as a `Trajectory`: step = trial, factors shared, loss = squared error per trial."""
        observed = self.recording.observed
        error = np.where(observed, self.recording.values - self.predict(), 0.0) ** 2
        loss = error.sum(axis=(1, 2)) / np.maximum(observed.sum(axis=(1, 2)), 1)
        shared = ["post_factor", "pre_factor", "time_constant"]
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


def collect(state, arrangement: Arrangement, history, effective, result, reason, notes, settings) -> Fit:
    """The result from the last state of the optimisation."""
    model, dtype = arrangement.model, np.dtype(settings["dtype"])
    parameters = _with_settled_level(state.parameters, arrangement, dtype)
    trials = arrangement.trials(dtype)
    bins = arrangement.recording.shape[1]
    size = jnp.asarray(1 / (model.time_constant * model.solver_steps), dtype)
    states, _ = predict(parameters, trials, size, jnp.zeros(bins, dtype), arrangement.layout)
    drive = drive_of(parameters, trials, size, bins)
    level, smooth, sd = _smooth_part(arrangement, parameters, drive)
    variance = float(np.var(arrangement.standardised[arrangement.mask]))
    numbers = parameters.deviation.size
    return Fit(
        model=model, recording=arrangement.recording, mask=arrangement.mask,
        network=_network(arrangement, parameters, drive, dtype),
        inputs=_inputs(arrangement, parameters), offset=_offset(arrangement, parameters),
        level=level, c_smooth=smooth, c_sd=sd, z=np.asarray(states).transpose(2, 0, 1),
        history={"loss": history[:, 0], "r2": 1 - history[:, 1] / variance},
        prior_weight=float(state.prior) * numbers, n_eff=effective,
        result=result, reason=reason, notes=notes, settings=settings,
    )  # fmt: skip


def _with_settled_level(parameters, arrangement: Arrangement, dtype: np.dtype):
    if not arrangement.maps["deviation"].any():
        return parameters
    maps, seen = arrangement.maps, arrangement.training
    level, deviation = (np.asarray(one, np.float64) for one in (parameters.level, parameters.deviation))
    settled = settled_level(level, deviation, maps["level"][:, seen], maps["deviation"][:, seen])
    return eqx.tree_at(lambda p: (p.level, p.deviation), parameters, tuple(jnp.asarray(one, dtype) for one in settled))


def _network(arrangement: Arrangement, parameters, drive, dtype: np.dtype) -> FactoredRNN:
    model, neurons = arrangement.model, arrangement.recording.shape[2]
    w_out, bias = np.eye(neurons), np.zeros(neurons)
    if model.decoder == "linear":
        w_out = arrangement.scale * np.asarray(parameters.w_out, np.float64)
        bias = arrangement.scale * np.asarray(parameters.readout_bias, np.float64) + arrangement.centre
        copy = arrangement.readout_copy if model.changes == "readout_epoch" else 0
        w_out, bias = w_out[copy], bias[copy]
    factor = np.moveaxis(np.asarray(drive.factor), -1, 0)
    return FactoredRNN(  # pyright: ignore[reportCallIssue] (its w_rec and w_in are properties)
        post_factor=drive.post, pre_factor=drive.pre, trial_factor=jnp.asarray(factor, dtype),
        initial_state=drive.start.T, w_out=jnp.asarray(w_out, dtype), readout_bias=jnp.asarray(bias, dtype),
        time_constant=jnp.asarray(model.time_constant, dtype),
        core=model.core, solver=model.solver, substeps=model.solver_steps,
    )  # fmt: skip


def _inputs(arrangement: Arrangement, parameters) -> np.ndarray | None:
    if parameters.inputs is None:
        return None
    bins, rank, _ = parameters.inputs.shape
    table = np.asarray(parameters.inputs).reshape(bins, rank, arrangement.copies, -1) * np.sqrt(arrangement.units)
    used = arrangement.copies if arrangement.model.changes == "inputs_epoch" else 1
    return table.transpose(2, 3, 0, 1)[:used].astype(parameters.inputs.dtype)


def _offset(arrangement: Arrangement, parameters) -> np.ndarray | None:
    if parameters.offset is None:
        return None
    return arrangement.scale * (np.asarray(parameters.offset, np.float64) @ arrangement.maps["offset"]).T


def _smooth_part(arrangement: Arrangement, parameters, drive) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Level, smooth part and its standard deviation, (trial, rank) each."""
    model, recording = arrangement.model, arrangement.recording
    level = np.asarray(parameters.level, np.float64) @ arrangement.maps["level"]
    level = np.diagonal(level) if model.core else level.T
    if model.changes != "trial":
        return level, level.copy(), np.zeros_like(level)
    deviation = np.asarray(drive.factor, np.float64).T - level
    mean, sd = smooth_factor(model.kernel, recording.trial_id, recording.epoch, arrangement.training, deviation)
    return level, level + mean, np.repeat(sd[:, None], model.rank, axis=1)
