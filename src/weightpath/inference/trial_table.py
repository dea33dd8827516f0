"""The table of trials: when each began, ended and had its events, and what else is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weightpath._types import Bool, Float

#: Names under which labels are looked for when none are given.
USUAL = {
    "condition": ("condition", "conditions", "target", "stimulus"),
    "epoch": ("epoch", "epochs", "phase"),
    "trial_id": ("trial_id", "trial_ids"),
    "time": ("time", "times"),
}

STARTS = ("start_time", "start")
STOPS = ("stop_time", "stop", "end_time", "end")
NUMBERS = ("trial_id", "trial_ids", "trial", "id")


@dataclass(frozen=True, eq=False)
class Trials:
    """Columns of a table with one row a trial.

    `ids`: numbers of the trials; `name`: what to call the table; `rows`: positions of the trials in the table as it was
    given.
    """

    columns: dict[str, np.ndarray]
    ids: np.ndarray
    name: str
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def start(self) -> Float[np.ndarray, " trial"]:
        """Start of each trial [s]; 0 where the table has none: times then run within each trial."""
        found = self._first(STARTS)
        return np.zeros(len(self)) if found is None else found

    @property
    def stop(self) -> Float[np.ndarray, " trial"] | None:
        """End of each trial [s], where the table tells."""
        return self._first(STOPS)

    @property
    def timed(self) -> bool:
        """Whether the trials have a place in the time of the session."""
        return self._first(STARTS) is not None

    def events(self, align: str | None) -> Float[np.ndarray, " trial"]:
        """Times of the event named `align`, of the start of the trials for None; NaN where it did not happen.

        **Raises:** ValueError when there is no such column of times; it lists those there are.
        """
        if align is None:
            return self.start
        if align not in self.columns:
            raise ValueError(
                f"the table {self.name!r} has no column {align!r} to align to; columns with times or numbers: "
                f"{', '.join(self._numeric()) or 'none'}."
            )
        if align not in self._numeric():
            raise ValueError(
                f"column {align!r} of the table {self.name!r} holds {self.columns[align].dtype} values, not times; "
                f"columns with times or numbers: {', '.join(self._numeric()) or 'none'}."
            )
        return self.columns[align].astype(float)

    def label(self, key: str, given: Any) -> tuple[np.ndarray | None, str]:
        """Labels of the trials for `key` (condition, epoch), and the name of the column they are from.

        `given`: name of a column, one label a trial, or None for a column with a usual name, if there is one.

        **Raises:** ValueError when there is no such column, or not one label a trial.
        """
        if given is None:
            found = next((name for name in USUAL[key] if name in self.columns), None)
            return (None, "") if found is None else (self.columns[found], found)
        if isinstance(given, str):
            if given not in self.columns:
                raise ValueError(
                    f"the table {self.name!r} has no column {given!r} for {key}; it has: "
                    f"{', '.join(self.columns) or 'none'}."
                )
            return self.columns[given], given
        labels = np.asarray(given)
        if labels.shape != (len(self),):
            raise ValueError(f"{key} must hold one label for each of {len(self)} trials; got shape {labels.shape}.")
        return labels, ""

    def kept(self, keep: Bool[np.ndarray, " trial"]) -> "Trials":
        """The rows that are kept."""
        columns = {name: value[keep] for name, value in self.columns.items()}
        return replace(self, columns=columns, ids=self.ids[keep], rows=self.rows[keep])

    def numbers(self, without: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        """Columns of numbers and of true and false, such as the behaviour in each trial."""
        return {name: self.columns[name] for name in self._numeric(bool) if name not in without}

    def _numeric(self, *more: type) -> list[str]:
        return [
            name
            for name, value in self.columns.items()
            if (np.issubdtype(value.dtype, np.number) or value.dtype in more) and not np.iscomplexobj(value)
        ]

    def _first(self, names: tuple[str, ...]) -> np.ndarray | None:
        found = next((name for name in names if name in self.columns), None)
        if found is None:
            return None
        try:
            return self.columns[found].astype(float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {found!r} of the table {self.name!r} must hold times in seconds.") from error


def as_trials(trials: Any, name: str = "trials") -> Trials:
    """A trial table from a data frame, a mapping of columns, pynapple intervals or events, or times of events.

    **Raises:** ValueError for anything else, for columns of different lengths and for a table without rows.
    """
    from weightpath.inference.pynapple_objects import intervals_or_events

    if isinstance(trials, Trials):
        return trials
    trials = intervals_or_events(trials)
    index = None
    if hasattr(trials, "columns") and hasattr(trials, "index"):
        index = np.asarray(trials.index)
        trials = {str(column): trials[column] for column in trials.columns}
    if not isinstance(trials, Mapping):
        trials = {"start_time": np.asarray(trials, dtype=float)}
    columns = {str(key): plain(value) for key, value in trials.items()}
    shapes = {key: value.shape for key, value in columns.items()}
    if not columns or len({shape[:1] for shape in shapes.values()}) != 1 or () in shapes.values():
        given = ", ".join(f"{key}{shape}" for key, shape in shapes.items()) or "none"
        raise ValueError(f"the trial table needs columns with one entry a trial; got {given}.")
    columns = {key: value for key, value in columns.items() if value.ndim == 1}
    rows = len(next(iter(columns.values()), ()))
    if rows == 0:
        raise ValueError(f"the trial table {name!r} has no rows; there is nothing to align to.")
    return Trials(columns, _numbers(columns, index, rows), name, np.arange(rows))


def plain(column: Any) -> np.ndarray:
    """A column as an array of numbers, truth values or strings; objects that are neither stay objects."""
    values = np.asarray(column)
    if values.dtype == object and values.ndim == 1:
        if all(isinstance(value, str) for value in values):
            return values.astype(str)
        if all(isinstance(value, bool | np.bool_) for value in values):
            return values.astype(bool)
    return values


def _numbers(columns: dict[str, np.ndarray], index: np.ndarray | None, rows: int) -> np.ndarray:
    for name in NUMBERS:  # numbers that begin anew in every block are no order of the session
        column = columns.get(name)
        if column is not None and np.issubdtype(column.dtype, np.number) and len(np.unique(column)) == rows:
            return column.astype(float)
    if index is not None and np.issubdtype(index.dtype, np.number) and len(np.unique(index)) == rows:
        return index.astype(float)
    return np.arange(rows, dtype=float)
