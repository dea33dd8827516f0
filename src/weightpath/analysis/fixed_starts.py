"""Where a search for fixed points starts: the start distribution decides what is found."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float, Key, Numeric
from weightpath.analysis.fixed_system import FixedSystem

#: Standard deviation of the first states where nothing else is known.
SPREAD = 2.0
#: Length of the courses that starts are picked from: time constants of a flow, or steps of a map.
COURSE = 10


def starting_states(
    visited: Float[Numeric, "state unit"], count: int = 512, *, key: Key, factor: float = 2.0
) -> Float[np.ndarray, "start unit"]:
    """Starts for `fixed_points` from states that a network visits: half of them picked, half drawn around them.

    What is drawn is normal with `factor` times the standard deviation of each unit over the visited states, about
    their mean; a unit that never moves is given the mean deviation of all, so that no direction is left out. Give the
    states of trials of the task that the network does (`wp.rollout`), flattened to (state, unit).

    **Raises:** ValueError for a count below one and states that are not finite or not (state, unit).
    """
    visited = check_states(visited, "visited")
    if count < 1:
        raise ValueError(f"count must be at least 1; got {count}.")
    pick, draw = jax.random.split(key)
    rows = jax.random.choice(pick, len(visited), (count // 2,), replace=len(visited) < count // 2)
    spread = visited.std(axis=0)
    spread = np.where(spread > 0, spread, spread.mean() if spread.any() else 1.0)
    drawn = np.asarray(jax.random.normal(draw, (count - count // 2, visited.shape[1]), float))
    return np.concatenate([visited[np.asarray(rows)], visited.mean(axis=0) + factor * spread * drawn])


def check_states(states: Any, name: str) -> Float[np.ndarray, "state unit"]:
    """States in float64, (state, unit).

    **Raises:** ValueError when they are not finite or of another shape.
    """
    states = np.array(states, dtype=np.float64)
    if states.ndim != 2 or 0 in states.shape:
        raise ValueError(f"{name} must be (start, unit) with at least one row; got shape {states.shape}.")
    if not np.all(np.isfinite(states)):
        raise ValueError(f"{name} holds NaN or infinite entries; drop or repair those rows.")
    return states


def relaxing_starts(
    system: FixedSystem, units: int, inputs: Float[np.ndarray, "input in"], count: int, key: Key
) -> Float[np.ndarray, "start unit"]:
    """Starts where no visited states are given: states on courses of the system itself, and normals around them.

    The courses begin at normal states of standard deviation 2 and run under the inputs in turn. Half of the starts lie
    anywhere on them, the beginning included; the others are normal with twice the spread of the courses' own states.
    Courses that run away count up to where they leave a hundred times their beginning.
    """
    first, pick, rest = jax.random.split(key, 3)
    courses = max(count // 2, 1)
    begin = SPREAD * jax.random.normal(first, (courses, units), float)
    held = jnp.asarray(inputs)[jnp.arange(courses) % len(inputs)]
    course = np.asarray(_courses(system, begin, held))
    bound = 100 * SPREAD * np.sqrt(units)
    inside = np.linalg.norm(np.nan_to_num(course, nan=np.inf), axis=-1) < bound
    length = np.argmin(np.vstack([inside, np.zeros(courses, bool)]), axis=0)  # states before the first one outside
    at = np.floor(np.asarray(jax.random.uniform(pick, (courses,))) * np.maximum(length, 1)).astype(int)
    picked = course[at, np.arange(courses)]
    drawn = starting_states(course[inside], 2 * (count - courses), key=rest)[count - courses :]
    return np.concatenate([picked, drawn])[:count]


@eqx.filter_jit
def _courses(system: FixedSystem, states: Array, inputs: Array) -> Float[Array, "time lane unit"]:
    """States on the way: every step of a map, four Euler steps a time constant of a flow."""
    share, count = (1.0, COURSE) if system.discrete else (0.25, 4 * COURSE)

    def step(states, _):
        return states + share * jax.vmap(system.residual)(states, inputs), states

    return jax.lax.scan(step, states, None, length=count)[1]
