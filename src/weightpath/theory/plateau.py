r"""The plateau before a pair of eigenvalues forms: the best single exponential, and how fast learning leaves it.

With $z = c + c^*$ and $g(c) = \int_0^\infty e^{-cs} f^*(s)\,ds = \frac{Cz + S\omega^*}{z^2 + \omega^{*2}}$, one pole of
decay rate c and amplitude A has the loss $\tfrac12[A^2/(2c) - 2Ag + E]$, stationary where $A = 2cg$ and
$g + 2cg' = 0$, a cubic in z:

$$C z^3 + (3S\omega^* - 2c^*C)\,z^2 - (3C\omega^{*2} + 4c^*S\omega^*)\,z + 2c^*C\omega^{*2} - S\omega^{*3} = 0.$$

There $\int (f - f^*)e^{-qs} ds = \frac{(A-C)(q-c)^2}{(q+c)((q+c^*)^2+\omega^{*2})}$ has a double zero at $q = c$, and
the second mode grows at the rate

$$\gamma = \frac{|A-C|\,\kappa}{(1+c)((1+c^*)^2+\omega^{*2})}\sqrt{\eta_w\big(\eta_v(1-c)^2 + \eta_w a^2\big)},
  \qquad a = A/\kappa.$$

Source: the conjugate pair of Bordelon et al. 2025 (arXiv 2503.18754); every formula here is derived, for any phase.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._tracing import is_traced
from weightpath._types import Array, Float
from weightpath.setup import Setup
from weightpath.theory.pair_regime import REAL_POLES, structure
from weightpath.theory.two_pole import Oscillation, energy, oscillation


class Plateau(eqx.Module):
    """The best single exponential $A e^{-cs}$ for an oscillating target."""

    rate: Float[Array, ""]
    """Its decay rate c; the outlier eigenvalue is then 1 - c."""
    amplitude: Float[Array, ""]
    """Its amplitude A = v.u."""
    loss: Float[Array, ""]
    """Loss at the plateau, $(E - 2cg^2)/2$."""
    energy: Float[Array, ""]
    """$E = \\int f^{*2}$ of the target; a network without output has the loss E/2."""


def plateau(setup: Setup) -> Plateau:
    r"""The best single exponential for the setup's two-pole target, at which learning halts before the pair forms.

    Of the stationary points with c > 0 the one of lowest loss. For a cosine (S = 0) it is the only one: the unique root
    $z > c^*$ of the cubic, the others being one in $(0, c^*)$ and one negative. For other phases there can be two,
    with amplitudes of opposite signs; learning from small weights then halts at the one on the side of $c = 1$.

    **Raises:** ValueError when the target has not two complex poles, or rule or network are of another kind; in 32-bit
    mode.
    """
    return _checked(setup, "theory.plateau")[0]


def escape_rate(setup: Setup) -> Float[Array, ""]:
    r"""Growth rate $\gamma$ of the second mode at `plateau`: starts smaller by a factor q need $\ln q/\gamma$ longer.

    Zero where nothing grows: the recurrent weights are frozen, or the target is itself one exponential (A = C).

    **Raises:** ValueError as `plateau`.
    """
    return _checked(setup, "theory.escape_rate")[1]


def _checked(setup: Setup, what: str) -> tuple[Plateau, Array]:
    require_x64(what)
    reason = structure(setup)
    if not reason:
        best, growth, frequency = _plateau(setup)
        if is_traced(frequency) or frequency > 0:
            return best, growth
    raise ValueError(f"{what}: no prediction for this setup: {reason or REAL_POLES}")


@eqx.filter_jit
def _plateau(setup: Setup) -> tuple[Plateau, Array, Array]:
    target = oscillation(setup.task.population())
    best = best_exponential(target)
    kappa = jnp.linalg.norm(setup.network.w_in)
    speed, readout_speed = (setup.rates.get(name, jnp.zeros(())) for name in ("w_rec", "w_out"))
    return best, growth_rate(best, target, kappa, speed, readout_speed), target.frequency


def growth_rate(best: Plateau, target: Oscillation, kappa, speed, readout_speed) -> Float[Array, ""]:
    r"""$\gamma$ at a stationary single exponential; `speed` $\eta_w$, `readout_speed` $\eta_v$."""
    scale = jnp.abs(best.amplitude - target.cosine) / (
        (1 + best.rate) * ((1 + target.decay) ** 2 + target.frequency**2)
    )
    across = readout_speed * (1 - best.rate) ** 2 * kappa**2 + speed * best.amplitude**2
    return scale * jnp.sqrt(speed * across)


def overlap(rate, target: Oscillation) -> tuple[Array, Array]:
    r"""$g(c) = \int e^{-cs} f^*$ and its derivative."""
    decay, frequency, cosine, sine = target
    z = rate + decay
    size = z**2 + frequency**2
    slope = cosine * (frequency**2 - z**2) - 2 * sine * frequency * z
    return (cosine * z + sine * frequency) / size, slope / size**2


def best_exponential(target: Oscillation) -> Plateau:
    """The stationary single exponential of lowest loss."""
    decay, frequency, cosine, sine = target
    cubic = jnp.stack(
        [
            cosine,
            3 * sine * frequency - 2 * decay * cosine,
            -3 * cosine * frequency**2 - 4 * decay * sine * frequency,
            2 * decay * cosine * frequency**2 - sine * frequency**3,
        ]
    )
    rates = real_roots(cubic) - decay
    admissible = jnp.isfinite(rates) & (rates > 0)
    safe = jnp.where(admissible, rates, 1.0)
    captured = jnp.where(admissible, 2 * safe * overlap(safe, target)[0] ** 2, -1.0)
    rate = safe[jnp.argmax(captured)]
    amplitude, total = 2 * rate * overlap(rate, target)[0], energy(target)
    return Plateau(rate, amplitude, 0.5 * (total - amplitude**2 / (2 * rate)), total)


def real_roots(cubic: Float[Array, "4"]) -> Float[Array, "3"]:
    r"""Real roots of $p_3 z^3 + p_2 z^2 + p_1 z + p_0$, NaN in place of complex ones; $p_3$ may vanish.

    By the trigonometric formula for the reversed polynomial (whose roots are 1/z, so that a vanishing $p_3$ gives an
    infinite z) where that is better conditioned, then two steps of Newton's method.
    """
    reverse = jnp.abs(cubic[3]) > jnp.abs(cubic[0])
    ordered = jnp.where(reverse, cubic[::-1], cubic)
    roots = _depressed(ordered / jnp.where(ordered[0] == 0, 1.0, ordered[0]))
    lost = jnp.abs(roots) <= 1e-14 * jnp.nanmax(jnp.abs(roots))  # a root at infinity, blurred by rounding
    roots = jnp.where(reverse, 1 / jnp.where(lost, jnp.nan, roots), roots)
    slope = jnp.array([3.0, 2.0, 1.0]) * cubic[:3]
    for _ in range(2):
        steep = jnp.polyval(slope, roots)
        roots = roots - jnp.where(steep == 0, 0.0, jnp.polyval(cubic, roots) / jnp.where(steep == 0, 1.0, steep))
    return roots


def _depressed(monic: Float[Array, "4"]) -> Float[Array, "3"]:
    _, b, c, d = monic
    shift = b / 3
    p, q = c - b**2 / 3, 2 * b**3 / 27 - b * c / 3 + d
    inside = (q / 2) ** 2 + (p / 3) ** 3
    # Three real roots: cosines of a third of an angle.
    radius = 2 * jnp.sqrt(jnp.maximum(-p, 0.0) / 3)
    angle = jnp.arccos(jnp.clip(-4 * q / jnp.where(radius == 0, 1.0, radius) ** 3, -1.0, 1.0)) / 3
    three = radius * jnp.cos(angle - 2 * jnp.pi * jnp.arange(3) / 3)
    # One: Cardano, with the sum that does not cancel.
    root = jnp.sqrt(jnp.maximum(inside, 0.0))
    large = jnp.cbrt(-q / 2 - jnp.where(q >= 0, root, -root))
    single = large - p / (3 * jnp.where(large == 0, 1.0, large))
    one = jnp.stack([single, jnp.asarray(np.nan), jnp.asarray(np.nan)])
    return jnp.where(inside <= 0, three, one) - shift
