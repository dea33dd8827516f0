"""Time of one online step, compiled, against the same learning step by step in NumPy (`online_numpy.py`).

One weight update per time step of one stream, m=2 inputs, o=1 output, tanh, leak 0.5, plain gradient steps. Both run
interleaved in one process on one core and one thread, in the same precision; minima over rounds of processor time.
A step of RFLO takes the same time wherever it stands in a trial. RTRL here learns from trials of 100 time steps: its
step in NumPy takes the same time everywhere too, so that a few of them stand for the trial, and ours is the mean over
the whole trial. `seeds`: time per network of 8 networks side by side, in one program.

./run python benchmarks/online.py [--quick]
"""

import os
import subprocess
import sys

SINGLE = "--float32" in sys.argv
os.environ["JAX_ENABLE_X64"] = "0" if SINGLE else "1"
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"

from harness import interleaved  # isort: skip  # noqa: E402  (pins the core before JAX loads)

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from online_numpy import learn  # noqa: E402

import weightpath as wp  # noqa: E402
from weightpath.learn.online import run_online  # noqa: E402

DTYPE = np.float32 if SINGLE else np.float64
RATE = 1e-3
#: Time steps of a trial, and of those that the program in NumPy takes, by rule and number of units.
STEPS = {
    "rflo": {32: (1000, 1000), 64: (1000, 1000), 128: (500, 500), 256: (200, 200)},
    "rtrl": {32: (100, 100), 64: (100, 20), 128: (100, 4), 256: (100, 1)},
}
AIMS = {"rflo": {32: 15, 64: 15, 128: 8, 256: 5}, "rtrl": {32: 4, 64: 4, 128: 4, 256: 4}}
SEEDS, ROUNDS, BUDGET = 8, 12, 6.0


def problem(rule: str, units: int):
    """The setup, and the same arrays for the program in NumPy."""
    rng, steps = np.random.default_rng(0), STEPS[rule][units][0]
    w_rec, w_in, w_out, feedback, inputs, targets = (
        (scale * rng.normal(size=shape)).astype(DTYPE)
        for scale, shape in (
            (units**-0.5, (units, units)), (1, (units, 2)), (units**-0.5, (1, units)), (units**-0.5, (1, units)),
            (1, (steps, 2)), (1, (steps, 1)),
        )
    )  # fmt: skip
    chosen = wp.RFLO(feedback) if rule == "rflo" else wp.RTRL()
    network, task = wp.RateRNN(w_rec, w_in, w_out, leak=0.5), wp.GivenTrials(inputs[None], targets[None])
    return wp.Setup(network, task, chosen, train=("w_rec", "w_in", "w_out")), (w_rec, w_in, w_out, feedback)


def compare(rule: str, units: int) -> None:
    """Print a row of the table."""
    setup, (w_rec, w_in, w_out, feedback) = problem(rule, units)
    key, optimiser, (steps, few) = jax.random.key(0), optax.sgd(RATE), STEPS[rule][units]
    inputs, targets = np.asarray(setup.task.inputs[0]), np.asarray(setup.task.targets[0, 0])
    targets = np.asarray(setup.task.targets).reshape(len(inputs), 1)
    scan = eqx.filter_jit(lambda setup: run_online(setup, optimiser, 1, key)[1]).lower(setup).compile()

    def ours():
        return jax.block_until_ready(scan(setup))

    def theirs():
        weights = np.concatenate([w_rec, w_in], axis=1)
        return learn(rule, weights, w_out.copy(), feedback, inputs[:few], targets[:few], rate=RATE)

    np.testing.assert_allclose(float(np.sum(ours()[:few])), theirs(), rtol=1e-3 if SINGLE else 1e-8)
    programs, per_step = {"numpy": theirs, "ours": ours}, {"numpy": few, "ours": steps, "seeds": steps * SEEDS}
    if rule == "rflo" and units < 256:
        starts = np.stack([np.asarray(w_rec)] * SEEDS)

        def one(start):
            return run_online(eqx.tree_at(lambda s: s.network.w_rec, setup, start), optimiser, 1, key)[1]

        together = jax.jit(jax.vmap(one)).lower(starts).compile()
        programs["seeds"] = lambda: jax.block_until_ready(together(starts))
    least, _ = interleaved(programs, rounds=ROUNDS, budget=BUDGET)
    best = {name: 1e6 * spent / per_step[name] for name, spent in least.items()}
    seeds = f"{best['seeds']:.2f}" if "seeds" in best else ""
    print(
        f"{rule.upper():<5} {units:>4}  {'f32' if SINGLE else 'f64'} {best['numpy']:>11.1f} {best['ours']:>9.2f} "
        f"{best['numpy'] / best['ours']:>7.1f} {'>= ' + str(AIMS[rule][units]):>6} {seeds:>8}",
        flush=True,
    )


def main() -> None:
    sizes = (32, 64) if "--quick" in sys.argv else (32, 64, 128, 256)
    if not SINGLE:
        print("One online step, processor time in us, one thread, minima of interleaved rounds", flush=True)
        print("rule  units type       numpy      ours   ratio    aim    seeds", flush=True)
        # Precision is chosen when JAX starts, so that single precision runs in a process of its own.
        subprocess.run([sys.executable, __file__, "--float32", *sys.argv[1:]], check=True)
    for rule in STEPS:
        for units in sizes:
            compare(rule, units)


if __name__ == "__main__":
    main()
