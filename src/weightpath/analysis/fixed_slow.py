r"""Slow points to the last digits: Newton's method on the gradient of q, from where the search settled."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float, Numeric
from weightpath.analysis.fixed_solver import lanes_for
from weightpath.analysis.fixed_system import FixedSystem

#: Points at most that are moved at once, and steps of each at most.
LANES, ITERATIONS = 8, 12


def polished(
    system: FixedSystem, states: Float[np.ndarray, "point unit"], inputs: Float[np.ndarray, "point in"]
) -> Float[np.ndarray, "point unit"]:
    r"""Each state moved to the zero of $\nabla q = J^\top h$ next to it; left where it was if that does not get closer.

    Unlike the Gauss-Newton matrix that the search uses, the whole Hessian of q knows how h bends, so that
    the minimum is found to rounding and not only to where q is flat.
    """
    moved, lanes = np.array(states), lanes_for(states.shape[1], LANES)
    for first in range(0, len(states), lanes):
        pick = np.minimum(np.arange(first, first + lanes), len(states) - 1)
        part = np.asarray(_polish(system, states[pick], inputs[pick]))
        moved[first : first + lanes] = part[: len(states) - first]
    return moved


@eqx.filter_jit
def _polish(system: FixedSystem, states: Numeric, inputs: Numeric) -> Array:
    states, inputs = jnp.asarray(states), jnp.asarray(inputs)

    def one(state, input):
        def q(x):
            return 0.5 * jnp.sum(system.residual(x, input) ** 2)

        def step(now):
            best, size, _, count = now
            moved = best - jnp.linalg.solve(jax.hessian(q)(best), jax.grad(q)(best))
            length = jnp.linalg.norm(jax.grad(q)(moved))
            closer = length < size  # also False where the step is not finite
            return jnp.where(closer, moved, best), jnp.where(closer, length, size), closer, count + 1

        begin = state, jnp.linalg.norm(jax.grad(q)(state)), jnp.array(True), 0
        return jnp.asarray(jax.lax.while_loop(lambda now: now[2] & (now[3] < ITERATIONS), step, begin)[0])

    return jax.vmap(one)(states, inputs)
