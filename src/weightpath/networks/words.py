"""The word-Krylov projection: a small network that learns like a large one."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._types import Float, Numeric
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.lift import Lift

#: What is left of a product after orthogonalisation is dropped below this share of its scale.
DROP = 1e-10


class Words(NamedTuple):
    """An orthonormal basis of all words up to `depth`; its last `fresh` columns are the words of that length."""

    basis: Float[np.ndarray, "unit k"]
    fresh: int
    depth: int

    @property
    def complete(self) -> bool:
        """Whether longer words add nothing: the span is invariant."""
        return self.fresh == 0 or self.basis.shape[0] == self.basis.shape[1]


def first_words(vectors: Float[Numeric, "unit column"], drop: float = DROP) -> Words:
    """The words of length 0: an orthonormal basis of the start vectors.

    **Raises:** ValueError when every vector is zero.
    """
    vectors = np.asarray(vectors)
    largest = float(np.max(np.linalg.norm(vectors, axis=0), initial=0.0))
    basis = _extended(np.zeros((vectors.shape[0], 0)), vectors, drop * largest)
    if basis.shape[1] == 0:
        raise ValueError("every start vector is zero; give w_in or w_out a nonzero start.")
    return Words(basis, basis.shape[1], 0)


def longer_words(w_rec: Float[Numeric, "unit unit"], words: Words, drop: float = DROP) -> Words:
    """The words of one more letter, from products of W and of its transpose with the newest ones alone."""
    w_rec, basis = np.asarray(w_rec), words.basis
    newest = basis[:, basis.shape[1] - words.fresh :]
    smallest = drop * float(np.linalg.norm(w_rec))
    larger = _extended(basis, np.concatenate([w_rec @ newest, w_rec.T @ newest], axis=1), smallest)
    return Words(larger, larger.shape[1] - basis.shape[1], words.depth + 1)


def word_basis(
    w_rec: Float[Numeric, "unit unit"], vectors: Float[Numeric, "unit column"], depth: int, drop: float = DROP
) -> Float[np.ndarray, "unit k"]:
    r"""Orthonormal basis of $\mathrm{span}\{m x\}$ over the columns x of `vectors` and all words m of length <= depth.

    A word is a product of letters $W$ and $W^T$; only products of W with blocks of vectors are formed, at most
    $2^{depth+1} - 1$ columns for each start vector. What remains of a product after two passes of Gram-Schmidt is left
    out when it is below `drop` times the norm of W, so that a normal or low-rank W gives a smaller basis.

    **Raises:** ValueError for a negative depth or when every vector is zero.
    """
    if depth < 0:
        raise ValueError(f"depth (length of the longest word) must not be negative; got {depth}.")
    words = first_words(vectors, drop)
    for _ in range(depth):
        words = longer_words(w_rec, words, drop)
    return words.basis


def project(network: AbstractNetwork, depth: int | Words) -> tuple[AbstractNetwork, Lift]:
    r"""The network projected on the words of its $W_0$ up to length `depth`, from the read-in and the read-out.

    Returns the small network $(B^T W_0 B, B^T U, V B)$, which goes through `wp.flow` like any other, and the `Lift`
    back. Exact at every size if the words span an invariant subspace (W0 = 0: depth 0), otherwise the error falls
    about tenfold with each level. `Lift.bulk_radius` is $|W_0|_F/\sqrt N$, the radius of the disk that the
    eigenvalues of independent entries fill. `depth` may be the `Words` themselves, where they are known.

    Source: derived; the invariant subspace of Bordelon et al. 2025 (arXiv 2503.18754) is the case W0 = 0.
    **Raises:** ValueError for a negative depth, or a network without read-in and read-out.
    """
    w_rec, w_in, w_out = (np.asarray(array) for array in (network.w_rec, network.w_in, network.w_out))
    if isinstance(depth, Words):
        basis, length = depth.basis, depth.depth
    else:
        basis, length = word_basis(w_rec, start_vectors(network), depth), depth
    inside = jnp.asarray(basis.T @ (w_rec @ basis))
    small = eqx.tree_at(
        lambda net: (net.w_rec, net.w_in, net.w_out),
        network,
        (inside, jnp.asarray(basis.T @ w_in), jnp.asarray(w_out @ basis)),
    )
    norm = np.linalg.norm(w_rec)
    # The weights themselves, not a copy: at 10 000 units one takes 0.8 GB.
    base = jnp.asarray(network.w_rec) if norm > 0 else None
    return small, Lift(jnp.asarray(basis), base, jnp.asarray(norm / np.sqrt(w_rec.shape[0])), inside, length)


def start_vectors(network: AbstractNetwork) -> Float[np.ndarray, "unit column"]:
    """Read-in and read-out vectors as columns, from which words are made."""
    return np.concatenate([np.asarray(network.w_in), np.asarray(network.w_out).T], axis=1)


def _extended(basis: np.ndarray, candidates: np.ndarray, smallest: float) -> np.ndarray:
    """`basis` with the new directions of `candidates` added one by one, those longer than `smallest`."""
    units, count = basis.shape
    columns = np.empty((units, min(units, count + candidates.shape[1])), order="F")
    columns[:, :count] = basis
    for residual in candidates.T:
        if count == units:
            break
        known = columns[:, :count]
        for _ in range(2):  # once is not enough: the first pass leaves rounding errors along the basis
            residual = residual - known @ (known.T @ residual)
        remaining = np.linalg.norm(residual)
        if remaining > smallest:
            columns[:, count] = residual / remaining
            count += 1
    return columns[:, :count]
