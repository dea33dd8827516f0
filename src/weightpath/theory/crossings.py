"""Several events along one path of a small system, each located within the step in which it happens."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._explicit import Now, stalled, step
from weightpath._explicit import after as stepped
from weightpath._explicit import begin as begun
from weightpath._types import Array, Bool, Float

#: Halvings (or better) of a step; the chords converge long before.
REFINEMENTS = 16


class Crossings(NamedTuple):
    """When each height fell through zero (infinite if it did not) and the state then; and where the path ended."""

    time: Float[Array, " event"]
    states: Float[Array, "event coord"]
    end: Float[Array, " coord"]
    end_time: Float[Array, ""]
    finished: Bool[Array, ""]


def crossings(
    field: Callable, start: Array, heights: Callable, finished: Callable, last: tuple[bool, ...], rtol, atol, max_steps
) -> Crossings:
    """Follow d(state)/dt = field(t, state) until `finished(state, slope)`, and find where heights fall through zero.

    `heights(state)` (event,) counts as fallen in a step that it begins at zero or above and ends below; of several
    falls the last is kept where `last` says so, and the first elsewhere. A height that falls and rises again within one
    step is not seen. Each fall is then located by chords on the length of its step, every trial a step of full order.
    """
    keep_last = jnp.asarray(np.array(last))

    def unfinished(carry):
        now = carry[0]
        return ~finished(now.state, now.slope) & (now.steps < max_steps) & ~stalled(now)

    def advance(carry):
        now, levels, found, brackets = carry
        new, slope, error = step(field, now, now.length, rtol, atol)
        after = jnp.where(error <= 1, heights(new), levels)
        fell = (levels >= 0) & (after < 0) & (keep_last | ~found)
        fresh = _bracket(now, levels, after)
        brackets = jax.tree.map(lambda kept, leaf: jax.vmap(jnp.where)(fell, leaf, kept), brackets, fresh)
        return stepped(now, now.length, new, slope, error, cut=False), after, found | fell, brackets

    begin = begun(field, start)
    levels, none = heights(start), jnp.zeros(len(last), bool)
    carry = begin, levels, none, _bracket(begin, levels, levels)
    now, _, found, brackets = jax.lax.while_loop(unfinished, advance, carry)
    lengths, states = jax.vmap(lambda index, at: _located(field, heights, index, at))(jnp.arange(len(last)), brackets)
    time = jnp.where(found, brackets.time + lengths, jnp.inf)
    return Crossings(time, states, now.state, now.time, finished(now.state, now.slope))


class _Bracket(NamedTuple):
    """A step in which a height fell: where it began, its length, and the height at both ends."""

    time: Array
    state: Array
    slope: Array
    length: Array
    above: Array
    below: Array


def _bracket(now: Now, above: Float[Array, " event"], below: Float[Array, " event"]) -> _Bracket:
    """The same step for every event."""

    def each(part: Array) -> Array:
        return jnp.broadcast_to(part, (above.shape[0], *part.shape))

    return _Bracket(each(now.time), each(now.state), each(now.slope), each(now.length), above, below)


def _located(field: Callable, heights: Callable, index, at: _Bracket) -> tuple[Array, Array]:
    """Length of the part of the step at whose end the height is zero, and the state there."""
    begin = Now(at.time, at.state, at.slope, at.length, jnp.zeros((), int))

    def narrow(_, carry):
        low, high, above, below, side, _, _ = carry
        middle = (low * below - high * above) / jnp.where(below == above, 1.0, below - above)
        middle = jnp.where((middle > low) & (middle < high), middle, 0.5 * (low + high))
        state, _, _ = step(field, begin, middle, 1.0, 1.0)
        value = heights(state)[index]
        up = value >= 0
        # Illinois: the height at an end that stays twice is halved, so that both ends close in.
        above = jnp.where(up, value, jnp.where(side < 0, above / 2, above))
        below = jnp.where(up, jnp.where(side > 0, below / 2, below), value)
        return (
            jnp.where(up, middle, low),
            jnp.where(up, high, middle),
            above,
            below,
            jnp.where(up, 1, -1),
            middle,
            state,
        )

    carry = jnp.zeros_like(at.length), at.length, at.above, at.below, jnp.zeros((), int), at.length, at.state
    *_, length, state = jax.lax.fori_loop(0, REFINEMENTS, narrow, carry)
    return length, state
