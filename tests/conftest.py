"""Settings of every test: 64-bit numbers, strict rank promotion, no screen, compiled programs kept between runs."""

import os
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Without its host callbacks a solver's program can be cached; outcomes are carried as values, so nothing is hidden.
os.environ.setdefault("EQX_ON_ERROR", "nan")

import jax  # noqa: E402  (the settings above must come first)
import pytest  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_compilation_cache_dir", str(Path(__file__).parents[1] / ".pytest_cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def getkey():
    """A function that gives a fresh random key at each call, the same keys in every run."""
    count = iter(range(1_000_000))
    return lambda: jax.random.fold_in(jax.random.key(20251), next(count))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real recordings that stand beside the project in development; absent elsewhere."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the folder shared/data with the full recordings is not beside this checkout")
    return folder
