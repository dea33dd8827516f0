"""One Riemannian gradient for a whole batch, under the mean of its samples' metrics."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._results import RESULTS
from weightpath._types import Array, Float, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.steady_adjoint import adjoint
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
from weightpath.rules.static_loss import AtRest
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
    - `chunk`: None keeps two (unit, unit) matrices a sample. A number works on so many samples at a time and keeps
      none: memory no longer grows with the batch, but the matrices are made anew in every step of the conjugate
      gradients, an inverse and two products a sample beside the two products that they need anyway.

    Input weights and bias follow the mean metric $|P_k\,dU|_F$. Costs the inverse of a (unit, unit) matrix a sample:
    for networks of a few hundred units.

    **Raises:** ValueError for another parameter, a tolerance that is not positive, or less than one step or sample.
    Source: derived here, for the metrics of Zhu and Rosenbaum 2024 (arXiv 2307.06732).
    """

    parameter: str = eqx.field(default="K", static=True)
    tolerance: float = eqx.field(default=1e-10, static=True)
    max_steps: int = eqx.field(default=200, static=True)
    solver: SteadySolver = eqx.field(default_factory=SteadySolver)
    chunk: int | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        if self.parameter not in ("A", "K"):
            raise ValueError(f"parameter must be A or K; got {self.parameter!r}.")
        if not self.tolerance > 0 or self.max_steps < 1:
            raise ValueError(
                f"tolerance must be positive and max_steps at least 1; got {self.tolerance} and {self.max_steps}."
            )
        if self.chunk is not None and not (isinstance(self.chunk, int) and self.chunk >= 1):
            raise ValueError(f"chunk must be a whole number of samples of at least 1, or None; got {self.chunk!r}.")

    def factors(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> Factors:
        """Those of the gradient, which the metric turns."""
        return _of_gradient(_ahead(network.w_rec, rest.steady.slopes), rest)

    def update_at(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> tuple[PyTree, Info]:
        """Velocity at the fixed points of the batch; `Info.residual` is that of the conjugate gradients."""
        velocity, result, residual = self._solved(network, batch, rest)
        found = info(rest, result)
        return velocity, Info(found.loss, residual, found.result)

    def velocity_at(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> tuple[PyTree, RESULTS]:
        """Velocity of a network at rest, and the rule's own outcome."""
        return self._solved(network, batch, rest)[:2]

    def _solved(self, network, batch, rest: AtRest) -> tuple[AbstractNetwork, RESULTS, Array]:
        weights, slopes = network.w_rec, rest.steady.slopes
        if self.chunk is None or self.chunk >= slopes.shape[0]:
            # One factorisation a sample gives the metric and the adjoint.
            ahead = _ahead(weights, slopes)
            factors, parts = _of_gradient(ahead, rest), _parts(self.parameter, ahead, weights, slopes)
            means, operator = [jnp.mean(part, axis=0) for part in parts], _operator(*parts)
        else:
            sensitivity = adjoint(network, rest.steady, rest.errors, self.solver)
            factors = Factors(sensitivity, rest.steady.rates, RESULTS.successful)
            means, operator = _by_chunks(self.parameter, weights, slopes, self.chunk)
        gradient = outer_products(network, batch, rest, factors)
        outer, inner = jnp.linalg.inv(jnp.stack(means))

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


def _of_gradient(ahead: Float[Array, "trial unit unit"], rest: AtRest) -> Factors:
    r"""$\lambda_k = G_k (1 - W^\top G_k)^{-1} e_k = B_k'^\top G_k e_k$, the gradient by the net input, and $r_k$."""
    sensitivity = jnp.einsum("kij,ki->kj", ahead, rest.steady.slopes * rest.errors)
    return Factors(sensitivity, rest.steady.rates, RESULTS.successful)


def _operator(left: Float[Array, "trial unit unit"], right: Float[Array, "trial unit unit"]) -> Callable:
    """D -> mean over samples of left D right, as two plain products of matrices."""
    samples, units, _ = left.shape
    side, below = (jnp.moveaxis(part, 0, 1).reshape(units, samples * units) for part in (right, left))

    def operator(change):
        turned = jnp.moveaxis((change @ side).reshape(units, samples, units), 0, 1)
        return below @ turned.reshape(samples * units, units) / samples

    return operator


def _by_chunks(
    parameter: str, weights: Float[Array, "post pre"], slopes: Float[Array, "trial unit"], size: int
) -> tuple[Float[Array, "2 unit unit"], Callable]:
    """Means of the two matrices of the samples, and the operator, from so many samples at a time; no matrix is kept."""
    samples, units = slopes.shape
    count = -(-samples // size)
    # The last chunk is filled up with samples that do not count.
    filled = jnp.pad(slopes, ((0, count * size - samples), (0, 0))).reshape(count, size, units)
    counts = (jnp.arange(count * size) < samples).astype(slopes.dtype).reshape(count, size, 1, 1)

    def total(work, zero):
        def add(so_far, chunk):
            gains, counted = chunk
            left, right = _parts(parameter, _ahead(weights, gains), weights, gains)
            return so_far + work(counted * left, counted * right), None

        return jax.lax.scan(add, zero, (filled, counts))[0] / samples

    def operator(change):
        return total(lambda left, right: size * _operator(left, right)(change), jnp.zeros_like(change))

    means = total(
        lambda left, right: jnp.stack([jnp.sum(left, 0), jnp.sum(right, 0)]), jnp.zeros((2, units, units), slopes.dtype)
    )
    return means, operator


def _parts(parameter: str, ahead: Array, weights: Array, slopes: Array) -> tuple[Array, Array]:
    one = jnp.eye(weights.shape[0], dtype=weights.dtype)
    if parameter == "A":
        response = slopes[:, :, None] * ahead
        return jnp.swapaxes(response, 1, 2) @ response, response @ jnp.swapaxes(response, 1, 2)
    behind = one + slopes[:, :, None] * (ahead @ weights)  # B = 1 + G B' W
    return jnp.swapaxes(ahead, 1, 2) @ ahead, behind @ jnp.swapaxes(behind, 1, 2)
