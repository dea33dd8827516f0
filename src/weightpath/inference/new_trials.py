"""Predicted activity of trials that a fit has never met, from their place in the session, condition and epoch."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._types import Float, Int
from weightpath.inference.prior import smooth_factor
from weightpath.inference.result import Fit

#: What may change over learning in models that say something of trials they have not met.
PREDICTED = ("trial", "fixed", "epoch", "inputs_epoch", "readout_epoch", "per_epoch")


def predict_trials(
    fit: Fit, trial_id: Any, condition: Any = None, epoch: Any = None
) -> Float[np.ndarray, "trial time neuron"]:
    r"""Activity of trials at the places `trial_id` of the session, with their labels `condition` and `epoch`.

    A trial whose number the fit was trained on is predicted with its own factors. Any other has the predictive mean of
    the prior, $c_* = \beta + S_{*o}(S_{oo} + \sigma_{obs}^2 1)^{-1}(c_o - \beta)$, and offsets likewise: what a
    fit with these trials held out gives them. (With an initial state for each trial, theirs is the mean over the
    training trials of their condition.)

    `condition` and `epoch` (trial,): labels of the recording that was fitted; they may be left out where there was one.

    **Raises:** ValueError for unknown labels, lengths that differ, trial numbers that are not finite, a model with
    measured inputs, which new trials do not bring along, or one without a course over trials.
    """
    if fit.model.known:
        raise ValueError("the model has measured inputs (known=), which new trials do not bring along.")
    if fit.model.changes not in PREDICTED:
        raise ValueError(
            f"changes={fit.model.changes!r} knows no course over trials; new trials cannot be predicted. Take one of "
            f"{', '.join(map(repr, PREDICTED))}."
        )
    ids = np.asarray(trial_id, dtype=float)
    if ids.ndim != 1 or not np.isfinite(ids).all():
        raise ValueError(f"trial_id must hold one finite number a trial; got shape {ids.shape}.")
    recording = fit.recording
    codes = {
        "condition": _codes("condition", condition, recording.conditions, len(ids)),
        "epoch": _codes("epoch", epoch, recording.epochs, len(ids)),
    }
    for name, code in codes.items():
        labels = getattr(recording, f"{name}s")
        seen = set(getattr(recording, name)[fit.training_trials].tolist())
        if missing := sorted(set(code.tolist()) - seen):
            raise ValueError(f"no training trial has {name} {labels[missing[0]]!r}; it cannot be predicted.")
    place, known = _places(fit, ids, codes)
    factor = _factors(fit, ids, codes, place, known)
    rows = zip(codes["condition"].tolist(), codes["epoch"].tolist(), place.tolist(), strict=True)
    start = np.stack([_start(fit, *row) for row in rows])
    arrays = _rows(fit, place)
    network = eqx.tree_at(
        lambda n: tuple(getattr(n, name) for name in ("trial_factor", "initial_state", *arrays)),
        fit.network, tuple(jnp.asarray(one, fit.z.dtype) for one in (factor, start, *arrays.values())),
    )  # fmt: skip
    values = np.zeros((len(ids), *recording.shape[1:]))
    there = recording._with(values=values, trial_id=ids, source_trial=np.arange(len(ids)), covariates={}, **codes)
    z = _states(fit, factor, start, _inputs(fit, codes))
    moved = replace(
        fit, recording=there, mask=np.ones(values.shape, bool), network=network, z=z.astype(fit.z.dtype),
        level=fit.level[place], c_smooth=factor if factor.ndim == 2 else fit.c_smooth[place], c_sd=fit.c_sd[place],
        offset=_offset(fit, ids, codes["epoch"]),
    )  # fmt: skip
    return np.asarray(moved.predict(), np.float64)


def _codes(name: str, given: Any, labels: tuple, trials: int) -> Int[np.ndarray, " trial"]:
    if given is None:
        if len(labels) > 1:
            raise ValueError(f"the fit knows {len(labels)} {name}s; say of each trial which {name} it has.")
        return np.zeros(trials, dtype=int)
    given = np.asarray(given)
    if given.shape != (trials,):
        raise ValueError(f"{name} must hold one label a trial, ({trials},); got shape {given.shape}.")
    numbers = {label: code for code, label in enumerate(labels)}
    # Labels of mixed arrays come as text and back.
    numbers = {str(label): code for label, code in numbers.items()} | numbers
    items = [one.item() if isinstance(one, np.generic) else one for one in given]
    found = [numbers.get(one, numbers.get(str(one))) for one in items]
    if None in found:
        unknown = items[found.index(None)]
        raise ValueError(f"{name} {unknown!r} is not among those of the fit: {', '.join(map(repr, labels[:8]))}.")
    return np.array(found, dtype=int).reshape(-1)


def _places(fit: Fit, ids: np.ndarray, codes: dict) -> tuple[np.ndarray, np.ndarray]:
    """A training trial of the same epoch for every new one (itself where it is one), and whether it is itself."""
    recording, training = fit.recording, np.flatnonzero(fit.training_trials)
    place, known = np.empty(len(ids), int), np.zeros(len(ids), bool)
    for row, number in enumerate(ids):
        same = training[recording.trial_id[training] == number]
        own = [k for k in same if all(getattr(recording, name)[k] == code[row] for name, code in codes.items())]
        known[row] = bool(own)
        place[row] = own[0] if own else training[recording.epoch[training] == codes["epoch"][row]][0]
    return place, known


def _factors(fit: Fit, ids: np.ndarray, codes: dict, place: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Factors (trial, rank), or cores, of the new trials."""
    factor = np.asarray(fit.c, np.float64)[place]
    if known.all():
        return factor
    if fit.model.changes != "trial":
        return factor  # the same for all trials of an epoch
    recording, training = fit.recording, fit.training_trials
    deviation = np.asarray(fit.c, np.float64) - fit.level
    mean = _smoothed(
        fit.model.kernel, recording.trial_id[training], recording.epoch[training], deviation[training], ids,
        codes["epoch"],
    )  # fmt: skip
    return np.where(known[:, None], factor, fit.level[place] + mean)


