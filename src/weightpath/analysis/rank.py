"""How many directions a set of singular values needs: numerical rank, and the count that holds most of the energy."""

import numpy as np

from weightpath._types import Float, Int, Numeric

#: Singular values below this share of the largest are rounding.
TOLERANCE = 1e-8
#: Unfolding number n of a tensor (step, post, pre) has axis n as its rows.
MODES = ("step", "post", "pre")


def numerical_rank(values: Float[Numeric, "... eig"], tolerance: float = TOLERANCE) -> Int[np.ndarray, "..."]:
    """Number of singular values above `tolerance` times the largest; 0 where all are zero."""
    values = np.asarray(values)
    largest = np.max(values, axis=-1, keepdims=True, initial=0.0)
    return np.asarray(np.sum((values > tolerance * largest) & (values > 0), axis=-1))


def energy_count(values: Float[Numeric, "... eig"], share: float = 0.99) -> Int[np.ndarray, "..."]:
    """Least number of singular values (largest first) that hold `share` of the sum of squares; 0 where all are zero.

    **Raises:** ValueError for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share of the energy must be in (0, 1]; got {share}.")
    energy = np.cumsum(np.asarray(values) ** 2, axis=-1)
    total = energy[..., -1:]
    # The last sum is the total itself, so that share = 1 is reached in spite of rounding.
    return np.asarray(np.where(total[..., 0] > 0, np.sum(energy < share * total, axis=-1) + 1, 0))


def unfolding(tensor: Float[np.ndarray, "a b c"], mode: int) -> Float[np.ndarray, "row column"]:
    """The tensor as a matrix with axis `mode` as rows."""
    return np.moveaxis(tensor, mode, 0).reshape(tensor.shape[mode], -1)


def higher_order_svd(
    tensor: Float[np.ndarray, "a b c"],
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Left singular vectors and singular values of the three unfoldings, one of each per axis."""
    vectors, values = zip(*(_left_singular(unfolding(tensor, mode)) for mode in range(3)), strict=True)
    return vectors, values


def _left_singular(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if matrix.shape[1] > matrix.shape[0]:
        # The triangular factor of the transpose has the same left side and is small; a Gram matrix would lose half
        # of the digits of small singular values.
        matrix = np.asarray(np.linalg.qr(matrix.T, mode="r")).T
    left, values, _ = np.linalg.svd(matrix, full_matrices=False)
    return left, values
