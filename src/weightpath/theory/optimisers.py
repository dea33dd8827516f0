"""What an optimiser does to a gradient as a matrix: whether its steps keep the subspace that gradients span."""

import jax.numpy as jnp
import numpy as np

#: Share of an update outside the subspace above which the optimiser is said to leave it.
LEAVES = 1e-4


def keeps_subspace(optimiser, *, shift: float = 0.0) -> bool:
    """Whether the updates of an optax `optimiser` stay in the span of columns and rows of gradients and weights.

    True for SGD, momentum, weight decay and clipping by norm; False for optimisers that scale or clip entries one by
    one (Adam, RMSprop, sign descent). Found by trying: a weight matrix and a few gradients inside a subspace of two
    dimensions. `shift`: multiple of the identity that the first weights hold beside what lies in the subspace; with
    one, weight decay leaves it.
    """
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.standard_normal((8, 2)))[0] for _ in range(2))
    weights = left @ random.standard_normal((2, 2)) @ right.T + shift * np.eye(8)
    return _stays(optimiser, weights, random, left, right)


def keeps_columns(optimiser, *, weights_inside: bool = False) -> bool:
    """Whether the updates of an optax `optimiser` stay in the column space that all gradients share.

    True for everything that combines past gradients as whole matrices: SGD, momentum, averages of updates, clipping by
    norm. False for scaling or clipping entry by entry, and for weight decay, unless the columns of the first weights
    lie in that space too (`weights_inside`: they do, or are zero).
    """
    random = np.random.default_rng(0)
    left = np.linalg.qr(random.standard_normal((8, 2)))[0]
    weights = random.standard_normal((8, 8))
    return _stays(optimiser, left @ (left.T @ weights) if weights_inside else weights, random, left, np.eye(8))


def _stays(optimiser, first: np.ndarray, random, left: np.ndarray, right: np.ndarray) -> bool:
    """Whether a few updates by gradients in the span of `left` and `right` stay there."""
    weights = jnp.asarray(first)
    state = optimiser.init(weights)
    for _ in range(3):
        gradient = jnp.asarray(left @ random.standard_normal((2, right.shape[1])) @ right.T, weights.dtype)
        update, state = optimiser.update(gradient, state, weights)
        change = np.asarray(update, dtype=float)
        outside = change - left @ (left.T @ change @ right) @ right.T
        if np.linalg.norm(outside) > LEAVES * np.linalg.norm(change):
            return False
        weights = weights + update
    return True
