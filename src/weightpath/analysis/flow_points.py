r"""Fixed points of a flow given in NumPy: Newton's method from many starts, and which points are the same.

A flow here is any object with the three methods of `Flow`; `analysis.flow_of_system` makes one of networks and JAX
functions, and a fit to a recording has its own. The search for all points at once is `fixed_points`.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from weightpath._types import Complex, Float, Int

#: A point counts as fixed when the flow there is below this, in units of state per time constant.
RESIDUAL = 1e-8
#: Two points count as one when they differ by less than this, relative to the larger of their length and one.
MERGE = 1e-4
ITERATIONS, HALVINGS = 60, 12


@runtime_checkable
class Flow(Protocol):
    """An autonomous flow f(w), or f(w) = F(w) - w of a map, with its Jacobian, and a way to another one of its kind.

    Where it has an attribute `discrete` that is true it stands for the map F.
    """

    def __call__(self, points: Any) -> Any:
        """The vector f at each of `points` (..., coord)."""
        ...

    def jacobian(self, points: Any) -> Any:
        """Derivatives of f, (..., coord, coord)."""
        ...

    def toward(self, other: Any, share: float) -> Any:
        """The flow at a `share` of the way to `other`."""
        ...


def growth(flow: Flow, values: Complex[np.ndarray, "... eig"]) -> Float[np.ndarray, "... eig"]:
    """How fast each mode grows, positive where it is unstable: the real part, or the modulus less one of a map."""
    return np.abs(values + 1) - 1 if getattr(flow, "discrete", False) else np.real(values)


def unstable_directions(flow: Flow, values: Complex[np.ndarray, "... eig"]) -> Int[np.ndarray, "..."]:
    """Number of growing modes."""
    return np.asarray(np.sum(growth(flow, values) > 0, axis=-1))


def newton(
    flow: Flow, starts: Float[np.ndarray, "start coord"]
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


def eigenvalues(flow: Flow, points: Float[np.ndarray, "found coord"]) -> Complex[np.ndarray, "found eig"]:
    """Eigenvalues of the Jacobian of f at each point, largest real part first."""
    values = np.linalg.eigvals(flow.jacobian(points)).astype(np.complex128)
    return np.take_along_axis(values, np.argsort(-values.real, axis=1, kind="stable"), axis=1)
