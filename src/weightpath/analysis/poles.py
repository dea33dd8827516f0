"""Poles of a loss of fixed points along a line of recurrent weights: where the fixed point goes through infinity."""

from typing import Any

import numpy as np

from weightpath._precision import require_x64
from weightpath._types import Bool, Complex, Float, Numeric
from weightpath.analysis.directions import linear_pencil
from weightpath.networks.base import AbstractNetwork

#: An eigenvalue of the pencil is real if its imaginary part is below this, over the larger of 1 and its modulus.
REAL = 1e-9


def poles(
    network: AbstractNetwork,
    direction: Numeric | AbstractNetwork,
    *,
    within: tuple[float | int, float | int] | None = None,
) -> Float[np.ndarray, " eig"]:
    r"""Where along $W(t) = W + t D$ the fixed point of a linear network diverges, in increasing order.

    $r = (I - W - tD)^{-1} x$ has no value where $W(t)$ has the eigenvalue 1: at the real generalised eigenvalues $t$
    of the pencil $(I - W, D)$. A loss that is squared in the outputs grows there as $1/(t - t_p)^2$ unless the inputs
    miss the eigenvector. For continuous and discrete time alike.

    Arguments: `direction` (post, pre), or a network of changes, of which `w_rec` is read; `within`: only poles in this
    closed interval. Infinite eigenvalues (of a D without full rank) are dropped, and complex ones, which miss the line.
    Two poles that just touch are found as a complex pair and left out.

    **Raises:** ValueError for a nonlinear network (see `landscape`), a direction of another shape or zero, an interval
    that is empty, in 32-bit mode.
    """
    require_x64("analysis.poles")
    w_rec, change = linear_pencil(network, direction, "analysis.poles")
    found = real_eigenvalues(np.eye(w_rec.shape[0]) - w_rec, change)
    if within is None:
        return found
    low, high = _interval(within)
    return found[(found >= low) & (found <= high)]


def real_eigenvalues(a: Float[np.ndarray, "post pre"], b: Float[np.ndarray, "post pre"]) -> Float[np.ndarray, " eig"]:
    """Finite real generalised eigenvalues of `a x = t b x`, in increasing order."""
    values = finite_eigenvalues(a, b)
    return np.sort(np.real(values)[_is_real(values)])


def finite_eigenvalues(
    a: Float[np.ndarray, "post pre"], b: Float[np.ndarray, "post pre"]
) -> Complex[np.ndarray, " eig"]:
    """Finite generalised eigenvalues of `a x = t b x`."""
    from scipy.linalg import eigvals

    # As quotients alpha/beta: a beta that is zero up to rounding belongs to an infinite eigenvalue.
    alpha, beta = np.asarray(eigvals(a, b, homogeneous_eigvals=True))
    rounding = b.shape[0] * np.finfo(float).eps * np.linalg.norm(b)
    finite = np.abs(beta) > rounding
    return alpha[finite] / beta[finite]


def _is_real(values: Complex[np.ndarray, " eig"]) -> Bool[np.ndarray, " eig"]:
    return np.abs(np.imag(values)) < REAL * np.maximum(1.0, np.abs(values))


def _interval(within: Any) -> tuple[float, float]:
    bounds = np.asarray(within, dtype=float)
    if bounds.shape != (2,) or not bounds[0] <= bounds[1]:
        raise ValueError(f"within must be an interval (low, high) with low <= high; got {within!r}.")
    return float(bounds[0]), float(bounds[1])
