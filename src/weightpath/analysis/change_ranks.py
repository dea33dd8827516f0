"""Ranks of the change along a whole path of weights: at every step, and as one tensor (step, post, pre)."""

import equinox as eqx
import numpy as np

from weightpath._types import Float, Int, Numeric
from weightpath.analysis.effective_rank import effective_count, rounding_of
from weightpath.analysis.rank import TOLERANCE, higher_order_svd
from weightpath.analysis.weight_tensor import weight_tensor
from weightpath.trajectory import Trajectory


class ChangeRanks(eqx.Module):
    """Singular values of the change since the first weights, and of the path as a tensor."""

    time: Float[np.ndarray, " step"]
    singular_values: Float[np.ndarray, "step eig"]
    """Of the change at every step."""
    unfolding_values: tuple[Float[np.ndarray, " a"], Float[np.ndarray, " b"], Float[np.ndarray, " c"]]
    """Singular values of the unfoldings with step, post and pre as rows."""
    floor: float = eqx.field(static=True)
    """Singular values up to this can come from the rounding of the stored weights."""

    @property
    def numerical_rank(self) -> Int[np.ndarray, " step"]:
        """Singular values of the change at every step that exceed 1e-8 of its largest, and rounding."""
        values = self.singular_values
        return np.sum(values > np.maximum(TOLERANCE * values[:, :1], self.floor), axis=1)

    @property
    def effective_rank(self) -> Float[np.ndarray, " step"]:
        r"""$(\sum\sigma)^2/\sum\sigma^2$ at every step; 0 where nothing has changed."""
        return effective_count(self.singular_values)

    @property
    def multilinear_rank(self) -> tuple[int, int, int]:
        """Ranks of the unfoldings (step, post, pre), up to rounding. Under RFLO the second is at most the outputs."""
        kept = (np.sum(values > max(TOLERANCE * values[0], self.floor)) for values in self.unfolding_values)
        step, post, pre = map(int, kept)
        return step, post, pre

    @property
    def energy(self) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " b"], Float[np.ndarray, " c"]]:
        """Share of the energy of the whole path in the first 1, 2, ... directions of steps, post and pre."""
        step, post, pre = (np.cumsum(values**2) / np.sum(values**2) for values in self.unfolding_values)
        return step, post, pre


def change_ranks(learned: Trajectory | Numeric) -> ChangeRanks:
    """The ranks of a path, without a search for rank-one terms (`tensor_rank` is that).

    `learned`: a trajectory, or weights (step, post, pre).

    **Raises:** ValueError when the weights are not (step, post, pre), not finite, or do not change.
    """
    time, tensor, _, _ = weight_tensor(learned, "start")
    at = (lambda k: learned.network(k).w_rec) if isinstance(learned, Trajectory) else learned.__getitem__
    first, last = np.asarray(at(0)), np.asarray(at(-1))
    size = max(np.linalg.norm(end.astype(np.float64)) for end in (first, last))
    floor = float(np.sqrt(max(tensor.shape)) * rounding_of(first, last) * size)
    return ChangeRanks(time, np.linalg.svd(tensor, compute_uv=False), higher_order_svd(tensor)[1], floor)
