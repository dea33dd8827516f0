"""Speed of a fit to a recording: time per iteration, and how it grows with trials, time, units and rank.

./run python benchmarks/fitting.py
"""

from harness import table  # isort: skip  (limits threads before JAX loads)

import time
import warnings

import numpy as np

import weightpath as wp
from weightpath.inference.optimise import CHUNK


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
    table("One iteration of a fit (processor time on one core, float32)", rows)


if __name__ == "__main__":
    main()
