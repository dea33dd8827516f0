"""Whether an optimisation has settled."""

import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Float

#: A fit whose loss falls by more than this share per tenth of the iterations is not settled.
LARGEST_FALL = 0.01


def judge(loss: Float[np.ndarray, " iteration"], iterations: int) -> tuple[RESULTS, str]:
    """Outcome of a finished optimisation from its loss before each iteration, and a sentence for the user."""
    fall = last_fall(loss)
    if not np.isfinite(fall):
        return RESULTS.not_converged, (
            f"the fit is not settled: {iterations} iterations are too few to judge it by. Give more iterations."
        )
    if fall > LARGEST_FALL:
        return RESULTS.not_converged, (
            f"the fit is not settled: over the last tenth of its {iterations} iterations the loss still fell by "
            f"{100 * fall:.2g}%. Give more iterations; comparisons of ranks by held-out data favour too large ranks."
        )
    return RESULTS.successful, f"settled: the loss fell by {100 * max(fall, 0):.2g}% over the last tenth of iterations"


def last_fall(loss: Float[np.ndarray, " iteration"]) -> float:
    """Relative fall of the loss over the last tenth of the iterations, from medians against its jitter."""
    tenth = len(loss) // 10
    if tenth < 1:
        return float("inf")
    before, last = np.median(loss[-2 * tenth : -tenth]), np.median(loss[-tenth:])
    return float((before - last) / max(abs(before), np.finfo(float).tiny))
