"""A recording from spike times: aligned to an event of each trial, counted in bins, and smoothed if that is wished."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weightpath.inference.binning import DEFAULT_BIN, Binning
from weightpath.inference.pynapple_objects import interval_array, is_spike_group, spike_group
from weightpath.inference.recording import Recording
from weightpath.inference.time_bins import counts_between, counts_by_trial, inside_intervals
from weightpath.inference.trial_table import Trials, as_trials


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spike times of units. `times`: sorted times of each unit [s]; `units`: their names.

    `observed`: for each unit the intervals (interval, 2) in which it was recorded, or None where that is not known.
    `trial`: for each unit the row of the trial table that each spike belongs to, when times run within trials.
    """

    times: list[np.ndarray]
    units: np.ndarray
    observed: list[np.ndarray | None]
    trial: list[np.ndarray] | None = None
    notes: tuple[str, ...] = ()

    def kept(self, keep: np.ndarray) -> "Spikes":
        """The spikes of the trials that are kept; all of them where times are of the session."""
        if self.trial is None or keep.all():
            return self
        inside = [keep[row] for row in self.trial]
        times = [one[own] for one, own in zip(self.times, inside, strict=True)]
        trial = [(np.cumsum(keep) - 1)[row[own]] for row, own in zip(self.trial, inside, strict=True)]
        return replace(self, times=times, trial=trial)


def spikes_to_recording(
    spikes: Any,
    trials: Any = None,
    *,
    align: str | None = None,
    window: tuple[float, float] | None = None,
    bin: float | None = None,
    smooth: float | None = None,
    counts: bool = False,
    clip: bool = False,
    condition: Any = None,
    epoch: Any = None,
    trial_id: Any = None,
    observed: Any = None,
    name: str | None = None,
) -> Recording:
    """A recording (trial, time, neuron) of firing rates [Hz] or counts from spike times [s].

    A bin [left, right) of a trial begins at `event + window[0] + i bin`; its rate is its number of spikes / `bin`.

    `spikes`: times of each unit as a mapping from unit to times, a list of arrays, or a pynapple `TsGroup`; or a long
    table (data frame, mapping) with the columns unit, time and maybe trial. `trials`: table with start_time, stop_time
    and any other columns (data frame, mapping of columns, pynapple `IntervalSet`), or times of one event a trial. A
    long table with trials needs none: its times then run within each trial. `align`: column with the event that
    becomes time 0 (default: the start). `window`: (-pre, post) around it [s] (default: the whole of each trial, NaN
    after its end). `bin`: width [s] (default 0.02). `smooth`: sd of a Gaussian over the bins of a trial [s]. `counts`:
    keep whole counts, for a count likelihood. `clip`: bins outside the trial's start and stop are NaN. `condition`,
    `epoch`: columns of the trial table, or one label a trial. `trial_id`: number of each trial. `observed`: intervals
    (interval, 2) of recording or an `IntervalSet`, for all units or a list with those of each; bins not wholly inside
    are NaN.

    Times are of the bins' centres. Columns of numbers become covariates. What was dropped is said in `notes`.

    **Raises:** ValueError for columns, windows, bins, labels or times that cannot be used.
    """
    binning = Binning(align, window, bin, smooth, counts, clip)
    found, table = units_and_trials(spikes, trials, observed)
    if trial_id is not None:
        ids = np.asarray(trial_id)
        if ids.shape != (len(table),):
            raise ValueError(f"trial_id must hold one number for each of {len(table)} trials; got shape {ids.shape}.")
        table = replace(table, columns=table.columns | {"trial_id": ids}, ids=ids)
    return binned_spikes(found, table, binning, condition, epoch, name or "spikes")


def units_and_trials(spikes: Any, trials: Any, observed: Any) -> tuple[Spikes, Trials]:
    """Spikes and trials from whatever form they were given in.

    **Raises:** ValueError when they are in none of the forms, or trials are missing.
    """
    from weightpath.inference.spike_table import from_long_table, is_long_table

    if is_spike_group(spikes):
        spikes, support = spike_group(spikes)
        observed = support if observed is None else observed
    elif is_long_table(spikes):
        return from_long_table(spikes, trials, observed)
    if trials is None:
        raise ValueError(
            "spike times need trials: give a table with start_time and stop_time, or the times of one event a trial."
        )
    return as_spikes(spikes, observed), as_trials(trials)


def as_spikes(spikes: Any, observed: Any = None) -> Spikes:
    """Sorted, finite times of each unit.

    **Raises:** ValueError when there is no unit, or times are not one-dimensional arrays of numbers.
    """
    if not isinstance(spikes, Mapping):
        if not isinstance(spikes, Sequence) or isinstance(spikes, str):
            raise ValueError(
                "spikes must be a mapping from unit to spike times, a list with the times of each unit, or a long "
                f"table with the columns unit and time; got {type(spikes).__name__}."
            )
        spikes = dict(enumerate(spikes))
    if not spikes:
        raise ValueError("there is no unit among the spikes.")
    times, lost = [], 0
    for unit, given in spikes.items():
        array = np.asarray(given, dtype=float)
        if array.ndim != 1:
            raise ValueError(f"unit {unit!r} must have a one-dimensional array of spike times; got {array.shape}.")
        finite = array[np.isfinite(array)]
        lost += len(array) - len(finite)
        times.append(np.sort(finite, kind="stable"))
    names = np.array(list(spikes))
    notes = (f"{lost} spike times that are not finite left out",) if lost else ()
    return Spikes(times, names, _intervals(observed, len(times)), notes=notes)


