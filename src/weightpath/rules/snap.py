"""SnAp-0: what an error does to the weights through the present step alone."""

import equinox as eqx
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.credit import Credit
from weightpath.rules.eligibility import AbstractEligibilityRule
from weightpath.rules.feedback import as_feedback, check_feedback, linear_credit
from weightpath.rules.local_step import Local, StepForm
from weightpath.rules.population import NoExactForm


class SnAp0(AbstractEligibilityRule):
    r"""Nothing is carried: gradient $(R^\top e_t)_i\,g_{t,i}\,z_{t,j}$ of the present step alone.

    `feedback` (out, post), or (post,) for one output; None feeds back through the present read-out, which is
    `TruncatedBPTT(1)`.

    **Raises:** ValueError for feedback that is no finite matrix. Warns when an output has no feedback.
    Source: Menick et al. 2020 (arXiv 2006.07232).
    """

    feedback: Float[Array, "out post"] | None = eqx.field(converter=as_feedback)

    def __check_init__(self):
        check_feedback("SnAp0", self.feedback)

    def decay(self, network: AbstractNetwork, form: StepForm, local: Local) -> Float[Array, ""]:
        """0."""
        return jnp.zeros((), network.w_rec.dtype)

    def first_trace(self, network: AbstractNetwork, form: StepForm) -> None:
        """Nothing."""

    def carry(self, network, form: StepForm, trace: None, local: Local, noise: Array | None) -> None:
        """Nothing."""

    def meet(
        self, network, form: StepForm, trace: None, local: Local, credit: Float[Array, " post"]
    ) -> tuple[Array, ...]:
        """Each unit's credit times what its weights do now."""
        return tuple((credit * local.gain)[:, None] * part for part in local.parts)

    def credit(self, network: AbstractNetwork) -> Credit:
        r"""$P_0 = R^\top$ and nothing further. **Raises:** NoExactForm (a ValueError), see `RFLO.credit`."""
        if isinstance(network, ContinuousLinearRNN):
            raise NoExactForm("without a trace nothing is learned in the limit of short time steps")
        return linear_credit(network, 0.0, self.source(network))
