r"""The chord method for a batch of steady states: Newton's method with one linear system for all samples.

Each sample's Jacobian is $1 - G_k W$. With the mean slopes $\bar G$ of the batch in place of its own slopes $G_k$ one
factorisation serves all, and what is left of the error after an iteration is of the order of the spread of the slopes,
$|G_k - \bar G|$, where plain iteration leaves $|G_k W|$. Written for the net input $z = W r + x$ with

$$M = W (1 - \bar G W)^{-1}, \qquad h(z) = f(z) - \bar G z$$

an iteration is $z \leftarrow x + M(\bar G x + h(z))$: one product of the batch with a matrix, as a plain iteration.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from weightpath._types import Array, Bool, Float, Int
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.slopes import STEEPEST, activation_of, rates_of, slopes_of
from weightpath.networks.steady_solver import SteadySolver

#: From so many units on, and with at most so many units per sample, one factorisation for the batch pays for itself.
UNITS, UNITS_PER_SAMPLE = 33, 1.0
#: The method ends where the largest residual of the batch falls by less than this factor in an iteration.
SLOWEST = 0.5
#: Share of the allowed residual at which it ends: rounding in M is not seen before the residual proper is formed.
AIM = 0.5
#: How much larger than W the matrix M may be.
LARGEST = 100.0
#: How far the largest eigenvalue of (W + W')/2 must stay below 1 / max f', as a fraction.
SLACK = 1e-3


class Chord(NamedTuple):
    """Where the chord method left a batch."""

    rates: Float[Array, "trial unit"]
    count: Int[Array, ""]


def shares_slopes(units: int, samples: int, solver: SteadySolver) -> bool:
    """Whether one linear system for the whole batch is worth its factorisation."""
    if solver.chord is not None:
        return solver.chord
    return solver.newton and units >= UNITS and units <= UNITS_PER_SAMPLE * samples


def shared_resolvent(weights: Float[Array, "post pre"], mean: Float[Array, " unit"]) -> Float[Array, "post pre"]:
    r"""$M = W (1 - \bar G W)^{-1} = (1 - W \bar G)^{-1} W$ for the mean slopes (unit,); NaN where rounding spoils it.

    What is computed belongs to weights that differ from W by roundings of |M|.
    """
    shared = jnp.linalg.solve(jnp.eye(len(weights), dtype=weights.dtype) - weights * mean, weights)
    size, given = (jnp.max(jnp.sum(jnp.abs(matrix), axis=1)) for matrix in (shared, weights))
    return jnp.where(size <= LARGEST * jnp.maximum(1.0, given), shared, jnp.nan)


def has_one_fixed_point(network: AbstractNetwork) -> Bool[Array, ""]:
    r"""Whether every input surely has exactly one fixed point, and that a stable one of the flow.

    So it is where the largest eigenvalue of $(W + W^\top)/2$ is below $1/\max f'$, f not decreasing: $f^{-1}(r) - W r$
    then is strongly monotone, and $\mathrm{Re}\,\lambda(GW) < 1$ for all slopes G up to $\max f'$, since
    $GWv = \lambda v$ gives $\mathrm{Re}\,\lambda\; v^* G^{-1} v = v^* \tfrac12(W + W^\top) v$. Told by a Cholesky
    factorisation.
    """
    steepest = STEEPEST[activation_of(network)]
    if steepest is None:
        return jnp.asarray(False)
    weights = network.w_rec
    gap = (1 - SLACK) / steepest * jnp.eye(len(weights), dtype=weights.dtype) - (weights + weights.T) / 2
    return jnp.isfinite(jnp.linalg.cholesky(gap, symmetrize_input=False)[-1, -1])


class _Iterate(NamedTuple):
    count: Array
    before: Array
    """h + G x of the net input before this one."""
    net_input: Array
    bent: Array
    """h + G x of this one."""
    residual: Array
    falling: Array


def chord(
    network: AbstractNetwork,
    drive: Float[Array, "trial unit"],
    start: Float[Array, "trial unit"],
    solver: SteadySolver,
) -> Chord:
    """Rates close to the fixed points, where each input has one; `start` where that is not known.

    What is returned has not been seen to solve $r = f(Wr + x)$ other than to rounding in M: the caller looks.
    """

    def close() -> Chord:
        silent = jnp.all(start == 0)
        net_input = jax.lax.cond(silent, lambda: drive, lambda: start @ network.w_rec.T + drive)
        mean = jnp.mean(slopes_of(network, net_input), axis=0)
        shared, constant = shared_resolvent(network.w_rec, mean).T, mean * drive
        rates = rates_of(network, net_input)
        residual, aim = jnp.max(jnp.abs(rates - start), axis=-1), AIM * solver.allowed(network.w_rec, rates)

        def going(now: _Iterate):
            return jnp.any(now.residual > aim) & now.falling & (now.count < solver.max_steps)

        def body(now: _Iterate) -> _Iterate:
            net_input = drive + now.bent @ shared
            bent = constant + rates_of(network, net_input) - mean * net_input
            # r = h + G z are the rates whose net input this is; their residual f(z) - r is a difference of two h.
            residual = jnp.max(jnp.abs(bent - now.bent), axis=-1)
            falling = jnp.max(residual) < SLOWEST * jnp.max(now.residual)
            return _Iterate(now.count + 1, now.bent, net_input, bent, residual, falling)

        bent = constant + rates - mean * net_input
        last = jax.lax.while_loop(
            going, body, _Iterate(jnp.asarray(0), bent, net_input, bent, residual, jnp.asarray(True))
        )
        closer = (last.count > 0) & (last.residual < residual)  # not where it is NaN
        found = last.before + mean * last.net_input - constant
        return Chord(jnp.where(closer[:, None], found, start), last.count)

    return jax.lax.cond(has_one_fixed_point(network), close, lambda: Chord(start, jnp.asarray(0)))
