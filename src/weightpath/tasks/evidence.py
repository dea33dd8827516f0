"""Integration of noisy evidence: a decision at the end of a trial, or its running mean."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Key
from weightpath.networks.checks import as_float, check_finite
from weightpath.tasks.base import AbstractTask, Batch
from weightpath.tasks.measures import check_range, check_whole, decided_rightly, explained

TARGETS = ("decision", "mean")


def _levels(value) -> Array:
    return jnp.atleast_1d(as_float(value))


class EvidenceIntegration(AbstractTask):
    r"""Two-alternative choice from noisy evidence, as in judging the direction of moving dots.

    In each trial a coherence $c$ is drawn evenly from `coherences`, with either sign. During `stimulus` bins the first
    channel carries evidence $x_t \sim N(c, \sigma^2)$ with $\sigma$ = `evidence_noise`; then `response` bins follow in
    which the second channel, the cue, is 1.

    target="decision": the output should be the sign of $c$ in the response bins; other bins do not count.
    `performance` is the share of trials in which the mean output over the response has that sign. The best that any
    observer can do is `best_accuracy`, since the evidence is noisy.

    target="mean": the output should be the sum of the evidence so far over `stimulus`, in all bins (constant in the
    response); `performance` is $R^2$ over bins and trials.

    **Raises:** ValueError for a count below 1, a coherence that is not positive, negative noise or an unknown `target`.
    Source: Gold and Shadlen (Annu Rev Neurosci 2007); Mante et al. (Nature 2013) for networks trained on it.
    """

    coherences: Float[Array, " level"] = eqx.field(default=(0.1, 0.2, 0.4), converter=_levels)
    evidence_noise: Float[Array, ""] = eqx.field(default=0.5, converter=as_float)
    target: str = eqx.field(default="decision", static=True)
    stimulus: int = eqx.field(default=16, static=True)
    response: int = eqx.field(default=4, static=True)
    trials: int = eqx.field(default=32, static=True)

    def __check_init__(self):
        check_whole(stimulus=(self.stimulus, 1), response=(self.response, 1), trials=(self.trials, 1))
        if self.target not in TARGETS:
            raise ValueError(f"target must be one of {', '.join(TARGETS)}; got {self.target!r}.")
        if self.coherences.ndim != 1 or self.coherences.size == 0:
            raise ValueError(f"coherences must be a list of numbers; got shape {self.coherences.shape}.")
        check_finite(coherences=self.coherences)
        if not is_traced(self.coherences, self.evidence_noise):
            if not np.all(np.asarray(self.coherences) > 0):
                raise ValueError(
                    f"coherences must be positive (either sign is drawn, and 0 has no right answer); "
                    f"got {self.coherences}."
                )
            check_range(evidence_noise=(self.evidence_noise, 0, float("inf")))

    @property
    def bins(self) -> int:
        """Bins of a trial."""
        return self.stimulus + self.response

    @property
    def channels(self) -> tuple[int, int]:
        """Numbers of inputs and outputs."""
        return 2, 1

    def best_accuracy(self) -> Float[Array, ""]:
        r"""Share of right decisions of the ideal observer, who takes the sign of the summed evidence.

        $\langle \Phi(c\sqrt{T}/\sigma)\rangle$ over the coherences, with $T$ = `stimulus` bins; 1 without noise.
        """
        distance = self.coherences * jnp.sqrt(float(self.stimulus)) / self.evidence_noise
        return jnp.mean(jax.scipy.stats.norm.cdf(distance))

    def sample(self, key: Key, step) -> Batch:
        """Fresh trials."""
        which, side, around = jax.random.split(jax.random.fold_in(key, step), 3)
        sign = jax.random.rademacher(side, (self.trials,), self.coherences.dtype)
        coherence = sign * self.coherences[jax.random.randint(which, (self.trials,), 0, self.coherences.size)]
        shown = jnp.arange(self.bins) < self.stimulus
        noise = self.evidence_noise * jax.random.normal(around, (self.trials, self.bins), sign.dtype)
        evidence = jnp.where(shown, coherence[:, None] + noise, 0.0)
        cue = jnp.broadcast_to((~shown).astype(sign.dtype), evidence.shape)
        inputs = jnp.stack([evidence, cue], axis=-1)
        if self.target == "decision":
            return Batch(inputs, (sign[:, None] * cue)[..., None], cue)
        mean = jnp.cumsum(evidence, axis=1) / self.stimulus
        return Batch(inputs, mean[..., None], jnp.ones_like(cue))

    def performance(self, outputs: Float[Array, "trial time out"], batch: Batch) -> Float[Array, ""]:
        """Share of trials decided rightly, or R^2 of the running mean."""
        return (decided_rightly if self.target == "decision" else explained)(outputs, batch)

    def population(self) -> None:
        """None: no exact form over the random trials is known."""
        return None
