"""Recordings in NWB files (Neurodata Without Borders): spike times or a series, and a table of trials."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weightpath.inference.file_reading import Asked, Reading, reading_of
from weightpath.inference.select import chosen_rows
from weightpath.inference.series import binned_series
from weightpath.inference.spikes import Spikes, as_spikes, binned_spikes
from weightpath.inference.trial_table import Trials, as_trials

#: Bulky columns of the units table that say nothing to choose units by.
BULKY = {"waveforms", "waveform_mean", "waveform_sd", "electrodes", "electrode_group"}

#: Series that are no activity of neurons: they are read only when they are named.
OTHER_SERIES = ("ElectricalSeries", "SpatialSeries", "ImageSeries", "OnePhotonSeries", "TwoPhotonSeries")


def nwb_reading(path: Path, asked: Asked) -> Reading:
    """A recording from the units of an NWB file, or from the series named `asked.array`, around events of its trials.

    Bins outside a unit's `obs_intervals` are missing. The trial table is `trials`, or the intervals table named
    `asked.trial_table`. Columns of numbers become covariates; labels are columns too.

    **Raises:** ValueError when the file has no trials, no units or no such series; it says what there is.
    """
    from pynwb import NWBHDF5IO

    with warnings.catch_warnings():
        # Older files hold what pynwb has renamed since; that is no concern of whoever reads spikes from them.
        warnings.simplefilter("ignore")
        try:
            io = NWBHDF5IO(path=str(path), mode="r", load_namespaces=True)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path.name!r} cannot be read as NWB ({_short(error)}).") from error
        try:
            nwb = io.read()
        except Exception as error:  # pynwb raises what its readers of parts raise, of many kinds
            io.close()
            raise ValueError(f"{path.name!r} cannot be read as NWB ({_short(error)}).") from error
    with io:
        return _reading(path, nwb, asked)


def _reading(path: Path, nwb: Any, asked: Asked) -> Reading:
    trials, said = _trials(path, nwb, asked)
    series = None if asked.array is None and _has_spikes(nwb) else _series(path, nwb, asked.array)
    head = [f"{path.name}: NWB, session {nwb.identifier!r}"]
    labels = {key: trials.label(key, getattr(asked, key))[1] for key in ("condition", "epoch")}
    used = ", ".join(f"{key} from {name!r}" for key, name in labels.items() if name) or "no labels"
    if series is None:
        spikes, rows, units = _spikes(nwb, asked.neurons)
        recording = binned_spikes(spikes, trials, asked.binning, asked.condition, asked.epoch, path.stem)
        recording = recording._with(source_neuron=rows[recording.source_neuron])
        head.append(f"  from        {units}; {said}; {used}")
    else:
        if asked.neurons is not None:
            raise ValueError("neurons= chooses among units; of a series, choose after reading (wp.inference.selected).")
        time, values, name = series
        neuron = np.arange(values.shape[1])
        recording = binned_series(time, values, trials, asked.binning, asked.condition, asked.epoch, neuron, path.stem)
        head.append(f"  from        series {name!r}, {values.shape[1]} columns; {said}; {used}")
    return reading_of(recording, "nwb", "neuron", head, {})


def _trials(path: Path, nwb: Any, asked: Asked) -> tuple[Trials, str]:
    tables = {str(name): table for name, table in (nwb.intervals or {}).items()}
    name = asked.trial_table or "trials"
    if name not in tables:
        there = ", ".join(f"{key} ({len(table)} rows)" for key, table in tables.items()) or "none"
        units = f"{len(nwb.units)} units" if nwb.units is not None else "no units"
        advice = f" Use one of them with trial_table={next(iter(tables))!r}" if tables else " Add one"
        raise ValueError(
            f"{path.name!r} has no table {name!r} of trials. It holds {units}; tables of intervals: {there}.{advice}"
            f"{', or add a table' if tables else ''} (pynwb: add_trial) with start_time, stop_time and labels."
        )
    frame = _frame(tables[name])
    keep = chosen_rows(frame, asked.trials, "trials")
    found = as_trials(frame, name).kept(keep)
    chosen = "" if keep.all() else f" of {len(keep)}"
    return found, f"{len(found)}{chosen} trials of the table {name!r} ({', '.join(map(str, frame.columns))})"


def _frame(table: Any) -> Any:
    """The columns of a table with one number, truth value or text a row, as a data frame with its ids as index."""
    ragged = {name for name in table.colnames if hasattr(table[name], "target")}
    frame = table.to_dataframe(exclude=ragged | BULKY & set(table.colnames))
    plain = (str, bytes, int, float, bool, np.generic, type(None))
    several = [
        name
        for name in frame.columns
        if frame[name].dtype == object and not all(isinstance(x, plain) for x in frame[name])
    ]
    return frame.drop(columns=several)


def _has_spikes(nwb: Any) -> bool:
    return nwb.units is not None and "spike_times" in nwb.units.colnames


def _spikes(nwb: Any, neurons: Any) -> tuple[Spikes, np.ndarray, str]:
    """Spike times of the chosen units with the intervals in which each was observed, their rows, and words."""
    units = nwb.units
    keep = np.flatnonzero(chosen_rows(_frame(units), neurons, "neurons"))
    times = _rows_of(units, "spike_times")
    observed, missing = None, 0
    if "obs_intervals" in units.colnames:
        every = [np.asarray(one, float).reshape(-1, 2) for one in _rows_of(units, "obs_intervals")]
        observed = [every[i] if len(every[i]) else None for i in keep]
        missing = sum(one is None for one in observed)
    ids = np.asarray(units.id[:])
    spikes = replace(as_spikes([times[i] for i in keep], observed), units=ids[keep])
    if observed is None:
        note = ("no observation intervals (obs_intervals): a bin without spikes counts as silence",)
    else:
        note = (f"{missing} units without observation intervals: taken as observed throughout",) if missing else ()
    spikes = replace(spikes, notes=(*spikes.notes, *note))
    return spikes, keep, f"{len(keep)}{'' if len(keep) == len(ids) else f' of {len(ids)}'} units with spike times"


def _rows_of(table: Any, column: str) -> list[np.ndarray]:
    """Rows of a ragged column: `column_index` holds the end of each row in the flat data."""
    # table[column] is the index where there is one, and the flat data where the column is not ragged.
    index = table[column]
    if not hasattr(index, "target"):
        return [np.atleast_1d(np.asarray(one)) for one in index.data[:]]
    ends = np.asarray(index.data[:]).astype(int)
    return np.split(np.asarray(index.target.data[:]), ends[:-1])


def _series(path: Path, nwb: Any, name: str | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Times, values (sample, neuron) in their unit and name of a series with two axes."""
    from pynwb import TimeSeries

    every = {
        _full_name(one): one
        for one in nwb.objects.values()
        if isinstance(one, TimeSeries) and len(getattr(one.data, "shape", ())) == 2
    }
    every = dict(sorted(every.items()))
    usual = [key for key, one in every.items() if not _kinds(one) & set(OTHER_SERIES)]
    fits = usual if name is None else [key for key in every if name in (key, key.rsplit("/", 1)[-1])]
    if len(fits) != 1:
        there = ", ".join(f"{key} {one.data.shape}" for key, one in every.items()) or "none"
        what = "has no units with spike times" if name is None else f"has no single series {name!r}"
        raise ValueError(
            f"{path.name!r} {what}; series with the axes (sample, neuron): {there}."
            + (" Name one, e.g. --array " + next(iter(every)) + "." if every else "")
        )
    series: Any = every[fits[0]]
    values = np.asarray(series.data[:], dtype=float) * series.conversion + (series.offset or 0.0)
    if series.timestamps is not None:
        return np.asarray(series.timestamps[:], dtype=float), values, fits[0]
    return (series.starting_time or 0.0) + np.arange(len(values)) / series.rate, values, fits[0]


def _kinds(series: Any) -> set[str]:
    return {kind.__name__ for kind in type(series).__mro__}


def _full_name(series: Any) -> str:
    parent = getattr(series, "parent", None)
    return series.name if parent is None or parent.name == "root" else f"{parent.name}/{series.name}"


def _short(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
