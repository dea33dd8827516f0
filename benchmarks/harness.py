"""Timing for the benchmark scripts: processor time on one core, best of several runs, ratios within one process.

Machines are shared and noisy: processor time and ratios measured side by side are what to quote, not wall time.
"""

import os
import sys

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
if "--all-cores" not in sys.argv and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import time  # noqa: E402  (threads are counted when numerical libraries load, so the lines above come first)

import jax  # noqa: E402


def seconds(work, *, repeats: int = 5, warm: bool = True) -> float:
    """Least processor time of `work()` over `repeats` runs, after one run to compile it."""
    if warm:
        jax.block_until_ready(work())
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        jax.block_until_ready(work())
        best = min(best, time.process_time() - start)
    return best


def interleaved(programs: dict, *, rounds: int, budget: float = float("inf")) -> tuple[dict, dict]:
    """Least processor time of each of `programs` (name: work), and that of its first run, which compiles it.

    They run in turn, round by round, so that what else the machine does meets all of them alike. No further round
    begins once the rounds have taken `budget` seconds.
    """

    def spent(work) -> float:
        start = time.process_time()
        jax.block_until_ready(work())
        return time.process_time() - start

    first = {name: spent(work) for name, work in programs.items()}
    best, begun = dict.fromkeys(programs, float("inf")), time.process_time()
    for _ in range(rounds):
        for name, work in programs.items():
            best[name] = min(best[name], spent(work))
        if time.process_time() - begun > budget:
            break
    return best, first


def table(title: str, rows: list[tuple]) -> None:
    """Print rows of (what, figure, aim) under a title."""
    print(f"\n{title}")
    for what, figure, aim in rows:
        print(f"  {what:<58} {figure:>14}   {aim}")
