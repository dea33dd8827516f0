r"""The path of learning between plateaus, in the limit of small starts: gradient flow from one saddle to the next.

From a saddle of order k the weights leave along the fastest growing direction of one silent unit (`unstable_unit`),
and the flow of size k + 1 carries them to a stationary point of that order. The two signs of the new unit's weights are
the same path up to the reflection of that unit, so that the sequence of saddles is unique.
"""

from typing import NamedTuple

import numpy as np

from weightpath._types import Float
from weightpath.theory.escape_rates import Rates, unstable_unit
from weightpath.theory.h2 import (
    Filter,
    flattened,
    gradient_of,
    gramians_of,
    hessian_of,
    restored,
)

#: Size of the first step off a saddle; the realisation that is reached depends on it to second order.
DEPARTURE = 1e-3
#: Where the flow has slowed down without a stationary point in reach it is followed this many times further.
TIGHTENINGS = 6


def departed(point: Filter, target: Filter, rates: Rates) -> tuple[Filter, float]:
    """The network with one more unit, `DEPARTURE` away along the growing direction, and the growth rate."""
    growth, reading, driving = unstable_unit(point, target, rates)
    size = DEPARTURE / np.linalg.norm(np.concatenate([reading, driving]))
    more, order = point.padded(point.order + 1), point.order
    more.step[:order, order], more.output[:, order] = size * reading[:order], size * reading[order:]
    more.step[order, :order], more.drive[order] = size * driving[:order], size * driving[order:]
    return more, float(growth[0])


class Path(NamedTuple):
    """A piece of the flow: learning times, weights (flattened) and where it ended."""

    time: Float[np.ndarray, " time"]
    weights: Float[np.ndarray, "time parameter"]
    end: Filter
    arrived: bool


def follow(start: Filter, target: Filter, rates: Rates, speed: float, horizon: float) -> Path:
    """The flow from `start` until its speed falls through `speed`, near a stationary point, at most to `horizon`."""
    from scipy.integrate import solve_ivp

    scale, last = rates.spread(start), {}

    def velocity(_, weights):
        key = weights.tobytes()  # the event asks again where the solver has just been
        if key not in last:
            point = restored(weights, start)
            last.clear()
            last[key] = -scale * flattened(*gradient_of(point, target, gramians_of(point, target)))
        return last[key]

    def slopes(_, weights):
        point = restored(weights, start)
        return -scale[:, None] * hessian_of(point, target, gramians_of(point, target))

    weights = flattened(*start[:3])

    def slow(time, weights):
        return np.linalg.norm(velocity(time, weights)) - speed

    slow.terminal, slow.direction = True, -1
    run = solve_ivp(velocity, (0.0, horizon), weights, "LSODA", jac=slopes, events=slow, rtol=1e-6, atol=1e-9)
    end = restored(run.y[:, -1], start)
    return Path(run.t, run.y.T, end, run.status == 1 and end.stable)


def settled(start: Filter, target: Filter, rates: Rates, horizon: float, share: float) -> tuple[Path, float]:
    """The path from `start` to a stationary point of its own order, and the slowest rate of settling there.

    The flow is followed until its speed is `share` of the first one, and Newton's method goes the rest of the way;
    where that does not lead to a minimum of this order the flow is followed further.
    """
    speed = share * _speed(start, target, rates)
    pieces, slowest = [follow(start, target, rates, speed, horizon)], 0.0
    for _ in range(TIGHTENINGS):
        last = pieces[-1]
        end, left = polished(last.end, target, rates)
        slowest = slowest_rate(end, target, rates)
        arrived = last.arrived and left < 1e-6 * speed / share and slowest > 0
        if arrived or not last.end.stable:
            break
        speed *= 0.1
        pieces.append(follow(last.end, target, rates, speed, horizon))
    begin = np.cumsum([0.0, *(piece.time[-1] for piece in pieces[:-1])])
    time = np.concatenate([piece.time + at for piece, at in zip(pieces, begin, strict=True)])
    return Path(time, np.concatenate([piece.weights for piece in pieces]), end, arrived), slowest


def slowest_rate(point: Filter, target: Filter, rates: Rates) -> float:
    """Slowest rate at which deviations of the filter die out within its order; negative where one grows."""
    return float(np.min(_curvatures(point, target, rates)[0]))


def polished(point: Filter, target: Filter, rates: Rates, *, steps: int = 12) -> tuple[Filter, float]:
    """Newton's method of least change on the gradient by the trained weights, and what is left of the gradient.

    The gradient vanishes along the realisations of one filter, so that the step is the shortest one, in the metric of
    the rates: it moves to the nearest realisation.
    """
    root = np.sqrt(rates.spread(point))
    best, residual = point, np.inf
    for _ in range(steps):
        gradient = root * flattened(*gradient_of(point, target, gramians_of(point, target)))
        if not np.linalg.norm(gradient) < 0.5 * residual:
            break
        best, residual = point, float(np.linalg.norm(gradient))
        values, vectors = _curvatures(point, target, rates)
        change = vectors @ ((vectors.T @ gradient) / values)
        point = restored(flattened(*point[:3]) - root * change, point)
        if not point.stable:
            break
    return best, residual


def _curvatures(point: Filter, target: Filter, rates: Rates) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the scaled Hessian without the directions that leave the filter as it is."""
    root = np.sqrt(rates.spread(point))
    scaled = root[:, None] * hessian_of(point, target, gramians_of(point, target)) * root
    values, vectors = np.linalg.eigh((scaled + scaled.T) / 2)
    kept = np.argsort(-np.abs(values))[: point.order * (point.drive.shape[1] + point.output.shape[0])]
    return values[kept], vectors[:, kept]


def _speed(point: Filter, target: Filter, rates: Rates) -> float:
    return float(
        np.linalg.norm(rates.spread(point) * flattened(*gradient_of(point, target, gramians_of(point, target))))
    )
