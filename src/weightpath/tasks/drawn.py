"""Batches of another task that were drawn ahead, so that many runs share them and none has to draw."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Int, Key
from weightpath.tasks.base import AbstractTask, Batch


class DrawnBatches(AbstractTask):
    """The batches of consecutive learning steps, from `first` on.

    `batches`: a batch whose arrays have a leading axis of steps. Only those steps may be asked for; `key` is not used.
    """

    batches: Batch
    first: Int[Array, ""] = eqx.field(default=0, converter=jnp.asarray)

    def sample(self, key: Key, step) -> Batch:
        """The batch of step `step`."""
        return jax.tree.map(lambda leaf: leaf[step - self.first], self.batches)

    def population(self) -> None:
        """None: what was drawn is all there is."""
        return None


def draw(task: AbstractTask, key: Key, steps: Int[Array, " step"]) -> DrawnBatches:
    """The batches of `task` at consecutive `steps`, as `task.sample(key, step)` gives them."""
    return DrawnBatches(jax.vmap(lambda step: task.sample(key, step))(steps), steps[0])
