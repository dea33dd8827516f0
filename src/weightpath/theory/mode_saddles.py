r"""The networks at which nothing is learned, $(0, 0, w)$: a line of saddles, and how long learning waits beside it.

With feedback that follows the read-out (BPTT, truncated BPTT) a mode without read-out and read-in stays as it is, and
a small one grows at the rate $\lambda = |\kappa|\sqrt{S(cw^*)/(1-ww^*)}$, $S(z)$ the geometric sum over the steps back
that are kept: $|\kappa|/(1-ww^*)$ for BPTT, $|\kappa|\sqrt{1-(ww^*)^\tau}/(1-ww^*)$ for $\tau$ steps. Fixed feedback
pushes such a mode off at once: $\Delta b = -\hat a\kappa/(1-\hat w w^*)$.

Source: Williams, Payeur and Lajoie 2026 (arXiv 2606.00243) for the manifold; the rates are derived here.
"""

import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.theory.base import Values
from weightpath.theory.mode_equations import as_states, geometric
from weightpath.theory.mode_rule import mode_rule


def mode_saddle_rate(rule, teacher: Values, recurrent: Values = 0.0) -> Float[Array, "*batch"]:
    """The positive eigenvalue at (0, 0, w), w = `recurrent`; the others are minus it and 0.

    NaN where the rule has fixed feedback: (0, 0, w) is then no stationary point.
    """
    rule, teacher, w = mode_rule(rule), as_states(teacher), jnp.asarray(recurrent, dtype=float)
    kappa, target = teacher[..., 0] * teacher[..., 1], teacher[..., 2]
    back = geometric(rule.carry(w) * target, rule.terms)
    rate = jnp.abs(kappa) * jnp.sqrt(back / (1 - w * target))
    return jnp.where((rule.tied == 1) & (rule.feedback == 0), rate, jnp.nan)


def mode_escape_time(rule, teacher: Values, scale: Values, recurrent: Values = 0.0) -> Float[Array, "*batch"]:
    """Learning time that a mode of size `scale` (read-out and read-in) spends near the saddles, ln(1/scale)/rate.

    It grows by ln(10)/rate for each factor of ten; zero where fixed feedback pushes the mode off at once.
    """
    rate = mode_saddle_rate(rule, teacher, recurrent)
    return jnp.where(jnp.isnan(rate), 0.0, jnp.log(1 / jnp.asarray(scale, dtype=float)) / rate)
