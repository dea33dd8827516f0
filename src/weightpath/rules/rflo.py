"""Random-feedback local online learning."""

import warnings

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Key
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.credit import Credit
from weightpath.rules.eligibility import AbstractEligibilityRule
from weightpath.rules.feedback import as_decay, as_feedback, check_feedback, linear_credit
from weightpath.rules.local_step import Local, StepForm
from weightpath.rules.population import NoExactForm
from weightpath.tasks.base import Batch


class RFLO(AbstractEligibilityRule):
    r"""Random-feedback local online learning: $P_t = \hat w P_{t-1} + g_t z_t^\top$, gradient $(R^\top e)_i P_{ij}$.

    The recurrent Jacobian is replaced by the scalar $\hat w$ and the transposed read-out by fixed feedback $R$.

    **Arguments:**
    - `feedback` $R$ (out, post), or (post,) for one output; None feeds back through the present read-out.
    - `trace_decay` $\hat w$: retention of the trace per step. None takes 1 - leak of the network, which is the leak of
      its units; the immediate term is scaled by the leak alone, so that another decay does not rescale the gradient.
    - `trace_derivative`: whether the slope of the activation enters the trace of a network in rate form. Without it one
      vector serves all units (as it does in linear networks), and the change of the recurrent weights has rank at most
      the number of outputs.

    **Raises:** ValueError for feedback that is no finite matrix or a decay that is not one finite number.
    Warns when an output has no feedback, when $|\hat w| \ge 1$, and when None means 0.
    Source: Murray 2019 (eLife 8:e43299).
    """

    feedback: Float[Array, "out post"] | None = eqx.field(converter=as_feedback)
    trace_decay: Float[Array, ""] | None = eqx.field(default=None, converter=as_decay)
    trace_derivative: bool = eqx.field(default=True, static=True)

    def __check_init__(self):
        check_feedback("RFLO", self.feedback)
        decay = self.trace_decay
        if decay is None or is_traced(decay):
            return
        if decay.ndim != 0 or not np.isfinite(decay):
            raise ValueError(f"trace_decay must be one finite number; got {np.asarray(decay)}.")
        if abs(float(decay)) >= 1:
            warnings.warn(
                f"trace_decay={float(decay):g}: a trace that does not decay lets the oldest inputs dominate, and grows "
                "without bound on long trials; use a value between -1 and 1.",
                stacklevel=3,
            )

    def init(self, network: AbstractNetwork, batch: Batch, key: Key | None) -> None:
        """Nothing is carried between trials; warns when the default decay is 0. **Raises:** ValueError."""
        if self.trace_decay is None and self.check(network).leak == 1:
            warnings.warn(_no_trace(self.feedback), stacklevel=3)
        super().init(network, batch, key)

    def decay(self, network: AbstractNetwork, form: StepForm, local: Local) -> Float[Array, ""]:
        r"""$\hat w$."""
        return jnp.asarray(form.retention if self.trace_decay is None else self.trace_decay, network.w_rec.dtype)

    def gain(self, form: StepForm, local: Local) -> Float[Array, "..."]:
        """The leak, times the slope of the activation where it enters."""
        return local.gain if self.trace_derivative else jnp.asarray(form.leak, local.state.dtype)

    def shares(self, form: StepForm) -> bool:
        """Whether no slope enters the trace."""
        return form.even or not self.trace_derivative

    def credit(self, network: AbstractNetwork) -> Credit:
        r"""$P_k = \hat w^k R^\top$. **Raises:** NoExactForm (a ValueError) for networks that are not a LinearRNN."""
        continuous = isinstance(network, ContinuousLinearRNN)
        if self.trace_decay is None:
            if not continuous:
                warnings.warn(_no_trace(self.feedback), stacklevel=2)
            # In continuous time D = 0 is a trace that decays with the membrane.
            return linear_credit(network, 0.0, self.source(network))
        if continuous:
            raise NoExactForm(
                "trace_decay counts time steps and the network runs in continuous time; leave it out, for a trace that "
                "decays with the membrane"
            )
        return linear_credit(network, self.trace_decay, self.source(network))


def _no_trace(feedback: Array | None) -> str:
    kind = "the present read-out" if feedback is None else "random feedback"
    return (
        f"RFLO without trace_decay on a network without leak (leak 1): the default 1 - leak is 0, so nothing is "
        f"carried and the rule is SnAp-0 with {kind}. Give trace_decay to carry a trace."
    )
