"""Recordings in files of arrays: .npz and .npy of NumPy, netCDF."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from weightpath.inference.arrange import AXES
from weightpath.inference.file_reading import Asked, Reading, binned_reading, built
from weightpath.inference.recording import Recording
from weightpath.inference.trial_table import USUAL


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an .npz or .npy file.

    **Raises:** ValueError when the file is none, or holds objects.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        return {"activity": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path.name!r} cannot be read as plain numpy arrays ({_first_sentence(error)}); write it with "
            "numpy.savez, without objects."
        ) from error


def _first_sentence(error: Exception) -> str:
    # NumPy goes on to advise loading pickles, which run code.
    return str(error).split(". ")[0].rstrip(".")


def read_arrays(path: Path, arrays: Mapping[str, np.ndarray], asked: Asked, layout: str) -> Reading:
    """A recording from arrays by name: the one with three axes, or the one asked for, and labels of usual names."""
    array = asked.array or only_activity(arrays, path)
    labels = found_labels(arrays, asked.labels, path)
    order = tuple(asked.dims or AXES)
    values: dict[str, Any] = {key: arrays[name] for key, name in labels.items()}
    data = named(arrays, array, path)
    recording = built(data, asked, dims=order, name=path.stem, **values)
    head = [f"{path.name}: array {array!r} {data.shape} as ({', '.join(order)}); {_used(labels)}"]
    return binned_reading(recording, layout, "neuron", head, {}, asked)


def read_netcdf(path: Path, asked: Asked) -> Reading:
    """A recording from a netCDF file: one that weightpath wrote, or any with an array of named dimensions."""
    import xarray as xr

    try:
        dataset = xr.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name!r} cannot be read as netCDF ({error}).") from error
    array = asked.array
    if array is None and "activity" in dataset and asked.dims is None and not any(asked.labels.values()):
        head = [f"{path.name}: recording written by weightpath"]
        return binned_reading(_declared(Recording.from_dataset(dataset), asked), "netcdf", "neuron", head, {}, asked)
    every = {**dataset.data_vars, **dataset.coords}
    arrays = {str(name): value.values for name, value in every.items()}
    array = array or only_activity(arrays, path)
    named(arrays, array, path)
    data = dataset[array]
    if asked.dims is not None:
        data = xr.DataArray(data.values, dims=asked.dims)
    labels = found_labels(arrays, asked.labels, path)
    values: dict[str, Any] = {key: arrays[name] for key, name in labels.items()}
    recording = built(data, asked, name=path.stem, **values)
    head = [f"{path.name}: variable {array!r} with the axes ({', '.join(map(str, data.dims))}); {_used(labels)}"]
    return binned_reading(recording, "netcdf", "neuron", head, {}, asked)


def _declared(recording: Recording, asked: Asked) -> Recording:
    if not asked.binning.counts:
        return recording
    if not recording.is_counts:
        raise ValueError(f"counts=True, and {recording.name!r} holds rates, or values that are negative or not whole.")
    return recording._with(counts=True)


def _used(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key} from {name!r}" for key, name in labels.items()) or "no labels"


def found_labels(arrays: Mapping[str, np.ndarray], names: Mapping[str, str | None], path: Path) -> dict[str, str]:
    """Which array holds which label: as named by the user, else under a usual name."""
    labels = {}
    for key, usual in USUAL.items():
        asked = names.get(key)
        if asked is not None:
            named(arrays, asked, path)
        found = asked or next((name for name in usual if name in arrays and arrays[name].ndim == 1), None)
        if found:
            labels[key] = found
    return labels


def only_activity(arrays: Mapping[str, np.ndarray], path: Path) -> str:
    """Name of the only array with three axes.

    **Raises:** ValueError when there is none, or more than one; it says what the file holds.
    """
    three = [name for name, value in arrays.items() if value.ndim == 3]
    if len(three) == 1:
        return three[0]
    if not three:
        raise ValueError(
            f"{path.name!r} holds no array with three axes; {contents(arrays)}. The activity must be trial x time x "
            "neuron."
        )
    what = f"several arrays with three axes ({', '.join(three)})"
    raise ValueError(f"{path.name!r} holds {what}; {contents(arrays)}. Name the activity, e.g. --array {three[0]}.")


def named(arrays: Mapping[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    """The array of that name.

    **Raises:** ValueError when there is none; it says what the file holds.
    """
    if name not in arrays:
        raise ValueError(f"{path.name!r} has no array {name!r}; {contents(arrays)}.")
    return arrays[name]


def contents(arrays: Mapping[str, np.ndarray]) -> str:
    """What a file holds, with shapes."""
    return "it holds " + (", ".join(f"{name}{value.shape}" for name, value in arrays.items()) or "nothing")
