"""Equilibrium propagation: what reaches a unit is read off how its fixed point moves when the network is nudged."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._results import RESULTS
from weightpath._tracing import is_traced
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.checks import as_float
from weightpath.networks.steady_solver import SteadySolver
from weightpath.networks.steady_state import solve_states
from weightpath.rules.fixed_point_base import AbstractFixedPointRule, Factors
from weightpath.rules.static_loss import AtRest, outcome
from weightpath.tasks.static_batch import StaticBatch


class EquilibriumPropagation(AbstractFixedPointRule):
    r"""Nudge every unit against its error, let the network rest again, and take the shift of its rates for the adjoint.

    $\lambda_k = (r_k - r_k^\beta)/\beta$, where $r^\beta$ is the fixed point with the nudge $-\beta e_k$ (the error at
    the free point), and the update is that of the gradient, $\frac1m\sum_k\lambda_k r_k^\top$. With $A_k = (1 - G_k
    W)^{-1} G_k$, to first order in $\beta$:
    - `inside=True`: the nudge joins the input, inside $f$; $\lambda_k = A_k e_k$, the adjoint $A_k^\top e_k$ for every
      error exactly where $W$ is symmetric.
    - `inside=False`: the nudge is added outside $f$; $\lambda_k = A_k G_k^{-1} e_k$, not the adjoint even for symmetric
      $W$, unless also $G_k = 1$.
    `nudge`: $\beta$; `centred` takes half the difference of a nudge and its opposite (error $\beta^2$, not $\beta$).

    **Raises:** ValueError for a nudge that is not positive.
    Source: Scellier and Bengio 2017 (arXiv 1602.05179); the two shifts are derived here.
    """

    nudge: Float[Array, ""] = eqx.field(default=1e-3, converter=as_float)
    inside: bool = eqx.field(default=True, static=True)
    centred: bool = eqx.field(default=False, static=True)
    solver: SteadySolver = eqx.field(default_factory=SteadySolver)

    def __check_init__(self):
        if not is_traced(self.nudge) and not 0 < self.nudge < float("inf"):
            raise ValueError(f"nudge must be positive and finite; got {self.nudge}.")

    def factors(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> Factors:
        """The shift of the rates by the nudge, and the free rates."""
        nudged, result = self._nudged(network, batch, rest, self.nudge)
        if not self.centred:
            return Factors((rest.steady.rates - nudged) / self.nudge, rest.steady.rates, result)
        opposite, other = self._nudged(network, batch, rest, -self.nudge)
        result = RESULTS.where(result == RESULTS.successful, other, result)
        return Factors((opposite - nudged) / (2 * self.nudge), rest.steady.rates, result)

    def _nudged(
        self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest, nudge: Array
    ) -> tuple[Array, RESULTS]:
        r"""Rates at the nudged fixed points, found from the free ones, and whether they were found.

        Outside $f$, $r = s - \beta e$ with $s = f(W s + x - \beta W e)$: a fixed point with another input again.
        """
        push = nudge * rest.errors
        shift = push if self.inside else push @ network.w_rec.T
        units = jnp.eye(network.w_rec.shape[0], dtype=network.w_rec.dtype)
        direct = eqx.tree_at(lambda value: value.w_in, network, units)
        inputs = batch.inputs @ network.w_in.T - shift  # the bias stays the network's own
        steady = solve_states(direct, inputs, jax.lax.stop_gradient(rest.steady.states), self.solver)
        return steady.rates if self.inside else steady.rates - push, outcome(steady, self.solver)
