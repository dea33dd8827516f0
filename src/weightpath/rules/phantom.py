"""The gradient at fixed points with a truncated Neumann series in place of the adjoint's solve."""

import equinox as eqx
import jax

from weightpath._results import RESULTS
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.steady_solver import SteadySolver
from weightpath.rules.fixed_point_base import AbstractFixedPointRule, Factors
from weightpath.rules.static_loss import AtRest
from weightpath.tasks.static_batch import StaticBatch


class PhantomGradient(AbstractFixedPointRule):
    r"""The first `terms` terms of the adjoint's series, $\lambda_k = G_k \sum_{j<n} (W^\top G_k)^j e_k$.

    One term, $G_k e_k r_k^\top$, is local given the error: no weight is used backwards (the immediate term of RFLO-like
    rules). The series converges to the gradient where the spectral radius of $G_k W$ is below 1, and grows without
    bound where it is above.

    **Raises:** ValueError for less than one term.
    """

    terms: int = eqx.field(default=1, static=True)
    solver: SteadySolver = eqx.field(default_factory=SteadySolver)

    def __check_init__(self):
        if isinstance(self.terms, bool) or not isinstance(self.terms, int) or self.terms < 1:
            raise ValueError(f"terms must be a whole number of at least 1; got {self.terms!r}.")

    def factors(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> Factors:
        """The truncated series, and the rates."""
        slopes = rest.steady.slopes

        def longer(_, value):
            return rest.errors + (slopes * value) @ network.w_rec

        value = jax.lax.fori_loop(0, self.terms - 1, longer, rest.errors)
        return Factors(slopes * value, rest.steady.rates, RESULTS.successful)
