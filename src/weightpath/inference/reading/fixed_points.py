r"""Fixed points of the flow of one trial: $w^* = G B^\top \tanh(Q w^*) + v$, by Newton's method from many starts."""

from dataclasses import dataclass

import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Bool, Complex, Float
from weightpath.analysis.flow_points import RESIDUAL, eigenvalues, merged, newton
from weightpath.inference.reading.in_span import InSpan, SpanFlow


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
