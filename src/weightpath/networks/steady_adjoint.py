r"""Linear systems at a steady state, $(1 - GW) y = b$ and its transpose, by iteration or LU; implicit derivatives."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.chunks import in_chunks
from weightpath.networks.slopes import is_linear, slopes_of
from weightpath.networks.steady_solver import SteadySolver

#: Up to this many units a factorisation per sample takes no longer than the iteration.
SMALL = 16
#: The iteration ends when it moves by less than so many roundings of the largest entry; where it does not get there, it
#: has settled if it moves by less than so many roundings times |W|.
AIMED, SETTLED = 2, 16
#: Iterations without a new least movement after which it counts as divergent, and those it may take where LU is there.
PATIENCE, BUDGET = 30, 50


class _Sum(NamedTuple):
    count: Array
    value: Array
    moved: Array
    least: Array
    since: Array


def resolvent(
    network: AbstractNetwork,
    slopes: Float[Array, "trial unit"],
    right: Float[Array, "trial unit"],
    solver: SteadySolver,
    *,
    transpose: bool = False,
) -> Float[Array, "trial unit"]:
    r"""Solution y of $(1 - GW) y = b$ for each sample; with `transpose`, of $(1 - W^\top G) y = b$.

    Linear networks: one factorisation for all samples. Otherwise as `solver.adjoint` says.
    """
    if is_linear(network):
        matrix = jnp.eye(slopes.shape[1], dtype=right.dtype) - network.w_rec
        return jnp.linalg.solve(matrix.T if transpose else matrix, right.T).T

    def factorise(arrays):
        gains, rights = arrays
        matrices = jnp.eye(gains.shape[1], dtype=rights.dtype) - gains[..., None] * network.w_rec
        return jnp.linalg.solve(matrices.mT if transpose else matrices, rights[..., None])[..., 0]

    every = jnp.ones(right.shape[0], bool)
    if solver.adjoint == "lu" or (solver.adjoint == "auto" and right.shape[1] <= SMALL):
        return in_chunks(factorise, every, (slopes, right), right, right.shape[1])
    summed, settled = _summed(network, slopes, right, solver, transpose)
    if solver.adjoint == "iterate":
        return jnp.where(settled[:, None], summed, jnp.nan)
    return in_chunks(factorise, ~settled, (slopes, right), summed, right.shape[1])


def _summed(network, slopes, right, solver, transpose: bool) -> tuple[Array, Array]:
    """The iteration of the whole batch, and which samples it settled."""
    weights, eps = network.w_rec, jnp.finfo(right.dtype).eps
    aimed, enough = AIMED * eps, SETTLED * eps * jnp.maximum(1.0, jnp.max(jnp.sum(jnp.abs(weights), axis=1)))
    if solver.adjoint_tolerance is not None:
        aimed = enough = solver.adjoint_tolerance
    budget = solver.max_steps if solver.adjoint == "iterate" else BUDGET + right.shape[1]

    def below(total: _Sum, fraction):
        return total.moved <= fraction * jnp.max(jnp.abs(total.value), axis=-1)

    def going(total: _Sum):
        patience = jnp.where(below(total, enough), 2, PATIENCE)
        open_ = ~below(total, aimed) & (total.since < patience) & jnp.isfinite(total.moved)
        return jnp.any(open_) & (total.count < budget)

    def body(total: _Sum):
        passed = (slopes * total.value) @ weights if transpose else slopes * (total.value @ weights.T)
        value = right + passed
        moved = jnp.max(jnp.abs(value - total.value), axis=-1)
        lower = moved < total.least
        since = jnp.where(lower, 0, total.since + 1)
        return _Sum(total.count + 1, value, moved, jnp.where(lower, moved, total.least), since)

    first = jnp.max(jnp.abs(right), axis=-1)
    far = jnp.full_like(first, jnp.inf)
    start = _Sum(
        jnp.asarray(0), right, jnp.where(first > 0, jnp.finfo(right.dtype).max, 0.0), far, 0 * first.astype(int)
    )
    total = jax.lax.while_loop(going, body, start)
    return total.value, below(total, enough)


def adjoint(
    network: AbstractNetwork,
    steady,
    errors: Float[Array, "trial unit"],
    solver: SteadySolver | None = None,
) -> Float[Array, "trial unit"]:
    r"""$\lambda = dL/dx$ of each sample: $\lambda = G v$ with $(1 - W^\top G) v = e$.

    `errors` are $e = dL/dr$ (trial, unit). Then $dL/dW = \sum \lambda r^\top$, $dL/dU = \sum \lambda u^\top$ and
    $dL/db = \sum \lambda$.
    """
    solver = SteadySolver() if solver is None else solver
    return steady.slopes * resolvent(network, steady.slopes, errors, solver, transpose=True)


def attach(network: AbstractNetwork, drive: Array, rates: Array, solver: SteadySolver) -> Array:
    r"""The rates found, with the implicit derivative $dr = (1 - GW)^{-1} G\,(dW\,r + dx)$ in weights and drive."""
    shell = eqx.filter(network, False)  # its kind without its arrays, which the derivative gets as arguments

    @jax.custom_jvp
    def at_rest(w_rec, drive, rates):
        return rates

    @at_rest.defjvp
    def _at_rest(primals, tangents):
        w_rec, drive, rates = primals
        weights_dot, drive_dot, _ = tangents
        settled = at_rest(w_rec, drive, rates)
        slopes = slopes_of(shell, settled @ w_rec.T + drive)
        moved = slopes * (settled @ weights_dot.T + drive_dot)
        here = eqx.tree_at(lambda one: one.w_rec, shell, w_rec, is_leaf=lambda leaf: leaf is None)
        tangent = jax.lax.custom_linear_solve(
            lambda value: value - slopes * (value @ w_rec.T),
            moved,
            solve=lambda _, right: resolvent(here, slopes, right, solver),
            transpose_solve=lambda _, right: resolvent(here, slopes, right, solver, transpose=True),
        )
        return settled, tangent

    return at_rest(network.w_rec, drive, jax.lax.stop_gradient(rates))
