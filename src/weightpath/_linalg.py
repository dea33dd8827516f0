r"""Infinite sums $\sum_j Z^j M (Z^T)^j$ by doubling, the one linear solve behind every exact loss and gradient.

Doubling (Smith's method) needs matrix products only: no eigenvectors, so that defective matrices are safe, and it runs
on accelerators and under `vmap`. $m$ doublings add $2^m$ terms, and the remainder is squared at each one.
"""

import jax
import jax.numpy as jnp

from weightpath._types import Array, Bool, Float

#: Doublings after which a system counts as unstable; enough up to a spectral radius of 1 - 1e-12.
MAX_DOUBLINGS = 50
#: The sum has converged when its remainder is below this fraction of it.
TOLERANCE = 1e-15


def bilinear(
    generator: Float[Array, "n n"], drive: Float[Array, "n in"], output: Float[Array, "out n"]
) -> tuple[Float[Array, "n n"], Float[Array, "n in"], Float[Array, "out n"]]:
    r"""Discrete system with the same Gramians as the continuous one $(A, B, C)$: $(1-A)^{-1}(1+A)$ and so on.

    $A P + P A^T + B B^T = 0$ becomes $P = Z P Z^T + L L^T$ with $Z = S(1 + A)$, $L = \sqrt2\, S B$, $S = (1-A)^{-1}$,
    and likewise for the other Gramian. The step 2 (in membrane time constants) maps a decay rate of 1 to zero.
    """
    size = generator.shape[0]
    identity = jnp.eye(size, dtype=generator.dtype)
    inverse = jnp.linalg.inv(identity - generator)
    root = jnp.sqrt(jnp.asarray(2.0, generator.dtype))
    # S (1 + A) = 2 S - 1 exactly; the product form keeps the digits where the two nearly cancel.
    return inverse @ (identity + generator), root * (inverse @ drive), root * (output @ inverse)


@jax.custom_jvp
def gramians(
    step: Float[Array, "n n"], drive: Float[Array, "n in"], output: Float[Array, "out n"]
) -> tuple[Float[Array, "n n"], Float[Array, "n n"], Float[Array, ""]]:
    r"""$P = \sum_j Z^j B B^T (Z^T)^j$, $Q = \sum_j (Z^T)^j C^T C Z^j$ of the discrete system $(Z, B, C)$.

    The third value bounds the relative remainder: above `TOLERANCE`, or NaN, the system is unstable and P, Q are
    meaningless. The sums grow as thin factors while these have at most half as many columns as rows.
    """
    rows = drive.shape[1], output.shape[0]
    for _ in range(_thin_levels(step.shape[0] // 2, max(rows))):
        drive = jnp.concatenate([drive, step @ drive], axis=1)
        output = jnp.concatenate([output, output @ step], axis=0)
        step = step @ step

    def double(state):
        power, sums, count = state
        controlled, observed = sums
        sums = controlled + power @ controlled @ power.T, observed + power.T @ observed @ power
        return power @ power, sums, count + 1

    sums = drive @ drive.T, output.T @ output
    power, (controlled, observed), _ = jax.lax.while_loop(_unfinished, double, (step, sums, 0))
    return controlled, observed, jnp.sum(power**2)


@gramians.defjvp
def _gramians_tangent(primals, tangents):
    step, drive, output = primals
    step_dot, drive_dot, output_dot = tangents
    controlled, observed, remainder = gramians(step, drive, output)
    change = step_dot @ controlled @ step.T + drive_dot @ drive.T
    controlled_dot = stein(step, change + change.T)
    change = step_dot.T @ observed @ step + output_dot.T @ output
    observed_dot = stein(step.T, change + change.T)
    return (controlled, observed, remainder), (controlled_dot, observed_dot, jnp.zeros_like(remainder))


def stein(step: Float[Array, "n n"], constant: Float[Array, "n n"]) -> Float[Array, "n n"]:
    r"""Solution of $X = Z X Z^T + M$ for a stable Z and any M; differentiable in both, at every order."""
    return jax.lax.custom_linear_solve(
        lambda value: value - step @ value @ step.T,
        constant,
        solve=lambda _, right: _stein_sum(step, right),
        transpose_solve=lambda _, right: _stein_sum(step.T, right),
    )


def _stein_sum(step: Array, constant: Array) -> Array:
    def double(state):
        power, value, count = state
        return power @ power, value + power @ value @ power.T, count + 1

    return jax.lax.while_loop(_unfinished, double, (step, constant, 0))[1]


def contracts(step: Float[Array, "n n"]) -> Bool[Array, ""]:
    """Whether the powers of `step` vanish (spectral radius below 1 - 1e-12), by repeated squaring."""
    power, _, _ = jax.lax.while_loop(
        _unfinished, lambda state: (state[0] @ state[0], state[1], state[2] + 1), (step, 0, 0)
    )
    return jnp.sum(power**2) <= TOLERANCE


@jax.jit
def exponential(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Matrix exponential of a small matrix by scaling, Taylor's series and squaring; differentiable in both modes.

    Its two short loops compile in a fraction of the time that the general one takes, which matters where the matrix
    has a few rows. Right to rounding for norms up to 2^16.
    """
    if matrix.shape == (1, 1):
        return jnp.exp(matrix)
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    size = jnp.linalg.norm(jax.lax.stop_gradient(matrix))
    halvings = jnp.maximum(jnp.ceil(jnp.log2(jnp.maximum(size, 1e-30))) + 1, 0.0)
    scaled = matrix / 2.0**halvings

    def term(total, order):
        return identity + scaled @ total / order, None

    def square(power, level):
        return jnp.where(level < halvings, power @ power, power), None

    series = jax.lax.scan(term, identity, jnp.arange(18.0, 0.0, -1.0, dtype=matrix.dtype))[0]
    return jax.lax.scan(square, series, jnp.arange(18.0, dtype=matrix.dtype))[0]


def gramian_factor(
    step: Float[Array, "n n"], drive: Float[Array, "n in"]
) -> tuple[Float[Array, "n column"], Float[Array, ""]]:
    r"""A factor F of $P = F F^T = \sum_j Z^j B B^T (Z^T)^j$, and the bound of the relative remainder.

    $\mathrm{tr}\, C P C^T = |C F|^2$ keeps its relative accuracy where P itself cancels: it is never negative and
    resolves losses down to the square of the rounding error. Columns are compressed by QR once there are more than n.
    """
    size = step.shape[0]
    for _ in range(_thin_levels(size, drive.shape[1])):
        drive = jnp.concatenate([drive, step @ drive], axis=1)
        step = step @ step
    factor = jnp.pad(drive, ((0, 0), (0, max(size - drive.shape[1], 0))))

    def double(state):
        power, factor, count = state
        both = jnp.concatenate([factor.T, (power @ factor).T])
        compressed = jnp.linalg.qr(both, mode="r").T
        return power @ power, jnp.pad(compressed, ((0, 0), (0, factor.shape[1] - size))), count + 1

    power, factor, _ = jax.lax.while_loop(_unfinished, double, (step, factor, 0))
    return factor, jnp.sum(power**2)


def _unfinished(state) -> Array:
    """Go on while the remainder, which the next power of Z bounds, is above the tolerance and still finite."""
    power, _, count = state
    remainder = jnp.sum(power**2)
    return (remainder > TOLERANCE) & jnp.isfinite(remainder) & (count < MAX_DOUBLINGS)


def _thin_levels(size: int, columns: int) -> int:
    """How often `columns` can be doubled within `size`."""
    return max(size // max(columns, 1), 1).bit_length() - 1
