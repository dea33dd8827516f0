"""Datasets as netCDF4 files; complex variables, which netCDF lacks, are stored as two real ones and joined again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightpath.store.text import replacing, to_json

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Arrays with more entries than this are compressed.
COMPRESS_ABOVE = 4096


def as_dataset(obj: Any) -> Dataset:
    """`obj` itself when it is a Dataset, otherwise its `to_dataset()`."""
    import xarray as xr

    if isinstance(obj, xr.Dataset):
        return obj
    if callable(getattr(obj, "to_dataset", None)):
        return obj.to_dataset()
    raise ValueError(
        f"a {type(obj).__name__} has no labelled form for a .nc file; give an xarray.Dataset or something "
        "with to_dataset(), or save it whole as .npz"
    )


def write_dataset(dataset: Dataset, path: Path) -> Path:
    """Write a dataset atomically; attributes netCDF lacks (mappings, None, truth values) become JSON text."""
    stored = split_complex(dataset)
    stored.attrs = {name: _attribute(value) for name, value in stored.attrs.items()}
    for variable in stored.variables.values():
        variable.attrs = {name: _attribute(value) for name, value in variable.attrs.items()}
        variable.encoding = {}
    encoding = {
        str(name): {"zlib": True, "complevel": 4}
        for name, variable in stored.variables.items()
        if variable.size > COMPRESS_ABOVE and variable.dtype.kind in "fiu"
    }
    with replacing(path) as beside:
        stored.to_netcdf(beside, engine="h5netcdf", encoding=encoding)
    return path


def read_dataset(path: Path) -> Dataset:
    """The dataset of a file, in memory, complex variables restored."""
    import xarray as xr

    try:
        return join_complex(xr.load_dataset(path, engine="h5netcdf"))
    except OSError as error:
        raise ValueError(f"{path} is not a readable netCDF4 file: {error}") from error


def split_complex(dataset: Dataset) -> Dataset:
    """The same dataset with each complex variable `x` replaced by the real `x_re` and `x_im`."""
    result = dataset.copy()
    for name in [str(name) for name in dataset.variables]:
        variable = dataset.variables[name]
        if variable.dtype.kind != "c":
            continue
        if name in dataset.indexes:
            raise ValueError(f"the index coordinate {name!r} is complex; netCDF files cannot be indexed by it")
        parts = {f"{name}_re": variable.real, f"{name}_im": variable.imag}
        for part in parts.values():
            part.attrs = {**variable.attrs, "complex_variable": name}
        result = result.drop_vars(name)
        result = result.assign_coords(parts) if name in dataset.coords else result.assign(parts)
    return result


def join_complex(dataset: Dataset) -> Dataset:
    """The inverse of `split_complex`."""
    result = dataset
    for name in [str(name) for name in dataset.variables]:
        whole = dataset[name].attrs.get("complex_variable")
        if whole is None or name != f"{whole}_re":
            continue
        real, imaginary = dataset[name], dataset[f"{whole}_im"]
        joined = real.variable.copy(data=real.values + 1j * imaginary.values)
        joined.attrs = {key: value for key, value in real.attrs.items() if key != "complex_variable"}
        result = result.drop_vars([name, f"{whole}_im"])
        result = result.assign_coords({whole: joined}) if name in dataset.coords else result.assign({whole: joined})
    return result


def _attribute(value: Any) -> Any:
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    numeric = getattr(getattr(value, "dtype", None), "kind", "") in tuple("fiu")
    return value if plain or numeric else to_json(value, indent=None)
