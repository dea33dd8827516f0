"""How long a person waits before anything happens: importing the package and asking for help.

./run python benchmarks/startup.py
"""

import os
import subprocess
import sys
import tempfile
import time

from harness import table


def wall(*command: str, cache: str | None = None) -> float:
    """Least wall time of five runs of a command, in seconds; each with an empty `cache` of compiled programs."""
    best = float("inf")
    for turn in range(5):
        settings = {} if cache is None else {"JAX_COMPILATION_CACHE_DIR": f"{cache}/{turn}"}
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | settings)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    empty = wall(sys.executable, "-c", "pass")
    package = wall(sys.executable, "-c", "import weightpath")
    program = wall("weightpath", "--help")
    jax = wall(sys.executable, "-c", "import jax")
    with tempfile.TemporaryDirectory() as empty_cache:
        cold = wall("weightpath", "predict", "integrate-white-noise", "--json", cache=empty_cache)
    table(
        "Start-up (wall seconds, best of 5)",
        [
            ("an empty Python program", f"{empty:.3f} s", ""),
            ("import weightpath", f"{package:.3f} s", "< 0.3 s"),
            ("weightpath --help", f"{program:.3f} s", "< 1 s"),
            ("weightpath predict integrate-white-noise, nothing compiled", f"{cold:.2f} s", "< 4 s"),
            ("import jax, for comparison", f"{jax:.3f} s", f"{jax / package:.1f} x import weightpath"),
        ],
    )


if __name__ == "__main__":
    main()
