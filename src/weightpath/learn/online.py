"""Learning at every time step of a trial, compiled: a loop over trials around a loop over their time bins."""

from collections.abc import Callable
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from weightpath._results import RESULTS
from weightpath._types import Array, Bool, Float, Int, Key, PyTree
from weightpath.learn.guards import Guards
from weightpath.learn.integrate import trained_part
from weightpath.learn.steps import DIVERGED, Progressed, first_scale, taken
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.backprop import batch_loss
from weightpath.rules.base import found
from weightpath.rules.forward import AbstractForwardRule
from weightpath.rules.influence import AbstractInfluenceRule
from weightpath.rules.online import Carried, begin, by_bin, check_online, online_step, restarted
from weightpath.setup import Setup
from weightpath.tasks.base import Batch


@eqx.filter_jit
def first_streams(setup: Setup, key: Key) -> tuple[Carried, Float[Array, ""]]:
    """All streams at rest, and the loss against which divergence is judged.

    **Raises:** ValueError for rules and tasks that cannot be learned at every time step.
    """
    batch = setup.task.sample(key, 0)
    rule = check_online(setup.rule, batch)
    return begin(rule, setup.network, batch, key), first_scale(batch_loss(setup.network, batch), batch)


def advance_online(
    state: Progressed,
    setup: Setup,
    optimiser: optax.GradientTransformation,
    key: Key,
    until: Int[Array, ""],
    guards: Guards | None = None,
    max_rel_step: Float[Array, ""] | None = None,
) -> Progressed:
    """Learn until step `until`, one time bin each, or until the first failure, after which the last good weights stand.

    Without guards, whether all went well is looked at when the steps are done; if not, they are taken once more, one by
    one, to find the last good weights.
    """
    if guards is None and max_rel_step is None:
        after, good = _quickly(state, setup, optimiser, key, until)
        if bool(good):
            return after
    return _carefully(state, setup, optimiser, key, until, guards, max_rel_step)


