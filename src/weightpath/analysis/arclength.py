r"""A branch of fixed points followed by its arc length, so that it is not lost where it turns back: past its folds.

The pair (point, share of the way) moves along the curve $f_s(w) = 0$; its tangent is the null vector of
$[\partial f/\partial w,\ \partial f/\partial s]$, which stays one-dimensional at a fold, where $\partial f/\partial w$
alone is singular. At the fold the tangent's share of the parameter changes its sign.
"""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Float
from weightpath.analysis.flow_points import RESIDUAL, Flow, newton

STEP, SMALLEST, LARGEST, STEPS = 0.02, 1e-9, 0.2, 600
#: Tangents of neighbouring points agree at least this well.
STRAIGHT = 0.95
#: Half the distance over which the derivative by the share is taken.
NUDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Turn:
    """Where a curve that began at share 0 turned first, and where it left the way."""

    share: float | None
    """Of the first fold; None when the curve went through without one."""
    point: Float[np.ndarray, " coord"]
    exit_share: int
    """1 at the other flow, 0 back at the first one."""
    exit: Float[np.ndarray, " coord"]
    """The fixed point there; after one fold and back it is the partner that the point meets."""


class _Curve:
    """The curve in (point, scaled share), one flow to another."""

    def __init__(self, begin: Flow, end: Flow, scale: float):
        self.begin, self.end, self.scale = begin, end, scale

    def flow(self, place: np.ndarray) -> Flow:
        return self.begin.toward(self.end, place[-1] / self.scale)

    def value(self, place: np.ndarray) -> np.ndarray:
        return self.flow(place)(place[None, :-1])[0]

    def slopes(self, place: np.ndarray) -> np.ndarray:
        """Derivatives by the point and by the scaled share, (coord, coord + 1)."""
        nudge = np.zeros_like(place)
        nudge[-1] = NUDGE * self.scale
        aside = (self.value(place + nudge) - self.value(place - nudge)) / (2 * nudge[-1])
        return np.column_stack([self.flow(place).jacobian(place[None, :-1])[0], aside])

    def tangent(self, place: np.ndarray, along: np.ndarray) -> np.ndarray:
        """Unit tangent on the side of `along`."""
        vector = np.linalg.svd(self.slopes(place))[2][-1]
        return vector if vector @ along >= 0 else -vector

    def step(self, place: np.ndarray, tangent: np.ndarray, length: float) -> np.ndarray | None:
        """The point of the curve at a distance of `length` along the tangent, or None."""
        aim = place + length * tangent
        now = aim.copy()
        for _ in range(8):
            off = np.append(self.value(now), tangent @ (now - aim))
            if np.linalg.norm(off) < 1e-12 * self.scale:
                break
            try:
                now = now - np.linalg.solve(np.vstack([self.slopes(now), tangent]), off)
            except np.linalg.LinAlgError:
                return None
        small = np.linalg.norm(self.value(now)) < RESIDUAL
        return now if small and np.linalg.norm(now - aim) <= 0.5 * length else None


def around(begin: Flow, end: Flow, point: Float[np.ndarray, " coord"]) -> Turn | None:
    """Follow the curve through the fixed point `point` of `begin` until it leaves the way to `end`.

    None for a curve that closes, goes on too long, or cannot be followed.
    """
    curve = _Curve(begin, end, 1.0 + float(np.linalg.norm(point)))
    forth = np.zeros(len(point) + 1)
    forth[-1] = 1.0
    place = np.append(point, 0.0)
    tangent = curve.tangent(place, forth)
    length, fold = STEP * curve.scale, None
    for _ in range(STEPS):
        ahead = curve.step(place, tangent, length)
        turned = None if ahead is None else curve.tangent(ahead, tangent)
        if ahead is None or turned is None or turned @ tangent < STRAIGHT:
            length /= 2
            if length < SMALLEST * curve.scale:
                return None
            continue
        if fold is None and turned[-1] < 0 <= tangent[-1]:
            fold = _fold(curve, place, tangent, length)
        share = ahead[-1] / curve.scale
        if share >= 1 or (share <= 0 and fold is not None):
            return _left(curve, place, ahead, fold)
        if share < 0:
            return None
        place, tangent, length = ahead, turned, min(1.5 * length, LARGEST * curve.scale)
    return None


def _fold(curve: _Curve, place: np.ndarray, tangent: np.ndarray, length: float) -> np.ndarray:
    """Where the tangent's last entry is zero, within a step that turns: by bisection of the step."""
    low, high, found = 0.0, length, place
    for _ in range(60):
        middle = (low + high) / 2
        there = curve.step(place, tangent, middle)
        if there is None or high - low < 1e-13 * curve.scale:
            break
        found = there
        low, high = (middle, high) if curve.tangent(there, tangent)[-1] > 0 else (low, middle)
    return found


def _left(curve: _Curve, before: np.ndarray, after: np.ndarray, fold: np.ndarray | None) -> Turn | None:
    """The fixed point of the flow at whose share the curve leaves the way."""
    exit_share = 1 if after[-1] >= curve.scale else 0
    part = (exit_share * curve.scale - before[-1]) / (after[-1] - before[-1])
    flow = curve.begin.toward(curve.end, float(exit_share))
    guess = before + part * (after - before)
    found, residual = newton(flow, guess[None, :-1])
    if residual[0] >= RESIDUAL:
        return None
    share = None if fold is None else float(fold[-1] / curve.scale)
    return Turn(share, found[0] if fold is None else fold[:-1], exit_share, found[0])
