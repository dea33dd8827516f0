"""Wall time and peak memory of the projected flow at N = 500, 2000 and 10 000, each in a process of its own.

./run python benchmarks/sizes.py [N ...]
"""

import json
import subprocess
import sys

#: Run in a fresh process, so that its peak is its own. Prints one line of JSON.
PROGRAM = """
import json, resource, sys, time
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
import weightpath as wp
from weightpath.networks.init import gaussian
from weightpath.networks.words import project

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

def timed(work):
    start = time.perf_counter()
    value = jax.block_until_ready(work())
    return time.perf_counter() - start, value

units, times = int(sys.argv[1]), np.linspace(0.0, 4.0, 41)
loaded = peak()
draw, network = timed(lambda: gaussian(jax.random.key(0), units, gain=0.3, read_in_norm=1.0, readout="zero"))
setup = wp.Setup(network, wp.Integrator(0.2), wp.BPTT(), train=("w_rec", "w_out"))
basis, (small, lift) = timed(lambda: project(network, 4))
first, _ = timed(lambda: wp.flow(setup, times, project=4).loss)
again, loss = timed(lambda: wp.flow(setup, times, project=4).loss)
print(json.dumps({"units": units, "words": small.w_rec.shape[0], "draw": draw, "basis": basis, "first": first,
                  "again": again, "loaded": loaded, "peak": peak(), "loss": [float(loss[10]), float(loss[-1])]}))
"""


def main() -> None:
    from harness import table

    rows = []
    for units in [int(word) for word in sys.argv[1:]] or [500, 2000, 10_000]:
        done = subprocess.run([sys.executable, "-c", PROGRAM, str(units)], capture_output=True, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        what = f"N={units}: initial weights / basis of {told['words']} words"
        rows.append((what, f"{told['draw']:.1f} / {told['basis']:.1f} s", ""))
        rows.append(
            (f"N={units}: whole flow to time 4, first / again", f"{told['first']:.1f} / {told['again']:.1f} s", "")
        )
        rows.append(
            (f"N={units}: peak memory (libraries alone {told['loaded']:.2f} GB)", f"{told['peak']:.2f} GB", "< 8 GB")
        )
    table("Word-Krylov projection, gain .3, depth 4 (wall time, one process a size)", rows)


if __name__ == "__main__":
    main()
