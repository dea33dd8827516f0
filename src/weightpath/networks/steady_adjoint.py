r"""Linear systems at a steady state, $(1 - GW) y = b$ and its transpose, by iteration or LU; implicit derivatives."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.chunks import in_chunks
from weightpath.networks.slopes import is_linear, slopes_of
from weightpath.networks.steady_chord import shared_resolvent, shares_slopes
from weightpath.networks.steady_solver import SteadySolver

#: Up to this many units a factorisation per sample takes no longer than the iteration.
SMALL = 16
#: The iteration ends when it moves, or will yet move, by less than so many roundings of the largest entry; where it
#: does not get there, it has settled if it moves by less than so many roundings times |W|.
AIMED, SETTLED = 8, 16
#: Iterations without a new least movement after which it counts as divergent, and those it may take where LU is there.
PATIENCE, BUDGET = 30, 50


class _Sum(NamedTuple):
    count: Array
    value: Array
    moved: Array
    open_: Array
    """Samples that have neither settled nor stalled."""
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


class _Scheme(NamedTuple):
    """An iteration for the solution y: from `first`, by `advance`; `solution` gives y."""

    first: Array
    advance: Callable[[Array], Array]
    solution: Callable[[Array], Array]


def _plain(weights: Array, slopes: Array, right: Array, transpose: bool) -> _Scheme:
    def advance(value):
        return right + ((slopes * value) @ weights if transpose else slopes * (value @ weights.T))

    return _Scheme(right, advance, lambda value: value)


def _shared(weights: Array, slopes: Array, right: Array, transpose: bool) -> _Scheme:
    """With the system of the mean slopes solved once, so that only the spread of the slopes is iterated."""
    mean = jnp.mean(slopes, axis=0)
    shared, spread, constant = shared_resolvent(weights, mean), slopes - mean, mean * right
    if transpose:
        return _Scheme(right, lambda value: right + (constant + spread * value) @ shared, lambda value: value)
    # Here the iterate is W y.
    return _Scheme(
        jnp.zeros_like(right),
        lambda value: (right + spread * value) @ shared.T,
        lambda value: right + slopes * value,
    )


def _summed(network, slopes, right, solver, transpose: bool) -> tuple[Array, Array]:
    """The iteration of the whole batch, and which samples it settled."""
    weights, eps = network.w_rec, jnp.finfo(right.dtype).eps
    aimed, enough = AIMED * eps, SETTLED * eps * jnp.maximum(1.0, jnp.max(jnp.sum(jnp.abs(weights), axis=1)))
    if solver.adjoint_tolerance is not None:
        aimed = enough = solver.adjoint_tolerance
    budget = solver.max_steps if solver.adjoint == "iterate" else BUDGET + right.shape[1]
    scheme_of = _shared if shares_slopes(right.shape[1], right.shape[0], solver) else _plain
    scheme = scheme_of(weights, slopes, right, transpose)

    def going(total: _Sum):
        return jnp.any(total.open_) & (total.count < budget)

    def body(total: _Sum):
        value = scheme.advance(total.value)
        moved, size = jnp.max(jnp.abs(value - total.value), axis=-1), jnp.max(jnp.abs(value), axis=-1)
        lower = moved < total.least
        since = jnp.where(lower, 0, total.since + 1)
        # What is left to move, from the ratio of two movements; trusted near the end alone.
        left = jnp.where(lower, moved * moved / jnp.maximum(total.moved - moved, AIMED * eps * moved), moved)
        near = moved <= enough * size
        reached = (moved <= aimed * size) | (near & (left <= aimed * size))
        stalled = (since >= jnp.where(near, 2, PATIENCE)) | ~jnp.isfinite(moved)
        least = jnp.where(lower, moved, total.least)
        return _Sum(total.count + 1, value, moved, total.open_ & ~reached & ~stalled, least, since)

    none = jnp.zeros(right.shape[0], int)
    far = jnp.full(right.shape[0], jnp.finfo(right.dtype).max, right.dtype)
    begun = _Sum(jnp.asarray(0), scheme.first, far, jnp.any(right != 0, axis=-1), far, none)
    total = jax.lax.while_loop(going, body, begun)
    settled = total.moved <= enough * jnp.max(jnp.abs(total.value), axis=-1)
    return scheme.solution(total.value), settled & jnp.isfinite(total.moved)  # infinity is not above infinity


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


def attach(
    network: AbstractNetwork, drive: Array, rates: Array, net_input: Array, solver: SteadySolver
) -> tuple[Array, Array]:
    r"""Rates and net input as found, with implicit derivatives $dr = (1 - GW)^{-1} G\,(dW\,r + dx)$, $dz = d(Wr + x)$.

    They are derivatives in weights and drive.
    """
    shell = eqx.filter(network, False)  # its kind without its arrays, which the derivative gets as arguments

    @jax.custom_jvp
    def at_rest(w_rec, drive, rates, net_input):
        return rates, net_input

    @at_rest.defjvp
    def _at_rest(primals, tangents):
        w_rec, drive = primals[:2]
        settled, net_input = at_rest(*primals)
        slopes = slopes_of(shell, net_input)
        pushed = settled @ tangents[0].T + tangents[1]
        here = eqx.tree_at(lambda one: one.w_rec, shell, w_rec, is_leaf=lambda leaf: leaf is None)
        tangent = jax.lax.custom_linear_solve(
            lambda value: value - slopes * (value @ w_rec.T),
            slopes * pushed,
            solve=lambda _, right: resolvent(here, slopes, right, solver),
            transpose_solve=lambda _, right: resolvent(here, slopes, right, solver, transpose=True),
        )
        return (settled, net_input), (tangent, tangent @ w_rec.T + pushed)

    return at_rest(network.w_rec, drive, jax.lax.stop_gradient(rates), jax.lax.stop_gradient(net_input))
