"""Subspaces in which weights move: angles between two of them, and what of a path lies outside one."""

import numpy as np

from weightpath._types import Float, Numeric


def principal_angles(
    first: Float[Numeric, "unit column"], second: Float[Numeric, "other_unit other"]
) -> Float[np.ndarray, " k"]:
    """Principal angles between the spans of two sets of columns, in degrees, smallest first.

    There are as many as the smaller set has columns. 0: a direction of one lies in the other; 90: it is orthogonal to
    all of it.

    **Raises:** ValueError when the sets have different numbers of units, are not finite, or have no columns.
    Source: Knyazev and Argentati 2002, as `scipy.linalg.subspace_angles` computes it.
    """
    from scipy.linalg import subspace_angles

    first, second = (np.asarray(columns, dtype=float) for columns in (first, second))
    if first.shape[0] != second.shape[0] or 0 in (*first.shape, *second.shape):
        raise ValueError(f"both sets must be (unit, column) over the same units; got {first.shape} and {second.shape}.")
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(second))):
        raise ValueError("the columns hold NaN or infinite entries.")
    return np.degrees(np.sort(subspace_angles(first, second)))


def share_outside(
    change: Float[Numeric, "... post pre"],
    post_basis: Float[Numeric, "post k"],
    pre_basis: Float[Numeric, "pre j"] | None = None,
) -> float:
    r"""Norm of what of `change` lies outside $\mathrm{span}(P) \times \mathrm{span}(Q)$, over its norm.

    $|T - P P^\top T Q Q^\top| / |T|$ with orthonormal columns P of `post_basis` and Q of `pre_basis` (default: the
    same), over one matrix or a whole path (step, post, pre). 0 for a change that is zero.

    **Raises:** ValueError when the columns of a basis are not orthonormal.
    """
    change, post = np.asarray(change, dtype=float), np.asarray(post_basis, dtype=float)
    pre = post if pre_basis is None else np.asarray(pre_basis, dtype=float)
    for name, basis in (("post_basis", post), ("pre_basis", pre)):
        if not np.allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-8):
            raise ValueError(f"the columns of {name} must be orthonormal; use numpy.linalg.qr(columns)[0].")
    norm = np.linalg.norm(change)
    inside = post @ (post.T @ change @ pre) @ pre.T
    return float(np.linalg.norm(change - inside) / norm) if norm > 0 else 0.0


def matched_correlation(
    first: Float[Numeric, "step column"], second: Float[Numeric, "other_step other"]
) -> Float[np.ndarray, " k"]:
    """Absolute correlations of the columns of two sets, paired so that their sum is largest; in order of `first`.

    **Raises:** ValueError when the sets have different numbers of steps.
    """
    from scipy.optimize import linear_sum_assignment

    first, second = (np.asarray(columns, dtype=float) for columns in (first, second))
    if first.shape[0] != second.shape[0]:
        raise ValueError(f"both sets need the same steps; got {first.shape[0]} and {second.shape[0]}.")
    unit = [_standardised(columns) for columns in (first, second)]
    likeness = np.abs(unit[0].T @ unit[1])
    return likeness[linear_sum_assignment(-likeness)]


def _standardised(columns: np.ndarray) -> np.ndarray:
    centred = columns - columns.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    return centred / np.where(length > 0, length, 1.0)
