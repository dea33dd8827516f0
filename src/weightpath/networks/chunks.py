"""Work with one matrix per sample, a few samples at a time, so that memory stays bounded."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from weightpath._types import Array, Bool, PyTree

#: Numbers that the matrices of one chunk hold at most (8 MB in double precision).
NUMBERS = 2**20


def in_chunks(
    work: Callable[[PyTree], PyTree], todo: Bool[Array, " trial"], arrays: PyTree, otherwise: PyTree, units: int
) -> PyTree:
    """`work` on the samples of `arrays` (leading axis trial) that are `todo`; `otherwise` for the others.

    The samples to be worked on are packed into as few chunks as hold them, and chunks without any cost nothing. `work`
    takes a chunk of `arrays` and returns a pytree of the structure and shapes of `otherwise`, cut to the chunk.
    """
    trials = todo.shape[0]
    size = max(1, min(trials, NUMBERS // units**2))
    count = -(-trials // size)

    def chunk(mask, some, kept):
        def worked():
            return jax.tree.map(lambda new, old: where(mask, new, old), work(some), kept)

        return jax.lax.cond(jnp.any(mask), worked, lambda: kept)

    if count == 1:
        return chunk(todo, arrays, otherwise)

    def packed():
        # Where each sample goes: those to be worked on first, in their order (a sort would take longer to compile).
        place = jnp.where(todo, jnp.cumsum(todo) - 1, jnp.sum(todo) + jnp.cumsum(~todo) - 1)
        order = jnp.full(count * size, trials - 1).at[place].set(jnp.arange(trials))
        order = order.at[trials:].set(order[trials - 1])

        def pick(chosen):
            return chunk(*jax.tree.map(lambda array: array[chosen], (todo, arrays, otherwise)))

        found = jax.lax.map(pick, order.reshape(count, size))
        return jax.tree.map(lambda array: array.reshape(count * size, *array.shape[2:])[place], found)

    return jax.lax.cond(jnp.any(todo), packed, lambda: otherwise)


def where(mask: Bool[Array, " trial"], new: Array, old: Array) -> Array:
    """`new` for the samples of the mask, `old` for the others, whatever the further axes."""
    return jnp.where(mask.reshape(mask.shape + (1,) * (new.ndim - 1)), new, old)
