"""Speed and memory of a fit to a recording: one iteration, and how it grows with trials, time, units and rank.

./run python benchmarks/fitting.py
./run python benchmarks/fitting.py --all-cores --scan    ranks 1 to 6 from 3 seeds: on threads against one program
"""

from harness import table  # isort: skip  (limits threads before JAX loads)

import re
import sys
import time
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import weightpath as wp
from weightpath import inference
from weightpath.inference.optimise import CHUNK, Schedule, begin, run_chunk
from weightpath.inference.parameters import initial_values
from weightpath.inference.problem import arrange


def recording(trials: int, bins: int, neurons: int) -> wp.Recording:
    rng = np.random.default_rng(0)
    phase = np.arange(bins)[:, None] / 10 + rng.uniform(0, 6, neurons)
    clean = np.sin(phase[None] + np.arange(trials)[:, None, None] / trials)
    values = clean + 0.1 * rng.normal(size=clean.shape)
    return wp.Recording(values, condition=np.arange(trials) % 4)


def per_iteration(trials=100, bins=80, units=60, rank=3) -> float:
    """Processor milliseconds of one iteration: the least over chunks after the first, which compiles."""
    model = wp.LowTensorRankRNN(rank, decoder="identity", inputs="free", time_constant=10.0, trial_offset=None)
    stamps = []

    def note(label, done, total, **numbers):
        stamps.append((time.process_time(), done))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few hundred iterations do not converge, and need not
        wp.fit(model, recording(trials, bins, units), iterations=8 * CHUNK, progress=note)
    spans = [(later[0] - sooner[0]) / CHUNK for sooner, later in zip(stamps, stamps[1:], strict=False)]
    return 1e3 * min(spans[2:])


def memory(trials=2000, bins=100, units=500, rank=10) -> tuple[float, float]:
    """Gigabytes of the data on the device, and what an iteration needs above what there was before it (Linux)."""
    model = wp.LowTensorRankRNN(rank, units=units, time_constant=10.0)
    given, single = recording(trials, bins, units), np.dtype("float32")
    arrangement = arrange(model, given, given.observed)
    state = begin(initial_values(arrangement, 0, single), 1e-5, single)
    problem, layout = arrangement.problem(single), arrangement.layout
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _kilobytes("VmRSS")
    schedule = Schedule(jnp.asarray(1e-3, single), jnp.asarray(1.0, single))
    run_chunk(state, problem, schedule, jnp.asarray(1), layout)[1].block_until_ready()
    data = problem.data.nbytes + problem.mask.nbytes
    return data / 1e9, (_kilobytes("VmHWM") - before) / 1e6


def whole_fit(trials=2000, bins=100, units=500, rank=10) -> tuple[float, float]:
    """Gigabytes of a recording, and the most that a whole fit to it needs above what there was before (Linux)."""
    given = recording(trials, bins, units)
    Path("/proc/self/clear_refs").write_text("5")
    before = _kilobytes("VmRSS")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wp.fit(wp.LowTensorRankRNN(rank, units=units, time_constant=10.0), given, iterations=2, progress=False)
    return given.values.nbytes / 1e9, (_kilobytes("VmHWM") - before) / 1e6


def rank_scan(batched: bool, iterations: int = 800) -> tuple[float, float]:
    """Seconds, and processor seconds, of ranks 1 to 6 from 3 seeds each on the real session, compilation included."""
    given = inference.read_recording(inference.sample_path()).recording
    models = [wp.LowTensorRankRNN(rank) for rank in range(1, 7)]
    wall, processor = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inference.fit_many(models, given, seeds=3, iterations=iterations, batched=batched, progress=False)
    return time.perf_counter() - wall, time.process_time() - processor


def scan() -> None:
    rows = []
    for batched, what in ((False, "on two threads"), (True, "in one program")):
        wall, processor = rank_scan(batched)
        rows.append((f"18 fits {what}: seconds (of a processor)", f"{wall:.0f} ({processor:.0f})", "< 300"))
    table("Ranks 1 to 6 from 3 seeds, 800 iterations, the real session of 794 trials", rows)


def _kilobytes(name: str) -> int:
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def main() -> None:
    base = per_iteration()
    rows = [("K=100 trials, 80 bins, N=60 units, R=3", f"{base:.2f} ms", "<= 15 ms")]
    for what, change, aim in (
        ("trials doubled", {"trials": 200}, "1.5 to 2.6"),
        ("bins doubled", {"bins": 160}, "1.5 to 2.6"),
        ("units doubled", {"units": 120}, "1.5 to 2.6"),
        ("rank doubled", {"rank": 6}, "<= 2.4"),
    ):
        rows.append((what, f"{per_iteration(**change) / base:.2f} x", aim))
    if Path("/proc/self/clear_refs").exists():
        whole, most = whole_fit()
        data, above = memory()
        size = "K=2000, 100 bins, N=500, R=10"
        rows.append((f"{size}: a whole fit, above a recording of {whole:.1f} GB", f"{most:.2f} GB", "< 2 GB"))
        rows.append((f"{size}: one iteration, above data of {data:.1f} GB", f"{above:.2f} GB", "< 2 GB"))
    table("One iteration of a fit (processor time on one core, float32)", rows)


if __name__ == "__main__":
    scan() if "--scan" in sys.argv else main()
