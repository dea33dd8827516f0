r"""Fixed points and slow points of a network or of any JAX function, from many starts at once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS
from weightpath._types import Array, Float, Key, Numeric
from weightpath.analysis import fixed_sets as sets
from weightpath.analysis.fixed_modes import modes
from weightpath.analysis.fixed_result import FixedPoints
from weightpath.analysis.fixed_slow import polished
from weightpath.analysis.fixed_solver import MATRIX_FREE, METHODS, Ends, lanes_for, search, slopes
from weightpath.analysis.fixed_starts import check_states, relaxing_starts, starting_states
from weightpath.analysis.fixed_steps import FIXED, FLAT
from weightpath.analysis.fixed_system import FixedSystem, System, as_system, check_shape
from weightpath.networks.base import AbstractNetwork
from weightpath.tasks.measures import check_whole

#: Squared speed per unit, halved, up to which a minimum of q is a slow point: a root mean square speed of 0.1.
SLOW = 0.005
#: Ends with a gradient of q below this may be on their slow way to a minimum, which is then looked for next to them.
SETTLING, NEAR = 1e-4, 0.05


def fixed_points(
    system: System,
    starts: Float[Numeric, "start unit"] | None = None,
    *,
    inputs: Numeric | None = None,
    dynamics: str = "flow",
    solver: str = "levenberg-marquardt",
    matrix_free: bool | None = None,
    visited: Float[Numeric, "state unit"] | None = None,
    count: int = 512,
    steps: int = 200,
    burn_in: int = 0,
    q_slow: float | None = None,
    tau: float = 1.0,
    dt: float = 1.0,
    key: Key | None = None,
) -> FixedPoints:
    r"""Fixed points, slow points and their linearised dynamics, under one input or several.

    $q(x) = \frac12|h(x)|^2$ is minimised from every start, $h(x) = \tau\dot x$ of a flow or $F(x) - x$ of a map.
    $q \le 10^{-20}$ is a fixed point; a minimum ($|J^\top h|_\infty \le 10^{-8}$) with q up to `q_slow` a slow point.
    Ends within $10^{-5}\sqrt N$ are one point. Where the Jacobian of h is singular ends scatter about one point, and
    those within $2\cdot 10^{-3}\sqrt N$ are reported as one, with their spread. Nothing is dropped: points far out are
    flagged. Everything is float64, and the answer does not depend on the order of the starts.

    **Which points are found depends on where the search starts**; it is no proof that there are no others. `reached`
    counts the starts of each point: counts of one or two say that more starts may find more.

    **Arguments:**
    - `system`: a network, or a JAX function `system(state)` (`system(state, input)` with `inputs`), (unit,) -> (unit,):
      the velocity for `dynamics="flow"`, the next state for `dynamics="map"`.
    - `starts` (start, unit). Left out, `count` of them: half picked from `visited` states (state, unit), half normal
      with twice their spread (`starting_states`). Without `visited` a network's own courses from normal states of
      standard deviation 2 take their place. A function needs `starts` or `visited`.
    - `inputs` (in,) or (input, in), each held; every start is used under every input. Default: zeros for a network.
    - `dynamics`: "flow" is stable where every eigenvalue of the Jacobian has a negative real part, "map" (of a network:
      its own `step`) where every modulus is below one. The points are the same; their stability may not be.
    - `solver`: "levenberg-marquardt" or "newton" (halved steps); only the first finds slow points.
    - `matrix_free`: whether Levenberg-Marquardt gets its steps by conjugate gradients on products with the Jacobian,
      without the Jacobian; default: from 64 units on. Either way few Jacobians are held at once; but every point that
      is found keeps its own, with its eigenvectors: 40 MB each of 1000 units.
    - `steps`: iterations of a search at most. `burn_in`: steps of the dynamics before them; they lead towards stable
      points and away from the others.
    - `q_slow`: default 0.005 N, a root mean square speed of 0.1. `tau`, `dt`: what time constants are measured in.
    - `key`: of the default starts; left out, always the same ones.

    Of a function: `fixed_points(lambda x: jnp.stack([x[1], x[0] - x[0]**3 - x[1]]), starts)` finds where a particle in
    a double well rests. A function is compiled again whenever another function object is given, a network only for
    another shape or type.

    **Raises:** ValueError for arrays that do not fit or are not finite, functions that return another shape, unknown
    dynamics or solver, a function without starts; in 32-bit mode.
    Source: Sussillo and Barak (Neural Comput 2013); the search and the handling of singular points: derived here.
    """
    require_x64("analysis.fixed_points")
    if solver not in METHODS:
        raise ValueError(f"solver must be one of {', '.join(METHODS)}; got {solver!r}.")
    check_whole(steps=(steps, 1), count=(count, 1), burn_in=(burn_in, 0))
    for name, value in (("tau", tau), ("dt", dt)):
        if not value > 0:
            raise ValueError(f"{name} must be positive; got {value}.")
    if q_slow is not None and not q_slow >= 0:
        raise ValueError(f"q_slow must not be negative (0: no slow points); got {q_slow}.")
    if matrix_free and solver == "newton":
        raise ValueError('newton needs the Jacobian; matrix_free goes with solver="levenberg-marquardt".')
    made, table = as_system(system, inputs, dynamics)
    states = _starts(made, system, table, starts, visited, count, jax.random.key(0) if key is None else key)
    check_shape(made, states.shape[1], table.shape[1])
    limit = SLOW * states.shape[1] if q_slow is None else q_slow
    rows = np.repeat(np.arange(len(table)), len(states))
    free = (solver != "newton" and states.shape[1] >= MATRIX_FREE) if matrix_free is None else matrix_free
    ends = search(made, np.tile(states, (len(table), 1)), table[rows], method=solver, matrix_free=free,
                  steps=steps, burn_in=burn_in)  # fmt: skip
    return _collected(made, states, table, rows, ends, limit, dt if made.discrete else tau)


def _starts(made, system, table, starts, visited, count, key) -> Float[np.ndarray, "start unit"]:
    if starts is not None:
        return check_states(starts, "starts")
    if visited is not None:
        return starting_states(visited, count, key=key)
    if not isinstance(system, AbstractNetwork):
        raise ValueError("a function needs starts (start, unit), or visited states (state, unit) to draw them from.")
    return relaxing_starts(made, system.w_rec.shape[0], table, count, key)


def _collected(
    system: FixedSystem, starts: np.ndarray, table: np.ndarray, rows: np.ndarray, ends: Ends, limit: float,
    unit_time: float,
) -> FixedPoints:  # fmt: skip
    """Points from the ends of all searches."""
    state, q = np.array(ends.state), np.array(ends.q)
    broken = ~np.isfinite(q) | ~np.all(np.isfinite(state), axis=1)
    fixed = ~broken & (q <= FIXED)
    settling = ~broken & ~fixed & (q <= limit) & (ends.gradient <= SETTLING)
    points, members, spreads, degenerate, is_fixed, owner = [], np.full(len(q), -1), [], [], [], []
    total = 0
    for row in range(len(table)):
        for kind, distinct in ((fixed, _distinct), (settling, _slow)):
            chosen = np.flatnonzero((rows == row) & kind)
            if not len(chosen):
                continue
            place, member, spread, singular = distinct(system, state[chosen], q[chosen], table[row])
            members[chosen] = np.where(member >= 0, total + member, -1)
            points.append(place)
            spreads.append(spread)
            degenerate.append(singular)
            is_fixed += [kind is fixed] * len(place)
            owner += [row] * len(place)
            total += len(place)
    units = starts.shape[1]
    place = np.concatenate(points) if points else np.zeros((0, units))
    spread, singular = (np.concatenate([np.zeros(0), *parts]) for parts in (spreads, degenerate))
    is_fixed, owner = np.array(is_fixed, bool), np.array(owner, int)
    jacobian, driven = jacobians(system, place, table[owner])
    if system.discrete:
        jacobian = jacobian + np.eye(units)
    found = modes(jacobian, discrete=system.discrete, unit_time=unit_time)
    order = sets.arranged(place, is_fixed, found.unstable_dimension)
    order = order[np.argsort(owner[order], kind="stable")]
    number = np.empty(total + 1, int)
    number[order], number[-1] = np.arange(total), -1
    status = np.select([broken, fixed, members >= 0, ends.gradient <= FLAT],
                       ["nonfinite", "fixed", "slow", "minimum"], "max_steps")  # fmt: skip
    shape = (len(table), len(starts))
    return FixedPoints(
        points=place[order], fixed=is_fixed[order], q=slopes(system, place, table[owner])[0][order] if total else q[:0],
        input=owner[order], eigenvalues=found.eigenvalues[order], right=found.right[order], left=found.left[order],
        time_constants=found.time_constants[order], unstable_dimension=found.unstable_dimension[order],
        margin=found.margin[order], singular=singular[order].astype(bool), outlier=sets.outliers(place, starts)[order],
        spread=spread[order], reached=np.bincount(members[members >= 0], minlength=total)[order],
        jacobian=jacobian[order], input_jacobian=driven[order] if system.takes_input else driven[order][..., :0],
        inputs=table, starts=starts, end_state=state.reshape(*shape, units), status=status.reshape(shape),
        reached_point=number[members].reshape(shape), iterations=ends.iterations.reshape(shape),
        dynamics="map" if system.discrete else "flow",
        result=RESULTS.successful if is_fixed.any() else RESULTS.no_fixed_point,
    )  # fmt: skip


def _distinct(system: FixedSystem, state: np.ndarray, q: np.ndarray, input: np.ndarray):
    """Fixed points, the number of each end's point, their spread, and which are singular.

    Equal ends are joined first, then clusters of singular ones.
    """
    root = np.sqrt(state.shape[1])
    equal = sets.joined(state, q, sets.EQUAL * root)
    place = state[equal.leader]
    singular = _singular(system, place, input)
    cluster = sets.joined(place, q[equal.leader], np.where(singular, sets.SCATTER * root, 0.0))
    member = cluster.member[equal.member]
    place = place[cluster.leader]
    gap = np.linalg.norm(state - place[member], axis=1)
    return place, member, np.array([gap[member == one].max() for one in range(len(place))]), singular[cluster.leader]


def _singular(system: FixedSystem, place: np.ndarray, input: np.ndarray) -> np.ndarray:
    """Where the Jacobian of h is singular; a few Jacobians at a time."""
    some = lanes_for(place.shape[1])
    parts = [
        sets.smallest_singular_value(jacobians(system, part, np.tile(input, (len(part), 1)))[0]) < sets.SINGULAR
        for part in (place[first : first + some] for first in range(0, len(place), some))
    ]
    return np.concatenate([np.zeros(0, bool), *parts])


def _slow(system: FixedSystem, state: np.ndarray, q: np.ndarray, input: np.ndarray):
    """The same for slow points, joined before they are sharpened and again after it; -1 for what is no minimum."""
    root = np.sqrt(state.shape[1])
    rough = sets.joined(state, q, sets.SCATTER * root)
    held = np.tile(input, (len(rough.leader), 1))
    sharp = polished(system, state[rough.leader], held)
    sharp_q, gradient = slopes(system, sharp, held)
    near = np.linalg.norm(sharp - state[rough.leader], axis=1) <= NEAR * root
    good = np.flatnonzero((gradient <= FLAT) & (sharp_q > FIXED) & near)
    equal = sets.joined(sharp[good], sharp_q[good], sets.EQUAL * root)
    number = np.full(len(sharp), -1)
    number[good] = equal.member
    member = number[rough.member]
    place = sharp[good[equal.leader]]
    gap = np.linalg.norm(state - place[member], axis=1) if len(place) else np.zeros(len(state))
    spread = np.array([gap[member == one].max() for one in range(len(place))])
    return place, member, spread, _singular(system, place, input)


def jacobians(
    system: FixedSystem, states: Float[np.ndarray, "point unit"], inputs: Float[np.ndarray, "point in"]
) -> tuple[Float[np.ndarray, "point unit unit"], Float[np.ndarray, "point unit in"]]:
    """Derivatives of h with respect to the state and the input at each state."""
    count, units = states.shape
    found = np.zeros((count, units, units)), np.zeros((count, units, inputs.shape[1]))
    lanes = lanes_for(units)
    for first in range(0, count, lanes):
        pick = np.minimum(np.arange(first, first + lanes), count - 1)
        for whole, part in zip(found, _jacobians(system, states[pick], inputs[pick]), strict=True):
            whole[first : first + lanes] = np.asarray(part)[: count - first]
    return found


@eqx.filter_jit
def _jacobians(system: FixedSystem, states: Numeric, inputs: Numeric) -> tuple[Array, Array]:
    states, inputs = jnp.asarray(states), jnp.asarray(inputs)
    return jax.vmap(system.jacobian)(states, inputs), jax.vmap(system.input_jacobian)(states, inputs)
