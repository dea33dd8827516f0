r"""How the learning of a mode ends: the names of its outcomes, and where an integration has to stop."""

import jax.numpy as jnp

from weightpath._types import Array, Float, Int

#: Outcomes of a mode's flow, in the order of their codes.
MODE_OUTCOMES = (
    "converged_optimal",
    "converged_non_optimal",
    "unstable_recurrence",
    "not_converged",
    "nonfinite",
)
OPTIMAL, NON_OPTIMAL, UNSTABLE, NOT_CONVERGED, NONFINITE = range(len(MODE_OUTCOMES))
#: Largest velocity of a mode at rest.
REST = 1e-8
#: A failed integration this close to |w| = 1 failed because of it.
CLOSE = 0.01


def margin_of(target: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    r"""How far from |w| = 1 a flow is stopped, $\min(10^{-3}, (1-|w^*|)/10)$: always beyond the target."""
    return jnp.minimum(1e-3, (1 - jnp.abs(target)) / 10)


def mode_outcome(
    state: Float[Array, "*batch coord"],
    velocity: Float[Array, "*batch coord"],
    loss: Float[Array, "*batch"],
    teacher: Float[Array, "*batch coord"],
    margin: Float[Array, "*batch"],
) -> Int[Array, "*batch"]:
    r"""Index into `MODE_OUTCOMES` of the state in which an integration ended.

    At rest (|velocity| < 1e-8): `converged_optimal` with loss below 1e-12 or $|ab-\kappa|+|w-w^*| < 10^{-6}$, and
    `converged_non_optimal` with |a|, |b| < 1e-6 and a loss above 1e-8. Otherwise `unstable_recurrence` at
    |w| >= 1 - `margin`, `nonfinite`, or `not_converged`.
    """
    a, b, w = state[..., 0], state[..., 1], state[..., 2]
    away = jnp.abs(a * b - teacher[..., 0] * teacher[..., 1]) + jnp.abs(w - teacher[..., 2])
    rest = jnp.max(jnp.abs(velocity), axis=-1) < REST
    cases = (
        ~jnp.all(jnp.isfinite(state), axis=-1),
        jnp.abs(w) >= (1 - margin) * (1 - 1e-12),
        rest & ((loss < 1e-12) | (away < 1e-6)),
        rest & (jnp.maximum(jnp.abs(a), jnp.abs(b)) < 1e-6) & (loss > 1e-8),
    )
    codes = [jnp.asarray(code) for code in (NONFINITE, UNSTABLE, OPTIMAL, NON_OPTIMAL)]
    return jnp.select(cases, codes, jnp.asarray(NOT_CONVERGED))