def _smoothed(kernel, seen_id, seen_epoch, values, ids, epoch) -> np.ndarray:
    """Posterior mean of the smooth part at new places, given values at seen ones."""
    every_id, every_epoch = np.r_[seen_id, ids], np.r_[seen_epoch, epoch]
    training = np.arange(len(every_id)) < len(seen_id)
    rows = np.concatenate([values, np.zeros((len(ids), values.shape[1]))])
    return smooth_factor(kernel, every_id, every_epoch, training, rows)[0][len(seen_id) :]


def _start(fit: Fit, condition: int, epoch: int, place: int) -> np.ndarray:
    """Initial state: that of training trials of the same condition, and epoch where it has its own."""
    recording = fit.recording
    alike = fit.training_trials & (recording.condition == condition)
    if fit.model.changes == "inputs_epoch" and (alike & (recording.epoch == epoch)).any():
        alike &= recording.epoch == epoch
    if recording.condition[place] == condition and alike[place]:
        return np.asarray(fit.network.initial_state, np.float64)[place]
    return np.asarray(fit.network.initial_state, np.float64)[alike].mean(axis=0)


def _inputs(fit: Fit, codes: dict) -> np.ndarray:
    """Inputs (trial, time, rank) in the coordinates of a."""
    if fit.inputs is None:
        return np.zeros((len(codes["condition"]), *fit.z.shape[1:]))
    copy = codes["epoch"] if len(fit.inputs) > 1 else np.zeros_like(codes["epoch"])
    return np.asarray(fit.inputs, np.float64)[copy, codes["condition"]]


def _rows(fit: Fit, place: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of the read-out that differ between trials, taken from trials of the same epoch."""
    network = fit.network
    whole = {"w_out": 3, "readout_bias": 2}
    return {name: np.asarray(getattr(network, name))[place] for name, ndim in whole.items()
            if getattr(network, name).ndim == ndim}  # fmt: skip


def _offset(fit: Fit, ids: np.ndarray, epoch: np.ndarray) -> np.ndarray | None:
    if fit.offset is None or fit.model.trial_offset is None:
        return None
    # An offset is the smooth part alone; the kernel has no noise, and rounding is all there is to be kept out.
    recording, training = fit.recording, fit.training_trials
    kernel = fit.model.trial_offset.kernel()
    kernel = replace(kernel, noise_sd=1e-3 * kernel.sd)
    offset = np.asarray(fit.offset, np.float64)[training]
    return _smoothed(kernel, recording.trial_id[training], recording.epoch[training], offset, ids, epoch)


def _states(fit: Fit, factor: np.ndarray, start: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """States (trial, time, rank) by the solver of the fit, in float64."""
    a, b, model = np.asarray(fit.a, np.float64), np.asarray(fit.b, np.float64), fit.model
    mixing = factor if factor.ndim == 3 else factor[:, :, None] * np.eye(factor.shape[1])
    size, z, visited = 1 / (model.time_constant * model.solver_steps), start, [start]
    for held in inputs.transpose(1, 0, 2)[:-1]:

        def flow(z, held=held):
            return -z + np.einsum("krs,ks->kr", mixing, np.tanh(z @ a.T) @ b) + held

        for _ in range(model.solver_steps):
            z = _advance(flow, z, size, model.solver)
        visited.append(z)
    return np.stack(visited, axis=1)


def _advance(flow, z: np.ndarray, size: float, solver: str) -> np.ndarray:
    first = flow(z)
    if solver == "heun":
        return z + size / 2 * (first + flow(z + size * first))
    second = flow(z + size / 2 * first)
    third = flow(z + size / 2 * second)
    return z + size / 6 * (first + 2 * second + 2 * third + flow(z + size * third))
