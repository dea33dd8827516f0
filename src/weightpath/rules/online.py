"""Learning at every time step: one error, one change of the weights, with states and traces carried on."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Bool, Float, Key, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.forward import AbstractForwardRule
from weightpath.rules.local_step import assembled, blocks
from weightpath.rules.past import Past, empty, forgotten, keeps_trials, met, size
from weightpath.rules.rtrl import RTRL
from weightpath.tasks.base import Batch


class Carried(eqx.Module):
    """What an online learner carries from one time step to the next; one stream per trial of a batch, leading axis."""

    state: Float[Array, "stream post"]
    trace: PyTree
    key: PyTree
    """Of rules that draw random numbers, else None."""


def check_online(rule, batch: Batch) -> AbstractForwardRule:
    """The rule, if it can learn at every time step of such trials.

    **Raises:** ValueError for rules that need whole trials, and for losses that are no sum over time bins.
    """
    if not isinstance(rule, AbstractForwardRule):
        raise ValueError(
            f'{type(rule).__name__} needs whole trials and cannot update at every time step; use update="trial", or '
            "RTRL (the same gradient, forward in time), TruncatedBPTT(horizon), or a local rule such as RFLO."
        )
    if type(batch).criterion is not Batch.criterion:
        raise ValueError(
            f"the loss of {type(batch).__name__} is not a sum of squared errors of single time bins, so that there is "
            'no error to learn from at each time step; use update="trial".'
        )
    return rule


def begin(rule: AbstractForwardRule, network: AbstractNetwork, batch: Batch, key: Key | None) -> Carried:
    """Every stream at rest, with fresh traces. **Raises:** ValueError, see `AbstractForwardRule.init`."""
    if isinstance(rule, RTRL):
        streams, bins = batch.inputs.shape[:2]
        rule.check(network)
        whole = keeps_trials(network, bins, together=batch.first is None)
        rule.check_size(network, streams, size(network, streams, bins, whole=whole))
        states = jnp.broadcast_to(network.initial(), (streams, *network.initial().shape))
        return Carried(states, empty(network, streams, bins, whole=whole), None)
    memory = rule.init(network, batch, key)
    return Carried(*_fresh(rule, network, batch.inputs.shape[0]), memory)


def by_bin(rule: AbstractForwardRule, network: AbstractNetwork, carried: Carried, batch: Batch, number) -> PyTree:
    """What the steps of batch `number` need, time in front: inputs, targets, mask and random numbers."""
    noise = None
    if carried.key is not None:
        noise = rule.draw(jax.random.fold_in(carried.key, number), network, *batch.mask.T.shape)
    return jnp.swapaxes(batch.inputs, 0, 1), jnp.swapaxes(batch.targets, 0, 1), batch.mask.T, noise


def restarted(
    rule: AbstractForwardRule, network: AbstractNetwork, carried: Carried, first: Bool[Array, " stream"]
) -> Carried:
    """State and traces of the streams in which a trial begins are reset, together; the others go on."""
    if isinstance(carried.trace, Past):
        states = jnp.where(first[:, None], network.initial(), carried.state)
        return Carried(states, forgotten(carried.trace, first), carried.key)
    state, trace = _fresh(rule, network, carried.state.shape[0])

    def choose(fresh, old):
        return jnp.where(first.reshape(first.shape + (1,) * (old.ndim - 1)), fresh, old)

    state, trace = jax.tree.map(choose, (state, trace), (carried.state, carried.trace))
    return Carried(state, trace, carried.key)


def online_step(
    rule: AbstractForwardRule,
    network: AbstractNetwork,
    carried: Carried,
    inputs: Float[Array, "stream in"],
    targets: Float[Array, "stream out"],
    mask: Float[Array, " stream"],
    noise: Array | None = None,
) -> tuple[AbstractNetwork, Carried, Float[Array, ""]]:
    r"""Velocity from one time step, what is carried on, and the step's loss $\tfrac12\langle|y - y^*|^2\rangle$.

    The mean is over streams; those whose bin the mask leaves out count as zero. With weights that stand still, the
    velocities of a trial whose bins all count add up to its number of bins times the velocity of the trial form.
    """
    form, source, streams = rule.check(network), rule.source(network), inputs.shape[0]
    if isinstance(carried.trace, Past):
        local = jax.vmap(lambda state, input: form.step(network, state, input))(carried.state, inputs)
        missed = local.output - targets
        errors = mask[:, None] * missed / streams
        credits = (local.readout_slope if local.readout_slope.ndim == 2 else local.readout_slope[:, None]) * (
            errors @ source.T
        )
        past, weights = met(carried.trace, network, form, local, credits)
        change = assembled(network, blocks(network, weights), errors.T @ local.rates, jnp.sum(errors, axis=0))
        return jax.tree.map(jnp.negative, change), Carried(local.state, past, None), 0.5 * jnp.sum(errors * missed)

    def of_stream(state, trace, input, target, counts, noise):
        local = form.step(network, state, input)
        trace = rule.carry(network, form, trace, local, noise)
        miss = counts * (local.output - target)
        change = rule.contribution(network, form, source, trace, local, miss / streams)
        return change, local.state, trace, jnp.sum(miss * (local.output - target))

    change, state, trace, squared = jax.vmap(of_stream)(carried.state, carried.trace, inputs, targets, mask, noise)
    velocity = jax.tree.map(lambda leaf: -jnp.sum(leaf, axis=0), change)
    return velocity, Carried(state, trace, carried.key), 0.5 * jnp.mean(squared)


def _fresh(rule: AbstractForwardRule, network: AbstractNetwork, streams: int) -> tuple[Array, PyTree]:
    """States and traces of all streams before the first step of a trial."""
    first = network.initial(), rule.first_trace(network, rule.check(network))
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (streams, *leaf.shape)), first)
