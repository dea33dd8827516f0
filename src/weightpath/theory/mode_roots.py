"""Where a rule's velocity of a mode vanishes: a search, to be set beside the manifolds of the theory."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._types import Array, Bool, Float
from weightpath.theory.base import Values
from weightpath.theory.mode_equations import as_states, loss_of, velocity_of
from weightpath.theory.mode_rule import ModeRule, mode_rule

#: Steps of the search.
SEARCHING = 300


class ModeRoots(eqx.Module):
    """Where a search for resting modes ended, one for each start."""

    coords: Float[Array, "seed coord"]
    residual: Float[Array, " seed"]
    """Largest component of the velocity there."""
    found: Bool[Array, " seed"]
    """A root: residual below 1e-10 at |w| < 0.999."""
    loss: Float[Array, " seed"]
    distance: Float[Array, " seed"]
    """To the nearest of the manifolds of the theory, to first order: the optimal one, and a = b = 0 where it rests."""


def mode_roots(rule, teacher: Values, starts: Values, *, bound: float = 0.9999) -> ModeRoots:
    r"""Resting modes by Levenberg and Marquardt from every start (seed, 3), with $|w|$ kept below `bound`.

    Without a bound searches end at algebraic continuations at |w| >= 1, which are no networks, or in the valley
    a = 0, |w| = 1 of one-step BPTT, where the velocity fades without a zero; such ends are not `found`.

    **Raises:** ValueError in 32-bit mode or for starts outside the bound.
    """
    require_x64("theory.mode_roots")
    starts = jnp.atleast_2d(as_states(starts))
    if not float(jnp.max(jnp.abs(starts[:, 2]))) < bound:
        raise ValueError(f"starts must have recurrent weights below bound={bound:g} in absolute value.")
    return _mode_roots(mode_rule(rule), as_states(teacher), starts, np.asarray(bound))


@eqx.filter_jit
def _mode_roots(rule: ModeRule, teacher: Array, starts: Array, bound) -> ModeRoots:
    def field(state):
        return velocity_of(rule, state, teacher, None)

    def bounded(free):
        return free.at[2].set(bound * jnp.tanh(free[2]))

    def improve(_, now):
        free, damping = now
        left, slopes = field(bounded(free)), jax.jacfwd(lambda y: field(bounded(y)))(free)
        normal = slopes.T @ slopes
        # Roots come in lines: the damping also keeps the steps across them.
        step = jnp.linalg.solve(normal + damping * (jnp.trace(normal) + 1e-300) * jnp.eye(3), slopes.T @ left)
        better = jnp.sum(field(bounded(free - step)) ** 2) < jnp.sum(left**2)
        damping = jnp.clip(damping * jnp.where(better, 0.3, 4.0), 1e-12, 1e12)
        return jnp.where(better, free - step, free), damping

    def search(start):
        free = start.at[2].set(jnp.arctanh(start[2] / bound))
        # A general solver would take ten seconds to compile for three unknowns.
        free, _ = jax.lax.fori_loop(0, SEARCHING, improve, (free, jnp.asarray(1e-2)))
        state = bounded(free)
        return state, jnp.max(jnp.abs(field(state)))

    coords, residual = jax.vmap(search)(starts)
    a, b, w = coords[:, 0], coords[:, 1], coords[:, 2]
    missing = (a * b - teacher[0] * teacher[1]) / jnp.maximum(jnp.hypot(a, b), 1e-300)
    silent = jnp.where(rule.tied == 1, jnp.hypot(a, b), jnp.inf)
    distance = jnp.minimum(jnp.hypot(missing, w - teacher[2]), silent)
    found = (residual < 1e-10) & (jnp.abs(w) < 0.999)
    return ModeRoots(coords, residual, found, loss_of(coords, teacher, None), distance)
