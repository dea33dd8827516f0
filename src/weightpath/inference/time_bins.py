"""Spikes and samples to bins around events: arithmetic on arrays, every interval half open, [left, right)."""

from collections.abc import Sequence

import numpy as np

from weightpath._types import Bool, Float, Int

#: Times are written with rounding; an interval may miss the edge of a bin by this share of the bin's width.
TOLERANCE = 1e-3


def bin_count(window: tuple[float, float], width: float) -> int:
    """Number of bins of `width` in a window.

    **Raises:** ValueError when the window does not hold a whole number of bins.
    """
    first, last = window
    bins = round((last - first) / width)
    if bins < 1 or abs(bins * width - (last - first)) > TOLERANCE * width:
        fits = first + max(1, int((last - first) / width + TOLERANCE)) * width
        raise ValueError(
            f"the window from {first:g} to {last:g} s holds no whole number of bins of {width:g} s; "
            f"end it at {fits:g} s, or change the bin."
        )
    return bins


def bin_edges(
    events: Float[np.ndarray, " trial"], window: tuple[float, float], width: float
) -> Float[np.ndarray, "trial edge"]:
    """Edges of the bins of every trial: `event + window[0] + i width`, one more than there are bins.

    **Raises:** ValueError when the window does not hold a whole number of bins.
    """
    return events[:, None] + window[0] + width * np.arange(bin_count(window, width) + 1)


def counts_between(
    spikes: Sequence[Float[np.ndarray, " _"]], edges: Float[np.ndarray, "trial edge"]
) -> Int[np.ndarray, "trial time neuron"]:
    """Number of spikes of each unit in each bin; `spikes` holds the sorted times of each unit. Trials may overlap."""
    counts = np.empty((edges.shape[0], edges.shape[1] - 1, len(spikes)), np.int64)
    for i, times in enumerate(spikes):
        counts[:, :, i] = np.diff(np.searchsorted(times, edges.ravel()).reshape(edges.shape), axis=1)
    return counts


def counts_by_trial(
    times: Float[np.ndarray, " spike"],
    trial: Int[np.ndarray, " spike"],
    unit: Int[np.ndarray, " spike"],
    edges: Float[np.ndarray, "trial edge"],
    units: int,
) -> Int[np.ndarray, "trial time neuron"]:
    """Number of spikes of each unit in each bin, where every spike brings the number of its trial and of its unit."""
    trials, bins = edges.shape[0], edges.shape[1] - 1
    order = np.argsort(trial, kind="stable")
    borders = np.searchsorted(trial[order], np.arange(trials + 1))
    place = np.empty(len(times), np.int64)
    for k in range(trials):
        own = order[borders[k] : borders[k + 1]]
        place[own] = np.searchsorted(edges[k], times[own], side="right") - 1
    inside = (place >= 0) & (place < bins)
    flat = np.ravel_multi_index((trial[inside], place[inside], unit[inside]), (trials, bins, units))
    return np.bincount(flat, minlength=trials * bins * units).reshape(trials, bins, units)


def means_between(
    times: Float[np.ndarray, " sample"],
    values: Float[np.ndarray, "sample neuron"],
    edges: Float[np.ndarray, "trial edge"],
) -> Float[np.ndarray, "trial time neuron"]:
    """Mean of the finite samples in each bin, NaN where there is none; `times` increase.

    A sample that stands on an edge up to rounding belongs to the bin that begins there.
    """
    shift = 1e-6 * float(edges[0, 1] - edges[0, 0])
    place = np.searchsorted(times, edges - shift)
    pairs = np.stack([place[:, :-1], place[:, 1:]], axis=-1).ravel()
    finite = np.isfinite(values)

    def sums(array):
        # reduceat gives array[i] where a bin is empty (i = j), and needs i within the array: hence the row of zeros
        padded = np.concatenate([array, np.zeros((1, array.shape[1]))])
        found = np.add.reduceat(padded, pairs, axis=0)[::2]
        return np.where((pairs[::2] < pairs[1::2])[:, None], found, 0.0)

    total, number = sums(np.where(finite, values, 0.0)), sums(finite.astype(float))
    with np.errstate(invalid="ignore"):
        means = total / number
    return means.reshape(edges.shape[0], edges.shape[1] - 1, values.shape[1])


def merged(intervals: Float[np.ndarray, "interval 2"]) -> Float[np.ndarray, "period 2"]:
    """The union of intervals [start, stop) as separate periods in increasing order."""
    ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    opens = np.concatenate([[True], ordered[1:, 0] > reach[:-1]])
    first = np.flatnonzero(opens)
    return np.stack([ordered[first, 0], reach[np.append(first[1:], len(ordered)) - 1]], axis=1)


def inside_intervals(
    edges: Float[np.ndarray, "trial edge"], intervals: Float[np.ndarray, "interval 2"]
) -> Bool[np.ndarray, "trial time"]:
    """Bins that lie wholly in the union of the intervals (which may touch or overlap), up to `TOLERANCE` of a bin."""
    if len(intervals) == 0:
        return np.zeros((edges.shape[0], edges.shape[1] - 1), bool)
    slack = 0.5 * TOLERANCE * float(edges[0, 1] - edges[0, 0])
    # Widened by half the slack, neighbours that rounding parted are joined again.
    periods = merged(intervals + slack * np.array([-1.0, 1.0]))
    left, right = edges[:, :-1], edges[:, 1:]
    place = np.searchsorted(periods[:, 0], left + slack, side="right") - 1
    return (place >= 0) & (right <= periods[np.maximum(place, 0), 1] + slack)


def smoothed(values: Float[np.ndarray, "trial time neuron"], sd: float) -> Float[np.ndarray, "trial time neuron"]:
    """Gaussian smoothing along time with a standard deviation of `sd` bins, cut at 4 sd.

    Weights are renormalised over the observed bins of the trial, so edges and gaps are not pulled towards zero;
    missing bins stay missing. Nothing from outside the trial's own bins enters.
    """
    from scipy.ndimage import gaussian_filter1d

    def spread(array):
        return gaussian_filter1d(array, sd, axis=1, mode="constant", truncate=4.0)

    observed = np.isfinite(values)
    if observed.all():
        return spread(values) / spread(np.ones((1, values.shape[1], 1)))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = spread(np.where(observed, values, 0.0)) / spread(observed.astype(float))
    return np.where(observed, mean, np.nan)
