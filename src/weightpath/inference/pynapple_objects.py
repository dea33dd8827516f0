"""Objects of pynapple, known by their attributes: the library is not needed to pass them in."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def is_spike_group(value: Any) -> bool:
    """A `TsGroup`: units under an index, each with its times, in an interval of recording."""
    return hasattr(value, "index") and hasattr(value, "time_support") and isinstance(value, Mapping)


def is_frame(value: Any) -> bool:
    """A `TsdFrame`: samples of several columns in time."""
    return all(hasattr(value, name) for name in ("t", "values", "columns", "time_support"))


def spike_group(group: Any) -> tuple[dict[Any, np.ndarray], np.ndarray]:
    """Times of each unit of a `TsGroup` [s], and the intervals (interval, 2) in which they were recorded."""
    return {unit: np.asarray(group[unit].t, float) for unit in np.asarray(group.index).tolist()}, interval_array(
        group.time_support
    )


def interval_array(intervals: Any) -> np.ndarray:
    """Start and stop (interval, 2) of an `IntervalSet` [s]."""
    return np.stack([np.asarray(intervals.start, float), np.asarray(intervals.end, float)], axis=1)


def intervals_or_events(value: Any) -> Any:
    """An `IntervalSet` as columns with its metadata, a `Ts` as times; anything else as it is."""
    # A data frame shows its columns as attributes too, and keeps them all as it is.
    if hasattr(value, "iloc") or isinstance(value, Mapping):
        return value
    if hasattr(value, "start") and hasattr(value, "end"):
        columns = {"start_time": np.asarray(value.start, float), "stop_time": np.asarray(value.end, float)}
        metadata = getattr(value, "metadata", None)
        if metadata is not None:
            columns |= {str(name): np.asarray(metadata[name]) for name in getattr(metadata, "columns", ())}
        return columns
    if hasattr(value, "t") and hasattr(value, "time_support"):
        return np.asarray(value.t, float)
    return value
