"""Training on static stimuli: the batch of a step, its velocity or exact step, what is measured at the records."""

from collections.abc import Callable
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._results import RESULTS
from weightpath._types import Array, Float, Int, Key, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.steady_solver import SteadySolver
from weightpath.rules.base import Info
from weightpath.rules.fixed_point_base import AbstractFixedPointRule
from weightpath.rules.reparameterised import Reparameterised
from weightpath.rules.static_loss import at_rest, cold_start, unsolved
from weightpath.setup import Setup
from weightpath.tasks.static import StaticTargets
from weightpath.tasks.static_batch import StaticBatch

#: Weights whose norm is this many times the first one (or one, if larger) count as divergence: near a singularity the
#: loss levels off while they run away. Exact steps cross infinity at finite distances from it.
VAST = 1e12


class StaticStep(eqx.Module):
    """A learning step on static stimuli: what it learns from, and the steps it offers."""

    batch: StaticBatch
    start: Float[Array, "trial unit"]
    """The network's states at which the solve starts."""
    loss: Float[Array, ""]
    """Loss of the batch at the present weights."""
    offer: Callable[[Float[Array, ""]], tuple[PyTree, RESULTS]] | None
    """Change of the weights at a fraction of the learning rate, for rules whose steps are not proportional to it."""


def is_static(setup: Setup) -> bool:
    """Whether the setup learns fixed points."""
    return isinstance(setup.task, StaticTargets)


def static_batch(
    network: AbstractNetwork, task: StaticTargets, memory: PyTree, key: Key | None, step
) -> tuple[StaticBatch, Array]:
    """The samples of a step, and the states from which they are solved.

    These are the last fixed points where every step has the same samples, else states of rest.
    """
    batch = task.sample(key, step)
    return batch, memory if task.repeats and memory is not None else cold_start(network, batch)


def first_states(setup: Setup, key: Key | None) -> Float[Array, "trial unit"]:
    """The rule's first memory. **Raises:** ValueError for a network for which the rule is not defined."""
    task = cast(StaticTargets, setup.task)
    return setup.rule.init(setup.network, task.sample(key, 0), key)


def static_step(
    setup: Setup, memory: PyTree, key: Key | None, step, rate: Array | None
) -> tuple[tuple[AbstractNetwork, PyTree, Info], StaticStep]:
    """Masked velocity, the rule's memory and what was found; and what a guard needs to try the step.

    Rules with exact steps give the velocity that a plain step of size `rate` turns into the exact one.
    """
    batch, start = static_batch(setup.network, cast(StaticTargets, setup.task), memory, key, step)
    rule = cast(AbstractFixedPointRule, setup.rule)
    if not rule.steps_exactly:
        velocity, memory, info = rule.update(setup.network, batch, start)
        return (setup.masked(velocity), memory, info), StaticStep(batch, start, info.loss, None)
    exact, size = cast(Reparameterised, rule), cast(Array, rate)

    def offer(share):
        rates = {name: share * size * relative for name, relative in setup.rates.items()}
        change, memory, info = exact.finite_step(setup.network, batch, start, rates)
        return change, memory, info

    change, memory, info = offer(jnp.ones_like(size))
    velocity = jax.tree.map(lambda leaf: leaf / size, change)
    fraction = lambda share: (lambda found: (found[0], found[2].result))(offer(share))  # noqa: E731
    return (velocity, memory, info), StaticStep(batch, start, info.loss, fraction)


def measured(setup: Setup, memory: PyTree, key: Key | None, step: Int[Array, ""]) -> dict[str, Array]:
    """Numbers of the setup's network on the samples of `step`, which it has not learned from yet.

    `loss`; `stable`, the fraction of samples at a stable fixed point; `margin`, the least distance to instability
    where eigenvalues were looked at (else NaN: the iteration itself showed stability); `unsolved`, samples without
    fixed point; `silent`, the loss of a network without outputs.
    """
    task, solver = cast(StaticTargets, setup.task), cast(AbstractFixedPointRule, setup.rule).solver
    return _measured(setup.network, task, solver, memory, key, step)


@eqx.filter_jit
def _measured(network, task: StaticTargets, solver: SteadySolver, memory, key, step) -> dict[str, Array]:
    """The same for every rule, and so compiled once for all."""
    batch, start = static_batch(network, task, memory, key, step)
    rest = at_rest(network, batch, start, solver, check=None)
    steady = rest.steady
    known = jnp.where(jnp.isnan(steady.margin), jnp.inf, steady.margin)
    least = jnp.min(known)
    return {
        "loss": rest.loss,
        "stable": jnp.mean(steady.stable.astype(rest.loss.dtype)),
        "margin": jnp.where(jnp.isinf(least), jnp.nan, least),
        "unsolved": unsolved(steady),
        "silent": batch.criterion(jnp.zeros_like(steady.outputs)),
    }


def runs_away(trained: PyTree, scale: Float[Array, ""]) -> Array:
    """Whether a trained array has grown out of all proportion to `scale`, the largest norm at the start."""
    return jnp.any(jnp.array([jnp.linalg.norm(leaf) > VAST * scale for leaf in jax.tree.leaves(trained)]))


def first_size(trained: PyTree) -> Float[Array, ""]:
    """Largest norm of the trained arrays, at least 1."""
    return jnp.max(jnp.array([1.0, *(jnp.linalg.norm(leaf) for leaf in jax.tree.leaves(trained))]))


def check_static(setup: Setup, plain: float | None, key: Key | None, steps: int, update: str) -> Key | None:
    """The key where epochs are shuffled, else None.

    **Raises:** ValueError for a missing key, more steps than `order` has rows, a rate that is not positive, exact steps
    with an optimiser that is not plain, steps within trials.
    """
    task, rule = cast(StaticTargets, setup.task), cast(AbstractFixedPointRule, setup.rule)
    name = type(rule).__name__
    if update != "trial":
        raise ValueError('update="step" learns within trials in time, and static stimuli have none; leave it out.')
    if plain is not None and not 0 < plain < float("inf"):
        raise ValueError(f"the learning rate must be positive and finite; got {plain}.")
    if rule.steps_exactly and plain is None:
        raise ValueError(
            f"the steps of {name}(exact=True) are steps of plain gradient descent; this optimiser has a memory or a "
            f"step that is not proportional to the gradient. Use optax.sgd(rate), or {name}(exact=False)."
        )
    if task.order is not None and steps > task.order.shape[0]:
        raise ValueError(f"order has the samples of {task.order.shape[0]} updates, not of {steps}; give more rows.")
    if task.trials is not None and key is None:
        raise ValueError("this task shuffles its samples; give wp.train a key=jax.random.key(seed).")
    if "w_out" not in setup.train and not jnp.any(setup.network.w_out):
        raise ValueError(
            "no output reads the network (w_out is zero and frozen): the gradient is identically zero. "
            "Give w_out a nonzero start."
        )
    return key if task.trials is not None else None
