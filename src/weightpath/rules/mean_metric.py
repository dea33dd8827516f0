"""One Riemannian gradient for a whole batch, under the mean of its samples' metrics."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._results import RESULTS
from weightpath._types import Array, Float, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.steady_solver import SteadySolver
from weightpath.rules.base import Info
from weightpath.rules.fixed_point_base import (
    AbstractFixedPointRule,
    Factors,
    info,
    outer_products,
    readout_velocity,
    shaped_like,
)
from weightpath.rules.static_loss import AtRest, at_rest
from weightpath.tasks.static_batch import StaticBatch


class MeanMetric(AbstractFixedPointRule):
    r"""Steepest descent under the mean metric of a batch: $\frac1m\sum_k (P_k^\top P_k) D (Q_k Q_k^\top) = \nabla_W J$.

    `wp.Reparameterised` averages the Riemannian gradients of the samples' own metrics $|P_k\,dW\,Q_k|_F$, and that mean
    need not descend. Here one metric, the mean, serves the batch; the update is $D$. Its operator is symmetric and
    positive definite, being a mean of Kronecker products of positive definite matrices, so that $\langle \nabla_W J,
    D\rangle = \langle D, \mathrm{operator}\,D\rangle > 0$ wherever the gradient is not zero: $-D$ is always a direction
    of descent. The equations are solved by conjugate gradients, preconditioned by the product of the two means; an
    iterate that stops early descends too, since its slope is positive as well.

    **Arguments:**
    - `parameter`: "K" (P, Q) = ($B'$, $B$), or "A" ($A$, $A$; outcome `singular_gain` where a slope is zero), with
      $B = (1 - G W)^{-1}$, $B' = (1 - W G)^{-1}$, $A = G B'$.
    - `tolerance`, `max_steps`: of the conjugate gradients (relative residual, which `Info.residual` holds).
    - `solver`: how fixed points and adjoints are found.

    Input weights and bias follow the mean metric $|P_k\,dU|_F$. Costs the inverse of a (unit, unit) matrix a sample,
    and keeps two such matrices a sample: for networks of a few hundred units.

    **Raises:** ValueError for another parameter, a tolerance that is not positive, or less than one step.
    Source: derived here, for the metrics of Zhu and Rosenbaum 2024 (arXiv 2307.06732).
    """

    parameter: str = eqx.field(default="K", static=True)
    tolerance: float = eqx.field(default=1e-10, static=True)
    max_steps: int = eqx.field(default=200, static=True)
    solver: SteadySolver = eqx.field(default_factory=SteadySolver)

    def __check_init__(self):
        if self.parameter not in ("A", "K"):
            raise ValueError(f"parameter must be A or K; got {self.parameter!r}.")
        if not self.tolerance > 0 or self.max_steps < 1:
            raise ValueError(
                f"tolerance must be positive and max_steps at least 1; got {self.tolerance} and {self.max_steps}."
            )

    def factors(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> Factors:
        """Those of the gradient, which the metric turns."""
        ahead = _ahead(network.w_rec, rest.steady.slopes)
        return Factors(_sensitivity(ahead, rest), rest.steady.rates, RESULTS.successful)

    def update(self, network: AbstractNetwork, batch: StaticBatch, state: PyTree) -> tuple[PyTree, PyTree, Info]:
        """Velocity at the fixed points of the batch; `Info.residual` is that of the conjugate gradients."""
        rest = at_rest(network, batch, state, self.solver)
        velocity, result, residual = self._solved(network, batch, rest)
        found = info(rest, result)
        return velocity, rest.steady.states, Info(found.loss, residual, found.result)

    def velocity_at(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> tuple[PyTree, RESULTS]:
        """Velocity of a network at rest, and the rule's own outcome."""
        return self._solved(network, batch, rest)[:2]

    def _solved(self, network, batch, rest: AtRest) -> tuple[AbstractNetwork, RESULTS, Array]:
        # One factorisation a sample gives the metric and the adjoint.
        ahead = _ahead(network.w_rec, rest.steady.slopes)
        factors = Factors(_sensitivity(ahead, rest), rest.steady.rates, RESULTS.successful)
        gradient = outer_products(network, batch, rest, factors)
        left, right = _parts(self.parameter, ahead, network.w_rec, rest.steady.slopes)
        outer, inner = jnp.linalg.inv(jnp.stack([jnp.mean(left, axis=0), jnp.mean(right, axis=0)]))

        samples, units, _ = left.shape
        # The sum over samples as two plain products of matrices.
        side, below = (jnp.moveaxis(part, 0, 1).reshape(units, samples * units) for part in (right, left))

        def operator(change):
            turned = jnp.moveaxis((change @ side).reshape(units, samples, units), 0, 1)
            return below @ turned.reshape(samples * units, units) / samples

        def near(change):
            return outer @ change @ inner

        change, _ = jax.scipy.sparse.linalg.cg(
            operator, gradient.w_rec, tol=self.tolerance, maxiter=self.max_steps, M=near
        )
        size = jnp.linalg.norm(gradient.w_rec)
        residual = jnp.linalg.norm(operator(change) - gradient.w_rec) / jnp.where(size > 0, size, 1.0)
        moved = {"w_in": outer @ gradient.w_in}
        if (bias := getattr(gradient, "bias", None)) is not None:
            moved["bias"] = outer @ bias
        dead = (self.parameter == "A") & jnp.any(rest.steady.slopes == 0)
        result = RESULTS.where(dead, RESULTS.singular_gain, RESULTS.successful)
        return shaped_like(network, w_rec=change, **moved, **readout_velocity(rest)), result, residual


def metric_parts(
    parameter: str, weights: Float[Array, "post pre"], slopes: Float[Array, "trial unit"]
) -> tuple[Float[Array, "trial unit unit"], Float[Array, "trial unit unit"]]:
    r"""$P_k^\top P_k$ and $Q_k Q_k^\top$ of every sample."""
    return _parts(parameter, _ahead(weights, slopes), weights, slopes)


def _ahead(weights: Float[Array, "post pre"], slopes: Float[Array, "trial unit"]) -> Float[Array, "trial unit unit"]:
    """$B'_k = (1 - W G_k)^{-1}$."""
    one = jnp.eye(weights.shape[0], dtype=weights.dtype)
    return jnp.linalg.inv(one - weights * slopes[:, None, :])


def _sensitivity(ahead: Float[Array, "trial unit unit"], rest: AtRest) -> Float[Array, "trial unit"]:
    r"""$\lambda_k = G_k (1 - W^\top G_k)^{-1} e_k = B_k'^\top G_k e_k$, the gradient by the net input."""
    return jnp.einsum("kij,ki->kj", ahead, rest.steady.slopes * rest.errors)


def _parts(parameter: str, ahead: Array, weights: Array, slopes: Array) -> tuple[Array, Array]:
    one = jnp.eye(weights.shape[0], dtype=weights.dtype)
    if parameter == "A":
        response = slopes[:, :, None] * ahead
        return jnp.swapaxes(response, 1, 2) @ response, response @ jnp.swapaxes(response, 1, 2)
    behind = one + slopes[:, :, None] * (ahead @ weights)  # B = 1 + G B' W
    return jnp.swapaxes(ahead, 1, 2) @ ahead, behind @ jnp.swapaxes(behind, 1, 2)
