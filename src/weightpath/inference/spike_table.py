"""Long tables of spikes: one row a spike, with the columns unit and time, and maybe trial and labels of the trial."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from weightpath.inference.trial_table import NUMBERS, USUAL, Trials, as_trials, plain

UNITS = ("unit", "unit_id", "neuron", "cluster")
TIMES = ("time", "spike_time", "times", "spike_times", "t")
TRIALS = ("trial", "trial_id")


def is_long_table(value: Any) -> bool:
    """Whether a data frame or mapping has a column of units and one of times."""
    names = _names(value)
    return names is not None and _first(names, UNITS) is not None and _first(names, TIMES) is not None


def table_columns(table: Any) -> tuple[str, str]:
    """Names of the columns of units and of times."""
    names = _names(table) or []
    return _first(names, UNITS) or "", _first(names, TIMES) or ""


def from_long_table(table: Any, trials: Any = None, observed: Any = None) -> tuple:
    """Spikes and trials of a long table.

    Without `trials`, or with trials that have no start_time, the times run within each trial (0 is its start) and the
    column trial says which; other columns that are constant in every trial are its labels. With trials that have a
    start_time, times are of the session, and a column trial is not needed.

    **Raises:** ValueError when columns are missing or do not fit the trials.
    """
    from weightpath.inference.spikes import Spikes, as_spikes

    columns = {str(name): plain(table[name]) for name in _names(table) or ()}
    unit, time = (columns[name] for name in table_columns(columns))
    time = time.astype(float)
    trial = _first(columns, TRIALS)
    finite = np.isfinite(time)
    lost = int((~finite).sum())
    columns = {name: value[finite] for name, value in columns.items()}
    unit, time = unit[finite], time[finite]
    names, code = np.unique(unit, return_inverse=True)
    listed = None if trials is None else as_trials(trials)
    if listed is not None and listed.timed:
        spikes = as_spikes({name: time[code == i] for i, name in enumerate(names)}, observed)
        return Spikes(spikes.times, names, spikes.observed, notes=_lost(lost)), listed
    if trial is None:
        raise ValueError(
            f"a table of spikes with the columns {', '.join(columns)} needs a column trial, with times within each "
            "trial, or a trial table with start_time."
        )
    if observed is not None:
        raise ValueError("observed= needs times of the session; the times of this table run within trials.")
    found = columns[trial]
    if listed is None:
        listed = _trials_of(columns, found, trial)
        row = np.searchsorted(_numbered(np.unique(found)), _numbered(found))
    else:
        row = _rows(_numbered(found), listed)
    order = np.lexsort((time, code))
    split = np.searchsorted(code[order], np.arange(1, len(names)))
    times, rows = np.split(time[order], split), np.split(row[order], split)
    return Spikes(times, names, [None] * len(names), rows, _lost(lost)), listed


def _trials_of(columns: dict[str, np.ndarray], trial: np.ndarray, name: str) -> Trials:
    """One row a trial, with every column that is constant within trials."""
    numbers, first, row = np.unique(trial, return_index=True, return_inverse=True)
    kept = {key: value[first] for key, value in columns.items() if key not in (*UNITS, *TIMES, name)}
    kept = {key: value for key, value in kept.items() if np.array_equal(value[row], columns[key])}
    for key in ("condition", "epoch"):
        varies = [one for one in USUAL[key] if one in columns and one not in kept]
        if varies:
            raise ValueError(
                f"column {varies[0]!r} changes within a trial; a label must be the same for all its spikes."
            )
    return Trials(kept, _numbered(numbers), "spikes", np.arange(len(numbers)))


def _numbered(trial: np.ndarray) -> np.ndarray:
    if not np.issubdtype(trial.dtype, np.number):
        raise ValueError(f"the column trial must hold the number of each spike's trial; got {trial.dtype} values.")
    return trial.astype(float)


def _rows(trial: np.ndarray, listed: Trials) -> np.ndarray:
    repeated = next((name for name in NUMBERS if name in listed.columns and not _unique(listed.columns[name])), None)
    if repeated is not None:
        raise ValueError(
            f"column {repeated!r} of the trial table {listed.name!r} holds the same number more than once; spikes find "
            "their trials by it, so number the trials apart."
        )
    order = np.argsort(listed.ids, kind="stable")
    place = np.minimum(np.searchsorted(listed.ids[order], trial), len(order) - 1)
    rows = order[place]
    unknown = np.unique(trial[listed.ids[rows] != trial])
    if len(unknown):
        raise ValueError(
            f"spikes belong to trials that the trial table {listed.name!r} does not have: "
            f"{', '.join(f'{number:g}' for number in unknown[:8])}; its numbers run from {listed.ids.min():g} to "
            f"{listed.ids.max():g}."
        )
    return rows


def _unique(values: np.ndarray) -> bool:
    return len(np.unique(values)) == len(values)


def _lost(lost: int) -> tuple[str, ...]:
    return (f"{lost} spike times that are not finite left out",) if lost else ()


def _names(table: Any) -> list[str] | None:
    if hasattr(table, "columns") and hasattr(table, "iloc"):
        return [str(name) for name in table.columns]
    return [str(name) for name in table] if isinstance(table, Mapping) else None


def _first(names, wanted: tuple[str, ...]) -> str | None:
    return next((name for name in wanted if name in names), None)
