"""The time axis of a recording that is already in bins: coarser bins, a window of it, smoothing along it."""

import warnings

import numpy as np

from weightpath.inference.recording import Recording
from weightpath.inference.time_bins import TOLERANCE, smoothed


def rebinned(recording: Recording, seconds: float, counts: bool = False) -> Recording:
    """The recording in bins of `seconds`: neighbouring bins are averaged over what was observed in them.

    With `counts` they are added, and a bin is missing where any part of it is. Where the recording brings no times,
    `seconds` is the width its bins have, and only the times are set. Bins at the end that do not fill a wider one are
    left out. Covariates with a time axis are averaged likewise.

    **Raises:** ValueError when the new width is not a whole multiple of the present one, or exceeds the trial.
    """
    if not seconds > 0:
        raise ValueError(f"the width of a bin must be positive (seconds); got {seconds}.")
    bins = recording.shape[1]
    if recording.time_unit != "s":
        return recording._with(time=np.arange(bins) * float(seconds), time_unit="s")
    width = float(np.diff(recording.time).mean()) if bins > 1 else seconds
    factor = round(seconds / width)
    if factor < 1 or factor > bins or abs(factor * width - seconds) > 1e-3 * width:
        raise ValueError(
            f"bins of {seconds:g} s cannot be made from {bins} bins of {width:g} s; give a whole multiple of {width:g}."
        )
    if factor == 1:
        return recording
    covariates = {key: _averaged(value, factor) if timed else value for key, value, timed in _covariates(recording)}
    time = recording.time[: bins // factor * factor].reshape(-1, factor).mean(1)
    values = _grouped(recording.values, factor).sum(axis=2) if counts else _averaged(recording.values, factor)
    return recording._with(values=values, time=time, covariates=covariates, counts=counts or _rates(recording))


def _rates(recording: Recording) -> bool | None:
    """What is known of means: they are no counts, where anything was said."""
    return None if recording.counts is None else False


def windowed(recording: Recording, window: tuple[float, float]) -> Recording:
    """The bins whose times are in [window[0], window[1]) seconds.

    **Raises:** ValueError when there is none, or the times are not in seconds.
    """
    time, (first, last) = recording.time, window
    if recording.time_unit != "s":
        raise ValueError("the bins of this file have no times, so window= has no meaning; give the width too, bin=.")
    slack = TOLERANCE * (float(np.diff(time).mean()) if len(time) > 1 else 0.0)
    keep = (time >= first - slack) & (time < last - slack)
    if not keep.any():
        raise ValueError(
            f"no bin lies in the window from {first:g} to {last:g} s; the bins are at {time[0]:g} to {time[-1]:g} s."
        )
    covariates = {key: value[:, keep] if timed else value for key, value, timed in _covariates(recording)}
    return recording._with(values=recording.values[:, keep], time=time[keep], covariates=covariates)


def smoothed_in_time(recording: Recording, seconds: float) -> Recording:
    """The recording after a Gaussian of `seconds` along the observed bins of each trial.

    **Raises:** ValueError when the bins are not equal or have no times.
    """
    steps = np.diff(recording.time)
    if recording.time_unit != "s" or len(steps) == 0:
        raise ValueError("the bins of this file have no times, so smooth= has no meaning; give their width too, bin=.")
    if np.ptp(steps) > 1e-3 * steps.mean():
        raise ValueError(
            f"smooth= needs bins of equal width; those of {recording.name} are {steps.min():g} to {steps.max():g} s."
        )
    note = f"smoothed over time (Gaussian, sd {seconds:g} s)"
    values = smoothed(recording.values, seconds / float(steps.mean()))
    return recording._with(values=values, notes=(*recording.notes, note), counts=_rates(recording))


def _covariates(recording: Recording):
    """Covariates and whether their second axis is time."""
    bins = recording.shape[1]
    return [(key, value, value.ndim > 1 and value.shape[1] == bins) for key, value in recording.covariates.items()]


def _grouped(values: np.ndarray, factor: int) -> np.ndarray:
    bins = values.shape[1] // factor * factor
    return values[:, :bins].reshape(values.shape[0], -1, factor, *values.shape[2:]).astype(float)


def _averaged(values: np.ndarray, factor: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a group without any observation is missing, as it should be
        return np.nanmean(_grouped(values, factor), axis=2)
