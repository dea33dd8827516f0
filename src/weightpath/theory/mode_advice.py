"""What is worth knowing about a mode before it learns: which branch it leaves, what it can not learn, which rate."""

import numpy as np

from weightpath.theory.base import Values
from weightpath.theory.mode_end import final_state
from weightpath.theory.mode_equations import as_states
from weightpath.theory.mode_manifold import max_stable_rate
from weightpath.theory.mode_rule import mode_rule


def mode_advice(
    rule, start: Values, teacher: Values, learning_rate: float | None = None, horizon: int | None = None
) -> tuple[str, ...]:
    """Sentences for the user about learning from `start` (3,) on `teacher` (3,); empty where nothing is to be said.

    They speak of: a null mode; feedback of zero; feedback of the other sign than the read-out, with the predicted end;
    starts that rest (a = b = 0) or lie on the border between basins; a trace decay of 1 or more on finite trials; a
    `learning_rate` above the stable limit at the predicted end.
    """
    rule, (a, b, w), taught = mode_rule(rule), np.asarray(as_states(start)), np.asarray(as_states(teacher))
    kappa, fixed = taught[0] * taught[1], rule.has_fixed_feedback
    feedback, decay = float(rule.feedback), float(rule.trace_decay)
    said = []
    if kappa == 0:
        return ("null mode: kappa = 0, the teacher is silent; there is no optimal manifold, only ab = 0.",)
    if fixed and feedback == 0:
        said.append(
            "feedback is zero: read-in and recurrent weight of this mode never change; only the read-out learns."
        )
    if not fixed and a == 0 and b == 0:
        said.append(
            "read-out and read-in are both zero: the start is stationary and nothing is learned; add a small start."
        )
    elif rule.follow == 1 and not fixed and rule.terms is None and a + np.sign(kappa) * b == 0:
        said.append(
            f"the start lies on the plane a {'+' if kappa > 0 else '-'} b = 0, the border between two basins: the flow "
            "ends on a saddle, with a loss that is not zero; rounding will push it off in the end."
        )
    if horizon is not None and not rule.follow and abs(decay) >= 1:
        said.append(f"trace_decay {decay:g}: the trace does not fade, and the oldest inputs of a trial dominate.")
    end = np.full(3, np.nan) if rule.terms is not None else np.asarray(final_state(rule, (a, b, w), taught).coords)
    known = bool(np.all(np.isfinite(end)))
    if known and fixed and feedback * a < 0:
        said.append(
            "feedback and read-out differ in sign: learning will leave this branch; predicted end "
            f"({end[0]:.6g}, {end[1]:.6g}, {end[2]:.6g}) for (read_out, read_in, recurrent), unless the weight w "
            "loses stability on the way, as in 37 of 100 random starts of RFLO and 53 of e-prop."
        )
    if learning_rate is not None and known and not (fixed and feedback == 0):
        limit = float(max_stable_rate(rule, taught, end[0]))
        if learning_rate >= limit:
            said.append(
                f"learning rate {learning_rate:g} is at or above the limit {limit:.6g} = 2/|lambda| of discrete steps "
                "at the predicted end: updates will not settle there; lower it."
            )
    return tuple(said)
