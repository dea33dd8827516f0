"""Flip-flops: hold the sign of the last pulse on each of several channels."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Key
from weightpath.networks.checks import as_float
from weightpath.tasks.base import AbstractTask, Batch
from weightpath.tasks.measures import check_range, check_whole, signs_right


class FlipFlop(AbstractTask):
    r"""Remember, for each of `bits` channels, the sign of the last pulse: 2^bits memories.

    In every bin each channel carries a pulse of one bin, $\pm$`amplitude` with equal probability, with probability
    `pulse_probability`, independently of all others; the first bin carries one on every channel, so that there is
    always something to hold. Channel i of the output should be the sign of the last pulse on channel i, the present bin
    included; every bin counts. `input_noise`: standard deviation of white noise on the inputs a bin.

    `performance`: share of bits, over bins and trials, whose output has the right sign; chance is .5.

    **Raises:** ValueError for a count below 1, a probability outside [0, 1], or a negative amplitude or noise.
    Source: Sussillo and Barak (Neural Comput 2013), the 3-bit flip-flop.
    """

    pulse_probability: Float[Array, ""] = eqx.field(default=0.1, converter=as_float)
    amplitude: Float[Array, ""] = eqx.field(default=1.0, converter=as_float)
    input_noise: Float[Array, ""] = eqx.field(default=0.0, converter=as_float)
    bits: int = eqx.field(default=3, static=True)
    bins: int = eqx.field(default=40, static=True)
    trials: int = eqx.field(default=32, static=True)

    def __check_init__(self):
        check_whole(bits=(self.bits, 1), bins=(self.bins, 1), trials=(self.trials, 1))
        if not is_traced(self.pulse_probability, self.amplitude, self.input_noise):
            least = (0, float("inf"))
            check_range(
                pulse_probability=(self.pulse_probability, 0, 1), amplitude=(self.amplitude, *least),
                input_noise=(self.input_noise, *least),
            )  # fmt: skip

    @property
    def channels(self) -> tuple[int, int]:
        """Numbers of inputs and outputs."""
        return self.bits, self.bits

    def sample(self, key: Key, step) -> Batch:
        """Fresh trials."""
        when, which, around = jax.random.split(jax.random.fold_in(key, step), 3)
        shape = (self.trials, self.bins, self.bits)
        pulse = jax.random.bernoulli(when, self.pulse_probability, shape).at[:, 0].set(True)
        sign = jax.random.rademacher(which, shape, self.amplitude.dtype)
        # Number of the bin of the last pulse so far.
        last = jax.lax.cummax(jnp.where(pulse, jnp.arange(self.bins)[:, None], 0), axis=1)
        targets = jnp.take_along_axis(sign, last, axis=1)
        noise = self.input_noise * jax.random.normal(around, shape, sign.dtype)
        return Batch(self.amplitude * sign * pulse + noise, targets, jnp.ones(shape[:2], sign.dtype))

    def performance(self, outputs: Float[Array, "trial time out"], batch: Batch) -> Float[Array, ""]:
        """Share of bits with the right sign."""
        return signs_right(outputs, batch)

    def population(self) -> None:
        """None: no exact form over the random pulses is known."""
        return None
