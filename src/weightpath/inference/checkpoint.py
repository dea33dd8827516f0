"""Checkpoints of a fit: one npz file with a JSON header, replaced atomically, read back bit for bit."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import PyTree

SCHEMA = 1


def fingerprint(model, recording, mask: np.ndarray, settings: dict[str, Any]) -> str:
    """Hash of everything that determines a fit; a checkpoint of another fit is refused by it."""
    text = json.dumps({"schema": SCHEMA, "model": model.describe(), **settings}, sort_keys=True)
    sha = hashlib.sha256(text.encode())
    sha.update(recording.digest().encode() + np.packbits(mask).tobytes())
    for one in getattr(model, "known", ()):
        sha.update(np.ascontiguousarray(recording.covariates[one.covariate], dtype=float).tobytes())
    return sha.hexdigest()


def write_arrays(path: Path, header: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write beside and move into place, so that a reader or a crash never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(beside, "wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **arrays)
    os.replace(beside, path)


def read_arrays(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a file made by `write_arrays`.

    **Raises:** ValueError when the file is something else or cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header")))
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise ValueError(
            f"{path} is not a file written by weightpath ({error}); delete it or give another path."
        ) from error
    if header.get("schema") != SCHEMA:
        raise ValueError(f"{path} has schema {header.get('schema')!r}; this version reads {SCHEMA}. Fit anew.")
    return header, arrays


def save_state(path: Path, state: PyTree, history: np.ndarray, header: dict[str, Any]) -> None:
    """Write the state of an optimisation, with its history so far."""
    leaves = {f"state_{index}": np.asarray(leaf) for index, leaf in enumerate(jax.tree.leaves(state))}
    write_arrays(path, {"schema": SCHEMA, "kind": "checkpoint", **header}, {"history": history, **leaves})


def load_state(path: Path, like: PyTree, expected: str) -> tuple[PyTree, np.ndarray, dict[str, Any]]:
    """The state of `save_state`, in the structure of `like`, its history and header.

    **Raises:** ValueError when the file belongs to another fit than the one with the fingerprint `expected`.
    """
    header, arrays = read_arrays(path)
    if header.get("fingerprint") != expected:
        raise ValueError(
            f"{path} is the checkpoint of another fit (other model, data, mask, seed or settings); delete it or give "
            "another path."
        )
    leaves, structure = jax.tree.flatten(like)
    stored = [jnp.asarray(arrays[f"state_{index}"]) for index in range(len(leaves))]
    return jax.tree.unflatten(structure, stored), arrays["history"], header
