r"""The loss of a two-unit network on a two-pole target, in closed form.

Both filters are rational of order two: with $G = M - 1$ and $u = (\kappa, 0)$

$$\hat f(q) = \frac{A q + \beta}{q^2 + a_1 q + a_0},\quad a_1 = -\mathrm{tr}\,G,\ a_0 = \det G,\
  A = v\cdot u,\ \beta = -v^T \mathrm{adj}(G)\,u,\qquad
  \hat f^*(q) = \frac{C(q+c^*) + S\omega^*}{(q+c^*)^2 + \omega^{*2}},$$

and the loss is half the squared norm of a filter of order four, a quadratic form in the numerator of the difference.
That numerator is small near the optimum, so that the loss, a sum of squares, keeps its digits there. No Lyapunov
equation, no eigenvector: it is smooth at W = 0 and where two real poles merge. Derived; tested against the general
route of `rules.population`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from weightpath._types import Array, Float


class Oscillation(NamedTuple):
    r"""The numbers of a target $e^{-c^* s}(C\cos\omega^* s + S\sin\omega^* s)$."""

    decay: Float[Array, ""]
    frequency: Float[Array, ""]
    cosine: Float[Array, ""]
    sine: Float[Array, ""]


def oscillation(target) -> Oscillation:
    r"""Decay, frequency and amplitudes of a target filter of two poles $-c^* \pm i\omega^*$, in any realisation.

    $c^* = -\tfrac12\mathrm{tr}\,F$, $\omega^{*2} = -\tfrac14(F_{11}-F_{22})^2 - F_{12}F_{21}$, $C = c\,b$ and
    $S = (c F b + c^* C)/\omega^*$; the frequency is NaN for two real poles and S then too, at a double one S is 0.
    """
    F = target.transition
    decay = -(F[0, 0] + F[1, 1]) / 2
    frequency = jnp.sqrt(-((F[0, 0] - F[1, 1]) ** 2) / 4 - F[0, 1] * F[1, 0])
    cosine = (target.output @ target.drive)[0, 0]
    slope = (target.output @ F @ target.drive)[0, 0] + decay * cosine
    sine = jnp.where(frequency == 0, 0.0, slope / jnp.where(frequency == 0, 1.0, frequency))
    return Oscillation(decay, frequency, cosine, sine)


def energy(target: Oscillation) -> Float[Array, ""]:
    r"""$\int_0^\infty f^{*2} = \frac{C^2+S^2}{4c^*} + \frac{c^*(C^2-S^2) + 2\omega^* C S}{4(c^{*2}+\omega^{*2})}$."""
    decay, frequency, cosine, sine = target
    mixed = decay * (cosine**2 - sine**2) + 2 * frequency * cosine * sine
    return (cosine**2 + sine**2) / (4 * decay) + mixed / (4 * (decay**2 + frequency**2))


def filter_of(coords: Float[Array, " coord"], kappa: Float[Array, ""]) -> tuple[Array, Array, Array, Array]:
    """The filter's denominator (a_1, a_0) and numerator (A, beta) from (M11, M12, M21, M22, v1, v2)."""
    m11, m12, m21, m22, v1, v2 = coords
    return 2 - m11 - m22, (1 - m11) * (1 - m22) - m12 * m21, kappa * v1, kappa * (v1 * (1 - m22) + v2 * m21)


def two_pole_loss(coords: Float[Array, " coord"], kappa: Float[Array, ""], target: Oscillation) -> Float[Array, ""]:
    r"""$\tfrac12\int_0^\infty (f-f^*)^2 ds$ of a stable network; meaningless where $a_1 \le 0$ or $a_0 \le 0$."""
    return _filter_loss(filter_of(coords, kappa), target)


def two_pole_slope(
    coords: Float[Array, " coord"], kappa: Float[Array, ""], target: Oscillation
) -> Float[Array, " coord"]:
    """Derivative of `two_pole_loss` by the coordinates, through the four numbers of the filter."""
    m11, m12, m21, m22, v1, v2 = coords
    by_a1, by_a0, by_top1, by_top0 = jax.grad(_filter_loss)(filter_of(coords, kappa), target)
    return jnp.stack(
        [
            -by_a1 - by_a0 * (1 - m22),
            -by_a0 * m21,
            -by_a0 * m12 + by_top0 * kappa * v2,
            -by_a1 - by_a0 * (1 - m11) - by_top0 * kappa * v1,
            kappa * (by_top1 + by_top0 * (1 - m22)),
            by_top0 * kappa * m21,
        ]
    )


def _filter_loss(own: tuple[Array, Array, Array, Array], target: Oscillation) -> Float[Array, ""]:
    a1, a0, top1, top0 = own
    decay, frequency, cosine, sine = target
    p1, p0 = 2 * decay, decay**2 + frequency**2
    goal1, goal0 = cosine, cosine * decay + sine * frequency
    n3 = top1 - goal1
    n2 = top1 * p1 + top0 - goal1 * a1 - goal0
    n1 = top1 * p0 + top0 * p1 - goal1 * a0 - goal0 * a1
    n0 = top0 * p0 - goal0 * a0
    d3, d2, d1, d0 = a1 + p1, a0 + a1 * p1 + p0, a1 * p0 + a0 * p1, a0 * p0
    # The Hurwitz determinant of the product of the two denominators, factored: its own sum would cancel.
    resultant = (a0 - p0) ** 2 + (a1 + p1) * (a1 * p0 + a0 * p1)
    form = (
        n3**2 * d0 * (d1 * d2 - d0 * d3)
        + (n2**2 - 2 * n1 * n3) * d0 * d1
        + (n1**2 - 2 * n0 * n2) * d0 * d3
        + n0**2 * (d2 * d3 - d1)
    )
    return form / (4 * d0 * a1 * p1 * resultant)


def is_stable(coords: Float[Array, " coord"]) -> Array:
    """Whether both eigenvalues of M have a real part below 1."""
    a1, a0, _, _ = filter_of(coords, jnp.ones(()))
    return (a1 > 0) & (a0 > 0)
