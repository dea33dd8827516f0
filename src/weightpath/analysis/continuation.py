r"""A fixed point carried along while a flow changes into another.

On the way $f_s$, $s$ from 0 to 1, a fixed point obeys $J\, dw/ds = -\partial f / \partial s$. A step of that (Euler) is
corrected by Newton's method; where the two disagree the step is halved, and where it cannot be made any shorter the
point has ended: at a fold it ceases to exist.
"""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Float
from weightpath.analysis.flow_points import RESIDUAL, Flow, newton

SMALLEST_STEP = 2.0**-14


@dataclass(frozen=True, eq=False)
class Carried:
    """Where a fixed point came to."""

    point: Float[np.ndarray, " coord"]
    share: float
    """1 when it came through; otherwise the share of the way after which it ended."""

    @property
    def arrived(self) -> bool:
        """Whether the point exists all the way."""
        return self.share >= 1.0


def carry(begin: Flow, end: Flow, point: Float[np.ndarray, " coord"]) -> Carried:
    """Follow the fixed point `point` of `begin` on the straight way to `end`."""
    share, step = 0.0, 1.0
    while share < 1.0:
        step = min(step, 1.0 - share)
        found = _step(begin, end, point, share, step)
        if found is None:
            step /= 2
            if step < SMALLEST_STEP:
                return Carried(point, share)
        else:
            point, share = found, share + step
            step *= 2
    return Carried(point, 1.0)


def _step(begin: Flow, end: Flow, point: np.ndarray, share: float, step: float) -> np.ndarray | None:
    """The point one step on, or None when prediction and correction disagree."""
    here, there = begin.toward(end, share), begin.toward(end, share + step)
    change = there(point) - here(point)  # exact where f is linear in the share, and good enough elsewhere
    scale = 1.0 + np.linalg.norm(point)
    try:
        moved = -np.linalg.solve(here.jacobian(point), change)
    except np.linalg.LinAlgError:
        moved = np.zeros_like(point)
    length = float(np.linalg.norm(moved))
    if length > 0.1 * scale:
        return None
    corrected, residual = newton(there, (point + moved)[None])
    off = float(np.linalg.norm(corrected[0] - point - moved))
    return corrected[0] if residual[0] < RESIDUAL and off <= 0.3 * length + 1e-6 * scale else None
