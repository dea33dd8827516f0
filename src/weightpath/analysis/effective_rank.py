"""How many directions a matrix uses, weighed by their size: the effective rank."""

import numpy as np

from weightpath._types import Float, Numeric

#: Share of the norm that rounding of single precision leaves in a difference of two matrices, per root of a dimension.
SINGLE = float(np.finfo(np.float32).eps)


def effective_rank(matrix: Float[Numeric, "... post pre"]) -> Float[np.ndarray, "..."]:
    r"""$(\sum_i \sigma_i)^2 / \sum_i \sigma_i^2$ of the singular values of each matrix; 0 for a matrix of zeros.

    1 for a matrix of rank one, r for r equal singular values, and between for unequal ones. It changes little under
    noise, where the numerical rank jumps to full: report both. Worked out in 64 bits, whatever the input.

    **Raises:** ValueError when an entry is not finite.
    Source: Williams, Payeur and Lajoie 2026 (arXiv 2606.00243) use it for the change of the recurrent weights.
    """
    return effective_count(singular_values(matrix))


def singular_values(matrix: Float[Numeric, "... post pre"]) -> Float[np.ndarray, "... eig"]:
    """Singular values in 64 bits, largest first.

    **Raises:** ValueError when an entry is not finite.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    if not np.all(np.isfinite(matrix)):
        raise ValueError("the matrix holds NaN or infinite entries, and has no singular values.")
    return np.linalg.svd(matrix, compute_uv=False)


def effective_count(values: Float[np.ndarray, "... eig"]) -> Float[np.ndarray, "..."]:
    """The effective rank that belongs to singular values."""
    largest = np.max(values, axis=-1, keepdims=True, initial=0.0)
    scaled = values / np.where(largest > 0, largest, 1.0)  # the squares of tiny values would underflow
    power = np.sum(scaled**2, axis=-1)
    return np.asarray(np.sum(scaled, axis=-1) ** 2 / np.where(power > 0, power, 1.0))


def rounding_of(*arrays: Numeric) -> float:
    """Relative rounding of numbers as they were stored: that of 32 bits where every entry fits into 32 bits.

    Weights trained in 32 bits and read into 64 are known to 32 bits only, and so are their differences.
    """
    single = True
    for array in arrays:
        array = np.asarray(array)
        with np.errstate(over="ignore"):
            single = single and bool(np.all(array.astype(np.float32) == array))
    return SINGLE if single else float(np.finfo(np.float64).eps)
