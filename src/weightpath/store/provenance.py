"""Where a result came from: versions, revision, machine, time; and the hash that names a run."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from weightpath.store import SCHEMA_VERSION
from weightpath.store.text import jsonable

PACKAGES = ("weightpath", "jax", "jaxlib", "equinox", "diffrax", "optax", "numpy", "scipy", "xarray", "h5netcdf")


def content_hash(study: str, settings: Mapping[str, Any], files: Sequence[Path] = ()) -> str:
    """12 hex digits of SHA-256 over the study, its resolved settings, the content of its data files, and versions.

    Two runs with the same hash compute the same thing; where they are stored does not enter.
    """
    identity = {
        "study": study,
        "settings": settings,
        "data": [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in files],
        "version": metadata.version("weightpath"),
        "schema_version": SCHEMA_VERSION,
    }
    text = json.dumps(jsonable(identity), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that produce numbers, as installed (nothing is imported)."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def provenance(seconds: float) -> dict[str, Any]:
    """Versions, source revision, platform, device, number type, time (UTC), wall seconds and command line."""
    import jax
    import jax.numpy as jnp

    device = jax.devices()[0]
    return {
        "versions": versions(),
        "git": git_revision(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": f"{device.platform} ({device.device_kind}) x {jax.device_count()}",
        "dtype": str(jnp.asarray(0.0).dtype),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "argv": command_line(),
    }


def git_revision() -> dict[str, Any] | None:
    """Revision of the repository that this source belongs to, and whether files differ from it; None outside one."""
    source = Path(__file__).parent
    if _git(source, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    revision, changes = _git(source, "rev-parse", "HEAD"), _git(source, "status", "--porcelain", "--", "..")
    return None if revision is None else {"revision": revision, "dirty": bool(changes)}


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def command_line() -> list[str]:
    """The command line with directories of this machine taken off."""
    return [_without_directory(argument) for argument in sys.argv]


def _without_directory(argument: str) -> str:
    flag, equals, value = argument.rpartition("=") if argument.startswith("--") else ("", "", argument)
    return f"{flag}{equals}{Path(value).name if os.path.isabs(value) else value}"
