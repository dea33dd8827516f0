"""Static stimuli with what a network should answer at its fixed points, and the losses of such answers."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Float, Int

#: Losses of one sample by name; labels stand for one-hot targets where a loss compares numbers.
STATIC_LOSSES = ("squared", "half_squared", "mean_squared", "cross_entropy")


class StaticBatch(eqx.Module):
    r"""Static stimuli to learn from, each held until the network rests; $y_k$ is the output at the fixed point.

    `inputs` (trial, in), one sample a row; `targets` (trial, out) or `labels` (trial,). A sample's loss, by `loss`:
    "squared" $|y - y^*|^2$; "half_squared" half of it; "mean_squared" half the mean over outputs;
    "cross_entropy" $-\log\,\mathrm{softmax}(y)_{\mathrm{label}}$. The loss of the batch is the mean over samples.
    """

    inputs: Float[Array, "trial in"]
    targets: Float[Array, "trial out"] | None
    labels: Int[Array, " trial"] | None
    loss: str = eqx.field(static=True)

    def criterion(self, outputs: Float[Array, "trial out"]) -> Float[Array, ""]:
        """Mean loss of the samples."""
        if self.loss == "cross_entropy":
            return jnp.mean(-jnp.take_along_axis(jax.nn.log_softmax(outputs), self.numbers()[:, None], axis=1))
        squared = (outputs - self.wanted(outputs)) ** 2
        if self.loss == "mean_squared":
            return 0.5 * jnp.mean(squared)
        return (1.0 if self.loss == "squared" else 0.5) * jnp.mean(jnp.sum(squared, axis=1))

    def errors(self, outputs: Float[Array, "trial out"]) -> Float[Array, "trial out"]:
        r"""Derivative of each sample's loss by its outputs, $\partial L_k/\partial y_k$ (not divided by samples)."""
        if self.loss == "cross_entropy":
            return jax.nn.softmax(outputs) - self.wanted(outputs)
        error = outputs - self.wanted(outputs)
        return {"squared": 2.0, "half_squared": 1.0, "mean_squared": 1.0 / outputs.shape[1]}[self.loss] * error

    def wanted(self, outputs: Float[Array, "trial out"]) -> Float[Array, "trial out"]:
        """The targets, or the labels as one-hot rows of as many columns as `outputs` has."""
        if self.targets is not None:
            return self.targets
        return jax.nn.one_hot(self.numbers(), outputs.shape[1], dtype=outputs.dtype)

    def numbers(self) -> Int[Array, " trial"]:
        """The labels. **Raises:** ValueError for samples with targets."""
        if self.labels is None:
            raise ValueError("these samples have targets, not labels; give labels for cross-entropy.")
        return self.labels

    def accuracy(self, outputs: Float[Array, "trial out"]) -> Float[Array, ""]:
        """Fraction of samples whose largest output is the label's. **Raises:** ValueError for samples with targets."""
        return jnp.mean((jnp.argmax(outputs, axis=1) == self.numbers()).astype(outputs.dtype))

    def taken(self, samples: Int[Array, " trial"]) -> "StaticBatch":
        """The samples of these numbers."""
        pick = lambda array: None if array is None else array[samples]  # noqa: E731
        return StaticBatch(self.inputs[samples], pick(self.targets), pick(self.labels), self.loss)
