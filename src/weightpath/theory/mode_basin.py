r"""Where many starts of one mode end: basin maps, all rules in one compiled program.

Only the orbit matters, so the rescaled field $F\cdot\min(1, 10(1-w^2))/(1+2|F|)$ is integrated: the same orbits, at a
cost that stays bounded where |w| nears 1 and where the velocity is large.

Source: derived here.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath import _explicit
from weightpath._precision import require_x64
from weightpath._types import Array, Float, Int
from weightpath.theory.base import Values
from weightpath.theory.mode_equations import as_states, loss_of, velocity_of
from weightpath.theory.mode_manifold import linearise_at
from weightpath.theory.mode_outcomes import (
    CLOSE,
    MODE_OUTCOMES,
    NONFINITE,
    NOT_CONVERGED,
    REST,
    UNSTABLE,
    margin_of,
    mode_outcome,
)
from weightpath.theory.mode_rule import ModeRule, mode_rule

RTOL, ATOL = 1e-10, 1e-11
#: This close to a stable point of the optimal manifold an orbit is taken to have arrived; explicit steps end in a
#: jitter of about the tolerance there.
ARRIVED = 1e-8


class Basin(eqx.Module):
    """Where learning ends from each start of a map (*batch)."""

    outcome: Int[Array, "*batch"]
    """Index into `theory.MODE_OUTCOMES`."""
    end: Float[Array, "*batch coord"]
    """The last mode reached."""
    steps: Int[Array, "*batch"]
    """Steps of the solver."""

    @property
    def names(self) -> np.ndarray:
        """The outcomes in words, an array of strings."""
        return np.asarray(np.asarray(MODE_OUTCOMES, dtype=object)[np.asarray(self.outcome)], dtype=object)

    def fraction(self, outcome: str) -> float:
        """Share of the starts with this outcome. **Raises:** ValueError for an unknown name."""
        if outcome not in MODE_OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(MODE_OUTCOMES)}; got {outcome!r}.")
        return float(np.mean(np.asarray(self.outcome) == MODE_OUTCOMES.index(outcome)))


def basin_grid(read_out: Values, read_in: Values, recurrent: float = 0.0) -> Float[Array, "i j coord"]:
    """Starts over a plane of read-outs (i,) and read-ins (j,) at one recurrent weight: an array (i, j, 3)."""
    first, second = (jnp.asarray(values, dtype=float) for values in (read_out, read_in))
    return jnp.stack(jnp.broadcast_arrays(first[:, None], second[None, :], jnp.asarray(recurrent, float)), axis=-1)


def basin(
    rule,
    start: Values,
    teacher: Values,
    *,
    margin: Values | None = None,
    end_time: float = 1000.0,
    max_steps: int = 20_000,
) -> Basin:
    r"""Where the flow of a mode leads from every start (*batch, 3), on endless trials.

    The numbers of `rule` (arrays of `theory.ModeRule`), `start` and `teacher` (*batch, 3) broadcast, so that one call
    maps many starts under many rules: rules of shape (4, 1, 1) and starts (41, 41, 3) give maps (4, 41, 41).
    `end_time` is in units of the rescaled field, `max_steps` limits the solver; starts that use either up are
    `not_converged`. The flow is stopped at rest and, with the outcome `unstable_recurrence`, at
    $|w| = 1-$ `margin`, which broadcasts as well; None takes $\min(10^{-3}, (1-|w^*|)/10)$. Some orbits come closer to
    1 than that and turn back: 1e-6 follows them under RFLO, while under e-prop the solver's steps run out first. Starts
    beside the border between two basins can end on the wrong side of it:
    the solver follows orbits to a relative 1e-10, and rounding pushes them off a border.

    **Raises:** ValueError in 32-bit mode, or when a start or the teacher is unstable.
    """
    require_x64("theory.basin")
    rule, starts, teacher = mode_rule(rule), as_states(start), as_states(teacher)
    widest = max(float(jnp.max(jnp.abs(starts[..., 2]))), float(jnp.max(jnp.abs(teacher[..., 2]))))
    if not widest < 1:
        raise ValueError(
            f"recurrent weights of starts and teacher must lie between -1 and 1; the largest is {widest:g}."
        )
    leaves, kind = jax.tree.flatten(rule)
    margins = margin_of(teacher[..., 2]) if margin is None else jnp.asarray(margin, dtype=float)
    if not bool(jnp.all((margins > 0) & (margins < 1))):
        raise ValueError(f"margin (how far from |w| = 1 a flow is stopped) must be between 0 and 1; got {margin}.")
    shape = np.broadcast_shapes(*(leaf.shape for leaf in leaves), starts.shape[:-1], teacher.shape[:-1], margins.shape)
    rules = jax.tree.unflatten(kind, [jnp.broadcast_to(leaf, shape).reshape(-1) for leaf in leaves])
    flat = [jnp.broadcast_to(modes, (*shape, 3)).reshape(-1, 3) for modes in (starts, teacher)]
    margins = jnp.broadcast_to(margins, shape).reshape(-1)
    outcome, end, steps = _basin(rules, flat[0], flat[1], margins, np.asarray(end_time), np.asarray(max_steps))
    return Basin(outcome.reshape(shape), end.reshape(*shape, 3), steps.reshape(shape))


@eqx.filter_jit
def _basin(rules: ModeRule, starts: Array, teachers: Array, margins: Array, end_time, max_steps):
    follow = jax.vmap(_follow, in_axes=(0, 0, 0, 0, None, None))
    return follow(rules, starts, teachers, margins, end_time, max_steps)


def _follow(
    rule: ModeRule, start: Array, teacher: Array, margin: Array, end_time, max_steps
) -> tuple[Array, Array, Array]:
    """Outcome, end and steps of one start."""

    def field(_, state):
        velocity = velocity_of(rule, state, teacher, None)
        room = jnp.clip(10 * (1 - state[2] ** 2), 0.0, 1.0)
        return room * velocity / (1 + 2 * jnp.sqrt(jnp.sum(velocity**2)))

    def unfinished(now):
        rest = jnp.max(jnp.abs(velocity_of(rule, now.state, teacher, None))) < REST
        rest = rest | _arrived(rule, now.state, teacher)
        inside = jnp.abs(now.state[2]) < 1 - margin
        return ~rest & inside & (now.time < end_time) & (now.steps < max_steps) & ~_explicit.stalled(now)

    def advance(now):
        new, slope, error = _explicit.step(field, now, now.length, RTOL, ATOL)
        inside = jnp.abs(new[2]) < 1  # beyond, the field is another's: a smaller step decides
        return _explicit.after(now, now.length, new, slope, jnp.where(inside, error, jnp.inf), cut=jnp.asarray(False))

    now = jax.lax.while_loop(unfinished, advance, _explicit.begin(field, start))
    end = jnp.where(_arrived(rule, now.state, teacher), _nearest(now.state, teacher), now.state)
    velocity, loss = velocity_of(rule, end, teacher, None), loss_of(end, teacher, None)
    outcome = mode_outcome(end, velocity, loss, teacher, margin)
    failed = (outcome == NOT_CONVERGED) & _explicit.stalled(now)
    close = (outcome == NOT_CONVERGED) & (failed | (now.steps >= max_steps)) & (1 - jnp.abs(now.state[2]) < CLOSE)
    outcome = jnp.where(close, UNSTABLE, jnp.where(failed, NONFINITE, outcome))
    return outcome, end, now.steps


def _arrived(rule: ModeRule, state: Array, teacher: Array) -> Array:
    """Within `ARRIVED` of a point of the optimal manifold that is stable."""
    a, b, w = state
    away = jnp.abs(a * b - teacher[0] * teacher[1]) / jnp.maximum(jnp.hypot(a, b), 1e-300)
    return (away + jnp.abs(w - teacher[2]) < ARRIVED) & linearise_at(rule, teacher, a).stable


def _nearest(state: Array, teacher: Array) -> Array:
    """The nearest point of the optimal manifold, to first order."""
    a, b, _ = state
    part = (a * b - teacher[0] * teacher[1]) / (a**2 + b**2)
    return jnp.stack([a - part * b, b - part * a, teacher[2]])
