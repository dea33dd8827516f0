"""Objects of weightpath as `.npz` files: their arrays, and a JSON text that says how they are put together."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import OUTCOME_NAMES, RESULTS, outcome_name
from weightpath.store import SCHEMA_VERSION
from weightpath.store.text import replacing

PACKAGE = __name__.partition(".")[0]


def write_object(obj: Any, path: Path) -> Path:
    """Write an object of weightpath's classes atomically; see `weightpath.store.save`."""
    arrays: list[np.ndarray] = []
    header = {"format": f"{PACKAGE} object", "schema_version": SCHEMA_VERSION, "object": _encode(obj, arrays, "obj")}
    entries: dict[str, Any] = {f"array_{index}": array for index, array in enumerate(arrays)}
    entries["structure"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    with replacing(path) as beside, open(beside, "wb") as file:  # an open file: savez would append ".npz" to a name
        np.savez_compressed(file, **entries)
    return path


def read_object(path: Path) -> Any:
    """Read an object that `write_object` wrote."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a readable .npz file: {error}") from error
    if "structure" not in arrays:
        raise ValueError(f"{path} holds plain arrays ({', '.join(arrays)}) and no {PACKAGE} object; use numpy.load")
    header = json.loads(arrays["structure"].tobytes())
    if header["schema_version"] > SCHEMA_VERSION:
        raise ValueError(f"{path} was written by a newer version of {PACKAGE}; update {PACKAGE} to read it")
    return _decode(header["object"], arrays)


def _encode(value: Any, arrays: list[np.ndarray], where: str) -> Any:
    """JSON form of a value: plain values as they are, everything else a one-key mapping that names its kind."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, complex):
        return {"complex": [_encode(value.real, arrays, where), _encode(value.imag, arrays, where)]}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_encode(item, arrays, f"{where}[{i}]") for i, item in enumerate(value)]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _encode(item, arrays, f"{where}[{key!r}]") for key, item in value.items()}}
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return _encode_array(value, arrays, where)
    if type(value) is type(RESULTS.successful):
        return {"outcome": outcome_name(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encode_fields(value, arrays, where)
    raise ValueError(
        f"cannot save {where}: a {type(value).__name__}. An .npz file holds {PACKAGE}'s objects, arrays, numbers, "
        "strings, tuples, lists and dictionaries"
    )


def _encode_array(value: Any, arrays: list[np.ndarray], where: str) -> dict:
    kind, extra = ("array" if isinstance(value, jax.Array) else "numpy"), {}
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        kind, extra, value = "key", {"impl": str(jax.random.key_impl(value))}, jax.random.key_data(value)
    elif isinstance(value, np.generic):
        kind = "scalar"
    array = np.asarray(value)
    if array.dtype.kind not in "biufcSU":
        raise ValueError(f"cannot save {where}: an array of dtype {array.dtype}")
    # One array in several places (the weights that a projected run started from, say) is written once.
    place = next((index for index, known in enumerate(arrays) if _same(known, array)), len(arrays))
    if place == len(arrays):
        arrays.append(array)
    return {kind: f"array_{place}", **extra}


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are the same numbers at the same place in memory."""
    return one.size > 0 and one.dtype == other.dtype and one.__array_interface__ == other.__array_interface__


def _encode_fields(value: Any, arrays: list[np.ndarray], where: str) -> dict:
    cls = type(value)
    if "<" in cls.__qualname__ or cls.__module__ == "__main__":
        raise ValueError(f"cannot save {where}: its class {cls.__qualname__} is not in an importable module")
    fields = {
        field.name: _encode(getattr(value, field.name), arrays, f"{where}.{field.name}")
        for field in dataclasses.fields(value)
        if hasattr(value, field.name)
    }
    return {"class": f"{cls.__module__}:{cls.__qualname__}", "fields": fields}


def _decode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(value, dict):
        return value
    if "class" in value:
        return _decode_fields(value, arrays)
    kind, content = next(iter(value.items()))
    match kind:
        case "float":
            return float(content)
        case "complex":
            return complex(*(_decode(part, arrays) for part in content))
        case "tuple" | "list":
            return (tuple if kind == "tuple" else list)(_decode(item, arrays) for item in content)
        case "dict":
            return {key: _decode(item, arrays) for key, item in content.items()}
        case "array":
            return _device_array(arrays[content])
        case "numpy":
            return arrays[content]
        case "scalar":
            return arrays[content][()]
        case "key":
            return jax.random.wrap_key_data(jnp.asarray(arrays[content]), impl=value["impl"])
        case "outcome" if content in OUTCOME_NAMES:
            return getattr(RESULTS, content)
    raise ValueError(f"the file holds an unknown kind of value, {kind!r}")


def _device_array(array: np.ndarray) -> jax.Array:
    if array.dtype.itemsize > 4 and array.dtype in (np.float64, np.int64, np.uint64, np.complex128):
        require_x64("loading 64-bit arrays")
    return jnp.asarray(array)


def _decode_fields(value: dict, arrays: dict[str, np.ndarray]) -> Any:
    """An instance with the stored fields, made without its constructor: converters and checks ran when it was made."""
    cls = _find_class(value["class"])
    known = {field.name for field in dataclasses.fields(cls)}
    if unknown := sorted(value["fields"].keys() - known):
        raise ValueError(f"{value['class']} has no field {', '.join(unknown)}: the file is from another version")
    instance = object.__new__(cls)
    for name, item in value["fields"].items():
        object.__setattr__(instance, name, _decode(item, arrays))
    return instance


def _find_class(place: str) -> type:
    """The class `module:name`. Only weightpath's modules are imported for it, so that a file cannot run other code."""
    module_name, _, name = place.partition(":")
    inside = module_name.partition(".")[0] == PACKAGE
    module = importlib.import_module(module_name) if inside else sys.modules.get(module_name)
    if module is None:
        raise ValueError(f"the file holds a {place}; import {module_name} before loading it")
    cls = module
    for part in name.split("."):
        cls = getattr(cls, part, None)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise ValueError(f"the file holds a {place}, which is no data class of this version")
    return cls
