"""Discrete learning steps, compiled in chunks of any length."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from weightpath._results import RESULTS
from weightpath._types import Array, Bool, Float, Int, Key, PyTree
from weightpath.learn.guards import ROUNDING, Guards, Pace, guarded_step
from weightpath.learn.integrate import trained_part
from weightpath.learn.static import (
    StaticStep,
    first_size,
    is_static,
    next_standing,
    no_standing,
    runs_away,
    silent_loss,
    static_step,
)
from weightpath.learn.static_guards import guarded_static_step
from weightpath.learn.velocity import exact_loss, exact_velocity
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.base import Info
from weightpath.setup import Setup
from weightpath.tasks.base import Batch

#: A batch loss this many times the first one (or that of a silent network, if larger) counts as divergence.
DIVERGED = 1e6


class Progressed(eqx.Module):
    """Where a run stands between two chunks."""

    trained: PyTree
    previous: PyTree
    """Trained weights one step before; the last ones known to be good while `trained` is untried."""
    optimiser: PyTree
    rule: PyTree
    """The rule's memory; on static stimuli the network at rest on the samples of the next step (`Standing`)."""
    step: Int[Array, ""]
    scale: Float[Array, ""]
    """Loss against which divergence is judged."""
    result: RESULTS
    pace: Pace | None = None
    """How fast a guarded run goes; None without guards."""
    size: Float[Array, ""] | None = None
    """Norm of the first weights, against which divergence is judged on static stimuli."""
    earlier: PyTree = None
    """On static stimuli the `Standing` of `previous`."""


def start(
    setup: Setup,
    optimiser: optax.GradientTransformation,
    key: Key | None,
    pace: Pace | None = None,
    first: Callable[[Setup, Key], tuple[PyTree, Array]] | None = None,
) -> Progressed:
    """The state before the first step; `first` makes the rule's memory where it is not that of whole trials.

    On static stimuli it is one step earlier: `advance` until 0 brings the network to rest, and `begun` follows.
    """
    trained, _ = trained_part(setup)
    moments = optimiser.init(trained)  # pyright: ignore[reportArgumentType]
    zero, good = jnp.asarray(0), RESULTS.successful
    if is_static(setup):
        empty, infinite = no_standing(setup, key), jnp.full((), jnp.inf, setup.network.w_rec.dtype)
        return Progressed(trained, trained, moments, empty, zero - 1, infinite, good, pace, first_size(trained), empty)
    memory, scale = (None, jnp.asarray(jnp.inf)) if key is None else (first or _first_batch)(setup, key)
    return Progressed(trained, trained, moments, memory, zero, scale, good, pace)


def begun(state: Progressed, setup: Setup) -> Progressed:
    """The state of a run on static stimuli whose network has come to rest, with the losses by which it is judged."""
    silent, pace = silent_loss(setup, state.rule), state.pace
    if pace is not None:
        pace = dataclasses.replace(pace, ground=ROUNDING * silent)
    scale = jnp.maximum(state.rule.rest.loss, silent)
    return dataclasses.replace(state, earlier=state.rule, scale=scale, pace=pace)


@eqx.filter_jit
def advance(
    state: Progressed,
    setup: Setup,
    optimiser: optax.GradientTransformation,
    key: Key | None,
    until: Int[Array, ""],
    guards: Guards | None = None,
    max_rel_step: Float[Array, ""] | None = None,
    rate: Float[Array, ""] | None = None,
) -> Progressed:
    """Learn until step `until`, or until the first failure, after which the last good weights stand.

    `rate`: that of plain gradient steps, which rules with exact steps need.
    """
    _, frozen = trained_part(setup)

    def unfinished(state):
        return (state.step < until) & (state.result == RESULTS.successful)

    def body(state):
        here = setup.with_network(eqx.combine(state.trained, frozen))
        if is_static(setup):
            after = jax.lax.cond(
                state.step < 0,
                lambda: dataclasses.replace(state, step=jnp.zeros_like(state.step)),
                lambda: taken(state, here, *static_step(here, state.rule, rate), optimiser, guards, max_rel_step, rate),
            )
            there = setup.with_network(eqx.combine(after.trained, frozen))
            rest = jax.lax.cond(
                after.result == RESULTS.successful,
                lambda: next_standing(there, after.rule, key, after.step),
                lambda: after.rule,
            )
            return dataclasses.replace(after, rule=rest)
        velocity, memory, info = _velocity(here, state.rule, key, state.step)
        return taken(state, here, (velocity, memory, info), None, optimiser, guards, max_rel_step)

    return jax.lax.while_loop(unfinished, body, state)


