"""What a fit refuses, and what it says before it starts."""

import warnings

import numpy as np

from weightpath._types import Bool
from weightpath.inference.known import check_known
from weightpath.inference.problem import levels_by_epoch, number_of_units
from weightpath.inference.recording import Recording
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

#: Below this attainable R^2 a decoder without a scale of its own is refused.
LEAST_ATTAINABLE = 0.9


def check_model(model, recording) -> None:
    """Refuse a model that cannot be fitted to the recording, whatever the mask.

    **Raises:** ValueError that names both numbers.
    """
    if not isinstance(model, LowTensorRankRNN):
        raise ValueError(f"model must be a wp.LowTensorRankRNN; got {type(model).__name__}.")
    if not isinstance(recording, Recording):
        raise ValueError(f"recording must be a wp.Recording; got {type(recording).__name__}. Make one of the array.")
    trials, bins, neurons = recording.shape
    conditions = len(recording.conditions)
    if model.decoder == "identity" and model.units not in (None, neurons):
        raise ValueError(
            f"decoder='identity' makes unit i neuron i, so units must be the {neurons} neurons; got "
            f"units={model.units}. Leave units out, or use decoder='linear'."
        )
    units = number_of_units(model, recording)
    if model.rank > min(units, neurons):
        raise ValueError(
            f"rank {model.rank} exceeds min(units, neurons) = min({units}, {neurons}) = {min(units, neurons)}; "
            "lower the rank."
        )
    if model.rank > bins * conditions:
        raise ValueError(
            f"rank {model.rank} exceeds time bins x conditions = {bins} x {conditions} = {bins * conditions}, all that "
            "the condition means can tell apart; lower the rank."
        )
    check_known(recording, model.known)
    if model.counts:
        _check_counts(model, recording)
    if model.inputs == "ode" and not model.input_network.throughout and not np.any(recording.time < 0):
        raise ValueError(
            "no preparatory bins: inputs would never act. inputs='ode' acts at times before 0, and the recording's "
            f"begin at {recording.time[0]:g}. Give the recording times that are negative before the go cue, let the "
            "inputs act in all bins by input_network=InputNetwork(throughout=True), or use inputs='none' with "
            "initial_state='condition'."
        )
    if np.any(np.diff(np.sort(recording.trial_id)) == 0) and model.kernel.noise_sd == 0 and model.changes == "trial":
        raise ValueError(
            "some trial_id occur more than once, and kernel.noise_sd = 0 forces equal factors on them; number the "
            "trials apart or give noise_sd > 0."
        )


def _check_counts(model: LowTensorRankRNN, recording: Recording) -> None:
    values = recording.values[recording.observed]
    if recording.counts is False:
        what = "the recording was given as rates (counts=False)"
    elif np.any(values < 0):
        what = f"the recording goes down to {values.min():.4g}"
    elif np.any(values != np.round(values)):
        what = f"the recording holds {values[values != np.round(values)][0]:.4g}, which is no whole number"
    else:
        return
    raise ValueError(
        f"likelihood={model.likelihood!r} needs counts: whole numbers, not negative; {what}. Give spikes per bin, not "
        "smoothed, standardised or divided by the bin, or use likelihood='gaussian'."
    )


def training_mask(recording: Recording, mask) -> Bool[np.ndarray, "trial time neuron"]:
    """Training entries: observed, and in `mask` (trial, time, neuron) where one is given.

    **Raises:** ValueError when the shape or type is wrong or nothing is left.
    """
    if mask is None:
        return recording.observed
    mask = np.asarray(mask)
    if mask.dtype != np.bool_:
        raise ValueError(f"mask must be boolean (True: train on this entry); got dtype {mask.dtype}.")
    if mask.shape != recording.shape:
        raise ValueError(f"mask must be (trial, time, neuron) = {recording.shape}; got {mask.shape}.")
    mask = mask & recording.observed
    if not mask.any():
        raise ValueError("no observed entry is left to train on; the mask holds out everything.")
    return mask


