"""The result of a fit from the last state of its optimisation, in the units of the recording."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath.inference.drive import drive_of, input_table
from weightpath.inference.observe import semi_orthogonal
from weightpath.inference.predictions import predictions
from weightpath.inference.prior import settled_level, smooth_factor
from weightpath.inference.problem import Arrangement
from weightpath.inference.result import Fit
from weightpath.networks.factored import FactoredRNN


def collect(state, arrangement: Arrangement, history, effective, result, reason, notes, settings) -> Fit:
    """The result from the last state of the optimisation."""
    model, dtype = arrangement.model, np.dtype(settings["dtype"])
    parameters = _with_settled_level(state.parameters, arrangement, dtype)
    trials = arrangement.trials(dtype)
    bins = arrangement.recording.shape[1]
    size = jnp.asarray(1 / (model.time_constant * model.solver_steps), dtype)
    states = np.concatenate([z for _, z, _ in predictions(parameters, arrangement, dtype)])
    drive, _ = drive_of(parameters, trials, size, bins, arrangement.layout)
    level, smooth, sd = _smooth_part(arrangement, parameters, drive)
    numbers = parameters.deviation.size
    return Fit(
        model=model, recording=arrangement.recording, mask=arrangement.mask,
        network=_network(arrangement, parameters, drive, dtype),
        inputs=_inputs(arrangement, parameters), offset=_offset(arrangement, parameters),
        level=level, c_smooth=smooth, c_sd=sd, z=states,
        history={"loss": history[:, 0], "r2": 1 - history[:, 1] / arrangement.variance()},
        prior_weight=float(state.prior) * numbers, n_eff=effective,
        result=result, reason=reason, notes=notes, settings=settings, **_further(arrangement, parameters, trials),
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
    if parameters.readout_bias is not None:
        w_out = arrangement.scale * _decoders(parameters, model.decoder, neurons)
        bias = arrangement.scale * np.asarray(parameters.readout_bias, np.float64) + arrangement.centre
        copy = arrangement.readout_copy if model.changes == "readout_epoch" else 0
        w_out, bias = w_out[copy], bias[copy]
    factor = np.moveaxis(np.asarray(drive.factor), -1, 0)
    return FactoredRNN(  # pyright: ignore[reportCallIssue] (its w_rec and w_in are properties)
        post_factor=_by_trial(drive.post), pre_factor=_by_trial(drive.pre), trial_factor=jnp.asarray(factor, dtype),
        initial_state=drive.start.T, w_out=jnp.asarray(w_out, dtype), readout_bias=jnp.asarray(bias, dtype),
        time_constant=jnp.asarray(model.time_constant, dtype),
        core=model.core, solver=model.solver, substeps=model.solver_steps,
        link="softplus" if model.counts else "identity",
    )  # fmt: skip


def _by_trial(directions: jax.Array) -> jax.Array:
    """Directions with the trial, if they have one, as first axis."""
    return jnp.moveaxis(directions, -1, 0) if directions.ndim == 3 else directions


def _decoders(parameters, kind: str, neurons: int) -> np.ndarray:
    """Decoder matrices (copy, neuron, unit) with their gains, on the model's scale."""
    if kind == "identity":
        w_out = np.eye(neurons)[None]
    else:
        w_out = parameters.w_out if kind == "linear" else jax.vmap(semi_orthogonal)(parameters.w_out)
    w_out = np.asarray(w_out, np.float64)
    return w_out if parameters.gain is None else np.asarray(parameters.gain, np.float64)[:, :, None] * w_out


def _inputs(arrangement: Arrangement, parameters) -> np.ndarray | None:
    table, _ = input_table(parameters, arrangement.recording.shape[1], arrangement.layout)
    if table is None:
        return None
    bins, rank, _ = table.shape
    conditions = len(arrangement.recording.conditions)
    inputs = np.asarray(table).reshape(bins, rank, -1, conditions) * np.sqrt(arrangement.units)
    used = arrangement.copies if arrangement.model.changes == "inputs_epoch" else 1
    return inputs.transpose(2, 3, 0, 1)[:used].astype(table.dtype)


def _further(arrangement: Arrangement, parameters, trials) -> dict:
    """What only some models have."""
    further = {}
    if parameters.known is not None:
        further["known_map"] = np.sqrt(arrangement.units) * np.asarray(parameters.known, np.float64)
        further["known"] = np.einsum("rc,tck->ktr", further["known_map"], np.asarray(trials.known, np.float64))
    if parameters.own_inputs is not None:
        own = np.asarray(parameters.own_inputs @ trials.own_start, np.float64)
        further["own_inputs"] = np.sqrt(arrangement.units) * own.transpose(2, 0, 1)
    if parameters.dispersion is not None:
        further["dispersion"] = np.exp(np.asarray(parameters.dispersion, np.float64))
    return further


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
