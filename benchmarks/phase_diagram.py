"""Speed of the rich-lazy phase diagram: settings per second, on the processor and on an accelerator where there is one.

./run python benchmarks/phase_diagram.py [--all-cores]
"""

from harness import table  # isort: skip  (limits threads before JAX loads)

import time

import jax
import numpy as np

import weightpath as wp
from weightpath.learn.to_fraction import fall

GAIN, DECAY = np.linspace(0.02, 0.9, 20), np.linspace(0.05, 0.95, 20)


def whole() -> tuple[str, str, str]:
    """The diagram as a user asks for it, compilation included: 400 settings, words up to 4."""
    start = time.perf_counter()
    wp.phase_diagram(GAIN, DECAY, [0.1], error_bars=False, progress=False)
    wall = time.perf_counter() - start
    return f"20 x 20 settings, K=4, on {jax.default_backend()}, with compilation", f"{wall:.1f} s", "< 120 s"


def rate(device, together: int, settings: int) -> float:
    """Settings per second of wall time on one device, in batches of `together`, after one batch to compile."""
    gain, decay = (grid.ravel() for grid in np.meshgrid(GAIN, DECAY, indexing="ij"))
    chosen = np.linspace(0, gain.size - 1, settings).astype(int)
    with jax.default_device(device):
        best = np.inf
        for _ in range(2):  # the first round compiles
            start = time.perf_counter()
            for first in range(0, settings, together):
                part = chosen[first : first + together]
                jax.block_until_ready(fall(gain[part], decay[part], 0 * part + 0.1, 4, 0.01, 1e-4, 4096))
            best = min(best, time.perf_counter() - start)
    return settings / best


def main() -> None:
    rows = [whole()]
    processor = rate(jax.devices("cpu")[0], 16, 96)
    rows.append(("settings per second, one processor core, 16 together", f"{processor:.1f}", ""))
    accelerators = [device for device in jax.devices() if device.platform != "cpu"]
    for device in accelerators[:1]:
        fast = rate(device, 400, 400)
        rows.append(
            (f"settings per second, {device.device_kind}, 400 together", f"{fast:.1f}", f"{fast / processor:.1f} x")
        )
    if not accelerators:
        rows.append(("accelerator", "none here", "compared where jax.devices() has one"))
    table("Rich-lazy phase diagram (wall time)", rows)


if __name__ == "__main__":
    main()
