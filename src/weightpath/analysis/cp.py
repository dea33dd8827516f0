r"""The canonical polyadic decomposition $T_{kij} \approx \sum_r c_{kr}\, a_{ir}\, b_{jr}$ by alternating least squares.

All ranks and all random starts run side by side in one compiled program: a start of low rank carries columns that are
held at zero. Each sweep solves for the factor of one axis after another, with the other two fixed:
$A \leftarrow T_{(a)} (B \odot C)\,[(B^T B) * (C^T C)]^{-1}$, which never raises the error. Sweeps creep where columns
are nearly parallel; so each starts a little further along the last change, and is taken back when this raises the
error.

Source: Kolda and Bader 2009, SIAM Review 51(3); acceleration with restarts: Mitchell, Ye and De Sterck 2020.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Bool, Float, Int, Numeric

#: Added to the normalised normal equations, so that columns that have become parallel do not stop the sweeps.
RIDGE = 1e-14


class Sweeps(eqx.Module):
    """Where a number of starts ended. The first two factors have unit columns, the third carries the scale."""

    factors: tuple[Array, Array, Array]
    """(start, axis, column) for each axis."""
    error: Float[Array, " start"]
    """Squared error over the squared norm of the tensor."""
    change: Float[Array, " start"]
    """Change of `error` in the last sweep."""
    sweeps: Int[Array, " start"]


class _State(eqx.Module):
    factors: tuple[Array, Array, Array]
    before: tuple[Array, Array, Array]
    """One sweep earlier."""
    error: Array
    change: Array
    run: Array
    """Sweeps since the last one that had to be taken back."""
    sweep: Array


@eqx.filter_jit
def alternate(
    tensor: Float[Array, "a b c"],
    starts: tuple[Float[Array, "start a column"], Float[Array, "start b column"], Float[Array, "start c column"]],
    used: Bool[Array, "start column"],
    sweeps: Int[Array, ""],
    tolerance: Float[Array, ""],
) -> Sweeps:
    """Alternating least squares from every start until the error settles to `tolerance`, or for `sweeps` sweeps."""
    power = jnp.sum(tensor**2)
    unfolded = [jnp.moveaxis(tensor, mode, 0).reshape(tensor.shape[mode], -1) for mode in range(3)]

    def from_one(start, used):
        def unsettled(state):
            return (state.sweep < sweeps) & (jnp.abs(state.change) > tolerance)

        def sweep(state):
            ahead = state.run / (state.run + 3)
            _, b, c = (now + ahead * (now - old) for now, old in zip(state.factors, state.before, strict=True))
            a = _unit(_solved(unfolded[0], b, c, used)[0])
            b = _unit(_solved(unfolded[1], a, c, used)[0])
            c, products, gram = _solved(unfolded[2], a, b, used)
            error = (power - 2 * jnp.sum(products * c) + jnp.sum(gram * (c.T @ c))) / power
            kept = (error < state.error) | (state.run == 0)
            tried = _State((a, b, c), state.factors, error, state.error - error, state.run + 1, state.sweep + 1)
            stayed = _State(state.factors, state.factors, state.error, state.change, 0 * state.run, state.sweep + 1)
            return jax.tree.map(lambda new, old: jnp.where(kept, new, old), tried, stayed)

        zero, factors = jnp.asarray(0), tuple(factor * used for factor in start)
        return jax.lax.while_loop(
            unsettled, sweep, _State(factors, factors, jnp.asarray(jnp.inf), jnp.asarray(jnp.inf), zero, zero)
        )

    last = jax.vmap(from_one)(starts, used)
    rebuilt = jnp.einsum("sar,sbr,scr->sabc", *last.factors)
    # The residual itself, since the difference of squares above is only good to the rounding of the tensor's power.
    error = jnp.sum((tensor - rebuilt) ** 2, axis=(1, 2, 3)) / power
    return Sweeps(last.factors, error, jnp.abs(last.change), last.sweep)


def _solved(unfolded: Array, first: Array, second: Array, used: Array) -> tuple[Array, Array, Array]:
    """The least-squares factor of one axis, the right-hand side of its normal equations, and their matrix."""
    count = used.shape[0]
    products = unfolded @ (first[:, None, :] * second[None, :, :]).reshape(-1, count)
    gram = (first.T @ first) * (second.T @ second)
    size = jnp.sqrt(jnp.where(used, jnp.diagonal(gram), 1.0))
    size = jnp.where(size > 0, size, 1.0)
    scaled = gram / jnp.outer(size, size) + jnp.diag(jnp.where(used, RIDGE, 1.0))
    factor = jax.scipy.linalg.solve(scaled, (products / size).T, assume_a="pos").T / size
    return jnp.where(used, factor, 0.0), products, gram


def _unit(factor: Array) -> Array:
    length = jnp.linalg.norm(factor, axis=0)
    return factor / jnp.where(length > 0, length, 1.0)


def first_guesses(
    shape: tuple[int, int, int], ranks: tuple[int, ...], restarts: int, seed: int
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Starts (rank and restart as one axis, axis of the tensor, column) and which columns each of them uses.

    The first start of every rank is the leading unit vectors of the three axes (the usual start from singular vectors
    where the tensor is a core of the higher-order SVD), the others are Gaussian.
    """
    columns = max(ranks)
    random = np.random.default_rng(seed)
    used = np.arange(columns) < np.repeat(ranks, restarts)[:, None]
    starts = []
    for size in shape:
        start = random.standard_normal((len(ranks), restarts, size, columns))
        leading = min(size, columns)
        start[:, 0, :, :leading] = np.eye(size)[:, :leading]
        starts.append(start.reshape(-1, size, columns))
    return tuple(starts), used


def congruence(first: tuple[Numeric, ...], second: tuple[Numeric, ...]) -> float:
    """Likeness of two decompositions of one rank, 1 where they have the same terms in any order.

    The mean over matched terms of the product over the axes of the cosines between their columns (Tucker's congruence);
    zero columns are unlike everything.
    """
    from scipy.optimize import linear_sum_assignment

    cosine = np.ones(())
    for one, other in zip(first, second, strict=True):
        one, other = (np.asarray(value) / _lengths(value) for value in (one, other))
        cosine = cosine * (one.T @ other)
    return float(np.mean(cosine[linear_sum_assignment(-cosine)]))


def _lengths(factor: Numeric) -> np.ndarray:
    length = np.linalg.norm(np.asarray(factor), axis=0)
    return np.where(length > 0, length, 1.0)
