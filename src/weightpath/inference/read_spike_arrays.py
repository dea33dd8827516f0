"""Spike times in files of arrays: one array a unit (MATLAB), or a column of units and one of times (NumPy)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from weightpath.inference.file_reading import Asked, Reading, reading_of
from weightpath.inference.read_arrays import contents
from weightpath.inference.select import chosen_rows, selected
from weightpath.inference.spike_table import is_long_table, table_columns
from weightpath.inference.spikes import binned_spikes, units_and_trials
from weightpath.inference.trial_table import STARTS


def spike_columns(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """The columns of a long table of spikes among arrays: all that are as long as those of units and of times."""
    if not is_long_table(arrays) or any(value.ndim == 3 for value in arrays.values()):
        return None
    unit, time = (arrays[name] for name in table_columns(arrays))
    if unit.ndim != 1 or unit.shape != time.shape:
        return None
    return {name: value for name, value in arrays.items() if value.shape == unit.shape}


def read_spike_arrays(
    path: Path, spikes: Any, what: str, arrays: Mapping[str, np.ndarray], asked: Asked, layout: str
) -> Reading:
    """A recording from spike times in any form that `spikes_to_recording` takes, and trials among the arrays.

    The trials are the arrays that are as long as the one of the event to align to, or as start_time. A long table with
    a column trial needs none.

    **Raises:** ValueError when there is neither.
    """
    trials = _trials(path, arrays, asked, is_long_table(spikes) and "trial" in spikes)
    found, table = units_and_trials(spikes, trials, None)
    kept = f"{len(table)} trials"
    if trials is not None:
        import pandas as pd

        keep = chosen_rows(pd.DataFrame(trials), asked.trials, "trials")
        found, table = found.kept(keep), table.kept(keep)
        kept = f"{len(table)} of {kept}"
    labels = {key: table.label(key, getattr(asked, key))[1] for key in ("condition", "epoch")}
    recording = binned_spikes(found, table, asked.binning, asked.condition, asked.epoch, path.stem)
    recording = selected(recording, asked.trials if trials is None else None, asked.neurons)
    used = ", ".join(f"{key} from {name!r}" for key, name in labels.items() if name) or "no labels"
    head = [f"{path.name}: {what}; {kept}; {used}"]
    return reading_of(recording, layout, "neuron", head, {})


def _trials(path: Path, arrays: Mapping[str, np.ndarray], asked: Asked, relative: bool) -> dict[str, np.ndarray] | None:
    names = (asked.binning.align,) if asked.binning.align else STARTS
    anchor = next((name for name in names if name in arrays), None)
    if anchor is not None:
        found = {name: value for name, value in arrays.items() if value.shape == arrays[anchor].shape}
        # Without a start the trials begin at the event, in the time of the session.
        return found if any(name in found for name in STARTS) else {"start_time": arrays[anchor], **found}
    if relative:
        return None
    missing = " or ".join(map(repr, names))
    raise ValueError(
        f"{path.name!r} holds spike times, which need trials, and no array {missing} with one time a trial; "
        f"{contents(arrays)}. Name that array, e.g. --align NAME."
    )
