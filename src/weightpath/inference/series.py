"""A recording from samples of the whole session (rates, calcium signals), cut at an event of each trial."""

from typing import Any

import numpy as np

from weightpath.inference.binning import Binning
from weightpath.inference.pynapple_objects import is_frame
from weightpath.inference.recording import Recording
from weightpath.inference.spikes import of_trials, recording_of, with_event
from weightpath.inference.time_bins import means_between
from weightpath.inference.trial_table import Trials, as_trials


def series_to_recording(
    time: Any,
    values: Any,
    trials: Any,
    *,
    align: str | None = None,
    window: tuple[float, float] | None = None,
    bin: float | None = None,
    smooth: float | None = None,
    clip: bool = False,
    condition: Any = None,
    epoch: Any = None,
    neuron: Any = None,
    name: str | None = None,
) -> Recording:
    """A recording (trial, time, neuron) of means of the samples `values` (sample, neuron) at `time` [s] in each bin.

    The other arguments are those of `spikes_to_recording`; `bin` is by default the interval between samples. Samples
    that are not finite are left out of the means, and a bin without any is NaN. For a pynapple `TsdFrame` give it as
    `values` and None as `time`.

    **Raises:** ValueError for times that do not increase, lengths that do not fit, or bins finer than the samples.
    """
    if is_frame(values):
        time = values.t if time is None else time
        neuron = np.asarray(values.columns) if neuron is None else neuron
        values = values.values
    binning = Binning(align, window, bin, smooth, False, clip)
    samples = np.asarray(values, dtype=float)
    return binned_series(
        np.asarray(time, dtype=float), samples[:, None] if samples.ndim == 1 else samples, as_trials(trials), binning,
        condition, epoch, neuron, name or "series",
    )  # fmt: skip


def binned_series(
    time: np.ndarray, values: np.ndarray, trials: Trials, binning: Binning,
    condition: Any, epoch: Any, neuron: Any, name: str,
) -> Recording:  # fmt: skip
    """The recording of `series_to_recording`, from parts in their final form."""
    _check(time, values, binning)
    labels = {key: trials.label(key, given)[0] for key, given in (("condition", condition), ("epoch", epoch))}
    there, notes = with_event(trials, binning)
    trials, labels = trials.kept(there), of_trials(labels, there)
    interval = float(np.median(np.diff(time)))
    width = binning.bin or interval
    if width < interval * (1 - 1e-6):
        raise ValueError(
            f"bins of {width:g} s are finer than the samples, which are {interval:g} s apart; give bin={interval:g} or "
            "more."
        )
    grid = binning.grid(trials, width, values.shape[1])
    binned = means_between(time, values, grid.edges)
    if not np.isfinite(binned).any():
        raise ValueError(
            f"no sample falls into any bin: samples from {time[0]:.6g} to {time[-1]:.6g} s, bins from "
            f"{grid.edges.min():.6g} to {grid.edges.max():.6g} s. Both must be in seconds of the same clock."
        )
    if binning.clipped:
        binned[~grid.within(trials)] = np.nan
    notes = [binning.words(grid, f"means of samples {interval:.4g} s apart"), *notes]
    return recording_of(grid.smoothed(binned, binning.smooth), grid, trials, labels, neuron, name, notes, binning)


def _check(time: np.ndarray, values: np.ndarray, binning: Binning) -> None:
    if values.ndim != 2 or time.shape != values.shape[:1]:
        raise ValueError(
            f"a series needs one time for each sample: time (sample,) and values (sample, neuron); got {time.shape} "
            f"and {values.shape}."
        )
    if len(time) < 2 or not np.all(np.isfinite(time)) or np.any(np.diff(time) <= 0):
        raise ValueError("the times of a series must be finite and strictly increasing, with at least two samples.")
    if binning.counts:
        raise ValueError("counts=True needs spike times; samples of a series are averaged in each bin.")
