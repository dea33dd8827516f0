"""Factors of several fits of one recording brought into the order of one of them."""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Float
from weightpath.inference.canonical import canonical
from weightpath.inference.result import Fit


@dataclass(frozen=True, eq=False)
class Terms:
    """Factors of a fit in canonical form that mean the same in another fit: courses and directions in the data."""

    c: Float[np.ndarray, "step rank"]
    direction: Float[np.ndarray, "neuron rank"]
    """Unit vectors along decoder times a_r: the pattern over neurons that each factor drives."""

    def ordered_as(self, other: "Terms") -> "Terms":
        """The terms in the order, and with the signs of directions, that fit those of `other` best.

        Matched one to one by the sum of two cosines, that of the courses and the absolute one of the directions.
        """
        from scipy.optimize import linear_sum_assignment

        cosine = other.direction.T @ self.direction
        columns = linear_sum_assignment(-(np.abs(cosine) + _unit(other.c).T @ _unit(self.c)))[1]
        sign = np.where(cosine[np.arange(len(columns)), columns] < 0, -1.0, 1.0)
        return Terms(self.c[:, columns], self.direction[:, columns] * sign)


def terms(fit: Fit) -> Terms:
    """The factors of a fit in canonical form; see `Terms`.

    **Raises:** ValueError for a model with a full core.
    """
    shown = canonical(fit)
    direction = shown.a
    if fit.model.decoder != "identity":
        w_out = np.asarray(fit.network.w_out, np.float64)
        direction = (w_out.mean(axis=0) if w_out.ndim == 3 else w_out) @ direction
    return Terms(shown.c, _unit(direction))


def _unit(columns: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(columns, axis=0)
    return columns / np.where(length > 0, length, 1.0)
