"""What an optimiser does to a gradient as a matrix: whether its steps keep the subspace that gradients span."""

import jax.numpy as jnp
import numpy as np

#: Share of an update outside the subspace above which the optimiser is said to leave it.
LEAVES = 1e-4


def keeps_subspace(optimiser) -> bool:
    """Whether the updates of an optax `optimiser` stay in the span of columns and rows of gradients and weights.

    True for SGD, momentum, weight decay and clipping by norm; False for optimisers that scale or clip entries one by
    one (Adam, RMSprop, sign descent). Found by trying: a weight matrix and a few gradients inside a subspace of two
    dimensions.
    """
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.standard_normal((8, 2)))[0] for _ in range(2))
    weights = jnp.asarray(left @ random.standard_normal((2, 2)) @ right.T)
    state = optimiser.init(weights)
    for _ in range(3):
        gradient = jnp.asarray(left @ random.standard_normal((2, 2)) @ right.T, weights.dtype)
        update, state = optimiser.update(gradient, state, weights)
        change = np.asarray(update, dtype=float)
        outside = change - left @ (left.T @ change @ right) @ right.T
        if np.linalg.norm(outside) > LEAVES * np.linalg.norm(change):
            return False
        weights = weights + update
    return True
