"""Recordings in text tables of spikes (.csv, .tsv): one row a spike."""

from pathlib import Path
from typing import Any

import numpy as np

from weightpath.inference.file_reading import Asked, Reading, reading_of
from weightpath.inference.select import chosen_rows, selected
from weightpath.inference.spike_table import is_long_table
from weightpath.inference.spikes import binned_spikes, units_and_trials
from weightpath.inference.trial_table import Trials, as_trials


def read_table(path: Path, asked: Asked) -> Reading:
    """A recording from a table with the columns unit, time [s] and maybe trial; `asked.trial_table` is a second file.

    **Raises:** ValueError when columns are missing; it says which there are.
    """
    table = _frame(path)
    if not is_long_table(table):
        raise ValueError(
            f"{path.name!r} is no table of spikes: it needs the columns unit and time (and trial, or a trial table); "
            f"it has {', '.join(map(str, table.columns))}."
        )
    trials, keep = (None, None) if asked.trial_table is None else _trial_file(Path(asked.trial_table), asked.trials)
    spikes, found = units_and_trials(table, trials, None)
    if keep is not None:
        spikes, found = spikes.kept(keep), found.kept(keep)
    labels = {key: found.label(key, getattr(asked, key))[1] for key in ("condition", "epoch")}
    recording = binned_spikes(spikes, found, asked.binning, asked.condition, asked.epoch, path.stem)
    recording = selected(recording, asked.trials if trials is None else None, asked.neurons)
    used = ", ".join(f"{key} from {name!r}" for key, name in labels.items() if name) or "no labels"
    clock = "times of the session" if spikes.trial is None else "times within trials"
    head = [f"{path.name}: table of {len(table)} spikes of {len(spikes.times)} units, {clock}; {used}"]
    return reading_of(recording, "spikes", "neuron", head, {})


def _trial_file(path: Path, wanted: Any) -> tuple[Trials, np.ndarray]:
    """All trials of the second file, and which of them are wanted."""
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}; trial_table= is a .csv or .tsv file with one row a trial.")
    frame = _frame(path)
    return as_trials(frame, path.name), chosen_rows(frame, wanted, "trials")


def _frame(path: Path) -> Any:
    import pandas as pd

    try:
        return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
    except (ValueError, OSError) as error:  # pandas' own errors of parsing are ValueErrors
        raise ValueError(f"{path.name!r} cannot be read as a table ({str(error).splitlines()[0]}).") from error