def taken(
    state: Progressed,
    here: Setup,
    found: tuple[AbstractNetwork, PyTree, Info],
    static: StaticStep | None,
    optimiser: optax.GradientTransformation,
    guards: Guards | None,
    max_rel_step: Float[Array, ""] | None,
    rate: Float[Array, ""] | None = None,
) -> Progressed:
    """The state after a step of the optimiser along the velocity `found`, or after the failure that it shows."""
    velocity, memory, info = found
    moving = trained_part(here.with_network(velocity))[0]
    result = _judged(moving, info, state.scale)
    if state.size is not None:
        vast = (result == RESULTS.successful) & runs_away(state.trained, state.size)
        result = RESULTS.where(vast, RESULTS.diverged, result)
    good = result == RESULTS.successful
    downhill = jax.tree.map(jnp.negative, moving)
    updates, memory_of_optimiser = optimiser.update(downhill, state.optimiser, state.trained)
    if state.pace is None:
        trained, pace, passed = optax.apply_updates(state.trained, updates), None, RESULTS.successful
    elif static is not None:
        trained, pace, passed = guarded_static_step(here, updates, state.pace, guards, max_rel_step, static, rate)
    else:
        trained, pace, passed = guarded_step(here, updates, state.pace, guards, max_rel_step)
    moved = dataclasses.replace(
        state,
        trained=trained,
        previous=state.trained,
        earlier=None if static is None else state.rule,
        optimiser=memory_of_optimiser,
        rule=memory,
        step=state.step + 1,
        result=passed,
        pace=pace,
    )
    stopped = dataclasses.replace(
        state,
        trained=state.previous,
        rule=state.rule if static is None else state.earlier,
        step=jnp.maximum(state.step - 1, 0),
        result=result,
        pace=None if state.pace is None else state.pace.taken_back(),
    )
    after = _either(good, moved, stopped)
    if pace is None:
        return after
    # A step that no halving lets pass is not taken: everything stands as it was.
    refused = dataclasses.replace(state, result=passed, pace=pace)
    return _either(good & (passed != RESULTS.successful), refused, after)


@eqx.filter_jit
def _first_batch(setup: Setup, key: Key) -> tuple[PyTree, Float[Array, ""]]:
    """The rule's first memory, and the loss against which divergence is judged."""
    batch = setup.task.sample(key, 0)
    memory = setup.rule.init(setup.network, batch, key)
    loss = setup.rule.update(setup.network, batch, memory)[2].loss
    return memory, first_scale(loss, batch)


def first_scale(loss: Float[Array, ""], batch: Batch) -> Float[Array, ""]:
    """Loss against which divergence is judged: a network that starts at the solution is judged by a silent one's."""
    return jnp.maximum(loss, batch.criterion(jnp.zeros_like(batch.targets)))


def _either(first: Array, yes: Progressed, no: Progressed) -> Progressed:
    return jax.tree.map(lambda new, old: jnp.where(first, new, old), yes, no)


@eqx.filter_jit
def sampled_loss(setup: Setup, memory: PyTree, key: Key, step: Int[Array, ""]) -> Float[Array, ""]:
    """Loss of the setup's network on the batch of `step`, which it has not learned from yet."""
    return setup.rule.update(setup.network, setup.task.sample(key, step), memory)[2].loss


recorded_loss = eqx.filter_jit(exact_loss)


def _velocity(setup: Setup, memory: PyTree, key: Key | None, step: Array) -> tuple[AbstractNetwork, PyTree, Info]:
    if key is None:
        velocity, info = exact_velocity(setup)
        return velocity, memory, info
    velocity, memory, info = setup.rule.update(setup.network, setup.task.sample(key, step), memory)
    return setup.masked(velocity), memory, info


def _judged(velocity: PyTree, info: Info, scale: Array) -> RESULTS:
    """The rule's own outcome, else nonfinite, else diverged, else success."""
    finite: Bool[Array, ""] = jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(velocity)]))
    diverged = info.loss > DIVERGED * scale
    found = RESULTS.where(diverged, RESULTS.diverged, RESULTS.successful)
    found = RESULTS.where(finite, found, RESULTS.nonfinite)
    return RESULTS.where(info.result == RESULTS.successful, found, info.result)
