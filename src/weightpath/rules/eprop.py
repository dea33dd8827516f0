"""E-prop: eligibility traces through each unit's own memory."""

import equinox as eqx
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.credit import Credit
from weightpath.rules.eligibility import AbstractEligibilityRule
from weightpath.rules.feedback import as_feedback, check_feedback, linear_credit
from weightpath.rules.local_step import Local, StepForm


class EProp(AbstractEligibilityRule):
    r"""E-prop: $P_t = \mathrm{diag}(J_t)\,P_{t-1} + g_t z_t^\top$, gradient $(R^\top e_t)_i P_{t,ij}$.

    Only the diagonal of the recurrent Jacobian carries a trace on: $1 - \alpha + \alpha f' W_{ii}$. `feedback` (out,
    post), or (post,) for one output, is fixed; None feeds back through the present read-out.

    **Raises:** ValueError for feedback that is no finite matrix. Warns when an output has no feedback.
    Source: Bellec et al. 2020 (Nature Communications 11:3625), without spikes.
    """

    feedback: Float[Array, "out post"] | None = eqx.field(default=None, converter=as_feedback)

    def __check_init__(self):
        check_feedback("EProp", self.feedback)

    def decay(self, network: AbstractNetwork, form: StepForm, local: Local) -> Float[Array, " post"]:
        """The diagonal of the Jacobian."""
        return form.diagonal(network, local)

    def credit(self, network: AbstractNetwork) -> Credit:
        r"""$P_k = \mathrm{diag}(W)^k R^\top$. **Raises:** NoExactForm (a ValueError), see `RFLO.credit`."""
        return linear_credit(network, jnp.diagonal(network.w_rec), self.source(network))
