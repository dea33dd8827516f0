"""One source of random numbers for tasks made in advance: a JAX key, or a stream of NumPy that others draw from too."""

from typing import TYPE_CHECKING, Any, cast

import jax
import numpy as np

from weightpath._types import Array, Float, Int, Key

#: What a task may be drawn from; of a NumPy stream it takes the next numbers.
if TYPE_CHECKING:
    Random = Key | np.random.RandomState | np.random.Generator
else:  # checked by `Draws`, whose message says what is wanted
    Random = Any


class Draws:
    """Successive draws from `random`; the draws of a key are those of its folds with 0, 1, ...

    **Raises:** ValueError when `random` is neither a key nor a stream.
    """

    def __init__(self, random: Random):
        if not isinstance(random, jax.Array | np.random.RandomState | np.random.Generator):
            raise ValueError(
                "random numbers come from a JAX key (jax.random.key(0)) or a stream of NumPy "
                f"(np.random.default_rng(0), np.random.RandomState(0)); got {random!r}."
            )
        self._random, self._drawn = random, 0

    def normal(self, *shape: int) -> Float[np.ndarray, "..."]:
        """Independent standard normal numbers."""
        if isinstance(self._random, jax.Array):
            return np.asarray(jax.random.normal(self._next(), shape))
        return self._random.standard_normal(shape)

    def permutation(self, count: int) -> Int[np.ndarray, " count"]:
        """The numbers 0 to `count` - 1 in random order."""
        if isinstance(self._random, jax.Array):
            return np.asarray(jax.random.permutation(self._next(), count))
        return self._random.permutation(count)

    def _next(self) -> Array:
        self._drawn += 1
        return jax.random.fold_in(cast(Array, self._random), self._drawn - 1)