def check_training(model: LowTensorRankRNN, recording: Recording, mask: np.ndarray) -> tuple[str, ...]:
    """Refuse a mask that leaves a parameter without data; warns about thin data and returns what was said.

    **Raises:** ValueError naming an epoch without training trials where each epoch has its own parameters, and data
    that a decoder without a scale of its own cannot reach.
    """
    training = np.asarray(mask.any(axis=(1, 2)))
    by_epoch = levels_by_epoch(model) or model.changes in ("inputs_epoch", "readout_epoch")
    empty = sorted(set(range(len(recording.epochs))) - set(recording.epoch[training].tolist()))
    if by_epoch and empty:
        names = ", ".join(repr(recording.epochs[one]) for one in empty)
        raise ValueError(
            f"no training trial in epoch {names}, so its own parameters are not identified; train on some of its "
            "trials (another mask or scheme), join it to another epoch, or use by_epoch=False or changes='fixed'."
        )
    _check_reach(model, recording, mask)
    notes = (
        *_thin_data(model, recording, training),
        *_without_data(recording, mask),
        *_whole_numbers(model, recording),
    )
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=3)
    held_out = int((~training).sum())
    if held_out:
        notes += (f"{held_out} trials have no training entry: their factors are the predictive mean of the prior",)
    return notes


def _check_reach(model: LowTensorRankRNN, recording: Recording, mask: np.ndarray) -> None:
    trained = np.flatnonzero(mask.any(axis=(0, 1)))
    each = (recording.values[:, :, one][mask[:, :, one]] for one in trained)
    if not any(one.max() > one.min() for one in each):
        raise ValueError("all training entries of each neuron are equal; there is nothing to fit.")
    if model.counts or model.trains_gain or model.decoder == "linear":
        return
    values = recording.values[mask]
    total = np.sum((values - values.mean()) ** 2)
    if model.decoder == "identity":
        reach = 1 - np.sum(np.maximum(np.abs(values) - 1, 0) ** 2) / total
        what = f"decoder='identity' predicts tanh(x), within (-1, 1), and the data reach {np.abs(values).max():.3g}"
        remedy = "Scale the data into (-1, 1), or use gain=True or decoder='linear'"
    else:
        units, neurons = number_of_units(model, recording), recording.shape[2]
        seen = np.where(mask, recording.values, np.nan)[:, :, trained]
        centre = np.nanmean(seen, axis=(0, 1))
        length = np.sqrt(np.nansum((seen - centre) ** 2, axis=2))
        reach = 1 - np.sum(np.maximum(length - np.sqrt(units), 0) ** 2) / total
        what = (
            f"decoder='orthogonal' without gain predicts vectors of length below sqrt(units) = {np.sqrt(units):.3g}, "
            f"and those of the {neurons} neurons reach {length.max():.3g} about their mean"
        )
        remedy = "Use gain=True, more units, or scale the data down"
    if reach < LEAST_ATTAINABLE:
        raise ValueError(f"{what}: no more than R^2 = {reach:.3g} is attainable. {remedy}.")


def _thin_data(model: LowTensorRankRNN, recording: Recording, training: np.ndarray) -> list[str]:
    trials, notes = int(training.sum()), []
    if trials == 1:
        return ["one training trial: changes over learning are not identified; fitted with fixed weights"]
    if model.rank > trials:
        notes.append(f"rank {model.rank} exceeds the {trials} training trials: the trial factors are not identified")
    elif trials < 3 * model.rank:
        notes.append(f"{trials} training trials are fewer than three per factor (rank {model.rank})")
    if model.changes == "trial" and model.kernel.length > trials:
        notes.append(f"the kernel's length, {model.kernel.length:g} trials, exceeds the {trials} training trials")
    return notes


def _without_data(recording: Recording, mask: np.ndarray) -> list[str]:
    notes = []
    neurons = recording.neuron[~mask.any(axis=(0, 1))]
    if len(neurons):
        names = ", ".join(str(one) for one in neurons.tolist()[:8])
        notes.append(f"neurons without any training entry stay at their initial values and are not scored: {names}")
    seen = set(recording.condition[mask.any(axis=(1, 2))].tolist())
    missing = [repr(name) for code, name in enumerate(recording.conditions) if code not in seen]
    if missing:
        notes.append(f"conditions without training trials keep the mean over conditions: {', '.join(missing[:8])}")
    return notes


def _whole_numbers(model: LowTensorRankRNN, recording: Recording) -> list[str]:
    # What was given as integers has been remarked upon when the recording was made; rates in Hz may be whole.
    said = recording.counts is False or any("cast to real numbers" in note for note in recording.notes)
    if model.counts or said:
        return []
    if not all(np.all((trial == np.round(trial)) | np.isnan(trial)) for trial in recording.values):
        return []
    return [
        "all values are whole numbers, fitted as real ones: a Gaussian likelihood fits rates, not counts. Smooth "
        "counts first (e.g. a Gaussian of sd 4 bins along time), or use likelihood='poisson'"
    ]
