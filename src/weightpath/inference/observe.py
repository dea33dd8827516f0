"""From rates to predictions, and how far these are from the data: decoders and likelihoods."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Bool, Float
from weightpath.inference.program import Counts, Layout, Trials

#: Below this, log softplus(y) is y to the last digit of float32, and to 1e-13 in float64.
_FAR_BELOW = -30.0


def decoder(parameters, trials: Trials, layout: Layout) -> Callable[[Array], Array]:
    """From rates (unit, trial) of one bin to predictions (neuron, trial) on the model's scale, before any softplus."""
    constant = 0.0
    if parameters.offset is not None and trials.offset is not None:
        constant = parameters.offset @ trials.offset
    w_out = parameters.w_out
    if parameters.readout_bias is not None:
        constant += jnp.einsum("em,ek->mk", parameters.readout_bias, trials.readout)
    gain = None if parameters.gain is None else jnp.einsum("em,ek->mk", parameters.gain, trials.readout)
    scaled = (lambda one: one) if gain is None else (lambda one: gain * one)
    if w_out is None:
        return lambda rate: scaled(rate) + constant
    copies, neurons, units = w_out.shape
    if copies == 1:
        only = semi_orthogonal(w_out[0]) if layout.orthogonal else w_out[0]
        return lambda rate: scaled(only @ rate) + constant
    # A branch, not a flag of the program: models with and without a decoder per epoch share one compiled program.
    split = jnp.any(trials.readout[1:])
    if layout.orthogonal:
        same = lambda raw: jnp.broadcast_to(semi_orthogonal(raw[0]), raw.shape)  # noqa: E731
        w_out = jax.lax.cond(split, jax.vmap(semi_orthogonal), same, w_out)

    def each(rate):
        decoded = (w_out.reshape(copies * neurons, units) @ rate).reshape(copies, neurons, -1)
        return jnp.sum(decoded * trials.readout[:, None, :], axis=0)

    return lambda rate: scaled(jax.lax.cond(split, each, lambda rate: w_out[0] @ rate, rate)) + constant


def semi_orthogonal(raw: Float[Array, "neuron unit"]) -> Float[Array, "neuron unit"]:
    r"""The Q of the thin QR decomposition with a positive diagonal of R: orthonormal columns, or rows if fewer.

    A retraction: `raw` may be any matrix of full rank. The relative size of a step on `raw` is that of the step of Q,
    so the scale of `raw` sets the effective learning rate of Q.
    """
    wide = raw.shape[0] < raw.shape[1]
    q, r = jnp.linalg.qr(raw.T if wide else raw)
    q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1)
    return q.T if wide else q


def loss_terms(
    y: Float[Array, "neuron trial"],
    data: Float[Array, "neuron trial"],
    mask: Bool[Array, "neuron trial"] | Float[Array, "neuron trial"],
    counts: Counts | None,
    dispersion: Float[Array, " neuron"] | None,
) -> tuple[Array, ...]:
    r"""Sums over one bin: of squared errors (Gaussian), or of these and of the negative log likelihood of counts.

    With $\mu = \mathrm{softplus}(\eta)$, $\eta = \mathrm{centre} + \mathrm{scale}\,y$: $\mu - n\log\mu$ (Poisson), or
    $(n + 1/\alpha)\log(1 + \alpha\mu) - n\log\mu$ (negative binomial). What depends on the counts alone, or on them and
    the dispersion alone, is added once by `constant_terms`.
    """
    if counts is None:
        return (jnp.sum(mask * (y - data) ** 2),)
    mean, log_mean = softplus_and_log(counts.centre + counts.scale * y)
    squares = jnp.sum(mask * (mean - data) ** 2)
    if dispersion is None:
        return squares, jnp.sum(mask * (mean - data * log_mean))
    alpha = jnp.exp(dispersion)[:, None]
    growth = jnp.log1p(alpha * mean)
    return squares, jnp.sum(mask * (growth / alpha + data * (growth - log_mean)))


def constant_terms(counts: Counts, dispersion: Float[Array, " neuron"] | None) -> Array:
    r"""Mean of $\log n! - \sum_{j<n} \log(1 + \alpha j)$ over the training entries; the sum is the negative binomial's.

    $\log[\Gamma(n + r)/\Gamma(r)] - n \log r = \sum_{j<n}\log(1 + \alpha j)$ with $r = 1/\alpha$: a table of how many
    counts exceed j replaces a gamma function per entry and iteration.
    """
    if dispersion is None or counts.above is None:
        return counts.constant
    steps = jnp.arange(counts.above.shape[1], dtype=counts.above.dtype)
    return counts.constant - jnp.sum(counts.above * jnp.log1p(jnp.exp(dispersion)[:, None] * steps))


def softplus_and_log(y: Array) -> tuple[Array, Array]:
    """softplus(y) and its logarithm, with finite values and slopes for any finite y."""
    near = jnp.maximum(y, _FAR_BELOW)
    mean = jax.nn.softplus(y)
    return mean, jnp.where(y < _FAR_BELOW, y, jnp.log(jax.nn.softplus(near)))


def softplus(y: np.ndarray) -> np.ndarray:
    """log(1 + e^y) in NumPy."""
    return np.logaddexp(0.0, y)


def inverse_softplus(mean: np.ndarray) -> np.ndarray:
    """The y with softplus(y) = `mean` > 0."""
    return mean + np.log(-np.expm1(-mean))
