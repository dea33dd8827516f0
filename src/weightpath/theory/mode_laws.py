r"""What a rule conserves along its flow, for one mode and for whole linear networks.

For every rule that keeps all steps back, at every instant and for any data, $S\,\Delta A + D\,\Delta W = \Delta W W^T +
\Delta B B^T$ with the credit $P_k = D^kS$. Where both sides are derivatives a law follows, for any teacher, horizon and
loss: for equal rates, without weight decay, and to first order in the learning rate of discrete steps.

Source: derived here.
"""

import equinox as eqx
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import LinearRNN
from weightpath.theory.base import Values
from weightpath.theory.mode_equations import as_states
from weightpath.theory.mode_rule import ModeRule, mode_rule


def invariant(rule, state: Values) -> Float[Array, "*batch"]:
    r"""The conserved number of one mode at `state` (..., 3).

    BPTT, RTRL $a^2-b^2$; one-step BPTT $a^2-b^2-w^2$; RFLO $b^2+(w-\hat w)^2-2\hat aa$, with symmetric feedback
    $a^2-b^2-(w-\hat w)^2$; SnAp-0 as RFLO with $\hat w = 0$; e-prop $b^2-2\hat aa$, with symmetric feedback as BPTT.

    **Raises:** ValueError for BPTT truncated to more than one step, which conserves nothing of this kind.
    """
    rule = mode_rule(rule)
    if rule.terms is not None:
        raise ValueError(
            f"BPTT truncated to {rule.terms} steps has no conserved quantity; BPTT, one-step BPTT, RFLO, SnAp-0 and "
            "e-prop have."
        )
    return _invariant(rule, as_states(state))


@eqx.filter_jit
def _invariant(rule: ModeRule, states: Array) -> Array:
    a, b, w = states[..., 0], states[..., 1], states[..., 2]
    kept = b**2 + (1 - rule.follow) * (w - rule.trace_decay) ** 2 - rule.tied * a**2 - 2 * rule.feedback * a
    return jnp.where(rule.tied == 1, -kept, kept)


def conserved(rule, network: AbstractNetwork) -> Float[Array, "unit unit"]:
    r"""The conserved matrix of a linear network under `rule`, whose entries are all constant along the flow.

    No alignment, any numbers of units, inputs and outputs: BPTT, RTRL $A^TA + W^TW - WW^T - BB^T$; one-step BPTT
    $A^TA - WW^T - BB^T$; RFLO $(W-\hat w)(W-\hat w)^T + BB^T - R^TA - A^TR$, with symmetric feedback
    $A^TA - (W-\hat w)(W-\hat w)^T - BB^T$; SnAp-0 as RFLO with $\hat w = 0$; e-prop the diagonal of
    $WW^T + BB^T - R^TA - A^TR - \mathrm{diag}(W)^2$, with symmetric feedback of its $A^TA$ analogue (zeros elsewhere).

    **Raises:** ValueError for networks that are not linear, and for BPTT truncated to more than one step.
    """
    if not isinstance(network, LinearRNN) or not hasattr(rule, "credit"):
        raise ValueError(
            f"the conserved matrices are those of a LinearRNN under BPTT, RTRL, TruncatedBPTT(1), RFLO, SnAp0 or "
            f"EProp; got a {type(network).__name__} and {type(rule).__name__}."
        )
    credit = rule.credit(network)
    if credit.terms is not None and credit.terms > 1:
        raise ValueError(f"BPTT truncated to {credit.terms} steps has no conserved quantity.")
    w, read_in, read_out = network.w_rec, network.w_in, network.w_out
    carry = jnp.zeros((), w.dtype) if credit.terms == 1 else credit.carry
    if getattr(rule, "feedback", None) is None:
        kept, sign = -read_out.T @ read_out, -1
    else:
        kept, sign = -credit.source @ read_out - read_out.T @ credit.source.T, 1
    kept = kept + read_in @ read_in.T
    if carry.ndim == 2:
        kept = kept + w @ w.T - w.T @ w
    elif carry.ndim == 1:
        kept = jnp.diag(jnp.diagonal(kept + w @ w.T) - carry**2)
    else:
        shifted = w - carry * jnp.eye(w.shape[0], dtype=w.dtype)
        kept = kept + shifted @ shifted.T
    return sign * kept
