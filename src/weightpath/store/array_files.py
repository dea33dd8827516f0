"""Named arrays in files of other programs: NumPy, netCDF, zarr and MATLAB, as plain NumPy arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from weightpath.store.netcdf import join_complex

NETCDF = (".nc", ".netcdf", ".h5nc")
EXPECTED = ".npz, .nc (netCDF), .zarr or .mat (MATLAB)"


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Numeric arrays of a file by name, and the name of its format.

    **Raises:** ValueError when there is no such file, it is not of a known format, or it cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == ".zarr":
        return _zarr(path), "zarr"
    if path.is_dir():
        raise ValueError(f"{str(path)!r} is a directory; give the path of a weight history: {EXPECTED}.")
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}; give the path of a weight history: {EXPECTED}.")
    if suffix == ".npz":
        return _npz(path), "NumPy"
    if suffix in NETCDF:
        return _netcdf(path), "netCDF"
    if suffix == ".mat":
        return _matlab(path)
    single = " A single array has no name: save it with numpy.savez(path, w_rec=...)." if suffix == ".npy" else ""
    raise ValueError(f"{path.name!r} ends in {path.suffix!r}; expected {EXPECTED}.{single}")


def _numeric(arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """Those that hold real numbers."""
    found = {str(name): np.asarray(value) for name, value in arrays.items()}
    return {name: value for name, value in found.items() if value.dtype.kind in "biuf"}


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {}
            for name in file.files:
                try:
                    found[name] = file[name]
                except ValueError:  # objects, which would run code when loaded
                    continue
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name!r} cannot be read as arrays of NumPy; write it with numpy.savez.") from error
    return _numeric(found)


def _netcdf(path: Path) -> dict[str, np.ndarray]:
    import xarray as xr

    try:
        dataset = join_complex(xr.load_dataset(path, engine="h5netcdf"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name!r} cannot be read as netCDF ({error}).") from error
    return _numeric({str(name): value.values for name, value in {**dataset.data_vars, **dataset.coords}.items()})


def _zarr(path: Path) -> dict[str, np.ndarray]:
    try:
        import zarr  # pyright: ignore[reportMissingImports]  (optional)
    except ImportError:
        raise ValueError(
            f"{path.name!r} is a zarr store, and the package zarr is not installed; install it (pip install zarr) or "
            "save the arrays with numpy.savez."
        ) from None
    if not path.exists():
        raise ValueError(f"there is no zarr store {str(path)!r}; give the path of a weight history: {EXPECTED}.")
    try:
        group: Any = zarr.open(str(path), mode="r")
        return _numeric({name: group[name][...] for name in group.array_keys()})
    except (AttributeError, KeyError, OSError, ValueError) as error:
        raise ValueError(f"{path.name!r} cannot be read as a zarr group of arrays ({error}).") from error


def _matlab(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Arrays at the top of a MATLAB file of either kind, with the axes that `size` gives in MATLAB."""
    import h5py
    import scipy.io

    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                found = {name: item[()].T for name, item in file.items() if isinstance(item, h5py.Dataset)}
            return _numeric(found), "MATLAB 7.3"
        found = {name: value for name, value in scipy.io.loadmat(path).items() if not name.startswith("__")}
    except (ValueError, OSError, TypeError, NotImplementedError, scipy.io.matlab.MatReadError) as error:
        raise ValueError(f"{path.name!r} cannot be read as a MATLAB file; save it with `save -v7`.") from error
    # MATLAB keeps a list of numbers as a row or a column.
    plain = {name: value.ravel() if _is_list(value) else value for name, value in found.items()}
    return _numeric({name: value for name, value in plain.items() if isinstance(value, np.ndarray)}), "MATLAB 5"


def _is_list(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 2 and 1 in value.shape
