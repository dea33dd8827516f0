r"""The search for bases in which a student and its teacher are diagonal (`weightpath.analysis.aligned`).

U and V are singular vectors of a fixed generic combination of matrices that are all diagonal in them: the lagged
responses of teacher and student and their products with $A A^T$ and $B^T B$. What coincides in all of them may be
rotated freely. P follows from $A^T u_i$, else $B v_i$, else $R^T u_i$; what is left of it diagonalises W.

Source: derived here.
"""

import numpy as np

from weightpath.networks.aligned import Bases

#: Singular values and lengths below this fraction of the largest count as zero.
ZERO = 1e-11


def student_bases(lagged: np.ndarray, student, feedback) -> Bases:
    """Bases that diagonalise what can be diagonalised."""
    w_rec, w_in, w_out = student
    u, v = output_input_bases(lagged, student, feedback)
    return Bases(u, _hidden(w_rec, w_in, w_out, u, v, feedback), v)


def output_input_bases(lagged: np.ndarray, student=None, feedback=None) -> tuple[np.ndarray, np.ndarray]:
    """U and V by falling |kappa|, with kappa not negative, from the teacher's responses (lag, out, in)."""
    mixed, outer, inner = _generic(lagged, 1.3, 0.4), 0.0, 0.0
    if student is not None:
        w_rec, w_in, w_out = student
        lags = min(len(w_rec), 12) + 1
        mixed = mixed + 0.61 * _generic(responses(w_rec, w_in, w_out, lags), 1.7, 2.2)
        outer, inner = 0.37 * _unit(w_out @ w_out.T), 0.43 * _unit(w_in.T @ w_in)
        if feedback is not None:
            both = feedback @ w_out.T
            outer = outer + 0.23 * _unit(feedback @ feedback.T) + 0.11 * _unit(both + both.T)
            mixed = mixed + 0.53 * _generic(responses(w_rec, w_in, feedback, lags), 2.1, 0.7)
        mixed = mixed + outer @ mixed + mixed @ inner
    left, sizes, right = np.linalg.svd(mixed)
    right = right.T
    rank = int(np.sum(sizes > ZERO * sizes[0])) if sizes[0] > 0 else 0
    # Of the modes that no response shows, none has both a read-out and a read-in: one is paired with none of the other.
    taller = len(left) >= len(right)
    left[:, rank:] = _complement(left[:, :rank], outer, rising=taller)
    right[:, rank:] = _complement(right[:, :rank], inner, rising=not taller)
    count = min(len(left), len(right))
    kappa = np.diagonal(left.T @ lagged[0] @ right)
    order = np.argsort(-np.abs(np.round(kappa / (np.linalg.norm(lagged) or 1.0), 12)), kind="stable")
    signs = np.where(kappa[order] < 0, -1.0, 1.0)
    left[:, :count] = left[:, order]
    right[:, :count] = right[:, order] * signs
    return left, right


def _hidden(w_rec, w_in, w_out, u, v, feedback) -> np.ndarray:
    """P: the direction of each mode among the units."""
    count = len(w_rec)
    sides = [(w_out.T @ u, np.linalg.norm(w_out)), (w_in @ v, np.linalg.norm(w_in))]
    if feedback is not None:
        sides.append((feedback.T @ u, np.linalg.norm(feedback)))
    chosen: list[np.ndarray | None] = [None] * count
    for mode in range(count):
        for columns, scale in sides:
            if mode < columns.shape[1] and np.linalg.norm(columns[:, mode]) > ZERO * max(scale, 1e-300):
                chosen[mode] = columns[:, mode] / np.linalg.norm(columns[:, mode])
                break
    known = [column for column in chosen if column is not None]
    basis = np.zeros((count, 0))
    if known:
        basis, triangle = np.linalg.qr(np.stack(known, axis=1))
        basis = basis * np.where(np.diagonal(triangle) < 0, -1.0, 1.0)
    rest = iter(_complement(basis, (w_rec + w_rec.T) / 2).T)
    first = iter(basis.T)
    return np.stack([next(rest) if column is None else next(first) for column in chosen], axis=1)


def _complement(basis: np.ndarray, symmetric, *, rising: bool = False) -> np.ndarray:
    """Orthonormal columns that complete `basis`, eigenvectors there of a symmetric matrix by size."""
    whole, _ = np.linalg.qr(basis, mode="complete")
    rest = whole[:, basis.shape[1] :]
    if np.ndim(symmetric) == 0 or not rest.shape[1]:
        return rest
    values, vectors = np.linalg.eigh(rest.T @ symmetric @ rest)
    order = np.argsort(np.abs(values), kind="stable")
    return rest @ vectors[:, order if rising else order[::-1]]


def _generic(responses: np.ndarray, pace: float, phase: float) -> np.ndarray:
    """A fixed combination of responses (lag, out, in) in which nothing cancels by design."""
    return np.einsum("k,koi->oi", np.cos(pace * np.arange(len(responses)) + phase), _unit(responses))


def _unit(array: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(array)
    return array / size if size > 0 else array


def responses(w_rec: np.ndarray, w_in: np.ndarray, w_out: np.ndarray, count: int) -> np.ndarray:
    """A W^k B for k below `count`."""
    states = [w_in]
    while len(states) < count:
        states.append(w_rec @ states[-1])
    return w_out @ np.stack(states)