def binned_spikes(spikes: Spikes, trials: Trials, binning: Binning, condition: Any, epoch: Any, name: str) -> Recording:
    """The recording of `spikes_to_recording`, from parts that were checked."""
    labels = {key: trials.label(key, given)[0] for key, given in (("condition", condition), ("epoch", epoch))}
    there, notes = with_event(trials, binning)
    spikes, trials, labels = spikes.kept(there), trials.kept(there), of_trials(labels, there)
    width = binning.bin or DEFAULT_BIN
    grid = binning.grid(trials, width, len(spikes.times), _extent(spikes, trials.events(binning.align), width))
    found = counts_between(spikes.times, grid.edges) if spikes.trial is None else _counts_within(spikes, grid.edges)
    if not found.any():
        raise ValueError(_none_found(spikes, grid.edges))
    observed = _observed(spikes, trials, binning, grid)
    values = np.where(observed, found / (1.0 if binning.counts else grid.width), np.nan)
    what = f"{int(found[observed].sum())} spikes as {'counts in each bin' if binning.counts else 'rates in Hz'}"
    notes = [binning.words(grid, what), *spikes.notes, *notes]
    return recording_of(grid.smoothed(values, binning.smooth), grid, trials, labels, spikes.units, name, notes, binning)


def with_event(trials: Trials, binning: Binning) -> tuple[np.ndarray, list[str]]:
    """Which trials have the event, and a note on the others.

    **Raises:** ValueError when none has.
    """
    there = np.isfinite(trials.events(binning.align))
    if there.all():
        return there, []
    if not there.any():
        raise ValueError(f"the event {binning.align!r} happened in no trial: every entry of that column is missing.")
    missing = [f"{number:g}" for number in trials.ids[~there]]
    shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
    return there, [f"{len(missing)} trials without the event dropped: {shown}"]


def of_trials(labels: dict, keep: np.ndarray) -> dict:
    """Labels of the trials that are kept."""
    return {key: None if one is None else one[keep] for key, one in labels.items()}


def recording_of(values, grid, trials: Trials, labels: dict, neuron, name: str, notes: list[str], binning: Binning):
    """The `Recording` of binned values; columns of numbers become covariates."""
    recording = Recording(
        values,
        time=grid.time,
        trial_id=trials.ids,
        neuron=neuron,
        name=name,
        counts=binning.counts,
        covariates=trials.numbers(without=("trial_id",)),
        **labels,
    )
    return recording._with(notes=(*notes, *recording.notes), source_trial=trials.rows[recording.source_trial])


def _intervals(observed: Any, units: int) -> list[np.ndarray | None]:
    """For each unit the intervals in which it was recorded."""
    if observed is None:
        return [None] * units
    if hasattr(observed, "start") and hasattr(observed, "end"):
        observed = interval_array(observed)
    every: list[np.ndarray | None]
    each = isinstance(observed, list | tuple) and len(observed) == units
    if each and any(one is None or np.ndim(one) == 2 for one in observed):
        every = [None if one is None else np.asarray(one, dtype=float) for one in observed]
    else:
        every = [np.asarray(observed, dtype=float)] * units
    for one in every:
        if one is not None and (one.ndim != 2 or one.shape[1] != 2 or np.any(one[:, 1] < one[:, 0])):
            wrong = " with stop < start" if one.shape[1:] == (2,) else ""
            raise ValueError(
                f"observed must hold intervals (start, stop) in seconds, shape (n, 2), for all units or a list with "
                f"those of each of {units}; got shape {one.shape}{wrong}."
            )
    return every


def _observed(spikes: Spikes, trials: Trials, binning: Binning, grid) -> np.ndarray:
    """Bins (trial, time, neuron) that lie in the intervals of recording, and in the trial where that matters."""
    shape = (*grid.edges[:, 1:].shape, len(spikes.times))
    seen = np.ones(shape, bool) if not binning.clipped else np.repeat(grid.within(trials)[..., None], shape[2], axis=2)
    known: dict[bytes, np.ndarray] = {}
    for i, intervals in enumerate(spikes.observed):
        if intervals is not None and spikes.trial is None:
            key = intervals.tobytes()  # units of one probe share their intervals
            if key not in known:
                known[key] = inside_intervals(grid.edges, intervals)
            seen[:, :, i] &= known[key]
    return seen


def _counts_within(spikes: Spikes, edges: np.ndarray) -> np.ndarray:
    """Counts where every spike brings the row of its trial."""
    assert spikes.trial is not None
    unit = np.repeat(np.arange(len(spikes.times)), [len(times) for times in spikes.times])
    return counts_by_trial(
        np.concatenate(spikes.times), np.concatenate(spikes.trial).astype(int), unit, edges, len(spikes.times)
    )


def _extent(spikes: Spikes, events: np.ndarray, width: float) -> tuple[float, float] | None:
    """Whole bins that hold all spikes, where times run within trials and nothing else tells their length."""
    if spikes.trial is None or not sum(map(len, spikes.times)):
        return None
    relative = np.concatenate(spikes.times) - events[np.concatenate(spikes.trial).astype(int)]
    first, last = np.floor(min(relative.min(), 0.0) / width), np.floor(relative.max() / width) + 1
    return float(first * width), float(last * width)


def _none_found(spikes: Spikes, edges: np.ndarray) -> str:
    every = np.concatenate(spikes.times)
    if len(every) == 0:
        return "there is no spike in any unit."
    return (
        f"no spike falls into any bin: spikes from {every.min():.6g} to {every.max():.6g} s, bins from "
        f"{edges.min():.6g} to {edges.max():.6g} s. Both must be in seconds of the same clock."
    )
