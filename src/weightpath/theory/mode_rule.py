r"""What a learning rule does to a single mode: two numbers and two switches, so that one program serves many rules.

The credit of a one-unit network (`weightpath.rules.credit`) is affine in its weights, $P_k = c^k s$ with

$$c = \text{follow}\cdot w + \text{trace\_decay},\qquad s = \text{tied}\cdot a + \text{feedback}.$$
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float
from weightpath.networks.linear import LinearRNN


def _number(value) -> Array:
    return jnp.asarray(value, dtype=float)


class ModeRule(eqx.Module):
    r"""A rule as a single mode sees it: carry $c = \text{follow}\,w + \hat w$, source $s = \text{tied}\,a + \hat a$.

    Arguments, each a number or an array (...), so that rules can be stacked: `follow` 1 where an error travels
    back through the mode's own recurrent weight (BPTT, RTRL, e-prop), 0 where through the constant `trace_decay`
    $\hat w$ (RFLO; 0 for one-step BPTT and SnAp-0); `tied` 1 where it enters through the current read-out, 0 where
    through the fixed `feedback` $\hat a$. `terms`: number of steps back that are kept (None: all).
    """

    follow: Float[Array, "..."] = eqx.field(converter=_number)
    trace_decay: Float[Array, "..."] = eqx.field(converter=_number)
    tied: Float[Array, "..."] = eqx.field(converter=_number)
    feedback: Float[Array, "..."] = eqx.field(converter=_number)
    terms: int | None = eqx.field(default=None, static=True)

    def carry(self, recurrent: Float[Array, "..."]) -> Float[Array, "..."]:
        """What one step back in time multiplies an error by."""
        return self.follow * recurrent + self.trace_decay

    def source(self, read_out: Float[Array, "..."]) -> Float[Array, "..."]:
        """What an error is multiplied by on entering the network."""
        return self.tied * read_out + self.feedback

    @property
    def has_fixed_feedback(self) -> bool:
        """Whether no part of the feedback follows the read-out; for numbers that can be looked at."""
        return not is_traced(self.tied) and not np.any(np.asarray(self.tied))


def mode_rule(rule) -> ModeRule:
    """The rule on one mode, for any learning rule with a `credit` and feedback of shape (1, 1).

    One-step truncated BPTT is RFLO with trace decay 0 and tied feedback; RTRL is BPTT, with weights frozen in a trial.

    **Raises:** ValueError for a rule without a linear credit, or whose feedback belongs to a larger network.
    """
    if isinstance(rule, ModeRule):
        return rule
    if not hasattr(rule, "credit"):
        raise ValueError(
            f"{type(rule).__name__} has no mode equations; expected BPTT, RTRL, TruncatedBPTT, RFLO, EProp or SnAp0."
        )
    feedback = getattr(rule, "feedback", None)
    if feedback is not None and np.size(feedback) != 1:
        raise ValueError(
            f"a mode has one unit and one output, its feedback shape (1, 1); got {np.shape(feedback)}. Use "
            "theory.Modes(mode) with the whole network, or give the feedback of one mode."
        )
    none, one = (rule.credit(LinearRNN([[weight]], [[1.0]], [[weight]])) for weight in (0.0, 1.0))
    carry, source = none.carry.reshape(()), none.source.reshape(())
    follow, tied = one.carry.reshape(()) - carry, one.source.reshape(()) - source
    if one.terms == 1:  # nothing is carried
        return ModeRule(jnp.zeros(()), jnp.zeros(()), tied, source)
    return ModeRule(follow, carry, tied, source, one.terms)


def mode_name(rule) -> str:
    """A short name with the numbers of the rule, such as "RFLO(feedback 1, trace_decay 0.5)"."""
    small = mode_rule(rule)
    follow, decay, tied, feedback = (
        float(np.asarray(part)) for part in (small.follow, small.trace_decay, small.tied, small.feedback)
    )
    if follow:
        name = "BPTT" if small.terms is None else f"TruncatedBPTT({small.terms})"
        return name if tied else f"EProp(feedback {feedback:g})"
    if tied:
        return f"RFLO(symmetric, trace_decay {decay:g})" if decay else "TruncatedBPTT(1)"
    return f"RFLO(feedback {feedback:g}, trace_decay {decay:g})" if decay else f"SnAp0(feedback {feedback:g})"
