r"""How far apart the weights of a fit are between epochs, in a metric that the data determine.

All trials share $A$ and $B$, so the column and row spaces of their weights are the same by construction and an angle
between these says nothing. What can differ is how much each direction is used: distances compare the weights
themselves, and angles the directions that carry most of $W S^{1/2}$, with $S$ the second moment of the rates: weights
that act on rates which do not occur are not determined by data.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import subspace_angles

from weightpath._types import Float, Int
from weightpath.inference.result import Fit

#: Share of the energy of an epoch's weights that its leading directions carry.
ENERGY = 0.9


@dataclass(frozen=True, eq=False)
class EpochComparison:
    """Mean weights of the epochs against one another; all tables are symmetric, (epoch, epoch)."""

    epochs: tuple[str, ...]
    distance: Float[np.ndarray, "epoch epoch"]
    r"""$\|W_e - W_f\|$ over the root mean square of the two norms (Frobenius); directions not visited count as well."""
    weighted: Float[np.ndarray, "epoch epoch"]
    r"""The same of $W S^{1/2}$: directions count as the rates visit them. On the diagonal: root mean square distance of
    an epoch's trials from its mean, the scale on which to read the others."""
    output_angle: Float[np.ndarray, "epoch epoch"]
    r"""Largest principal angle (degrees) between the leading left singular directions of $W S^{1/2}$."""
    input_angle: Float[np.ndarray, "epoch epoch"]
    """The same of the right singular directions, in the metric of the rates."""
    directions: Int[np.ndarray, " epoch"]
    """Number of leading directions, which carry 90% of the energy; of two epochs the smaller number is compared."""


def compare_epochs(fit: Fit) -> EpochComparison:
    """Distances and angles between the mean weights of the epochs of a fit."""
    epoch, names = fit.recording.epoch, tuple(str(one) for one in fit.recording.epochs)
    metric = WeightMetric.of(fit)
    mixing = fit.mixing().astype(np.float64)
    means = [mixing[epoch == number].mean(axis=0) for number in range(len(names))]
    count = len(names)
    tables = {name: np.zeros((count, count)) for name in ("distance", "weighted", "output_angle", "input_angle")}
    lefts, rights, directions = zip(*(metric.leading(mean) for mean in means), strict=True)
    for i in range(count):
        spread = [metric.norm(one - means[i]) for one in mixing[epoch == i]]
        tables["weighted"][i, i] = _relative(float(np.sqrt(np.mean(np.square(spread)))), metric.norm(means[i]))
        for j in range(i):
            for name, norm in (("distance", metric.plain_norm), ("weighted", metric.norm)):
                size = np.sqrt((norm(means[i]) ** 2 + norm(means[j]) ** 2) / 2)
                tables[name][i, j] = tables[name][j, i] = _relative(norm(means[i] - means[j]), size)
            kept = min(directions[i], directions[j])
            for name, sides in (("output_angle", lefts), ("input_angle", rights)):
                angles = subspace_angles(sides[i][:, :kept], sides[j][:, :kept])
                tables[name][i, j] = tables[name][j, i] = np.degrees(angles.max())
    return EpochComparison(epochs=names, directions=np.array(directions), **tables)


@dataclass(frozen=True, eq=False)
class WeightMetric:
    r"""Norms of $A D B^\top$ worked out from the rank x rank matrix $D$, without any units x units matrix."""

    post: Float[np.ndarray, "rank rank"]
    r"""R with $A^\top A = R^\top R$."""
    pre: Float[np.ndarray, "rank rank"]
    r"""L with $B^\top B = L L^\top$."""
    visited: Float[np.ndarray, "rank rank"]
    r"""L with $B^\top S B = L L^\top$."""

    @classmethod
    def of(cls, fit: Fit) -> "WeightMetric":
        """The metric of a fit; S over all trials and bins."""
        fit.check_shared_directions("compare_epochs")
        a, b = fit.a.astype(np.float64), fit.b.astype(np.float64)
        rate = np.tanh(fit.z.astype(np.float64).reshape(-1, a.shape[1]) @ a.T)
        post, pre, seen = (np.linalg.qr(one)[1] for one in (a, b, rate @ b / np.sqrt(len(rate))))
        return cls(post, pre.T, seen.T)

    def norm(self, mixing: Float[np.ndarray, "rank rank"]) -> float:
        r"""$\|A D B^\top S^{1/2}\|$."""
        return float(np.linalg.norm(self.post @ mixing @ self.visited))

    def plain_norm(self, mixing: Float[np.ndarray, "rank rank"]) -> float:
        r"""$\|A D B^\top\|$."""
        return float(np.linalg.norm(self.post @ mixing @ self.pre))

    def leading(self, mixing: Float[np.ndarray, "rank rank"]) -> tuple[np.ndarray, np.ndarray, int]:
        """Left and right singular directions of the visited weights, and how many carry `ENERGY`."""
        left, values, right = np.linalg.svd(self.post @ mixing @ self.visited)
        share = np.cumsum(values**2) / max(np.sum(values**2), np.finfo(float).tiny)
        return left, right.T, min(int(np.searchsorted(share, ENERGY)) + 1, len(values))


def _relative(value: float, size: float) -> float:
    """Zero where the weights are zero: nothing differs there."""
    return value / size if size > 0 else 0.0
