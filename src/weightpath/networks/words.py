"""The word-Krylov projection: a small network that learns like a large one."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._types import Float, Numeric
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.lift import Lift


def word_basis(
    w_rec: Float[Numeric, "unit unit"], vectors: Float[Numeric, "unit column"], depth: int, drop: float = 1e-10
) -> Float[np.ndarray, "unit k"]:
    r"""Orthonormal basis of $\mathrm{span}\{m x\}$ over the columns x of `vectors` and all words m of length <= depth.

    A word is a product of letters $W$ and $W^T$; only products of W with blocks of vectors are formed, at most
    $2^{depth+1} - 1$ columns for each start vector. What remains of a product after two passes of Gram-Schmidt is left
    out when it is below `drop` times the norm of W, so that a normal or low-rank W gives a smaller basis.

    **Raises:** ValueError for a negative depth or when every vector is zero.
    """
    if depth < 0:
        raise ValueError(f"depth (length of the longest word) must not be negative; got {depth}.")
    w_rec, vectors = np.asarray(w_rec), np.asarray(vectors)
    largest = float(np.max(np.linalg.norm(vectors, axis=0), initial=0.0))
    basis = _extended(np.zeros((w_rec.shape[0], 0)), vectors, drop * largest)
    if basis.shape[1] == 0:
        raise ValueError("every start vector is zero; give w_in or w_out a nonzero start.")
    fresh, smallest = basis, drop * float(np.linalg.norm(w_rec))
    for _ in range(depth):
        larger = _extended(basis, np.concatenate([w_rec @ fresh, w_rec.T @ fresh], axis=1), smallest)
        fresh, basis = larger[:, basis.shape[1] :], larger
    return basis


def project(network: AbstractNetwork, depth: int) -> tuple[AbstractNetwork, Lift]:
    r"""The network projected on the words of its $W_0$ up to length `depth`, from the read-in and the read-out.

    Returns the small network $(B^T W_0 B, B^T U, V B)$, which goes through `wp.flow` like any other, and the `Lift`
    back. Exact at every size if the words span an invariant subspace (W0 = 0: depth 0), otherwise the error falls
    about tenfold with each level. `Lift.bulk_radius` is $|W_0|_F/\sqrt N$, the radius of the disk that the
    eigenvalues of independent entries fill.

    Source: derived; the invariant subspace of Bordelon et al. 2025 (arXiv 2503.18754) is the case W0 = 0.
    **Raises:** ValueError for a negative depth, or a network without read-in and read-out.
    """
    w_rec, w_in, w_out = (np.asarray(array) for array in (network.w_rec, network.w_in, network.w_out))
    basis = word_basis(w_rec, np.concatenate([w_in, w_out.T], axis=1), depth)
    small = eqx.tree_at(
        lambda net: (net.w_rec, net.w_in, net.w_out),
        network,
        tuple(jnp.asarray(array) for array in (basis.T @ (w_rec @ basis), basis.T @ w_in, w_out @ basis)),
    )
    radius = np.linalg.norm(w_rec) / np.sqrt(w_rec.shape[0])
    base = jnp.asarray(w_rec) if np.any(w_rec) else None
    return small, Lift(jnp.asarray(basis), base, jnp.asarray(radius))


def _extended(basis: np.ndarray, candidates: np.ndarray, smallest: float) -> np.ndarray:
    """`basis` with the new directions of `candidates` added one by one, those longer than `smallest`."""
    columns = [*basis.T]
    for residual in candidates.T:
        if len(columns) == basis.shape[0]:
            break
        known = np.array(columns).reshape(len(columns), basis.shape[0])
        for _ in range(2):  # once is not enough: the first pass leaves rounding errors along the basis
            residual = residual - known.T @ (known @ residual)
        remaining = np.linalg.norm(residual)
        if remaining > smallest:
            columns.append(residual / remaining)
    return np.array(columns).reshape(len(columns), basis.shape[0]).T
