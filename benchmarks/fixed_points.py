"""Time of one update of a network's fixed points, compiled, against the same update by the textbook in PyTorch.

784 inputs, tanh, 10 outputs, cross-entropy, single precision, recurrent weights 0.5 N(0,1)/sqrt(N). Ours: fixed points
to rounding, whether they are stable, errors, change of the recurrent weights. Textbook: 500 Euler steps of
dt/tau = 0.01 from rest, then for dW1 one dense inverse of N x N per sample, for dW3K the three dense factors of every
sample multiplied out. Both on one core and one thread; processor time, minima of rounds. NumPy stands in for
PyTorch where that is not installed. The two are checked against each other at the same fixed points. 500 steps end far
from the fixed point, so that ours is timed twice: to rounding, and to the residual that the textbook ends with.

./run python benchmarks/fixed_points.py [--quick]
"""

import os
import sys

os.environ["JAX_ENABLE_X64"] = "0"
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"

from harness import seconds  # isort: skip  # noqa: E402  (pins the core before JAX loads)

import time  # noqa: E402
from functools import partial  # noqa: E402

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402

import weightpath as wp  # noqa: E402
from weightpath.networks.steady_state import solve_states  # noqa: E402

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None

IN, OUT, STEPS, STEP = 784, 10, 500, 0.01
#: Units and samples of a batch, and rounds of the textbook.
SIZES = ((300, 512, 2), (1000, 64, 1))
AIM_RATIO, AIM_SECONDS = 50, 0.2


def problem(units: int, samples: int):
    """A network and a batch of sparse images between 0 and 1."""
    rng = np.random.default_rng(0)
    w_rec = 0.5 * rng.normal(size=(units, units)) / np.sqrt(units)
    w_in, w_out = rng.normal(size=(units, IN)) / np.sqrt(IN), rng.normal(size=(OUT, units)) / np.sqrt(units)
    images = rng.random((samples, IN)) * (rng.random((samples, IN)) < 0.2)
    network = wp.RateRNN(*(array.astype(np.float32) for array in (w_rec, w_in, w_out)), leak=STEP)
    return network, wp.StaticTargets(images.astype(np.float32), rng.integers(0, OUT, samples)).everything()


def euler(lib, w_rec, w_in, inputs):
    """Rates after 500 steps."""
    drive = inputs @ w_in.T
    rates = 0 * drive
    for _ in range(STEPS):
        rates = rates + STEP * (lib.tanh(rates @ w_rec.T + drive) - rates)
    return rates


def textbook(lib, rule: str, w_rec, rates, errors):
    """Mean update of the recurrent weights, sample by sample."""
    total, one = 0 * w_rec, lib.eye(len(w_rec), dtype=w_rec.dtype)
    for rate, error in zip(rates, errors, strict=True):
        slope = 1 - rate**2
        if rule == "dW1":
            total = total + lib.outer(slope * (lib.linalg.inv(one - w_rec.T * slope) @ error), rate)
        else:
            back, ahead = one - w_rec * slope, one - slope[:, None] * w_rec
            total = total + lib.outer(back @ (slope * error), (ahead.T @ ahead) @ rate)
    return total / len(rates)


def once(work) -> tuple[float, object]:
    start = time.process_time()
    value = work()
    return time.process_time() - start, value


def compare(units: int, samples: int, rounds: int) -> None:
    """Print the rows of one size."""
    network, batch = problem(units, samples)
    lib = np if torch is None else torch
    convert = np.asarray if torch is None else (lambda array: torch.tensor(np.asarray(array)))
    w_rec, w_in, w_out = (convert(getattr(network, name)) for name in ("w_rec", "w_in", "w_out"))
    inputs = convert(batch.inputs)
    settled = min((once(lambda: euler(lib, w_rec, w_in, inputs)) for _ in range(rounds)), key=lambda pair: pair[0])
    apart = float(abs(lib.tanh(settled[1] @ w_rec.T + inputs @ w_in.T) - settled[1]).max())
    print(f"\nN={units}, batch {samples}. Textbook: residual {apart:.1e}")
    spent = {}
    for accuracy, solver in (
        ("rounding", wp.SteadySolver()),
        ("textbook's", wp.SteadySolver(tolerance=apart, adjoint_tolerance=apart)),
    ):
        solve = eqx.filter_jit(lambda network, batch, solver=solver: solve_states(network, batch.inputs, None, solver))
        steady = solve(network, batch)
        forward = seconds(lambda solve=solve: solve(network, batch).rates)
        errors = convert(batch.errors(steady.outputs)) @ w_out
        print(
            f" ours to {accuracy}: at most {int(steady.iterations.max())} iterations, residual "
            f"{float(steady.residual.max()):.1e}, all stable: {bool(steady.stable.all())}\n"
            f"  {'forward':<8} {settled[0]:>12.3f} {forward:>10.4f}",
            flush=True,
        )
        for name, rule in {
            "dW1": wp.EuclideanFixedPoint(solver=solver),
            "dW3K": wp.Reparameterised("K", solver=solver),
        }.items():
            state = rule.init(network, batch, jax.random.key(0))
            # As the textbook: the recurrent weights alone; what else the rule would give is not computed.
            update = eqx.filter_jit(lambda *arguments, rule=rule: rule.update(*arguments)[0].w_rec)
            ours = seconds(lambda update=update, state=state: update(network, batch, state))
            if name not in spent:
                rates = convert(steady.rates)
                spent[name], change = once(partial(textbook, lib, name, w_rec, rates, errors))
                velocity = np.asarray(update(network, batch, state))
                np.testing.assert_allclose(-velocity, change, rtol=0, atol=3e-5 * float(abs(change).max()))
            theirs = settled[0] + spent[name]
            aim = f">= {AIM_RATIO}" if units == 300 else f"ours < {AIM_SECONDS} s"
            print(f"  {name:<8} {theirs:>12.3f} {ours:>10.4f} {theirs / ours:>8.0f}   {aim}", flush=True)


def main() -> None:
    print("One update of the weights, processor time in s, one thread, float32")
    print(f"{'':<10} {'numpy' if torch is None else 'pytorch':>12} {'ours':>10} {'ratio':>8}   aim", flush=True)
    for units, samples, rounds in SIZES:
        compare(units, 64 if "--quick" in sys.argv else samples, 1 if "--quick" in sys.argv else rounds)


if __name__ == "__main__":
    main()
