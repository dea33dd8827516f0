"""What learning changed in the recurrent weights: directions, ranks, and how they lie to the feedback."""

from functools import cached_property

import equinox as eqx
import numpy as np

from weightpath._types import Float, Numeric
from weightpath.analysis.effective_rank import effective_count, rounding_of
from weightpath.analysis.rank import TOLERANCE, numerical_rank
from weightpath.analysis.subspace import principal_angles
from weightpath.trajectory import Trajectory


class LearnedChange(eqx.Module):
    r"""Singular value decomposition of $W_k - W_0$, and what it says about rank.

    Two ranks are given. `numerical_rank` counts singular values above `threshold`, and holds where a theorem says that
    the others are zero; `effective_rank`, $(\sum\sigma)^2/\sum\sigma^2$, weighs them, and is what noise, tanh units and
    approximate theorems leave meaningful.
    """

    singular_values: Float[np.ndarray, " eig"]
    post: Float[np.ndarray, "post eig"]
    """Orthonormal directions of the receiving units (left singular vectors), largest first."""
    pre: Float[np.ndarray, "pre eig"]
    """The same of the sending units."""
    threshold: float = eqx.field(static=True)
    """Singular values above this count in `numerical_rank`: the larger of `tolerance` times the largest one and of what
    the rounding of the stored weights can make."""
    feedback_basis: Float[np.ndarray, "post out"] | None = None
    """Orthonormal basis of the column space of the transposed feedback, when feedback was given."""

    @property
    def numerical_rank(self) -> int:
        """Number of singular values above `threshold`."""
        return int(np.sum(self.singular_values > self.threshold))

    @property
    def effective_rank(self) -> float:
        r"""$(\sum\sigma)^2/\sum\sigma^2$."""
        return float(effective_count(self.singular_values))

    @cached_property
    def energy(self) -> Float[np.ndarray, " eig"]:
        r"""Share of $\sum\sigma^2$ in the first 1, 2, ... directions; zeros where nothing changed."""
        power = np.cumsum(self.singular_values**2)
        return power / power[-1] if power[-1] > 0 else power

    def top(self, count: int) -> float:
        """Share of the energy in the first `count` directions.

        **Raises:** ValueError when there are not so many.
        """
        if not 1 <= count <= self.energy.size:
            raise ValueError(f"count must be from 1 to {self.energy.size}; got {count}.")
        return float(self.energy[count - 1])

    @property
    def inside_feedback(self) -> float | None:
        r"""Share of the energy whose columns lie in $\mathrm{range}(R^\top)$; by chance, rank(R) over units."""
        if self.feedback_basis is None:
            return None
        inside = (self.feedback_basis.T @ self.post) * self.singular_values
        power = np.sum(self.singular_values**2)
        return float(np.sum(inside**2) / power) if power > 0 else 0.0

    @property
    def feedback_angles(self) -> Float[np.ndarray, " k"] | None:
        r"""Principal angles [degrees] between the first rank(R) directions and $\mathrm{range}(R^\top)$."""
        if self.feedback_basis is None:
            return None
        return principal_angles(self.post[:, : self.feedback_basis.shape[1]], self.feedback_basis)


def learned_change(
    learned: Trajectory | Numeric,
    step: int = -1,
    *,
    feedback: Float[Numeric, "out post"] | None = None,
    tolerance: float = TOLERANCE,
) -> LearnedChange:
    r"""The change $W_k - W_0$ of the recurrent weights up to `step`, decomposed.

    **Arguments:** `learned`: a trajectory, or weights (step, post, pre); `step`: its index, the last by default;
    `feedback` (out, post): fixed feedback whose range the change is set beside; `tolerance`: share of the largest
    singular value below which others count as zero.

    **Raises:** ValueError when the weights are not (step, post, pre), not finite, or `feedback` does not fit them;
    IndexError when there is no such step.
    Source: Williams, Payeur and Lajoie 2026 (arXiv 2606.00243), rank and effective rank of the change.
    """
    if isinstance(learned, Trajectory):
        first, last = (np.asarray(learned.network(k, lifted=learned.lift is not None).w_rec) for k in (0, step))
    else:
        weights = np.asarray(learned)
        if weights.ndim != 3 or 0 in weights.shape:
            raise ValueError(f"the weights must be an array (step, post, pre) or a trajectory; got {weights.shape}.")
        if not -len(weights) <= step < len(weights):
            raise IndexError(f"step {step} is outside the path, which has {len(weights)} steps.")
        first, last = weights[0], weights[step]
    rounding = rounding_of(first, last)
    first, last = first.astype(np.float64), last.astype(np.float64)
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(last))):
        raise ValueError("the weights hold NaN or infinite entries; drop those steps or repair them.")
    basis = None if feedback is None else feedback_range(feedback, first.shape[0])
    post, values, pre = np.linalg.svd(last - first, full_matrices=False)
    return LearnedChange(values, post, pre.T, rank_threshold(values, first, last, rounding, tolerance), basis)


def rank_threshold(
    values: Float[np.ndarray, " eig"],
    first: Float[np.ndarray, "post pre"],
    last: Float[np.ndarray, "post pre"],
    rounding: float,
    tolerance: float = TOLERANCE,
) -> float:
    """What a singular value of the difference of two matrices must exceed to count as a direction."""
    size = max(np.linalg.norm(first), np.linalg.norm(last))
    return float(max(tolerance * values.max(initial=0.0), np.sqrt(max(first.shape)) * rounding * size))


def feedback_range(feedback: Numeric, units: int) -> Float[np.ndarray, "post k"]:
    r"""Orthonormal basis of $\mathrm{range}(R^\top)$.

    **Raises:** ValueError when `feedback` is not (out, post) for so many units, not finite, or all zero.
    """
    rows = np.asarray(feedback, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != units:
        turned = "; it looks transposed" if rows.ndim == 2 and rows.shape[0] == units else ""
        raise ValueError(f"feedback must be (out, post) = (out, {units}); got {rows.shape}{turned}.")
    if not np.all(np.isfinite(rows)):
        raise ValueError("feedback holds NaN or infinite entries.")
    left, values, _ = np.linalg.svd(rows.T, full_matrices=False)
    kept = left[:, : int(numerical_rank(values))]
    if kept.shape[1] == 0:
        raise ValueError("feedback is zero: under it nothing but the read-out learns, and it has no directions.")
    return kept
