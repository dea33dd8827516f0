"""Learning rules that descend in another parameter of the fixed points than the weights themselves."""

import equinox as eqx
import jax.numpy as jnp

from weightpath._results import RESULTS
from weightpath._types import Array, Float, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.slopes import drive_of, is_linear
from weightpath.networks.steady_solver import SteadySolver
from weightpath.rules.base import Info
from weightpath.rules.exact_step import exact_linear, exact_samples, lookahead_errors
from weightpath.rules.fixed_point_base import (
    AbstractFixedPointRule,
    Factors,
    info,
    outer_products,
    shaped_like,
)
from weightpath.rules.static_loss import AtRest, at_rest
from weightpath.tasks.static_batch import StaticBatch

PARAMETERS = ("A", "K", "dW4")


class Reparameterised(AbstractFixedPointRule):
    r"""Gradient descent in a parameter of the fixed points, mapped back to the weights.

    With slopes $G_k$ at the fixed point $r_k$ and errors $e_k$, the updates are mean outer products $a_k b_k^\top$:
    - "K" (the default): $K = W (1 - G W)^{-1}$; $a = (1 - W G) G e$, $b = (1 - G W)^\top (1 - G W) r$. No slope is
      inverted.
    - "A": the linear response $A = (G^{-1} - W)^{-1}$; $a = (G^{-1} - W) e$,
      $b = (G^{-1} - W)^\top (G^{-1} - W) r$. Undefined where a slope is zero (outcome `singular_gain`) and huge where
      it is small.
    - "dW4" (experimental): $a = (1 - W G) e$, $b = (1 - W G)^\top (1 - W G) r$.
    No system of equations is solved for them: four products of (trial, unit) with (unit, unit). Each is the Riemannian
    gradient of a metric $|P\,dW\,Q|_F$. With $A = G (1 - W G)^{-1}$, $B = (1 - G W)^{-1}$, $B' = (1 - W G)^{-1}$,
    (P, Q) is (B', B) for "K", (A, A) for "A", $(G^{1/2} B', B')$ for "dW4". So it descends for one sample, or where all
    samples share their slopes (a linear network). Over a batch of a nonlinear network every sample has a metric of its
    own, and the mean of the updates need **not** be a direction of descent: `wp.MeanMetric` is, and a guard can test.
    For linear networks "A" and "K" are the same.

    Input weights and bias follow $a_k u_k^\top$ and $a_k$ (the same metric on them), the read-out its gradient.

    **Arguments:**
    - `exact`: plain gradient steps (`optax.sgd(rate)`) move the parameter by the finite step of that size and map back
      ("dW2"), instead of following the velocity, to which the step per rate tends for small rates. Linear networks:
      $\Delta W = (G^{-1} - W) - [A - \eta\,\partial J/\partial A]^{-1}$, by a solve of as many equations as samples or
      units, whichever is less. Nonlinear ones: the mean over samples of every sample's own exact step, with its slopes
      held. Not for "dW4". The step may pass through infinite weights; one nearer to that than `singular` ends with the
      outcome `singular`.
    - `lookahead`: linear networks with `exact` only: the errors are those after a first step of A, as in the published
      code; slower by a factor $1 - \eta s (1 - \eta s)$ instead of $1 - \eta s$ for each eigenvalue $s$ of the inputs.
    - `solver`: how fixed points are found.

    **Raises:** ValueError for another parameter, `exact` with "dW4", `lookahead` without `exact`.
    Source: Zhu and Rosenbaum 2024 (arXiv 2307.06732) for A; the forms for samples of a nonlinear network, their exact
    steps and metrics are derived here.
    """

    parameter: str = eqx.field(default="K", static=True)
    exact: bool = eqx.field(default=False, static=True)
    lookahead: bool = eqx.field(default=False, static=True)
    solver: SteadySolver = eqx.field(default_factory=SteadySolver)
    singular: float = eqx.field(default=1e-12, static=True)

    def __check_init__(self):
        if self.parameter not in PARAMETERS:
            raise ValueError(f"parameter must be one of {', '.join(PARAMETERS)}; got {self.parameter!r}.")
        if self.exact and self.parameter == "dW4":
            raise ValueError('"dW4" has no exact step; use parameter="K" or "A", or exact=False.')
        if self.lookahead and not self.exact:
            raise ValueError("lookahead changes exact steps only; give exact=True too, or leave it out.")

    @property
    def steps_exactly(self) -> bool:
        """Whether plain gradient steps are exact in the parameter."""
        return self.exact

    def check_network(self, network: AbstractNetwork) -> None:
        """**Raises:** ValueError for networks without known slopes, and for `lookahead` with a nonlinear network."""
        super().check_network(network)
        if self.lookahead and not is_linear(network):
            raise ValueError(
                f"lookahead is defined for linear networks; this {type(network).__name__} has activation "
                f"{getattr(network, 'activation', None)!r}. Leave it out."
            )

    def factors(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> Factors:
        """The outer products of the parameter."""
        return reparameterised_factors(self.parameter, network.w_rec, rest)[0]

    def finite_step(
        self, network: AbstractNetwork, batch: StaticBatch, state: PyTree, rates: dict[str, Array]
    ) -> tuple[PyTree, PyTree, Info]:
        """Change of the weights by one step of the sizes `rates`, exact for the recurrent weights; others stay.

        Values: the change, shaped like the network; the states at the fixed points; what was found on the way.
        """
        rest = at_rest(network, batch, state, self.solver)
        change, result = self.step_at(network, batch, rest, rates)
        return change, rest.steady.states, info(rest, result)

    def step_at(
        self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest, rates: dict[str, Array]
    ) -> tuple[PyTree, RESULTS]:
        """The change of the weights of a network at rest, and the rule's own outcome."""
        factors, seen = reparameterised_factors(self.parameter, network.w_rec, rest)
        velocity = outer_products(network, batch, rest, factors)
        moved = {name: rate * getattr(velocity, name) for name, rate in rates.items()}
        result = factors.result
        if "w_rec" in rates:
            change, exactly = self._exact(network, batch, rest, factors, seen, rates["w_rec"])
            moved["w_rec"] = change
            result = RESULTS.where(result == RESULTS.successful, exactly, result)
        return shaped_like(network, **moved), result

    def _exact(self, network, batch, rest: AtRest, factors: Factors, seen: Array, rate: Array) -> tuple[Array, RESULTS]:
        """Exact change of the recurrent weights, and whether its equations could be solved."""
        if not is_linear(network):
            post = factors.post if self.parameter == "A" else rest.steady.slopes * factors.post
            return exact_samples(factors, jnp.sum(seen * post, axis=1), rate, self.singular)
        external, errors = drive_of(network, batch.inputs), rest.errors
        if self.lookahead:
            errors = lookahead_errors(network, batch, rest, external, rate)
        return exact_linear(network.w_rec, errors, external, rate, self.singular)


def reparameterised_factors(
    parameter: str, weights: Float[Array, "post pre"], rest: AtRest
) -> tuple[Factors, Float[Array, "trial unit"]]:
    """Outer products of an update by name, and the rates as the parameter sees them: the effective input for A."""
    slopes, rates, errors = rest.steady.slopes, rest.steady.rates, rest.errors
    result = RESULTS.successful
    if parameter == "A":
        dead = jnp.any(slopes == 0)
        slopes = jnp.where(slopes == 0, 1.0, slopes)  # the outcome says it; no NaN goes on
        post = errors / slopes - errors @ weights.T
        seen = rates / slopes - rates @ weights.T
        pre = seen / slopes - seen @ weights
        result = RESULTS.where(dead, RESULTS.singular_gain, result)
    elif parameter == "K":
        post = slopes * errors - (slopes * slopes * errors) @ weights.T
        seen = rates - slopes * (rates @ weights.T)
        pre = seen - (slopes * seen) @ weights
    else:
        post = errors - (slopes * errors) @ weights.T
        seen = rates - (slopes * rates) @ weights.T
        pre = seen - slopes * (seen @ weights)
    return Factors(post, pre, result), seen
