"""Guards of training on static stimuli: a step is tried on its own samples before it is taken."""

from collections.abc import Callable
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._results import RESULTS
from weightpath._types import Array, Float, PyTree
from weightpath.learn.guards import RISE, Guards, Pace, largest_share
from weightpath.learn.integrate import trained_part
from weightpath.learn.static import StaticStep
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.steady_stability import recurrent_spectrum
from weightpath.rules.euclidean import EuclideanFixedPoint
from weightpath.rules.fixed_point_base import AbstractFixedPointRule
from weightpath.rules.static_loss import at_rest
from weightpath.setup import Setup


class _Tried(eqx.Module):
    """The last attempt at a step."""

    trained: PyTree
    share: Float[Array, ""]
    """Fraction of the learning rate that was tried, and what was used of it after `max_rel_step`."""
    used: Float[Array, ""]
    count: Array
    result: RESULTS


def guarded_static_step(
    setup: Setup,
    updates: PyTree,
    pace: Pace,
    guards: Guards | None,
    max_rel_step: Array | None,
    step: StaticStep,
    rate: Array | None = None,
) -> tuple[PyTree, Pace, RESULTS]:
    """The trained weights after the largest step of the rule that passes, else of the gradient where that is asked for.

    Where no step passes, the weights are those of `setup`. `rate`: that of plain steps, for steps of the gradient.
    """
    linear = lambda share: (jax.tree.map(lambda leaf: share * leaf, updates), RESULTS.successful)  # noqa: E731
    offer = linear if step.offer is None else _trained_offer(setup, step.offer)
    if guards is None:
        change, result = offer(pace.share)
        after, used = _capped(setup, change, pace.share, max_rel_step)
        return after, pace.moved(used, pace.share, pace.rejected), result
    spare = jnp.maximum(guards.max_halvings - pace.rejected, 0)
    if guards.fall_back is None:
        tried = _searched(setup, offer, pace, guards, max_rel_step, step, spare)
        return _outcome(setup, pace, tried, tried.share)
    tried = _searched(setup, offer, pace, guards, max_rel_step, step, jnp.asarray(guards.fall_back))
    good = tried.result == RESULTS.successful

    def fall(_):
        gradient = _gradient_offer(setup, step, cast(Array, rate))
        return _searched(setup, gradient, pace, guards, max_rel_step, step, jnp.asarray(guards.max_halvings))

    second = jax.lax.cond(good, lambda _: tried, fall, None)
    kept = jnp.where(good, tried.share, pace.share)  # a direction that does not descend says nothing about the rate
    count = tried.count + jnp.where(good, 0, 1 + second.count)
    second = eqx.tree_at(lambda value: value.count, second, count)
    after, pace, result = _outcome(setup, pace, second, kept)
    return after, eqx.tree_at(lambda value: value.fallen, pace, pace.fallen + ~good), result


def _searched(setup, offer, pace: Pace, guards: Guards, limit, step: StaticStep, halvings: Array) -> _Tried:
    """The first of the halved steps that passes, or the last that was tried."""
    _, frozen = trained_part(setup)
    solver = cast(AbstractFixedPointRule, setup.rule).solver
    most = step.rest.loss * guards.rise * (1 + RISE) + pace.ground

    def attempt(share, count):
        change, result = offer(share)
        after, used = _capped(setup, change, share, limit)
        network = eqx.combine(after, frozen)
        result = RESULTS.where(result == RESULTS.successful, _verdict(network, step, most, guards, solver), result)
        return _Tried(after, share, used, count, result)

    def unsettled(tried: _Tried):
        failed = tried.result != RESULTS.successful
        return failed & _may_halve(tried.result, guards) & (tried.count < halvings)

    # The loop body is the only place where a step is tried: one program less to compile.
    untried = _Tried(trained_part(setup)[0], 2 * pace.share, 0 * pace.share, jnp.asarray(-1), RESULTS.nonfinite)
    return jax.lax.while_loop(
        lambda tried: (tried.count < 0) | unsettled(tried),
        lambda tried: attempt(tried.share / 2, tried.count + 1),
        untried,
    )


def _outcome(setup: Setup, pace: Pace, tried: _Tried, kept: Array) -> tuple[PyTree, Pace, RESULTS]:
    passed = tried.result == RESULTS.successful
    rejected = pace.rejected + tried.count + ~passed  # the last attempt, too, was one
    after = jax.tree.map(lambda new, old: jnp.where(passed, new, old), tried.trained, trained_part(setup)[0])
    kept = jnp.where(passed, kept, pace.share)
    return after, pace.moved(jnp.where(passed, tried.used, 0.0), kept, rejected), tried.result


def _capped(setup: Setup, change: PyTree, share: Array, limit: Array | None) -> tuple[PyTree, Array]:
    """The trained weights after `change`, scaled down to the relative step `limit`; the share of the rate used."""
    trained = trained_part(setup)[0]
    part = jnp.ones_like(share) if limit is None else jnp.minimum(1.0, largest_share(trained, change, limit))
    after = jax.tree.map(lambda weight, update: weight + (part * update).astype(weight.dtype), trained, change)
    return after, share * part


def _verdict(network: AbstractNetwork, step: StaticStep, most: Array, guards: Guards, solver) -> RESULTS:
    """What is wrong with a network: not finite, else unsolved, else unstable, else a higher loss, else nothing."""
    rest = at_rest(network, step.batch, step.start, solver)
    result = RESULTS.successful
    if guards.loss_rise is not None:
        result = RESULTS.where(rest.loss <= most, result, RESULTS.diverged)
    if guards.unstable is not None and guards.margin is not None:
        abscissa = jnp.max(recurrent_spectrum(network, rest.steady.slopes).real)
        result = RESULTS.where(abscissa < 1 - guards.margin, result, RESULTS.unstable_recurrence)
    if guards.unsolved is not None:
        result = RESULTS.where(rest.result == RESULTS.successful, result, rest.result)
    finite = jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(network)])
    return RESULTS.where(jnp.all(finite), result, RESULTS.nonfinite)


def _may_halve(result: RESULTS, guards: Guards) -> Array:
    actions = (
        (RESULTS.unstable_recurrence, guards.unstable),
        (RESULTS.nonfinite, guards.nonfinite),
        (RESULTS.diverged, guards.loss_rise),
        (RESULTS.no_fixed_point, guards.unsolved),
        (RESULTS.max_steps, guards.unsolved),
        (RESULTS.singular, guards.unsolved),
    )
    return jnp.any(jnp.stack([(result == kind) & (action == "halve") for kind, action in actions]))


def _trained_offer(setup: Setup, offer: Callable) -> Callable:
    def of_trained(share):
        change, result = offer(share)
        return trained_part(setup.with_network(change))[0], result

    return of_trained


def _gradient_offer(setup: Setup, step: StaticStep, rate: Array) -> Callable:
    """Plain steps along the gradient on the step's samples."""
    rule = EuclideanFixedPoint(solver=cast(AbstractFixedPointRule, setup.rule).solver)
    velocity, found = rule.update_at(setup.network, step.batch, step.rest)
    moving = trained_part(setup.with_network(setup.masked(velocity)))[0]

    def offer(share):
        return jax.tree.map(lambda leaf: share * rate * leaf, moving), found.result

    return offer
