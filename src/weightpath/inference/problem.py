"""A recording seen by a model: what is trained on, on which scale, and which table entry each trial uses."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Bool, Float, Int
from weightpath.inference.counts import count_scale, count_terms
from weightpath.inference.known import known_regressors
from weightpath.inference.observe import softplus
from weightpath.inference.ode_inputs import ode_layout
from weightpath.inference.prior import factor_map, offset_map
from weightpath.inference.program import Counts, Layout, Problem, Trials
from weightpath.inference.recording import Recording
from weightpath.networks.kernels import Independent
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

#: Trials that are standardised at a time.
BLOCK = 128
#: Bytes at whose multiples JAX wants arrays to begin.
ALIGNMENT = 64


@dataclass(frozen=True)
class Arrangement:
    """The recording and the mask seen by a model, in NumPy: what is trained on, on which scale, and with which maps."""

    model: LowTensorRankRNN
    recording: Recording
    mask: Bool[np.ndarray, "trial time neuron"]
    training: Bool[np.ndarray, " trial"]
    centre: Float[np.ndarray, " neuron"]
    scale: float
    units: int
    copies: int
    input_copy: Int[np.ndarray, " trial"]
    readout_copy: Int[np.ndarray, " trial"]
    maps: dict[str, Any]
    terms: int
    """Rank that was asked for; `model.rank` is the number of units where the weights are unconstrained."""

    def standardised(self, rows: slice | np.ndarray = slice(None)) -> Float[np.ndarray, "trial time neuron"]:
        """The data of some trials on the model's scale (counts as they are), zero where missing or held out."""
        values, mask = self.recording.values[rows], self.mask[rows]
        if self.model.counts:
            return np.where(mask, values, 0.0)
        return np.where(mask, (values - self.centre) / self.scale, 0.0)

    def blocks(self) -> list[slice]:
        """All trials in blocks: copies of a large recording in double precision would be the most of a fit's memory."""
        return _blocks(len(self.mask))

    def variance(self) -> float:
        """Variance of the training entries on the model's scale."""
        count = total = squares = 0.0
        for rows in self.blocks():
            kept = self.standardised(rows)
            count, total, squares = count + self.mask[rows].sum(), total + kept.sum(), squares + (kept**2).sum()
        return float(squares / count - (total / count) ** 2)

    def expected(self, prediction: np.ndarray) -> np.ndarray:
        """Predictions of the program (..., neuron) on the scale of `standardised`: expected counts."""
        return softplus(self.centre + self.scale * prediction) if self.model.counts else prediction

    @property
    def layout(self) -> Layout:
        """Static part of the program."""
        model, trials = self.model, int(self.training.sum())
        batch = model.batch_trials
        return Layout(
            core=model.core, solver=model.solver, substeps=model.solver_steps, activity=model.activity_penalty > 0,
            likelihood=model.likelihood, orthogonal=model.decoder == "orthogonal",
            ode=ode_layout(model, self.recording.time) if model.inputs == "ode" else None,
            dropout=model.trial_dropout > 0, batch=None if batch is None or batch >= trials else batch,
            noise=model.process_noise > 0,
        )  # fmt: skip

    def trials(self, dtype: np.dtype, subset: np.ndarray | slice | None = None) -> Trials:
        """The maps of all trials, or of a subset (boolean, or a slice), in the precision of the fit."""
        keep = slice(None) if subset is None else subset
        maps: dict[str, Any] = {
            name: None if one is None else jnp.asarray(one[..., keep], dtype) for name, one in self.maps.items()
        }
        return Trials(**maps)

    def problem(self, dtype: np.dtype, same_data: Problem | None = None) -> Problem:
        """The training trials as arrays for the compiled program; `same_data`: that of another model, to share its."""
        model, used = self.model, self.maps["inputs"][:, self.training].any(axis=1)
        readouts = self.maps["readout"][:, self.training].any(axis=1)
        return Problem(
            trials=self.trials(dtype, self.training),
            data=self._by_time(self.standardised, dtype) if same_data is None else same_data.data,
            mask=self._by_time(lambda rows: self.mask[rows], np.dtype(bool)) if same_data is None else same_data.mask,
            entries=jnp.asarray(self.mask[self.training].sum(axis=(1, 2)), dtype),
            size=jnp.asarray(1 / (model.time_constant * model.solver_steps), dtype),
            input_penalty=jnp.asarray(model.input_penalty * used / used.sum(), dtype),
            decoder_penalty=jnp.asarray(model.decoder_penalty * readouts, dtype),
            activity_penalty=jnp.asarray(model.activity_penalty, dtype),
            counts=self._counts(dtype) if model.counts else None,
            dropout=jnp.asarray(model.trial_dropout, dtype) if model.trial_dropout else None,
            noise=jnp.asarray(model.process_noise / model.time_constant**0.5, dtype) if model.process_noise else None,
        )

    def _by_time(self, read: Callable[[np.ndarray], np.ndarray], dtype: np.dtype) -> jax.Array:
        """What `read` gives of the training trials, (time, neuron, trial)."""
        training = np.flatnonzero(self.training)
        whole = _aligned((*self.mask.shape[1:], len(training)), dtype)
        for first in range(0, len(training), BLOCK):
            whole[..., first : first + BLOCK] = read(training[first : first + BLOCK]).transpose(1, 2, 0)
        return jax.device_put(whole)

    def _counts(self, dtype: np.dtype) -> Counts:
        spread = self.model.likelihood == "negative_binomial"
        return count_terms(self.recording.values, self.mask, self.centre, self.scale, spread, dtype)


