"""To disk and back: results with their provenance, and whole objects. A file appears complete or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

#: Version of the layout of results.nc, summary.json and object files; a later version reads the earlier ones.
SCHEMA_VERSION = 1


def save(obj: Any, path: str | os.PathLike) -> Path:
    """Write `obj` to `path`, beside its place first and then moved there.

    `*.nc` (netCDF4, read by any program): an `xarray.Dataset`, or whatever has `to_dataset()` (trajectories,
    comparisons, recordings, cross-validations). It keeps the labelled results; `load` gives a Dataset and not the
    object again.
    `*.npz` (NumPy, no pickle): any object made of weightpath's own classes, arrays, numbers, strings, tuples, lists and
    dictionaries (networks, setups, trajectories, comparisons, fits, recordings). `load` gives an equal object.

    Raises:
        ValueError: for another ending, or an object that the chosen format cannot hold.
    """
    path = Path(path)
    if path.suffix == ".nc":
        from weightpath.store.netcdf import as_dataset, write_dataset

        return write_dataset(as_dataset(obj), path)
    if path.suffix == ".npz":
        from weightpath.store.objects import write_object

        return write_object(obj, path)
    raise ValueError(f"save writes .nc (labelled results) and .npz (whole objects); got {path.name!r}")


def load(path: str | os.PathLike) -> Any:
    """Read what `save` wrote: a Dataset from `*.nc`, with complex variables put together again; an object from `*.npz`.

    Loading runs no code of the file; objects of classes outside weightpath need their module imported before.

    Raises:
        ValueError: when there is no such file, or it was not written by `save`.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    if path.suffix == ".nc":
        from weightpath.store.netcdf import read_dataset

        return read_dataset(path)
    if path.suffix == ".npz":
        from weightpath.store.objects import read_object

        return read_object(path)
    raise ValueError(f"load reads .nc and .npz files written by save; got {path.name!r}")
