"""A fit as arrays: which table entry each trial uses, the data, and the weights of the terms of the loss."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Bool, Float, Int
from weightpath.inference.prior import factor_map, offset_map
from weightpath.inference.recording import Recording
from weightpath.networks.kernels import Independent
from weightpath.networks.low_tensor_rank import LowTensorRankRNN


@dataclass(frozen=True)
class Layout:
    """What the compiled program depends on besides shapes; all models of `changes` with diag(c) share one."""

    core: bool
    solver: str
    substeps: int
    activity: bool


class Trials(eqx.Module):
    """Linear maps from the tables of parameters to trials (last axis): one program serves every kind of change."""

    level: Float[Array, "levels trial"]
    """One at the trial's epoch (first row for all trials where the level does not change)."""
    deviation: Float[Array, "training trial"]
    """Prior map of the factors; zero where they do not deviate from their level."""
    offset: Float[Array, "basis trial"] | None
    start: Float[Array, "starts trial"]
    """One at the trial's (copy, condition) of the table of initial states."""
    inputs: Float[Array, "tables trial"]
    readout: Float[Array, "copies trial"]


class Problem(eqx.Module):
    """The training trials with their data, and the weights of the loss."""

    trials: Trials
    data: Float[Array, "time neuron trial"]
    """Standardised, zero where missing or held out."""
    mask: Float[Array, "time neuron trial"]
    size: Float[Array, ""]
    """Solver step in time constants."""
    input_penalty: Float[Array, " tables"]
    """Per table of inputs; zero for a copy or condition that no training trial uses."""
    decoder_penalty: Float[Array, " copies"]
    activity_penalty: Float[Array, ""]


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

    @property
    def standardised(self) -> Float[np.ndarray, "trial time neuron"]:
        """The data on the model's scale, zero where missing or held out."""
        return np.where(self.mask, (self.recording.values - self.centre) / self.scale, 0.0)

    @property
    def layout(self) -> Layout:
        """Static part of the program."""
        model = self.model
        return Layout(model.core, model.solver, model.solver_steps, model.activity_penalty > 0)

    def trials(self, dtype: np.dtype, subset: np.ndarray | None = None) -> Trials:
        """The maps of all trials, or of a subset (boolean), in the precision of the fit."""
        keep = slice(None) if subset is None else subset
        maps: dict[str, Any] = {
            name: None if one is None else jnp.asarray(one[:, keep], dtype) for name, one in self.maps.items()
        }
        return Trials(**maps)

    def problem(self, dtype: np.dtype) -> Problem:
        """The training trials as arrays for the compiled program."""
        model, used = self.model, self.maps["inputs"][:, self.training].any(axis=1)
        readouts = self.maps["readout"][:, self.training].any(axis=1)
        order = (1, 2, 0)
        return Problem(
            trials=self.trials(dtype, self.training),
            data=jnp.asarray(self.standardised[self.training].transpose(order), dtype),
            mask=jnp.asarray(self.mask[self.training].transpose(order), dtype),
            size=jnp.asarray(1 / (model.time_constant * model.solver_steps), dtype),
            input_penalty=jnp.asarray(model.input_penalty * used / used.sum(), dtype),
            decoder_penalty=jnp.asarray(model.decoder_penalty * readouts, dtype),
            activity_penalty=jnp.asarray(model.activity_penalty, dtype),
        )


def arrange(model: LowTensorRankRNN, recording: Recording, mask: Bool[np.ndarray, "trial time neuron"]) -> Arrangement:
    """Maps, scale and copies for a model that has passed the checks; `mask` holds observed entries only."""
    training = np.asarray(mask.any(axis=(1, 2)))
    epochs, conditions = len(recording.epochs), len(recording.conditions)
    nothing = np.zeros_like(recording.epoch)
    level = recording.epoch if levels_by_epoch(model) else nothing
    input_copy = recording.epoch if model.changes == "inputs_epoch" else nothing
    readout_copy = recording.epoch if model.changes == "readout_epoch" else nothing
    condition = recording.condition
    start = condition if model.initial_state == "condition" else nothing
    starts = conditions if model.initial_state == "condition" else 1
    centre, scale = _scale(model, recording, mask)
    maps: dict[str, Any] = dict(
        level=_one_hot(level, epochs),
        deviation=_deviation(model, recording, training),
        offset=None if model.trial_offset is None else offset_map(
            model.trial_offset.kernel(), recording.trial_id, recording.epoch
        ),
        start=_one_hot(input_copy * starts + start, epochs * starts),
        inputs=_one_hot(input_copy * conditions + condition, epochs * conditions),
        readout=_one_hot(readout_copy, epochs),
    )  # fmt: skip
    return Arrangement(
        model=model, recording=recording, mask=mask, training=training, centre=centre, scale=scale,
        units=number_of_units(model, recording), copies=epochs, input_copy=input_copy, readout_copy=readout_copy,
        maps=maps,
    )  # fmt: skip


def levels_by_epoch(model: LowTensorRankRNN) -> bool:
    """Whether each epoch has its own level of the factors."""
    if model.changes in ("trial", "per_trial"):
        return model.kernel.by_epoch
    return model.changes in ("epoch", "per_epoch")


def number_of_units(model: LowTensorRankRNN, recording: Recording) -> int:
    """Model units: as asked, else the neurons (identity decoder) or 60."""
    if model.decoder == "identity":
        return recording.shape[2]
    return 60 if model.units is None else model.units


def _deviation(model: LowTensorRankRNN, recording: Recording, training: np.ndarray) -> np.ndarray:
    """Prior map; zero for models without deviations, so that all share the shapes and the program."""
    if model.changes not in ("trial", "per_trial"):
        return np.zeros((training.sum(), len(training)))
    kernel = model.kernel
    if model.changes == "per_trial":
        kernel = Independent(sd=float(np.hypot(kernel.sd, kernel.noise_sd)), by_epoch=kernel.by_epoch)
        # Positions, not numbers: trials that share a number have a core each.
        return factor_map(kernel, np.arange(float(len(training))), recording.epoch, training)
    return factor_map(kernel, recording.trial_id, recording.epoch, training)


def _scale(model: LowTensorRankRNN, recording: Recording, mask: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre of each neuron and one scale from the training entries; the identity decoder takes data as they are."""
    neurons = recording.shape[2]
    if model.decoder == "identity":
        return np.zeros(neurons), 1.0
    count = np.maximum(mask.sum(axis=(0, 1)), 1)
    centre = np.where(mask, recording.values, 0.0).sum(axis=(0, 1)) / count
    spread = np.where(mask, recording.values - centre, 0.0)
    return centre, float(np.sqrt((spread**2).sum() / mask.sum()))


def _one_hot(index: np.ndarray, size: int) -> np.ndarray:
    return (np.arange(size)[:, None] == index[None, :]).astype(float)
