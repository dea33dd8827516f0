r"""Sums over the operators of a rule: $P_k = D^k S$ one by one, and $Y = \sum_k D^k M Z^k$ over all lags.

The second solves $Y = D\,Y Z + M$, in continuous time $(D - 1)\,Y + Y Z + M = 0$, by doubling: after m doublings $2^m$
terms are in. $D$ may be a scalar, a diagonal or a matrix; it is never made denser than it is.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from weightpath._linalg import MAX_DOUBLINGS, TOLERANCE
from weightpath._types import Array, Float
from weightpath.rules.credit import Credit


def credit_powers(credit: Credit, count: int) -> Float[Array, "k post out"]:
    r"""The operators $P_k = D^k S$ for k below `count`, zero from `credit.terms` on."""
    carry = _acting(credit.carry)
    _, found = jax.lax.scan(lambda power, _: (carry(power), power), credit.source, length=count)
    if credit.terms is not None and credit.terms < count:
        found = found.at[credit.terms :].set(0.0)
    return found


def carried_errors(
    carry: Float[Array, "*any"], step: Float[Array, "n n"], source: Float[Array, "post n"], *, continuous: bool
) -> tuple[Float[Array, "post n"], Float[Array, ""], Float[Array, ""]]:
    """Y of the module's equation with D = `carry`, Z = `step` and M = `source`; differentiable in all three.

    The second value bounds the relative remainder of the series: above `weightpath._linalg.TOLERANCE`, or NaN, the
    series diverges and Y is meaningless. The third is the relative residual of the equation.
    """
    if continuous:
        # The same Y as a discrete sum, as for the Gramians (`weightpath._linalg.bilinear`), with D - 1 for Z.
        identity = jnp.eye(step.shape[0], dtype=step.dtype)
        inverse = jnp.linalg.inv(identity - step)
        shrink = (
            jnp.linalg.inv(2 * jnp.eye(len(carry), dtype=carry.dtype) - carry) if carry.ndim == 2 else 1 / (2 - carry)
        )
        source = 2 * _acting(shrink)(source) @ inverse
        carry, step = _acting(shrink)(carry) if carry.ndim == 2 else shrink * carry, inverse @ (identity + step)
    act = _acting(carry)
    value, remainder = jax.lax.custom_linear_solve(
        lambda value: value - act(value) @ step,
        source,
        solve=lambda _, right: _doubled(carry, step, right),
        transpose_solve=lambda _, right: _doubled(carry.T, step.T, right),
        has_aux=True,
    )
    missing = value - act(value) @ step - source
    scale = jnp.linalg.norm(source) + jnp.linalg.norm(value)
    return value, remainder, jnp.linalg.norm(missing) / jnp.where(scale > 0, scale, 1.0)


def _doubled(carry: Array, step: Array, source: Array) -> tuple[Array, Array]:
    """The sum and the bound of its remainder."""

    def remainder(carry, step):
        size = jnp.sum(carry**2) if carry.ndim == 2 else jnp.max(carry**2)
        return jnp.sqrt(size * jnp.sum(step**2))

    def unfinished(state):
        carry, step, _, count = state
        left = remainder(carry, step)
        return (left > TOLERANCE) & jnp.isfinite(left) & (count < MAX_DOUBLINGS)

    def double(state):
        carry, step, value, count = state
        squared = carry @ carry if carry.ndim == 2 else carry**2
        return squared, step @ step, value + _acting(carry)(value) @ step, count + 1

    carry, step, value, _ = jax.lax.while_loop(unfinished, double, (carry, step, source, 0))
    return value, remainder(carry, step)


def _acting(carry: Array) -> Callable[[Array], Array]:
    """D as a function of a matrix (post, any)."""
    if carry.ndim == 2:
        return lambda value: carry @ value
    return lambda value: carry[..., None] * value if carry.ndim == 1 else carry * value
