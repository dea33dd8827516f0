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
    values, size = np.zeros((count, units), complex), np.zeros((count, units))
    right, left = np.zeros((count, units, units), complex), np.full((count, units, units), np.nan + 0j)
    for number, one in enumerate(jacobian):
        value, columns = np.linalg.eig(one)
        length = np.abs(value) if discrete else np.real(value)
        # Rounding makes the two of a conjugate pair differ by a bit; the upper one comes first all the same.
        order = np.lexsort((-np.imag(value), -np.real(value), -np.round(length, 12)))
        values[number], size[number], right[number] = value[order], length[order], columns[:, order]
        try:
            inverse = np.linalg.inv(right[number])
        except np.linalg.LinAlgError:
            continue
        if np.linalg.norm(columns, 1) * np.linalg.norm(inverse, 1) < 1e12:
            left[number] = inverse.conj().T
    with np.errstate(divide="ignore"):
        time = -unit_time / (np.log(size) if discrete else size)
    bound = 1.0 if discrete else 0.0
    margin = bound - size.max(axis=1, initial=-np.inf)
    return Modes(values, right, left, time, np.sum(size > bound, axis=1), margin)
