"""Speed of learning from batches: one gradient against the program a user would write, and guards against none.

./run python benchmarks/finite_data.py [--all-cores]
"""

from harness import seconds, table  # isort: skip  (limits threads before JAX loads)

import equinox as eqx
import jax
import numpy as np
import optax

import weightpath as wp
from weightpath.networks.init import gaussian
from weightpath.rules.backprop import batch_loss

DT, DURATION, TRIALS, DECAY = 0.1, 20.0, 32, 0.2


def setup_of(units: int) -> wp.Setup:
    start = gaussian(jax.random.key(0), units, gain=0.3, read_in_norm=1.0, readout="zero", dt=DT)
    network = eqx.tree_at(lambda net: net.w_out, start, start.w_in.T)
    task = wp.Integrator(DECAY, noise=wp.WhiteNoise(DURATION, DT, TRIALS))
    return wp.Setup(network, task, wp.BPTT(), train=("w_rec", "w_out"))


def by_hand(w_rec, w_in, w_out, inputs, targets):
    """Gradient by back-propagation through time, step by step over all trials at once, as one writes it with NumPy."""
    trials, bins = inputs.shape
    units = len(w_rec)
    step = np.eye(units) + DT * (w_rec - np.eye(units))
    states = np.zeros((bins + 1, trials, units))
    for index in range(bins):
        states[index + 1] = states[index] @ step.T + DT * inputs[:, index, None] * w_in
    errors = (states[1:] @ w_out - targets.T) / (trials * bins)
    adjoint, gradient = np.zeros((trials, units)), np.zeros((units, units))
    for index in range(bins, 0, -1):
        adjoint = adjoint @ step + errors[index - 1, :, None] * w_out
        gradient += adjoint.T @ states[index - 1]
    return DT * gradient, np.einsum("tb,tbu->u", errors, states[1:])


def gradients() -> None:
    rows = []
    plain = eqx.filter_jit(eqx.filter_grad(batch_loss))
    ours = eqx.filter_jit(lambda network, batch: wp.BPTT().update(network, batch, None)[0])
    for units in (32, 100):
        setup = setup_of(units)
        batch = setup.task.sample(jax.random.key(1), 0)
        network = setup.network
        arrays = [np.asarray(array) for array in (network.w_rec, network.w_in[:, 0], network.w_out[0])]
        arrays += [np.asarray(batch.inputs)[..., 0], np.asarray(batch.targets)[..., 0]]
        exact = np.asarray(ours(network, batch).w_rec)
        difference = np.abs(exact + by_hand(*arrays)[0]).max() / np.abs(exact).max()
        here = seconds(lambda work=(network, batch): ours(*work).w_rec, repeats=20)
        differentiated = seconds(lambda work=(network, batch): plain(*work).w_rec)
        numpy = seconds(lambda work=arrays: by_hand(*work)[0])
        what = f"gradient of a batch, N={units} (difference {difference:.0e})"
        ratios = f"NumPy takes {numpy / here:.1f} x as long, autodiff of the run {differentiated / here:.1f} x"
        rows.append((what, f"{1e3 * here:.2f} ms", ratios))
        setup = setup.with_network(network)
        finite = wp.Setup(network, wp.FiniteTrials(setup.task), wp.BPTT(), train=("w_rec", "w_out"))
        expected = eqx.filter_jit(lambda one: one.rule.population(one.network, one.task.population())[0].w_rec)
        rows.append(
            (
                f"its expectation over the noise, N={units}",
                f"{1e3 * seconds(lambda f=finite, work=expected: work(f)):.2f} ms",
                "",
            )
        )
    table(f"Batches of {TRIALS} trials of {round(DURATION / DT)} bins (processor time, best of 5 or 20)", rows)


def training() -> None:
    rows, optimiser, record = [], optax.sgd(0.02), wp.Record(every=200)
    for units in (32, 100):
        setup = setup_of(units)
        times = {
            guards: seconds(
                lambda s=setup, g=guards: (
                    wp.train(s, optimiser, 200, record=record, key=jax.random.key(0), guards=g).loss
                ),
                repeats=3,
            )
            for guards in (None, "halve")
        }
        what = f"200 steps of sampled descent, N={units}"
        rows.append((what, f"{times[None]:.2f} s", f"with guards {times['halve'] / times[None]:.2f} x as long"))
    table("Training (processor time, best of 3)", rows)


if __name__ == "__main__":
    gradients()
    training()
