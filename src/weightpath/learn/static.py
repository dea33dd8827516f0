"""Training on static stimuli: the network at rest on the samples of a step, its update, what the records tell."""

from collections.abc import Callable
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Array, Float, Int, Key, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.chunks import in_chunks
from weightpath.networks.slopes import is_linear
from weightpath.networks.steady_solver import SteadySolver
from weightpath.networks.steady_stability import decays, linear_stability, margin_of, recurrent_spectrum
from weightpath.networks.steady_state import SteadyState
from weightpath.rules.base import Info
from weightpath.rules.fixed_point_base import AbstractFixedPointRule, info
from weightpath.rules.reparameterised import Reparameterised
from weightpath.rules.static_loss import AtRest, at_rest, cold_start
from weightpath.setup import Setup
from weightpath.tasks.static import StaticTargets
from weightpath.tasks.static_batch import StaticBatch

#: Weights whose norm is this many times the first one (or one, if larger) count as divergence: near a singularity the
#: loss levels off while they run away. Exact steps cross infinity at finite distances from it.
VAST = 1e12


class Standing(eqx.Module):
    """A network at rest on the samples of its next step: solved once, for the update and for the record."""

    rest: AtRest
    batch: StaticBatch | None
    """The samples; None where every step sees all of them."""


class StaticStep(eqx.Module):
    """A learning step on static stimuli: what it learns from, and the steps it offers."""

    batch: StaticBatch
    rest: AtRest
    """The network at its fixed points, at the present weights."""
    start: Float[Array, "trial unit"]
    """The network's states at which the solve of other weights starts."""
    offer: Callable[[Float[Array, ""]], tuple[PyTree, RESULTS]] | None
    """Change of the weights at a fraction of the learning rate, for rules whose steps are not proportional to it."""


def is_static(setup: Setup) -> bool:
    """Whether the setup learns fixed points."""
    return isinstance(setup.task, StaticTargets)


def no_standing(setup: Setup, key: Key | None) -> Standing:
    """What stands in for the network at rest before it is solved: zeros.

    **Raises:** ValueError for a network for which the rule is not defined.
    """
    rule = cast(AbstractFixedPointRule, setup.rule)
    rule.check_network(setup.network)
    return _no_standing(setup.network, cast(StaticTargets, setup.task), rule.solver, key)


@eqx.filter_jit
def _no_standing(network, task: StaticTargets, solver: SteadySolver, key) -> Standing:
    shapes = jax.eval_shape(lambda: _standing(network, task, solver, None, key, jnp.asarray(0)))
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def silent_loss(setup: Setup, standing: Standing) -> Float[Array, ""]:
    """Loss of a network without outputs on the samples of the first step."""
    batch = cast(StaticTargets, setup.task).everything() if standing.batch is None else standing.batch
    return _silent(batch, standing.rest.steady.outputs)


@eqx.filter_jit
def _silent(batch: StaticBatch, outputs: Array) -> Array:
    return batch.criterion(jnp.zeros_like(outputs))


def next_standing(setup: Setup, before: Standing, key: Key | None, step: Int[Array, ""]) -> Standing:
    """The network on the samples of `step`; from the last fixed points where these are the same, else from rest."""
    task, solver = cast(StaticTargets, setup.task), cast(AbstractFixedPointRule, setup.rule).solver
    first = cold_start(setup.network, task.everything()) if task.repeats else None
    start = None if first is None else jnp.where(step == 0, first, before.rest.steady.states)
    return _standing(setup.network, task, solver, start, key, step)


def _standing(network, task: StaticTargets, solver: SteadySolver, start: Array | None, key, step) -> Standing:
    batch = task.sample(key, step)
    return Standing(at_rest(network, batch, start, solver), None if task.repeats else batch)


