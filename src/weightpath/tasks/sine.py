"""Sine waves of a frequency that a constant input names."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Key
from weightpath.networks.checks import as_float
from weightpath.tasks.base import AbstractTask, Batch
from weightpath.tasks.measures import check_range, check_whole, explained


def _levels(value) -> Array:
    return jnp.atleast_1d(as_float(value))


class SineGeneration(AbstractTask):
    r"""Generate a sine wave of the frequency that the level of a constant input stands for.

    In each trial a frequency $f$ is drawn evenly from `frequencies` [cycles per bin]. The first input is held at
    $f/\max f$ throughout, the second is 1 in the first bin, which starts the wave, and 0 after it. The output after bin
    $t$ = 1, 2, ... should be $\sin(2\pi f t)$: the phase is always the same. Every bin counts. `input_noise`: standard
    deviation of white noise on both inputs a bin.

    `performance`: $R^2$ over bins and trials.

    **Raises:** ValueError for a count below 1, a frequency outside (0, 0.5], or negative noise.
    Source: the sine generator of Sussillo and Barak (Neural Comput 2013).
    """

    frequencies: Float[Array, " level"] = eqx.field(default=(0.05, 0.075, 0.1), converter=_levels)
    input_noise: Float[Array, ""] = eqx.field(default=0.0, converter=as_float)
    bins: int = eqx.field(default=40, static=True)
    trials: int = eqx.field(default=32, static=True)

    def __check_init__(self):
        check_whole(bins=(self.bins, 1), trials=(self.trials, 1))
        if self.frequencies.ndim != 1 or self.frequencies.size == 0:
            raise ValueError(f"frequencies must be a list of numbers; got shape {self.frequencies.shape}.")
        if not is_traced(self.frequencies, self.input_noise):
            check_range(input_noise=(self.input_noise, 0, float("inf")))
            found = np.asarray(self.frequencies)
            if not np.all((found > 0) & (found <= 0.5)):
                raise ValueError(
                    f"frequencies must lie in (0, 0.5] cycles per bin (two bins make the fastest wave); "
                    f"got {self.frequencies}."
                )

    @property
    def channels(self) -> tuple[int, int]:
        """Numbers of inputs and outputs."""
        return 2, 1

    def sample(self, key: Key, step) -> Batch:
        """Fresh trials."""
        which, around = jax.random.split(jax.random.fold_in(key, step))
        frequency = self.frequencies[jax.random.randint(which, (self.trials,), 0, self.frequencies.size)]
        bins = jnp.arange(self.bins)
        level = jnp.broadcast_to((frequency / jnp.max(self.frequencies))[:, None], (self.trials, self.bins))
        clean = jnp.stack([level, jnp.broadcast_to((bins == 0).astype(level.dtype), level.shape)], axis=-1)
        inputs = clean + self.input_noise * jax.random.normal(around, clean.shape, clean.dtype)
        targets = jnp.sin(2 * jnp.pi * frequency[:, None] * (bins + 1))
        return Batch(inputs, targets[..., None], jnp.ones_like(level))

    def performance(self, outputs: Float[Array, "trial time out"], batch: Batch) -> Float[Array, ""]:
        """R^2 of the waves."""
        return explained(outputs, batch)

    def population(self) -> None:
        """None: every batch is a draw from the same few waves; there is nothing to take to infinity."""
        return None
