"""Settings of every test: 64-bit numbers, no screen, quick compilation, compiled programs kept between runs."""

import gc
import os
import re
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices; tests already run one process a core
# Without its host callbacks a solver's program can be cached; outcomes are carried as values, so nothing is hidden.
os.environ.setdefault("EQX_ON_ERROR", "nan")
# Tests compile far more than they compute, and without fused kernels compiling takes 40 % less.
# A version of XLA that does not know a flag ends the process, so only the version they were tried with is given them.
TRIED = re.search(r"^jaxlib==(.+)$", (Path(__file__).parents[1] / "constraints.txt").read_text(), flags=re.M)
if TRIED and version("jaxlib") == TRIED[1].strip():
    # One process a core: a program compiled in one piece takes 20 % less processor time than one split among threads.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1")

import jax  # noqa: E402  (the settings above must come first)
import pytest  # noqa: E402

jax.config.update("jax_enable_x64", True)
# Given to the environment as well: processes that a test starts compile much of what the tests themselves compile.
for name, value in {
    "jax_compilation_cache_dir": str(Path(__file__).parents[1] / ".pytest_cache" / "jax"),
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}.items():
    os.environ[name.upper()] = str(value)
    jax.config.update(name, value)


def pytest_configure(config):
    """Quick tests compile without most optimisations: two files of many programs take 36 s of processor time, not 53 s.

    Processes that a test starts inherit it. Under another selection, `-m slow` for one, programs are compiled in full.
    """
    if config.option.markexpr == "not slow":
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1")


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


def pytest_collection_finish(session):
    """What is loaded by now lives to the end: the garbage collector need not look at it again (8 % of the time)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def pytest_collection_modifyitems(items):
    """Files that take long come first, so that no process is left with one of them at the end."""
    long = ("test_examples.py", "studies", "cli", "inference")
    items.sort(key=lambda item: not any(part in item.path.parts for part in long))
