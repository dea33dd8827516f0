"""The process before JAX is loaded: 64 bits, compiled programs kept between runs, plots without a screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from pathlib import Path

#: The oldest compiled programs are deleted above this many bytes. JAX's own limit needs one more package (filelock).
CACHE_LIMIT = 2**30
#: Without fused kernels a program compiles in a third less time, and large ones run slower: right for a prediction.
#: XLA ends a process that names a flag it does not know, so only the version it was tried with is given it.
UNFUSED, UNFUSED_TRIED = "--xla_cpu_use_fusion_emitters=false", "0.10.2"


def cache_directory() -> Path:
    """Where compiled programs are kept: the user's cache directory, apart for each version of JAX."""
    chosen = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("weightpath")) / f"jax-{version('jax')}"


def prepare(*, brief: bool = False) -> None:
    """Set the environment that JAX and equinox read when they are imported; call it before.

    `brief` for work that takes less time than its compilation.
    """
    os.environ["JAX_ENABLE_X64"] = "1"
    os.environ.setdefault("MPLBACKEND", "Agg")
    # The matrices are small: threads of the linear algebra library cost more than they bring, and fight with JAX's.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Run-time checks of equinox would put host callbacks into programs, which are then never cached on disk.
    os.environ.setdefault("EQX_ON_ERROR", "nan")
    if brief and version("jaxlib") == UNFUSED_TRIED:
        os.environ.setdefault("XLA_FLAGS", UNFUSED)
    directory = cache_directory()
    if not is_writable(directory):
        return
    trim(directory, CACHE_LIMIT)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(directory))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def is_writable(directory: Path) -> bool:
    """Whether files can be made in the directory, which is made if need be."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK)


def directory_size(directory: Path) -> int:
    """Bytes of the files directly in a directory; 0 when there is none."""
    return sum(file.stat().st_size for file in directory.glob("*") if file.is_file())


def trim(directory: Path, limit: int) -> None:
    """Delete the oldest files until the rest is below the limit."""
    files = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in directory.glob("*") if file.is_file())
    excess = sum(size for _, size, _ in files) - limit
    for _, size, file in files:
        if excess <= 0:
            return
        file.unlink(missing_ok=True)
        excess -= size


@contextmanager
def working(*, brief: bool = False) -> Iterator[None]:
    """Surround the work of a command: JAX is set up, and nothing a library prints reaches standard output."""
    prepare(brief=brief)
    with redirect_stdout(sys.stderr):
        yield
