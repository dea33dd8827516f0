r"""Fixed points of the flow of one trial: $w^* = G B^\top \tanh(Q w^*) + v$, by Newton's method from many starts."""

from dataclasses import dataclass

import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Bool, Complex, Float
from weightpath.inference.reading.in_span import InSpan, SpanFlow

#: A point counts as fixed when the flow there is below this, in units of state per time constant.
RESIDUAL = 1e-8
#: Two points count as one when they differ by less than this, relative to the larger of their length and one.
MERGE = 1e-4
ITERATIONS, HALVINGS = 60, 12


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """The fixed points that were found; others may exist, for a search from finitely many starts proves nothing."""

    points: Float[np.ndarray, "found coord"]
    eigenvalues: Complex[np.ndarray, "found eig"]
    """Of the Jacobian, per time constant, largest real part first."""
    residual: Float[np.ndarray, " found"]
    result: RESULTS
    """`no_fixed_point` when no start led to one."""

    @property
    def stable(self) -> Bool[np.ndarray, " found"]:
        """Whether all directions decay; the directions outside the span always do."""
        return np.all(np.real(self.eigenvalues) < 0, axis=1)

    @property
    def unstable_directions(self) -> np.ndarray:
        """Number of eigenvalues with a positive real part of each point, (found,)."""
        return np.sum(np.real(self.eigenvalues) > 0, axis=1)


def fixed_points(flow: SpanFlow, starts: Float[np.ndarray, "start coord"]) -> FixedPoints:
    """Fixed points of a flow: Newton's method with step halving from each of `starts`, equal ends merged."""
    points, residual = newton(flow, starts)
    good = residual < RESIDUAL
    points = merged(points[good])
    return FixedPoints(
        points=points, eigenvalues=eigenvalues(flow, points), residual=np.linalg.norm(flow(points), axis=1),
        result=RESULTS.successful if len(points) else RESULTS.no_fixed_point,
    )  # fmt: skip


def starting_points(
    system: InSpan, *, visited: int = 40, random: int = 60, seed: int = 0
) -> Float[np.ndarray, "start coord"]:
    """Starts for the search: the origin, states picked from the visited ones, and random points about twice as far out.

    Random points are normal, with twice the root mean square of each coordinate of the visited states.
    """
    rng = np.random.default_rng(seed)
    states = system.states.reshape(-1, system.basis.shape[1])
    picked = states[rng.choice(len(states), min(visited, len(states)), replace=False)]
    spread = 2 * np.sqrt(np.mean(states**2, axis=0))
    return np.concatenate([np.zeros((1, len(spread))), picked, spread * rng.standard_normal((random, len(spread)))])


def newton(
    flow: SpanFlow, starts: Float[np.ndarray, "start coord"]
) -> tuple[Float[np.ndarray, "start coord"], Float[np.ndarray, " start"]]:
    """Ends of Newton's method from each start, and the length of the flow there; it need not be small.

    A step is halved until the flow gets shorter. A singular Jacobian is stepped over by least squares.
    """
    points = np.array(starts, dtype=np.float64)
    value = flow(points)
    length = np.linalg.norm(value, axis=1)
    stuck = np.zeros(len(points), bool)
    for _ in range(ITERATIONS):
        # Past the tolerance on to rounding, where no step shortens the flow any more.
        live = np.flatnonzero(~stuck & (length > 1e-14 * (1 + np.linalg.norm(points, axis=1))))
        if not len(live):
            break
        step, size = _newton_step(flow.jacobian(points[live]), value[live]), np.ones(len(live))
        moved = np.zeros(len(live), bool)
        for _ in range(HALVINGS):
            rest = np.flatnonzero(~moved)
            trial = points[live[rest]] + size[rest, None] * step[rest]
            value_there = flow(trial)
            length_there = np.linalg.norm(value_there, axis=1)
            better = length_there < length[live[rest]]
            taken = live[rest[better]]
            points[taken], value[taken], length[taken] = trial[better], value_there[better], length_there[better]
            moved[rest[better]] = True
            size[rest[~better]] /= 2
            if moved.all():
                break
        stuck[live[~moved]] = True
    return points, length


def _newton_step(jacobian: np.ndarray, value: np.ndarray) -> np.ndarray:
    try:
        return -np.linalg.solve(jacobian, value[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return -(np.linalg.pinv(jacobian) @ value[..., None])[..., 0]


def merged(points: Float[np.ndarray, "ends coord"]) -> Float[np.ndarray, "found coord"]:
    """One of each group of points that are equal up to `MERGE`, in the order of their first occurrence."""
    kept: list[np.ndarray] = []
    for point in points:
        if nearest(np.array(kept).reshape(-1, len(point)), point) < 0:
            kept.append(point)
    return np.array(kept).reshape(-1, points.shape[1])


def nearest(points: Float[np.ndarray, "found coord"], point: Float[np.ndarray, " coord"]) -> int:
    """Index of the point that equals `point` up to `MERGE`, or -1."""
    if not len(points):
        return -1
    distance = np.linalg.norm(points - point, axis=1)
    best = int(np.argmin(distance))
    return best if distance[best] < MERGE * max(1.0, float(np.linalg.norm(point))) else -1


def eigenvalues(flow: SpanFlow, points: Float[np.ndarray, "found coord"]) -> Complex[np.ndarray, "found eig"]:
    """Eigenvalues of the Jacobian at each point, largest real part first."""
    values = np.linalg.eigvals(flow.jacobian(points)).astype(np.complex128)
    return np.take_along_axis(values, np.argsort(-values.real, axis=1, kind="stable"), axis=1)
