r"""Roots and local minima of $q = \frac12|h|^2$ from many starts, batch by batch.

The starts wait in a queue for a few lanes that are advanced together by one compiled program; a lane that has finished
takes the next start. So the program is compiled once for a system and its size, whatever the number of starts, a start
that takes long holds up one lane and not all others, and memory is that of the lanes: of large networks, whose
Jacobians are large, fewer are advanced at once.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float, Int, Numeric
from weightpath.analysis.fixed_steps import STEPS, Lanes, energy, first_damping
from weightpath.analysis.fixed_system import FixedSystem

METHODS = ("levenberg-marquardt", "newton")
#: Units from which on Levenberg-Marquardt solves for its steps by products with the Jacobian, without the Jacobian.
MATRIX_FREE = 64
#: Lanes at most, entries of all their Jacobians at most, and iterations between two looks at which have finished.
LANES, ENTRIES, BLOCK = 64, 2**23, 4


def lanes_for(units: int, most: int = LANES) -> int:
    """How many Jacobians of a system are held at once."""
    return max(1, min(most, ENTRIES // units**2))


class Ends(NamedTuple):
    """Where each search ended."""

    state: Float[np.ndarray, "search unit"]
    q: Float[np.ndarray, " search"]
    gradient: Float[np.ndarray, " search"]
    """Largest entry of J^T h."""
    iterations: Int[np.ndarray, " search"]


def search(
    system: FixedSystem,
    starts: Float[np.ndarray, "search unit"],
    inputs: Float[np.ndarray, "search in"],
    *,
    method: str = "levenberg-marquardt",
    matrix_free: bool = False,
    steps: int = 200,
    burn_in: int = 0,
) -> Ends:
    """Follow q downhill from every start, each under its own input, until it ends or has taken `steps` iterations.

    A search does not depend on the others. `burn_in`: steps of the system's own dynamics (of a quarter of a time
    constant for a flow) before the first iteration.
    """
    count, units = starts.shape
    if not count:
        return Ends(starts, np.zeros(0), np.zeros(0), np.zeros(0, int))
    size = min(LANES if matrix_free else lanes_for(units), 1 << (count - 1).bit_length())

    def begin(first: int) -> Lanes:
        pick, damping = _padded(count, size, first), np.array(first_damping(method))
        return jax.tree.map(np.array, _begin(system, starts[pick], inputs[pick], damping, np.array(burn_in)))

    lanes, owner = begin(0), np.where(np.arange(size) < count, np.arange(size), -1)
    lanes.done[owner < 0] = True
    waiting, found, spent = min(size, count), np.array(starts), np.zeros(count, int)
    while np.any(owner >= 0):
        lanes = jax.tree.map(np.array, _advance(system, lanes, method, matrix_free, steps))
        ended = np.flatnonzero(lanes.done & (owner >= 0))
        found[owner[ended]], spent[owner[ended]] = lanes.state[ended], lanes.count[ended]
        owner[ended] = -1
        fresh = ended[: max(count - waiting, 0)]
        if len(fresh):
            owner[fresh] = np.arange(waiting, waiting + len(fresh))
            for kept, one in zip(lanes, begin(waiting), strict=True):
                kept[fresh] = one[: len(fresh)]
            waiting += len(fresh)
    q, gradient = slopes(system, found, inputs)
    return Ends(found, q, gradient, spent)


def _padded(count: int, size: int, first: int) -> np.ndarray:
    """`size` numbers of searches from `first` on; the last one repeated where there are no more."""
    return np.minimum(np.arange(first, first + size), count - 1)


@eqx.filter_jit
def _begin(system: FixedSystem, states: Numeric, inputs: Numeric, damping: Numeric, burn_in: Numeric) -> Lanes:
    share = 1.0 if system.discrete else 0.25
    residual, states, inputs = jax.vmap(system.residual), jnp.asarray(states), jnp.asarray(inputs)
    begun = jax.lax.fori_loop(0, jnp.asarray(burn_in), lambda _, now: now + share * residual(now, inputs), states)
    states = jnp.asarray(begun)
    q = energy(residual(states, inputs))
    return Lanes(states, inputs, q, jnp.full(q.shape, damping), ~jnp.isfinite(q), jnp.zeros(q.shape, int))


@eqx.filter_jit
def _advance(system: FixedSystem, lanes: Lanes, method: str, matrix_free: bool, steps: int) -> Lanes:
    step = STEPS[method, matrix_free]
    return jax.lax.fori_loop(0, BLOCK, lambda _, now: _kept(now, step(system, now), steps), lanes)


def _kept(before: Lanes, after: Lanes, steps: int) -> Lanes:
    """The step, except in lanes that had ended before."""
    after = after._replace(count=before.count + 1, done=after.done | (before.count + 1 >= steps))
    return jax.tree.map(
        lambda old, new: jnp.where(before.done.reshape((-1,) + (1,) * (old.ndim - 1)), old, new), before, after
    )


def slopes(
    system: FixedSystem, states: Float[np.ndarray, "search unit"], inputs: Float[np.ndarray, "search in"]
) -> tuple[Float[np.ndarray, " search"], Float[np.ndarray, " search"]]:
    """Q and the largest entry of its gradient at each state."""
    parts = [
        tuple(np.asarray(one)[: min(LANES, len(states) - at)] for one in _slopes(system, states[pick], inputs[pick]))
        for at in range(0, len(states), LANES)
        for pick in [_padded(len(states), LANES, at)]
    ]
    q, gradient = (np.concatenate(part) for part in zip(*parts, strict=True))
    return q, gradient


@eqx.filter_jit
def _slopes(system: FixedSystem, states: Numeric, inputs: Numeric) -> tuple[Array, Array]:
    def one(state, input):
        residual = system.residual(state, input)
        # A product with the Jacobian from the left, without the Jacobian.
        gradient = jax.vjp(lambda x: system.residual(x, input), state)[1](residual)[0]
        return 0.5 * jnp.sum(residual**2), jnp.max(jnp.abs(gradient))

    return jax.vmap(one)(states, inputs)