def arrange(model: LowTensorRankRNN, recording: Recording, mask: Bool[np.ndarray, "trial time neuron"]) -> Arrangement:
    """Maps, scale and copies for a model that has passed the checks; `mask` holds observed entries only."""
    training, terms = np.asarray(mask.any(axis=(1, 2))), model.rank
    if model.dense:
        model = replace(model, rank=number_of_units(model, recording))
    epochs, conditions = len(recording.epochs), len(recording.conditions)
    nothing = np.zeros_like(recording.epoch)
    level = recording.epoch if levels_by_epoch(model) else nothing
    input_copy = recording.epoch if model.changes == "inputs_epoch" else nothing
    # Input networks are too large to be held once per epoch without need.
    input_tables = conditions * (epochs if model.inputs != "ode" or model.changes == "inputs_epoch" else 1)
    readout_copy = recording.epoch if model.changes == "readout_epoch" else nothing
    condition = recording.condition
    start = nothing if model.initial_state == "shared" else condition
    starts = 1 if model.initial_state == "shared" else conditions
    centre, scale = _scale(model, recording, mask)
    maps: dict[str, Any] = dict(
        level=_one_hot(level, epochs),
        deviation=_deviation(model, recording, training),
        offset=None if model.trial_offset is None else offset_map(
            model.trial_offset.kernel(), recording.trial_id, recording.epoch
        ),
        start=_one_hot(input_copy * starts + start, epochs * starts),
        inputs=_one_hot(input_copy * conditions + condition, input_tables),
        readout=_one_hot(readout_copy, epochs),
        own_start=_own_start(model, training) if model.own_starts else None,
        own_weights=_own_weights(model, recording, training) if model.changes == "low_matrix_rank" else None,
        known=known_regressors(recording, model.known, training).transpose(1, 2, 0) if model.known else None,
    )  # fmt: skip
    return Arrangement(
        model=model, recording=recording, mask=mask, training=training, centre=centre, scale=scale,
        units=number_of_units(model, recording), copies=epochs, input_copy=input_copy, readout_copy=readout_copy,
        maps=maps, terms=terms,
    )  # fmt: skip


def levels_by_epoch(model: LowTensorRankRNN) -> bool:
    """Whether each epoch has its own level of the factors."""
    if model.changes in ("trial", "per_trial", "per_trial_full"):
        return model.kernel.by_epoch
    return model.changes in ("epoch", "per_epoch")


def number_of_units(model: LowTensorRankRNN, recording: Recording) -> int:
    """Model units: as asked, else the neurons (identity decoder) or 60."""
    if model.decoder == "identity":
        return recording.shape[2]
    return 60 if model.units is None else model.units


def _deviation(model: LowTensorRankRNN, recording: Recording, training: np.ndarray) -> np.ndarray:
    """Prior map; zero for models without deviations, so that all share the shapes and the program."""
    if model.changes not in ("trial", "per_trial", "per_trial_full"):
        return np.zeros((training.sum(), len(training)))
    kernel = model.kernel
    if model.changes != "trial":
        sd = float(np.hypot(kernel.sd, kernel.noise_sd))
        # A square matrix of units has as many entries a row; its norm shall be that of the same sd for one factor.
        kernel = Independent(sd=sd / np.sqrt(model.rank) if model.dense else sd, by_epoch=kernel.by_epoch)
        # Positions, not numbers: trials that share a number have a core each.
        return factor_map(kernel, np.arange(float(len(training))), recording.epoch, training)
    return factor_map(kernel, recording.trial_id, recording.epoch, training)


def _own_start(model: LowTensorRankRNN, training: np.ndarray) -> np.ndarray:
    """The prior sd at each training trial; nothing for the others, which start as their condition does."""
    return float(model.initial_state_sd) * _one_hot(np.flatnonzero(training), len(training)).T


def _own_weights(model: LowTensorRankRNN, recording: Recording, training: np.ndarray) -> np.ndarray:
    """The kernel's sd, as the length of a trial's deviation from a direction of unit length."""
    sd = np.hypot(model.kernel.sd, model.kernel.noise_sd) / np.sqrt(number_of_units(model, recording))
    return float(sd) * _one_hot(np.flatnonzero(training), len(training)).T


def _scale(model: LowTensorRankRNN, recording: Recording, mask: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre of each neuron and one scale from the training entries; decoders without gain take data as they are."""
    neurons = recording.shape[2]
    if model.counts:
        return count_scale(recording, mask)
    if model.decoder == "identity" and not model.trains_gain:
        return np.zeros(neurons), 1.0
    values, rows = recording.values, _blocks(len(mask))
    count = np.maximum(mask.sum(axis=(0, 1)), 1)
    centre = np.sum([np.where(mask[one], values[one], 0.0).sum(axis=(0, 1)) for one in rows], axis=0) / count
    if model.decoder == "orthogonal" and not model.trains_gain:
        return centre, 1.0
    squares = sum(np.sum(np.where(mask[one], values[one] - centre, 0.0) ** 2) for one in rows)
    return centre, float(np.sqrt(squares / mask.sum()))


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An empty array that begins where JAX can take it over on a CPU without a copy."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % ALIGNMENT
    return raw[begin : begin + size].view(dtype).reshape(shape)


def _blocks(trials: int) -> list[slice]:
    return [slice(first, first + BLOCK) for first in range(0, trials, BLOCK)]


def _one_hot(index: np.ndarray, size: int) -> np.ndarray:
    return (np.arange(size)[:, None] == index[None, :]).astype(float)
