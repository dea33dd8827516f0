"""Delayed match to sample: is the second stimulus the one that was shown before the delay?"""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Key
from weightpath.networks.checks import as_float
from weightpath.tasks.base import AbstractTask, Batch
from weightpath.tasks.measures import check_range, check_whole, decided_rightly

CODES = ("one_hot", "circular")


class DelayedMatch(AbstractTask):
    r"""Say whether a test stimulus matches a sample that was shown before a delay.

    A trial is `sample_bins` of the sample, `delay` empty bins, `test` bins of the test stimulus and `response` bins.
    One of `stimuli` samples is drawn evenly; with probability `match` the test is the same one, else another, drawn
    evenly among the rest. Stimulus j is shown as the unit vector $e_j$ ("one_hot", `stimuli` channels) or as
    $(\cos\theta_j, \sin\theta_j)$, $\theta_j = 2\pi j/$`stimuli` ("circular", two channels). The last channel is the
    cue to respond, 1 in the response bins. Every channel carries white noise of standard deviation `input_noise` a bin.

    The one output should be +1 in the response bins after a match and -1 after a non-match; other bins do not count.
    `performance`: share of trials in which the mean output over the response has the right sign; chance is `match` or
    1 - `match`, whichever is larger, .5 by default.

    **Raises:** ValueError for a count below its least (2 stimuli; 1 sample bin, test, response and trial; delay 0),
    `match` outside [0, 1], negative noise or an unknown `code`.
    Source: the task of Miller, Erickson and Desimone (J Neurosci 1996), in the discrete form used to train networks
    (Yang et al., Nat Neurosci 2019).
    """

    match: Float[Array, ""] = eqx.field(default=0.5, converter=as_float)
    input_noise: Float[Array, ""] = eqx.field(default=0.1, converter=as_float)
    stimuli: int = eqx.field(default=2, static=True)
    code: str = eqx.field(default="one_hot", static=True)
    sample_bins: int = eqx.field(default=4, static=True)
    delay: int = eqx.field(default=8, static=True)
    test: int = eqx.field(default=4, static=True)
    response: int = eqx.field(default=4, static=True)
    trials: int = eqx.field(default=32, static=True)

    def __check_init__(self):
        check_whole(
            stimuli=(self.stimuli, 2), sample_bins=(self.sample_bins, 1), delay=(self.delay, 0), test=(self.test, 1),
            response=(self.response, 1), trials=(self.trials, 1),
        )  # fmt: skip
        if self.code not in CODES:
            raise ValueError(f"code must be one of {', '.join(CODES)}; got {self.code!r}.")
        if not is_traced(self.match, self.input_noise):
            check_range(match=(self.match, 0, 1), input_noise=(self.input_noise, 0, float("inf")))

    @property
    def bins(self) -> int:
        """Bins of a trial."""
        return self.sample_bins + self.delay + self.test + self.response

    @property
    def channels(self) -> tuple[int, int]:
        """Numbers of inputs and outputs."""
        return (self.stimuli if self.code == "one_hot" else 2) + 1, 1

    def sample(self, key: Key, step) -> Batch:
        """Fresh trials."""
        first, second, third, fourth = jax.random.split(jax.random.fold_in(key, step), 4)
        shown = jax.random.randint(first, (self.trials,), 0, self.stimuli)
        same = jax.random.bernoulli(second, self.match, (self.trials,))
        other = (shown + jax.random.randint(third, (self.trials,), 1, self.stimuli)) % self.stimuli
        tested = jnp.where(same, shown, other)
        bins = jnp.arange(self.bins)
        start, go = self.sample_bins + self.delay, self.bins - self.response
        stimulus = (bins < self.sample_bins)[:, None] * self._code()[shown][:, None]
        stimulus += ((bins >= start) & (bins < go))[:, None] * self._code()[tested][:, None]
        cue = jnp.broadcast_to((bins >= go).astype(stimulus.dtype)[:, None], (self.trials, self.bins, 1))
        clean = jnp.concatenate([stimulus, cue], axis=-1)
        inputs = clean + self.input_noise * jax.random.normal(fourth, clean.shape, clean.dtype)
        answer = jnp.where(same, 1.0, -1.0).astype(clean.dtype)
        return Batch(inputs, answer[:, None, None] * cue, cue[..., 0])

    def performance(self, outputs: Float[Array, "trial time out"], batch: Batch) -> Float[Array, ""]:
        """Share of trials decided rightly."""
        return decided_rightly(outputs, batch)

    def population(self) -> None:
        """None: no exact form over the random trials is known."""
        return None

    def _code(self) -> Float[Array, "stimulus in"]:
        """What is shown on the stimulus channels."""
        if self.code == "one_hot":
            return jnp.eye(self.stimuli, dtype=self.input_noise.dtype)
        angle = 2 * jnp.pi * jnp.arange(self.stimuli, dtype=self.input_noise.dtype) / self.stimuli
        return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
