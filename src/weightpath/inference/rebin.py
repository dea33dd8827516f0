"""Coarser time bins of a recording."""

import warnings

import numpy as np

from weightpath.inference.recording import Recording


def rebinned(recording: Recording, seconds: float) -> Recording:
    """The recording in bins of `seconds`: neighbouring bins are averaged over what was observed in them.

    Where the recording brings no times, `seconds` is the width its bins have, and only the times are set. Bins at the
    end that do not fill a wider one are left out. Covariates with a time axis are averaged likewise.

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
    covariates = {
        key: _averaged(value, factor) if value.ndim > 1 and value.shape[1] == bins else value
        for key, value in recording.covariates.items()
    }
    time = recording.time[: bins // factor * factor].reshape(-1, factor).mean(1)
    return recording._with(values=_averaged(recording.values, factor), time=time, covariates=covariates)


def _averaged(values: np.ndarray, factor: int) -> np.ndarray:
    bins = values.shape[1] // factor * factor
    grouped = values[:, :bins].reshape(values.shape[0], -1, factor, *values.shape[2:]).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a group without any observation is missing, as it should be
        return np.nanmean(grouped, axis=2)
