"""The path of one mode in learning time, stopped where its recurrent weight loses stability."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath import _explicit
from weightpath._precision import require_x64
from weightpath._results import RESULTS
from weightpath._types import Array, Float, Int
from weightpath.theory.base import Values
from weightpath.theory.mode_equations import as_states, lag_weights, loss_of, velocity_of
from weightpath.theory.mode_outcomes import CLOSE, MODE_OUTCOMES, NONFINITE, UNSTABLE, margin_of, mode_outcome
from weightpath.theory.mode_rule import ModeRule, mode_rule
from weightpath.theory.solve import FEW_STEPS, MAX_STEPS, checked_times

#: Teachers with |w*| above this make stiff problems.
STIFF = 0.95
#: How much closer than asked explicit steps follow a path.
JITTER = 100


class ModePath(eqx.Module):
    """One mode over learning time; NaN after `end_time`, if that is where stability was lost."""

    time: Float[Array, " time"]
    coords: Float[Array, "time coord"]
    loss: Float[Array, " time"]
    outcome: Int[Array, ""]
    """Index into `theory.MODE_OUTCOMES`."""
    end_time: Float[Array, ""]
    """The last time, or when the recurrent weight came within the margin of |w| = 1."""
    end: Float[Array, " coord"]
    """The mode then."""

    @property
    def outcome_name(self) -> str:
        """The outcome in words."""
        return MODE_OUTCOMES[int(self.outcome)]


class ModeArrival(eqx.Module):
    """When the loss of a mode first reaches a level (infinite if it never does), and the mode then."""

    time: Float[Array, ""]
    coords: Float[Array, " coord"]


def mode_path(
    rule,
    start: Values,
    teacher: Values,
    time: Values,
    *,
    horizon: int | None = None,
    loss: str = "final",
    margin: float | None = None,
    implicit: bool | None = None,
    rtol: float = 1e-9,
    atol: float = 1e-11,
) -> ModePath:
    r"""Integrate one mode from `start` (3,) and save it at `time` (time,); `horizon` and `loss` as in `mode_velocity`.

    The flow is stopped with the outcome `unstable_recurrence` at $|w| = 1-\delta$, `margin` $\delta$ being
    $\min(10^{-3}, (1-|w^*|)/10)$ unless given (endless trials: no stationary loss exists beyond; a finite `horizon` is
    stopped only where a `margin` is given), and where the solver fails with 1 - |w| < .01. `implicit` chooses
    Kvaerno's method of order 5, which takes seconds to compile, instead of the explicit one of order 8; None takes it
    for teachers with $|w^*| > 0.95$ on endless trials. One compiled program serves all rules that keep all steps back.

    **Raises:** ValueError in 32-bit mode, for bad times, shapes, or an unstable start or teacher on endless trials.
    """
    require_x64("theory.mode_path")
    rule, start, teacher, time = mode_rule(rule), as_states(start), as_states(teacher), checked_times(time)
    check_stable(start, teacher, horizon)
    if margin is None:
        margin = float(margin_of(teacher[2])) if horizon is None else -np.inf
    if implicit is None:
        implicit = horizon is None and abs(float(teacher[2])) > STIFF
    numbers = (time, lag_weights(horizon, loss), np.asarray(margin), np.asarray(rtol), np.asarray(atol))
    return _mode_path(rule, start, teacher, *numbers, implicit)


def mode_time_to(
    rule, start: Values, teacher: Values, level: float, *, latest: float = 1e9, rtol: float = 1e-9, atol: float = 1e-11
) -> ModeArrival:
    """When the loss of a mode first falls to `level` on endless trials; time infinite when not before `latest`.

    Infinite too when the flow loses stability before. Explicit steps first, an implicit solver where they run out.

    **Raises:** ValueError in 32-bit mode, or for a level that is not positive; RuntimeError when both solvers fail.
    """
    require_x64("theory.mode_time_to")
    rule, start, teacher = mode_rule(rule), as_states(start), as_states(teacher)
    check_stable(start, teacher, None)
    if not level > 0:
        raise ValueError(f"level must be a positive loss; got {level}.")
    goal, last, relative, absolute = (np.asarray(value, dtype=float) for value in (level, latest, rtol, atol))
    for implicit, steps in ((False, FEW_STEPS), (True, MAX_STEPS)):
        found = _time_to(rule, start, teacher, goal, last, relative, absolute, implicit, steps)
        if not bool(jnp.isnan(found.time)):
            return found
    raise RuntimeError("theory.mode_time_to: the solver used all its steps; loosen the tolerances.")


def check_stable(start: Array, teacher: Array, horizon: int | None) -> None:
    """Refuse modes without a stationary loss. **Raises:** ValueError."""
    if start.shape != (3,) or teacher.shape != (3,):
        raise ValueError(
            f"one mode at a time: start and teacher of shape (3,); got {start.shape} and {teacher.shape}. "
            "theory.basin integrates many."
        )
    for name, weight in (("start", float(start[2])), ("teacher", float(teacher[2]))):
        if horizon is None and not abs(weight) < 1:
            raise ValueError(
                f"the {name} has recurrent weight {weight:g}, and on endless trials the loss is infinite unless it is "
                "between -1 and 1; give a finite horizon."
            )


@eqx.filter_jit
def _mode_path(rule, start, teacher, time, weights, margin, rtol, atol, implicit: bool) -> ModePath:
    def field(_, state):
        return velocity_of(rule, state, teacher, weights)

    def height(state):
        return jnp.abs(state[2]) - (1 - margin)

    # Explicit steps jitter about a stable point by the tolerance; shorter ones come to rest as far as asked.
    tolerances = (rtol, atol) if implicit else (rtol / JITTER, atol / JITTER)

    def reach(now, later):  # from one saved time to the next; nothing moves once stability is lost
        before, state, result = now
        going = result == RESULTS.not_converged
        left = jnp.where(going, later - before, 0.0)
        met = _arrival(implicit)(field, state, height, left, *tolerances, MAX_STEPS)
        hit = met.result == RESULTS.successful
        after = jnp.where(going, jnp.where(hit, before + met.time, later), before)
        ended = RESULTS.where(going, met.result, result)
        end = jnp.where(going, met.state, state)
        return (after, end, ended), jnp.where(ended == RESULTS.not_converged, end, jnp.nan)

    begin = jnp.zeros_like(time[0]), start, RESULTS.not_converged
    (end_time, end, result), coords = jax.lax.scan(reach, begin, time)
    velocity, left = velocity_of(rule, end, teacher, weights), loss_of(end, teacher, weights)
    outcome = mode_outcome(end, velocity, left, teacher, margin)
    failed = (result != RESULTS.not_converged) & (result != RESULTS.successful)
    close = 1 - jnp.abs(end[2]) < CLOSE
    outcome = jnp.where(failed, jnp.where(close, UNSTABLE, NONFINITE), outcome)
    return ModePath(time, coords, loss_of(coords, teacher, weights), outcome, end_time, end)


@eqx.filter_jit
def _time_to(rule: ModeRule, start, teacher, level, latest, rtol, atol, implicit: bool, steps: int) -> ModeArrival:
    margin = margin_of(teacher[2])

    def height(state):  # reached at the level, or where stability is lost
        return jnp.maximum(1 - loss_of(state, teacher, None) / level, jnp.abs(state[2]) - (1 - margin))

    def field(_, state):
        return velocity_of(rule, state, teacher, None)

    met = _arrival(implicit)(field, start, height, latest, rtol, atol, steps)
    lost = jnp.abs(met.state[2]) >= (1 - margin) * (1 - 1e-12)
    return ModeArrival(jnp.where(lost & jnp.isfinite(met.time), jnp.inf, met.time), met.state)


def _arrival(implicit: bool):
    if not implicit:
        return _explicit.arrival
    from weightpath.theory import implicit as stiff

    return stiff.arrival
