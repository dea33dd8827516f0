r"""The linearised dynamics at a point: eigenvalues, both kinds of eigenvectors, time constants and stability."""

from typing import NamedTuple

import numpy as np

from weightpath._types import Bool, Complex, Float, Int

#: A point whose margin is closer to zero than this is marginal, besides being stable or unstable.
MARGINAL = 1e-3


class Modes(NamedTuple):
    """Of every point; slowest or fastest growing mode first."""

    eigenvalues: Complex[np.ndarray, "found eig"]
    right: Complex[np.ndarray, "found unit eig"]
    left: Complex[np.ndarray, "found unit eig"]
    time_constants: Float[np.ndarray, "found eig"]
    unstable_dimension: Int[np.ndarray, " found"]
    margin: Float[np.ndarray, " found"]

    @property
    def stable(self) -> Bool[np.ndarray, " found"]:
        """By the strict sign of the margin."""
        return self.margin > 0


def modes(jacobian: Float[np.ndarray, "found unit unit"], *, discrete: bool, unit_time: float) -> Modes:
    r"""Modes of the Jacobian of the flow, or of the map itself.

    Right eigenvectors have length one, left ones $l$ obey $l^H J = \lambda l^H$ and $l_i^H r_j = \delta_{ij}$ (NaN
    where the Jacobian is not diagonalisable to working precision). `unit_time`: tau, or the length of a step.
    """
    count, units = jacobian.shape[:2]
    values, right = np.linalg.eig(jacobian) if count else (np.zeros((0, units)), np.zeros((0, units, units)))
    values, right = values.astype(complex), right.astype(complex)
    size = np.abs(values) if discrete else np.real(values)
    # Rounding makes the two of a conjugate pair differ by a bit; the upper one comes first all the same.
    keys = (-np.imag(values), -np.real(values), -np.round(size, 12))
    order = np.lexsort(keys, axis=1)
    values = np.take_along_axis(values, order, 1)
    right = np.take_along_axis(right, order[:, None, :], 2)
    size = np.take_along_axis(size, order, 1)
    left = np.full_like(right, np.nan)
    for number in range(count):
        if np.linalg.cond(right[number]) < 1e12:
            left[number] = np.linalg.inv(right[number]).conj().T
    with np.errstate(divide="ignore"):
        time = -unit_time / (np.log(size) if discrete else size)
    bound = 1.0 if discrete else 0.0
    margin = bound - size.max(axis=1, initial=-np.inf)
    return Modes(values, right, left, time, np.sum(size > bound, axis=1), margin)
