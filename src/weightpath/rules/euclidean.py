"""The gradient of a loss at fixed points, by the adjoint of the fixed-point equation."""

import equinox as eqx

from weightpath._results import RESULTS
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.steady_adjoint import adjoint
from weightpath.networks.steady_solver import SteadySolver
from weightpath.rules.fixed_point_base import AbstractFixedPointRule, Factors
from weightpath.rules.static_loss import AtRest
from weightpath.tasks.static_batch import StaticBatch


class EuclideanFixedPoint(AbstractFixedPointRule):
    r"""The gradient $\partial J/\partial\theta$ at fixed points: "dW1", steepest descent in the entries of the weights.

    $(1 - W^\top G_k) v_k = e_k$, $\lambda_k = G_k v_k$ with slopes $G_k = \mathrm{diag} f'(z_k)$; update
    $\frac1m\sum_k \lambda_k r_k^\top$ of the recurrent weights, $\lambda_k u_k^\top$ of the input weights, $\lambda_k$
    of the bias. The loss is infinite where $\det(1 - G W) = 0$, and the gradient grows like the inverse cube of the
    distance to that surface.

    `solver`: how fixed points and adjoints are found.
    Source: Zhu and Rosenbaum 2024 (arXiv 2307.06732).
    """

    solver: SteadySolver = eqx.field(default_factory=SteadySolver)

    def factors(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> Factors:
        r"""$\lambda_k$ and $r_k$."""
        sensitivity = adjoint(network, rest.steady, rest.errors, self.solver)
        return Factors(sensitivity, rest.steady.rates, RESULTS.successful)
