"""What a task hands out: batches of trials, and exact targets where the expectation over the noise is known."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from weightpath._types import Array, Bool, Float, Key


class Batch(eqx.Module):
    """Trials to learn from. The loss of a batch is half the mean squared error over trials and observed time bins."""

    inputs: Float[Array, "trial time in"]
    targets: Float[Array, "trial time out"]
    mask: Float[Array, "trial time"]
    """1 where the output counts, 0 elsewhere."""
    first: Bool[Array, " trial"] | None = eqx.field(default=None, kw_only=True)
    """For learning at every time step: whether a trial begins here, rather than going on from the last batch; None: all
    begin."""

    def criterion(self, outputs: Float[Array, "trial time out"]) -> Float[Array, ""]:
        r"""$\tfrac12 \langle |y - y^*|^2 \rangle$: sum over outputs, mean over the observed bins of all trials."""
        squared = jnp.sum((outputs - self.targets) ** 2, axis=-1)
        return 0.5 * jnp.sum(squared * self.mask) / jnp.sum(self.mask)


class WhiteNoise(eqx.Module):
    """How white noise is sampled for training on batches.

    `duration` of a trial and bin width `dt`, both in the time unit of the target filter; `trials` per batch. The
    noise of a bin has variance 1/dt (continuous-time networks), or 1 for discrete-time targets.

    **Raises:** ValueError when one of them is not positive or the duration is shorter than a bin.
    """

    duration: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    trials: int = eqx.field(static=True)

    def __check_init__(self):
        if not (self.duration > 0 and self.dt > 0 and self.trials >= 1):
            raise ValueError(
                f"duration, dt and trials must be positive; got {self.duration}, {self.dt} and {self.trials}."
            )
        if self.duration < self.dt:
            raise ValueError(f"duration {self.duration} is shorter than one bin dt={self.dt}.")

    @property
    def bins(self) -> int:
        """Number of time bins of a trial."""
        return round(self.duration / self.dt)


class AbstractTask(eqx.Module):
    """A task: `sample` gives batches, `population` the exact target over which the expectation is known."""

    @abstractmethod
    def sample(self, key: Key, step) -> Any:
        """A fresh batch for learning step `step`: a `Batch` of trials, or a `StaticBatch` of static stimuli.

        **Raises:** ValueError when the task was made without what sampling needs.
        """

    @abstractmethod
    def population(self) -> Any:
        """The exact target of the infinite data limit, or None."""
