"""Networks that learn images as fixed points: the stated recipe for digits, and MNIST at the size of the source."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: A rise of the minibatch loss by more than this from one update to the next is a jump.
JUMP = 0.5
#: A batch with a residual above this at its last iterate is unconverged, and is used as it is.
DIGIT_TOLERANCE, MNIST_TOLERANCE = 1e-6, 1e-5
DIGIT_BATCH, MNIST_BATCH = 128, 512
#: Rules by name -> learning rates. Those of the first two that are required come first.
DIGIT_RATES = {
    "dW3K": (0.05, 0.02, 0.1, 0.2),
    "dW1": (0.1, 0.02, 0.05),
    "dW4": (0.02, 0.05),
    "phantom": (0.05, 0.2),
    "Adam on dW1": (0.001,),
    "equilibrium propagation": (0.05,),
    "mean metric": (0.05,),
}
#: The two rows of which something is required.
SMOOTH, JUMPY = ("dW3K", 0.05), ("dW1", 0.1)
MNIST_RATES = {"dW3K": (0.05, 0.1, 0.25), "dW1": (0.005, 0.01, 0.025), "dW4": (0.05, 0.1)}
#: The mean metric inverts a matrix for every sample: its runs are this much shorter.
MEAN_METRIC_SHARE = 0.2


def rule_of(name: str, solver: Any) -> Any:
    """The rule by its name in the tables."""
    import weightpath as wp

    gradient = wp.EuclideanFixedPoint(solver=solver)
    return {
        "dW1": gradient,
        "Adam on dW1": gradient,
        "dW3K": wp.Reparameterised(parameter="K", solver=solver),
        "dW4": wp.Reparameterised(parameter="dW4", solver=solver),
        "phantom": wp.PhantomGradient(terms=1, solver=solver),
        "equilibrium propagation": wp.EquilibriumPropagation(nudge=0.01, solver=solver),
        # An early end of its conjugate gradients still descends.
        "mean metric": wp.MeanMetric(parameter="K", tolerance=1e-2, max_steps=10, solver=solver),
    }[name]  # fmt: skip


@cache
def optimiser_of(name: str, rate: float) -> Any:
    """Plain steps of size 1, whose rate the setup holds, so that all rates share a program; or Adam at its rate."""
    import optax

    return optax.adam(rate) if name.startswith("Adam") else plain()


@cache
def plain() -> Any:
    """Plain gradient steps of size 1."""
    import optax

    return optax.sgd(1.0)


def learned(network: Any, task: Any, name: str, rate: float, solver: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """The network after the updates of `task.order`, and of each update's minibatch, before it: loss, unsolved images.

    Every update starts its fixed points at rest. A run that fails ends with its last good network, and has fewer
    updates.
    """
    import weightpath as wp

    rates = {} if name.startswith("Adam") else {"w_rec": rate}
    setup = wp.Setup(network, task, rule_of(name, solver), train=("w_rec",), rates=rates)
    updates = task.order.shape[0]
    record = wp.Record(every=1, what={})  # the numbers of every update, and the last network alone
    path = wp.train(setup, optimiser_of(name, rate), updates, record=record, throw=False, progress=False)
    losses, unsolved = (np.asarray(value)[:updates] for value in (path.loss, path.statistics["unsolved"]))
    return path.network(-1), losses, unsolved


@cache
def _tester() -> Callable:
    """Accuracy on a batch, and largest real part of the eigenvalues of the weights."""
    import equinox as eqx
    import jax.numpy as jnp

    from weightpath.rules.static_loss import accuracy

    @eqx.filter_jit
    def test(network, batch, solver):
        return accuracy(network, batch, solver), jnp.max(jnp.linalg.eigvals(network.w_rec).real)

    return test


def digit_problem(seed: int, updates: int) -> tuple[Any, Any, Any]:
    """Network, task and held-out images of the recipe: one legacy stream, drawn in the stated order."""
    import weightpath as wp

    stream = np.random.RandomState(seed)
    images = wp.tasks.digits(stream)
    w_rec = 0.5 * stream.randn(100, 100) / np.sqrt(100)
    w_in = stream.randn(100, 64) / 8
    network = wp.RateRNN(w_rec, w_in, stream.randn(10, 100) / np.sqrt(100), leak=0.01)
    return network, images.task(order=images.epochs(stream, DIGIT_BATCH, updates)), images.held_out.everything()


def mnist_problem(folder: Path, seed: int, updates: int) -> tuple[Any, Any, Any]:
    """The same for MNIST at the sizes of the source: 300 units, batches of 512, 32-bit numbers."""
    import weightpath as wp

    stream = np.random.RandomState(seed)
    images = wp.tasks.mnist(folder, stream, dtype="float32")
    w_rec = 0.5 * stream.randn(300, 300) / np.sqrt(300)
    w_in = stream.randn(300, 784) / np.sqrt(784)
    w_out = stream.randn(10, 300) / np.sqrt(300)
    network = wp.RateRNN(*(part.astype(np.float32) for part in (w_rec, w_in, w_out)), leak=0.01)
    return network, images.task(order=images.epochs(stream, MNIST_BATCH, updates)), images.held_out.everything()


def row_name(rule: str, rate: float) -> str:
    """How a row is called: the rule and its learning rate."""
    return f"{rule} {rate:g}"


def run_row(problems: list[tuple[Any, Any, Any]], name: str, rate: float, solver: Any, updates: int) -> dict[str, Any]:
    """Losses, unsolved images (seed, update), accuracies, abscissas (seed) of one row; NaN beyond its own updates."""
    from dataclasses import replace

    found: dict[str, list] = {"loss": [], "unsolved": [], "accuracy": [], "abscissa": []}
    for network, task, held_out in problems:
        network, losses, unsolved = learned(network, task, name, rate, solver)
        accuracy, abscissa = _tester()(network, held_out, replace(solver, max_steps=2000))
        tail = np.full(updates - losses.size, np.nan)
        failed = losses.size < task.order.shape[0]
        found["loss"].append(np.concatenate([losses, tail]))
        found["unsolved"].append(np.concatenate([unsolved, tail]))
        found["accuracy"].append(np.nan if failed else float(accuracy))
        found["abscissa"].append(float(abscissa))
    return {key: np.asarray(values) for key, values in found.items()}


def row_dataset(prefix: str, name: str, rate: float, seeds: list[int], found: dict[str, Any]) -> Dataset:
    """One row as a dataset; names of variables and dimensions begin with `prefix`."""
    import xarray as xr

    row, seed, update = (f"{prefix}_{axis}" for axis in ("row", "seed", "update"))
    loss = found["loss"]
    with np.errstate(invalid="ignore"):
        jumps = np.sum(np.diff(loss, axis=1) > JUMP, axis=1)
        unsolved = np.sum(found["unsolved"] > 0, axis=1)
    per_seed = {
        "accuracy": found["accuracy"], "abscissa": found["abscissa"], "jumps": jumps, "unconverged": unsolved,
        "updates": np.sum(np.isfinite(loss), axis=1),
    }  # fmt: skip
    data: dict[str, Any] = {
        f"{prefix}_{key}": ((row, seed), np.asarray(value, float)[None]) for key, value in per_seed.items()
    }
    data[f"{prefix}_loss"] = ((row, seed, update), loss[None])
    coords = {
        row: [row_name(name, rate)], seed: seeds, update: np.arange(loss.shape[1]),
        f"{prefix}_rule": (row, [name]), f"{prefix}_rate": (row, [rate]),
    }  # fmt: skip
    return xr.Dataset(data, coords)
