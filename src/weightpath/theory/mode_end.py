r"""Where a mode ends, in closed form, from what its rule conserves.

On the optimal manifold $ab = \kappa$, $w = w^*$, and the conserved number of the start (`theory.invariant`) picks the
point. Feedback that follows the read-out: $a_\infty = \pm\sqrt{(C+\sqrt{C^2+4\kappa^2})/2}$. Fixed feedback: $b_\infty$
solves $b^3 - Db - 2\hat a\kappa = 0$ and has the sign of $\hat a\kappa$, so that learning always ends with
$\hat a a > 0$ (except in the window of `theory.hopf_window`), wherever it starts.

Source: derived here.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Bool, Float
from weightpath.theory.base import Values
from weightpath.theory.mode_equations import as_states
from weightpath.theory.mode_rule import ModeRule, mode_rule

#: Newton's steps from above for a convex cubic, far more than any numbers need.
NEWTON_STEPS = 60


class FinalState(eqx.Module):
    """Where learning ends if it converges: `coords` (*batch, 3), NaN where the closed form has no answer.

    `certain` is False where the branch, the common sign of read-out and read-in, is a rule of thumb (one-step BPTT and
    symmetric RFLO, right in about 99 of 100 random starts), or where the start lies on the border between branches.
    """

    coords: Float[Array, "*batch coord"]
    certain: Bool[Array, "*batch"]


def final_state(rule, start: Values, teacher: Values) -> FinalState:
    r"""The end of learning from `start` (..., 3), if it converges; RFLO and e-prop may lose stability on the way.

    With $g = (w_0-\hat w)^2-(w^*-\hat w)^2$, or 0 where the carry is the weight itself (BPTT, e-prop),
    $C = a_0^2-b_0^2-g$ and $D = b_0^2+g-2\hat aa_0$. The sign of tied feedback is that of
    $a_0+\mathrm{sgn}(\kappa)b_0$: exact for BPTT, whose border between branches is the plane where that is zero. From
    there learning ends on a saddle, at a recurrent weight without closed form (NaN). Feedback 0: only the read-out
    learns. $\kappa = 0$: NaN. Equal rates of the three weights; any horizon and loss.

    **Raises:** ValueError for BPTT truncated to more than one step, which conserves nothing.
    """
    rule = mode_rule(rule)
    if rule.terms is not None:
        raise ValueError(f"BPTT truncated to {rule.terms} steps conserves nothing; integrate with theory.mode_path.")
    return _final_state(rule, as_states(start), as_states(teacher))


@eqx.filter_jit
def _final_state(rule: ModeRule, start: Array, teacher: Array) -> FinalState:
    a, b, w = start[..., 0], start[..., 1], start[..., 2]
    kappa, target = teacher[..., 0] * teacher[..., 1], teacher[..., 2]
    shift = (1 - rule.follow) * ((w - rule.trace_decay) ** 2 - (target - rule.trace_decay) ** 2)
    side = a + jnp.sign(kappa) * b
    tied = rule.tied == 1
    read_out = jnp.where(tied, jnp.sign(side) * _hyperbola(a**2 - b**2 - shift, kappa), 0.0)
    drive = rule.feedback * kappa
    read_in = jnp.sign(drive) * _cubic(b**2 + shift - 2 * rule.feedback * a, 2 * jnp.abs(drive))
    end = jnp.where(tied, read_out, kappa / read_in), jnp.where(tied, kappa / read_out, read_in), target
    saddle = jnp.zeros_like(a), jnp.zeros_like(b), jnp.full_like(w, jnp.nan)
    alone = jnp.where(b == 0, a, kappa * (1 - w**2) / (jnp.where(b == 0, 1.0, b) * (1 - w * target))), b, w
    on_border, silent = tied & (side == 0), ~tied & (rule.feedback == 0)
    coords = [
        jnp.where(silent, only, jnp.where(on_border, rest, reached))
        for only, rest, reached in zip(alone, saddle, end, strict=True)
    ]
    coords = jnp.stack(jnp.broadcast_arrays(*coords), axis=-1)
    null = jnp.broadcast_to((kappa == 0) & ~silent, coords.shape[:-1])
    certain = jnp.broadcast_to(~tied | ((rule.follow == 1) & ~on_border), coords.shape[:-1]) & ~null
    return FinalState(jnp.where(null[..., None], jnp.nan, coords), certain)


def _hyperbola(constant: Array, kappa: Array) -> Array:
    """Positive a with a^2 - kappa^2/a^2 = constant."""
    root = jnp.sqrt(constant**2 + 4 * kappa**2)
    below = jnp.where(root - constant > 0, root - constant, 1.0)  # the difference is used where it loses no digits
    return jnp.sqrt(jnp.where(constant >= 0, (root + constant) / 2, 2 * kappa**2 / below))


def _cubic(linear: Array, constant: Array) -> Array:
    """The positive root of y^3 - linear y - constant, by Newton's method from above, where the cubic is convex."""

    def improve(_, y):
        slope = 3 * y**2 - linear
        return (2 * y**3 + constant) / jnp.where(slope > 0, slope, 1.0)

    above = jnp.sqrt(jnp.maximum(linear, 0.0)) + jnp.cbrt(constant)
    return jax.lax.fori_loop(0, NEWTON_STEPS, improve, above)