@eqx.filter_jit
def trial_loss(setup: Setup, memory: PyTree, key: Key, step: Int[Array, ""]) -> Float[Array, ""]:
    """Loss of the setup's network, as it is, on the whole trials to which step `step` belongs."""
    return batch_loss(setup.network, setup.task.sample(key, step // bins_of(setup, key)))


def run_online(
    setup: Setup, optimiser: optax.GradientTransformation, trials: int, key: Key
) -> tuple[AbstractNetwork, Float[Array, " step"], RESULTS]:
    """Learn at every time step of `trials` batches: the network after, the loss of each step, and the outcome.

    One program without records; `jax.vmap` over the key or the arrays of the setup learns many networks side by side.

    **Raises:** ValueError for rules and tasks that cannot be learned at every time step.
    """
    trained, frozen = trained_part(setup)
    carried, scale = first_streams(setup, key)
    step = _one_bin(setup, optimiser, frozen)

    def trial(learner, index):
        batch = setup.task.sample(key, index)
        trained, moments, carried = learner
        carried = _begun(setup, eqx.combine(trained, frozen), carried, batch, jnp.asarray(0))
        steps = by_bin(_rule(setup), setup.network, carried, batch, index)
        return jax.lax.scan(step, (trained, moments, carried), steps, unroll=_unrolled(_rule(setup)))

    learner = trained, optimiser.init(trained), carried  # pyright: ignore[reportArgumentType]
    (trained, _, _), losses = jax.lax.scan(trial, learner, jnp.arange(trials))
    losses = losses.ravel()
    finite = _all_finite(trained) & jnp.all(jnp.isfinite(losses))
    result = RESULTS.where(jnp.max(losses) > DIVERGED * scale, RESULTS.diverged, RESULTS.successful)
    return eqx.combine(trained, frozen), losses, RESULTS.where(finite, result, RESULTS.nonfinite)


def _unrolled(rule: AbstractForwardRule) -> int:
    """Steps per turn of the loop: a step of a rule with a small trace costs hardly more than the turn."""
    return 1 if isinstance(rule, AbstractInfluenceRule) else 2


def bins_of(setup: Setup, key: Key) -> int:
    """Time bins of a trial of the task."""
    return jax.eval_shape(lambda: setup.task.sample(key, 0)).inputs.shape[1]


@eqx.filter_jit
def _quickly(state: Progressed, setup: Setup, optimiser, key: Key, until: Array) -> tuple[Progressed, Bool[Array, ""]]:
    """The state at step `until`, and whether every step was good; if not, the state is of no use."""
    _, frozen = trained_part(setup)
    one_bin = _one_bin(setup, optimiser, frozen)

    def bin(index, carry):
        learner, worst, steps = carry
        learner, loss = one_bin(learner, jax.tree.map(lambda leaf: leaf[index], steps))
        return learner, jnp.maximum(worst, loss), steps  # maximum keeps a NaN

    def trial(carry):
        step, (trained, moments, carried), worst = carry
        batch, start, stop = _bounds(setup, key, step, until)
        carried = _begun(setup, eqx.combine(trained, frozen), carried, batch, start)
        steps = by_bin(_rule(setup), setup.network, carried, batch, step // bins_of(setup, key))
        learner, worst, _ = jax.lax.fori_loop(start, stop, bin, ((trained, moments, carried), worst, steps))
        return step + stop - start, learner, worst

    start = state.step, (state.trained, state.optimiser, state.rule), jnp.zeros_like(state.scale)
    step, (trained, moments, carried), worst = jax.lax.while_loop(lambda carry: carry[0] < until, trial, start)
    good = (worst <= DIVERGED * state.scale) & _all_finite(trained)
    after = Progressed(trained, trained, moments, carried, step, state.scale, state.result, state.pace)
    return after, good


@eqx.filter_jit
def _carefully(state: Progressed, setup: Setup, optimiser, key: Key, until: Array, guards, max_rel_step) -> Progressed:
    """The same steps, each judged before the next."""
    _, frozen = trained_part(setup)

    def trial(state):
        here = setup.with_network(eqx.combine(state.trained, frozen))
        batch, start, stop = _bounds(setup, key, state.step, until)
        state = eqx.tree_at(lambda value: value.rule, state, _begun(setup, here.network, state.rule, batch, start))
        first = state.step
        steps = by_bin(_rule(setup), setup.network, state.rule, batch, first // bins_of(setup, key))

        def bin(state):
            here = setup.with_network(eqx.combine(state.trained, frozen))
            now = jax.tree.map(lambda leaf: leaf[start + state.step - first], steps)
            velocity, carried, loss = online_step(_rule(setup), here.network, state.rule, *now)
            return taken(
                state, here, (setup.masked(velocity), carried, found(loss)), None, optimiser, guards, max_rel_step
            )

        def going(state):
            return (state.step < first + stop - start) & (state.result == RESULTS.successful)

        return jax.lax.while_loop(going, bin, state)

    def unfinished(state):
        return (state.step < until) & (state.result == RESULTS.successful)

    return jax.lax.while_loop(unfinished, trial, state)


def _one_bin(setup: Setup, optimiser, frozen: AbstractNetwork) -> Callable:
    """One time bin, one change of the weights: (weights, optimiser's memory, carried) and the loss."""

    def step(learner, now):
        trained, moments, carried = learner
        network = eqx.combine(trained, frozen)
        velocity, carried, loss = online_step(_rule(setup), network, carried, *now)
        moving = trained_part(setup.with_network(setup.masked(velocity)))[0]
        updates, moments = optimiser.update(jax.tree.map(jnp.negative, moving), moments, trained)
        return (optax.apply_updates(trained, updates), moments, carried), loss

    return step


def _rule(setup: Setup) -> AbstractForwardRule:
    """The rule, which `first_streams` has checked."""
    return cast(AbstractForwardRule, setup.rule)


def _bounds(setup: Setup, key: Key, step: Array, until: Array) -> tuple[Batch, Array, Array]:
    """The trials to which `step` belongs, its bin, and the bin at which to stop."""
    bins = bins_of(setup, key)
    start = step % bins
    return setup.task.sample(key, step // bins), start, jnp.minimum(bins, start + until - step)


def _begun(setup: Setup, network: AbstractNetwork, carried: Carried, batch: Batch, start: Array) -> Carried:
    """`carried` before bin `start` of `batch`: at the first bin, streams in which a trial begins start afresh."""
    first = jnp.ones(batch.inputs.shape[0], bool) if batch.first is None else batch.first
    return restarted(_rule(setup), network, carried, first & (start == 0))


def _all_finite(trained: PyTree) -> Bool[Array, ""]:
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(trained)]))
