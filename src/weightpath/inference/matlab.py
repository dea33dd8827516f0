"""MATLAB files of both kinds as one tree: version 5 to 7.2 through SciPy, version 7.3 (HDF5) through h5py.

MATLAB keeps arrays with the first axis running fastest, HDF5 with the last: h5py therefore shows the axes of a 7.3
file in reverse. They are turned back here: from either kind of file an array has the shape that `size` gives in MATLAB.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

#: A struct is a dict, a struct array or a cell array a list, text a str, numbers an array with MATLAB's axes.
Tree = dict[str, Any]


class LeftOut:
    """Stands for what has no counterpart here: tables, objects, function handles, text of the class `string`."""


def load_matlab(path: Path) -> tuple[Tree, str]:
    """Contents of a .mat file, and the words "MATLAB 5" or "MATLAB 7.3".

    What has no counterpart here is a `LeftOut`.

    **Raises:** ValueError when the file is none.
    """
    import h5py
    import scipy.io

    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return _hdf5_group(file, file), "MATLAB 7.3"
        found = scipy.io.loadmat(path, struct_as_record=False, chars_as_strings=True)
    except (ValueError, OSError, TypeError, NotImplementedError, scipy.io.matlab.MatReadError) as error:
        raise ValueError(
            f"{path.name!r} cannot be read as a MATLAB file ({str(error).split('. ')[0]}); save it with `save -v7` or "
            "`save -v7.3`."
        ) from error
    # SciPy puts text of the class `string` under the name None, and its own remarks under names with two underscores.
    names = [name for name in found if name and not name.startswith("__")]
    return {name: _version5(found[name]) for name in names}, "MATLAB 5"


def _version5(value: Any) -> Any:
    import scipy.io
    import scipy.sparse

    if isinstance(value, scipy.io.matlab.mat_struct):
        fields: list[str] = getattr(value, "_fieldnames")  # noqa: B009  (SciPy offers no other name for it)
        return {name: _version5(getattr(value, name)) for name in fields}
    if scipy.sparse.issparse(value):
        return value.toarray()
    if not isinstance(value, np.ndarray) or isinstance(value, scipy.io.matlab.MatlabFunction):
        return LeftOut()
    if isinstance(value, scipy.io.matlab.MatlabOpaque) or value.dtype.names is not None:
        return LeftOut()
    if value.dtype.kind == "U":
        return "".join(value.ravel()) if value.size == 1 else [str(line).rstrip() for line in value.ravel()]
    if value.dtype != object:
        return value
    items = [_version5(item) for item in value.ravel(order="F")]
    structs = value.size == 1 and isinstance(value.flat[0], scipy.io.matlab.mat_struct)
    return items[0] if structs else items


def _hdf5_group(file: Any, group: Any) -> Tree:
    """Members of a group; those whose name begins with # hold what references point to."""
    return {name: _hdf5(file, item) for name, item in group.items() if not name.startswith("#")}


def _hdf5(file: Any, item: Any) -> Any:
    import h5py

    kind = item.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if isinstance(item, h5py.Group):
        fields = {name: one for name, one in item.items() if not name.startswith("#")}
        plain = [isinstance(one, h5py.Dataset) and "MATLAB_class" not in one.attrs for one in fields.values()]
        if fields and all(plain) and all(_is_reference(one) for one in fields.values()):
            return _struct_array(file, fields)
        return {name: _hdf5(file, one) for name, one in fields.items()}
    if _is_reference(item):
        return [_hdf5(file, file[reference]) for reference in item[()].ravel()]
    if item.dtype.kind not in "biuf":
        return LeftOut()
    if item.attrs.get("MATLAB_empty", 0):
        return "" if kind == "char" else ([] if kind in ("cell", "struct") else np.zeros(item[()].astype(int)))
    values = item[()]
    if kind == "":
        return values  # written by another program: its axes are as they are
    if kind == "char":
        lines = np.atleast_2d(values.T)
        text = ["".join(map(chr, line)).rstrip() for line in lines]
        return text[0] if len(text) == 1 else text
    if kind == "logical":
        return values.T.astype(bool)
    return values.T if kind in ("double", "single") or kind.startswith(("int", "uint")) else LeftOut()


def _is_reference(dataset: Any) -> bool:
    import h5py

    return isinstance(dataset, h5py.Dataset) and h5py.check_ref_dtype(dataset.dtype) is h5py.Reference


def _struct_array(file: Any, fields: Mapping[str, Any]) -> list[Tree]:
    """The elements of a struct array, which 7.3 files store field by field."""
    columns = {name: [_hdf5(file, file[reference]) for reference in one[()].ravel()] for name, one in fields.items()}
    elements = len(next(iter(columns.values())))
    return [{name: column[i] for name, column in columns.items()} for i in range(elements)]


def squeezed(tree: Any) -> Any:
    """The tree with rows, columns and single numbers as one-dimensional arrays."""
    if isinstance(tree, Mapping):
        return {name: squeezed(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [squeezed(value) for value in tree]
    return vector(tree) if isinstance(tree, np.ndarray) else tree


def vector(value: np.ndarray) -> np.ndarray:
    """A row or column of MATLAB as a one-dimensional array; anything else as it is."""
    return value.ravel() if value.ndim == 2 and 1 in value.shape else value


def flattened(tree: Tree) -> tuple[dict[str, np.ndarray], dict[str, list[np.ndarray]], list[str]]:
    """Arrays, and lists with one array per element, under the shortest names that tell them apart; what was left out.

    A field that holds one number, or one text, in every element of a struct array becomes one array.
    """
    found: dict[str, Any] = {}
    _walk(tree, "", found)
    ends = [name.rsplit(".", 1)[-1] for name in found]
    short = {name: end if ends.count(end) == 1 else name for name, end in zip(found, ends, strict=True)}
    arrays = {short[name]: vector(value) for name, value in found.items() if isinstance(value, np.ndarray)}
    cells = {short[name]: value for name, value in found.items() if isinstance(value, list)}
    return arrays, cells, [short[name] for name, value in found.items() if isinstance(value, LeftOut)]


def _walk(value: Any, name: str, found: dict[str, Any]) -> None:
    if isinstance(value, Mapping):
        for key, one in value.items():
            _walk(one, f"{name}.{key}" if name else key, found)
    elif isinstance(value, np.ndarray | LeftOut):
        found[name] = value
    elif isinstance(value, list) and value:
        if all(isinstance(one, Mapping) for one in value):
            for key in dict.fromkeys(key for one in value for key in one):
                if all(key in one for one in value):
                    _walk([one[key] for one in value], f"{name}.{key}", found)
        elif any(isinstance(one, LeftOut) for one in value):
            found[name] = LeftOut()
        elif all(isinstance(one, str) for one in value):
            found[name] = np.array(value)
        elif all(isinstance(one, np.ndarray) for one in value):
            single = all(one.size == 1 for one in value)
            found[name] = np.array([one.ravel()[0] for one in value]) if single else value
