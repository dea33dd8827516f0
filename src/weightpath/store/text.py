"""Text files of a run: atomic writing, JSON without NaN, TOML of flat settings. Standard library only."""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what was written there takes the place of `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield beside
        with open(beside, "rb") as written:
            os.fsync(written.fileno())  # a crash after the move must not leave an empty file under the final name
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> Path:
    """Write UTF-8 text atomically."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def jsonable(value: Any) -> Any:
    """Plain JSON values: arrays become lists, NaN becomes null, infinities the words "inf" and "-inf"."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if isinstance(value, complex):
        return {"re": jsonable(value.real), "im": jsonable(value.imag)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # numpy and jax arrays and scalars
        return jsonable(value.tolist())
    raise ValueError(f"cannot write a {type(value).__name__} as JSON; give numbers, strings, arrays, lists or mappings")


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """Strictly valid JSON of `value`."""
    return json.dumps(jsonable(value), indent=indent, allow_nan=False, ensure_ascii=False)


def to_toml(settings: Mapping[str, Any], *, comment: str = "") -> str:
    """Settings as TOML: one line each, tables for nested mappings; None, which TOML lacks, is the word "None"."""
    lines = [f"# {line}" for line in comment.splitlines()]
    nested = {name: value for name, value in settings.items() if isinstance(value, Mapping)}
    lines += [f"{name} = {_toml_value(value)}" for name, value in settings.items() if name not in nested]
    for name, table in nested.items():
        lines += ["", f"[{name}]", to_toml(table).rstrip("\n")]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if value is None:
        return '"None"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)  # repr gives inf and nan as TOML spells them
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    return json.dumps(jsonable(value), ensure_ascii=False)


def read_toml(path: Path) -> dict[str, Any]:
    """The settings of a TOML file.

    Raises:
        ValueError: when the file is missing or not valid TOML, naming the line.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from error
    return {name: None if value == "None" else value for name, value in values.items()}


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        ValueError: when it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error
