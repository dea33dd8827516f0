"""Finite steps of the linear response, mapped back to recurrent weights without inverting a matrix of all units."""

import jax
import jax.numpy as jnp

from weightpath._results import RESULTS
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.slopes import outputs_of
from weightpath.rules.fixed_point_base import Factors
from weightpath.rules.static_loss import AtRest
from weightpath.tasks.static_batch import StaticBatch


def exact_linear(
    weights: Float[Array, "post pre"],
    errors: Float[Array, "trial unit"],
    external: Float[Array, "trial unit"],
    rate: Float[Array, ""],
    singular: float,
) -> tuple[Float[Array, "post pre"], RESULTS]:
    r"""Change of $W$ when $A = (1 - W)^{-1}$ takes the step $-\eta\,\partial J/\partial A = -q E X^\top$, $q = \eta/m$.

    With $M = 1 - W$ and, as columns, $L = M E$: $\Delta W = -q L (1_m - q X^\top L)^{-1} X^\top M$, or the same with
    $(1_N - q L X^\top)^{-1} L$ in front where units are fewer than samples. Where the system is singular to within
    `singular` (reciprocal condition), $A$ has lost rank and $W$ is infinite: outcome `singular`.
    """
    samples, units = errors.shape
    scale = rate / samples
    post, pre = errors - errors @ weights.T, external - external @ weights
    if samples < units:
        system = jnp.eye(samples, dtype=weights.dtype) - scale * external @ post.T
        solved, result = _solved(system, pre, singular)
        return -scale * post.T @ solved, result
    system = jnp.eye(units, dtype=weights.dtype) - scale * post.T @ external
    solved, result = _solved(system, post.T, singular)
    return -scale * solved @ pre, result


def exact_samples(
    factors: Factors, overlap: Float[Array, " trial"], rate: Float[Array, ""], singular: float
) -> tuple[Float[Array, "post pre"], RESULTS]:
    r"""Mean of every sample's own exact step, $\Delta_k / (1 - \eta\,o_k)$ with `overlap` $o_k$.

    For one sample the step of the parameter has rank one and the exact change is parallel to the linearised one. Where
    $|1 - \eta o_k| \le$ `singular` the weights are infinite: outcome `singular`.
    """
    left = 1 - rate * overlap
    near = jnp.any(jnp.abs(left) <= singular)
    share = rate / jnp.where(jnp.abs(left) <= singular, 1.0, left)
    change = -(share[:, None] * factors.post).T @ factors.pre / factors.post.shape[0]
    return change, RESULTS.where(near, RESULTS.singular, RESULTS.successful)


def lookahead_errors(
    network: AbstractNetwork,
    batch: StaticBatch,
    rest: AtRest,
    external: Float[Array, "trial unit"],
    rate: Float[Array, ""],
) -> Float[Array, "trial unit"]:
    r"""Errors of a linear network after the step of $A$: rates $r_k - q \sum_l e_l\, x_l^\top x_k$."""
    gram = external @ external.T
    rates = rest.steady.rates - rate / gram.shape[0] * gram @ rest.errors
    return batch.errors(outputs_of(network, rates)) @ network.w_out


def _solved(system: Array, right: Array, singular: float) -> tuple[Array, RESULTS]:
    """Solution of a square system, and the outcome `singular` where its reciprocal condition (1-norm) is too small."""
    factored = jax.scipy.linalg.lu_factor(system)
    inverse = jax.scipy.linalg.lu_solve(factored, jnp.eye(system.shape[0], dtype=system.dtype))
    size = jnp.max(jnp.sum(jnp.abs(system), axis=0)) * jnp.max(jnp.sum(jnp.abs(inverse), axis=0))
    result = RESULTS.where(1 / size > singular, RESULTS.successful, RESULTS.singular)  # NaN counts as singular
    return jax.scipy.linalg.lu_solve(factored, right), result
