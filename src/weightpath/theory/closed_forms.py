"""Facts about the one-outlier dynamics that are known in closed form or as one integral."""

from functools import cache

import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, ArrayLike, Float
from weightpath.theory.base import Values


def fast_readout_time(decay: ArrayLike, rate: ArrayLike, *, start: ArrayLike = 1.0, speed: ArrayLike = 1.0) -> Array:
    r"""Learning time at which the outlier's decay rate $c$ has come down to `rate`, for a much faster read-out.

    $\tau(c) = [g(c_0-c^*) - g(c-c^*)]/\eta_w$ with $g(x) = x^3/3 + 3c^*x^2 + 12c^{*2}x + 8c^{*3}\ln x$, the solution of
    $\dot c = -\eta_w (c-c^*)/(c+c^*)^3$. Arguments: `decay` $c^*$; `rate` $c$ between $c^*$ and `start`; `speed`
    $\eta_w$. Holds for $\eta_v\kappa^2/\eta_w \to \infty$ with a relative error of order $\eta_w/(\eta_v\kappa^2)$.
    Far from the target $c^3$ falls linearly; the final rate is $\eta_w/(8c^{*3})$.
    """

    def primitive(x):
        return x**3 / 3 + 3 * decay * x**2 + 12 * decay**2 * x + 8 * decay**3 * jnp.log(x)

    decay, rate, start = jnp.asarray(decay), jnp.asarray(rate), jnp.asarray(start)
    return (primitive(start - decay) - primitive(rate - decay)) / speed


def collapse_amplitude(ratio: ArrayLike) -> Float[np.ndarray, "..."]:
    r"""Amplitude $A_c$ at which the outlier reaches the imaginary axis in the limit $c^* \to 0$.

    Root of $\ln\frac{2}{2-A} - \frac{4-(2-A)^2}{8} = \frac r4$ with $r = \eta_v\kappa^2/\eta_w$. With
    $2 - A = 2e^{-q/2}$ it reads $q + e^{-q} = 1 + r/2$, solved by Lambert's function.
    """
    return np.asarray(2 * -np.expm1(-_collapse_depth(ratio) / 2))


def collapse_time(ratio: ArrayLike, *, speed: ArrayLike = 1.0) -> Float[np.ndarray, "..."]:
    r"""Learning time of the collapse $c \to 0$ in the limit $c^* \to 0$, from $A = 0$, $c = 1$, for $\eta_w$ = `speed`.

    $\tau_c = \int_0^{A_c} \frac{2c\,dA}{r\,\eta_w(2-A)}$ along the first integral; finite: in learning time, long
    time constants are not learned more slowly. What grows is the number of steps (`theory.lr_max`).
    """
    ratio = np.asarray(ratio, dtype=float)
    nodes, weights = _quadrature(80)
    half, weights = (nodes + 1) / 2, weights / 2
    end = _collapse_depth(ratio)[..., None] / 2
    # s = end (1 - t^2) makes the square root with which c vanishes at the end a smooth function of t.
    s = end * (1 - half**2)
    squared = 1 - (4 / ratio[..., None]) * (s + np.expm1(-2 * s) / 2)
    integrand = 2 * np.sqrt(np.maximum(squared, 0.0)) / ratio[..., None] * 2 * end * half
    return np.asarray(integrand @ weights / np.asarray(speed))


def saddle_rate(decay: ArrayLike, *, read_in_speed: ArrayLike = 1.0, readout_speed: ArrayLike = 1.0) -> Array:
    r"""Growth rate $\sqrt{\eta_u\eta_v}/(1+c^*)$ of read-in and read-out from zero when both are trained (W = 0).

    Starting from size $\epsilon$, learning takes longer by $\ln(1/\epsilon)$ divided by this rate.
    """
    return jnp.sqrt(jnp.asarray(read_in_speed * readout_speed, dtype=float)) / (1 + jnp.asarray(decay))


def detached_overlap(gain: ArrayLike, outlier: Values) -> Array:
    r"""Squared overlap $1-\sigma^2/w^2$ of the outlier's right eigenvector with $\hat u$ for $W_0 + w\,\hat u\hat u^T$.

    Zero for $|w| \le \sigma$ (`gain`), where no outlier exists. Holds for Gaussian $W_0$ that is independent of
    $\hat u$, as the number of units grows; in a trained network it is an approximation of order $\sigma^2$.
    """
    gain, outlier = jnp.asarray(gain, dtype=float), jnp.asarray(outlier, dtype=float)
    outside = jnp.abs(outlier) > gain
    return jnp.where(outside, 1 - (gain / jnp.where(outside, outlier, 1.0)) ** 2, 0.0)


@cache
def _quadrature(order: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(order)


def _collapse_depth(ratio: ArrayLike) -> Float[np.ndarray, "..."]:
    from scipy.special import lambertw

    total = 1 + np.asarray(ratio, dtype=float) / 2
    return np.asarray(total + lambertw(-np.exp(-total)).real)
