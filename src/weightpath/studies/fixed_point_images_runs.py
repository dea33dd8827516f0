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
#: A batch whose largest residual is above this at its last iterate is unconverged, and is used as it is.
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
    from dataclasses import replace

    import weightpath as wp

    gradient = wp.EuclideanFixedPoint(solver=replace(solver, adjoint="lu"))
    return {
        "dW1": gradient,
        "Adam on dW1": gradient,
        "dW3K": wp.Reparameterised(parameter="K", solver=solver),
        "dW4": wp.Reparameterised(parameter="dW4", solver=solver),
        "phantom": wp.PhantomGradient(terms=1, solver=solver),
        "equilibrium propagation": wp.EquilibriumPropagation(nudge=0.01, solver=solver),
        # An early end of its conjugate gradients still descends.
        "mean metric": wp.MeanMetric(parameter="K", tolerance=1e-2, max_steps=10, solver=gradient.solver),
    }[name]  # fmt: skip


def learned(network: Any, task: Any, name: str, rate: float, solver: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """The network after the updates of `task.order`, each update's minibatch loss before it, and its residual.

    Every update starts its fixed points at rest. The numbers are read off the updates themselves: `wp.train`, which
    takes the same steps, would solve every batch a second time to record them. After an update that is not finite
    nothing more is learned, and losses are NaN.
    """
    program, adam = _program(), name.startswith("Adam")
    network, losses, residuals = program(network, task, rule_of(name, solver), np.asarray(rate), adam)
    return network, np.asarray(losses, float), np.asarray(residuals, float)


@cache
def _program() -> Callable:
    """One compiled program a rule, for all its learning rates and seeds."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    from weightpath.networks.slopes import drive_of, rates_of

    @eqx.filter_jit
    def run(network, task, rule, rate, adam):
        transform = optax.scale_by_adam() if adam else optax.identity()
        rate = jnp.asarray(rate, network.w_rec.dtype)

        def learn(carry, step):
            w_rec, memory, _ = carry
            here = eqx.tree_at(lambda value: value.w_rec, network, w_rec)
            batch = task.sample(None, step)
            velocity, rates, info = rule.update(here, batch, rule.init(here, batch, None))
            image = rates_of(here, rates @ w_rec.T + drive_of(here, batch.inputs))
            direction, memory = transform.update(velocity.w_rec, memory)
            moved = w_rec + rate * jnp.asarray(direction)
            good = jnp.all(jnp.isfinite(moved))
            after = jnp.where(good, moved, w_rec), memory, good
            return after, (info.loss, jnp.max(jnp.abs(image - rates)))

        def stand(carry, step):
            nan = jnp.full((), jnp.nan, network.w_rec.dtype)
            return carry, (nan, nan)

        def update(carry, step):
            return jax.lax.cond(carry[2], learn, stand, carry, step)

        begin = network.w_rec, transform.init(network.w_rec), jnp.asarray(True)
        (w_rec, _, _), numbers = jax.lax.scan(update, begin, jnp.arange(task.order.shape[0]))
        return eqx.tree_at(lambda value: value.w_rec, network, w_rec), *numbers

    return run


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
    """Losses, residuals (seed, update), accuracies and abscissas (seed) of one row; NaN beyond its own updates."""
    from dataclasses import replace

    found: dict[str, list] = {"loss": [], "residual": [], "accuracy": [], "abscissa": []}
    for network, task, held_out in problems:
        network, losses, residuals = learned(network, task, name, rate, solver)
        accuracy, abscissa = _tester()(network, held_out, replace(solver, max_steps=2000))
        tail = np.full(updates - losses.size, np.nan)
        failed = not np.isfinite(losses).all()
        found["loss"].append(np.concatenate([losses, tail]))
        found["residual"].append(np.concatenate([residuals, tail]))
        found["accuracy"].append(np.nan if failed else float(accuracy))
        found["abscissa"].append(float(abscissa))
    return {key: np.asarray(values) for key, values in found.items()}


def row_dataset(
    prefix: str, name: str, rate: float, seeds: list[int], found: dict[str, Any], tolerance: float
) -> Dataset:
    """One row as a dataset; names of variables and dimensions begin with `prefix`."""
    import xarray as xr

    row, seed, update = (f"{prefix}_{axis}" for axis in ("row", "seed", "update"))
    loss, residual = found["loss"], found["residual"]
    with np.errstate(invalid="ignore"):
        jumps = np.sum(np.diff(loss, axis=1) > JUMP, axis=1)
        unsolved = np.sum(residual > tolerance, axis=1)
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