def static_step(
    setup: Setup, standing: Standing, rate: Array | None
) -> tuple[tuple[AbstractNetwork, Standing, Info], StaticStep]:
    """Masked velocity, and what was found; and what a guard needs to try the step.

    Rules with exact steps give the velocity that a plain step of size `rate` turns into the exact one.
    """
    task, rest = cast(StaticTargets, setup.task), standing.rest
    batch = task.everything() if standing.batch is None else standing.batch
    start = rest.steady.states if task.repeats else cold_start(setup.network, batch)
    rule = cast(AbstractFixedPointRule, setup.rule)
    if not rule.steps_exactly:
        velocity, found = rule.update_at(setup.network, batch, rest)
        return (setup.masked(velocity), standing, found), StaticStep(batch, rest, start, None)
    exact, size = cast(Reparameterised, rule), cast(Array, rate)

    def offer(share):
        rates = {name: share * size * relative for name, relative in setup.rates.items()}
        change, result = exact.step_at(setup.network, batch, rest, rates)
        return change, info(rest, result).result

    change, result = offer(jnp.ones_like(size))
    velocity = jax.tree.map(lambda leaf: leaf / size, change)
    return (velocity, standing, info(rest, result)), StaticStep(batch, rest, start, offer)


def measured(network: AbstractNetwork, standing: Standing, solver: SteadySolver) -> dict[str, Array | np.ndarray]:
    """Numbers of a network on the samples of its next step, which it has not learned from yet; nothing is solved.

    `loss`; `stable`, the fraction of samples at a stable fixed point; `margin`, the least distance to instability
    where eigenvalues were looked at (else NaN: the iteration itself showed stability); `unsolved`, samples without
    fixed point.
    """
    stable, margin = _stability(network, standing.rest.steady, solver)
    loss, known = standing.rest.loss, margin[~np.isnan(margin)]
    return {
        "loss": loss,
        "stable": np.asarray(np.mean(stable), loss.dtype),
        "margin": np.asarray(np.min(known) if known.size else np.nan, loss.dtype),
        "unsolved": np.asarray(np.sum(np.asarray(standing.rest.steady.rung) == 0)),
    }


def _stability(network: AbstractNetwork, steady: SteadyState, solver: SteadySolver) -> tuple[np.ndarray, np.ndarray]:
    """Which samples are stable, with the margins that had to be computed for it, (trial,) each.

    The solve knows it of a nonlinear network, unless the start was on the point already: then a generic perturbation
    is followed, and where it does not decay eigenvalues decide. What is not needed is not even compiled.
    """
    if is_linear(network):
        of_linear = _stability_of_linear(network, steady.solved)
        return np.asarray(of_linear[0]), np.asarray(of_linear[1])
    stable, margin = np.asarray(steady.stable), np.asarray(steady.margin)
    unknown = np.asarray(steady.solved) & (np.asarray(steady.iterations) == 0)
    if not unknown.any():
        return stable, margin
    attracting = np.asarray(_perturbed(network, steady, jnp.asarray(unknown), solver))
    if not attracting[unknown].all():
        margin = np.asarray(_margins(network, steady, jnp.asarray(unknown & ~attracting)))
    return np.where(unknown, attracting | (margin > 0), stable), margin


@eqx.filter_jit
def _stability_of_linear(network, solved) -> tuple[Array, Array]:
    return linear_stability(network, solved, "flow", False)


@eqx.filter_jit
def _perturbed(network, steady: SteadyState, unknown: Array, solver: SteadySolver) -> Array:
    damping = jnp.full_like(steady.residual, solver.damping[0])
    return decays(network, steady.slopes, damping, unknown, solver.max_steps)


@eqx.filter_jit
def _margins(network, steady: SteadyState, unknown: Array) -> Array:
    def work(slopes):
        return margin_of(network, recurrent_spectrum(network, slopes), "flow")

    return in_chunks(work, unknown, steady.slopes, steady.margin, steady.slopes.shape[1])


def runs_away(trained: PyTree, scale: Float[Array, ""]) -> Array:
    """Whether a trained array has grown out of all proportion to `scale`, the largest norm at the start."""
    return jnp.any(jnp.array([jnp.linalg.norm(leaf) > VAST * scale for leaf in jax.tree.leaves(trained)]))


def first_size(trained: PyTree) -> Float[Array, ""]:
    """Largest norm of the trained arrays, at least 1."""
    leaves = jax.tree.leaves(trained)
    largest = max([1.0, *(float(np.linalg.norm(np.asarray(leaf))) for leaf in leaves)])
    return jnp.asarray(largest, leaves[0].dtype)


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
    if "w_out" not in setup.train and not np.any(np.asarray(setup.network.w_out)):
        raise ValueError(
            "no output reads the network (w_out is zero and frozen): the gradient is identically zero. "
            "Give w_out a nonzero start."
        )
    return key if task.trials is not None else None
