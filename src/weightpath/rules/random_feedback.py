"""Fixed random feedback: weights through which a local rule may bring errors back to the units."""

import jax
import jax.numpy as jnp

from weightpath._types import Array, Float, Key
from weightpath.networks.base import AbstractNetwork


def random_feedback(key: Key, network: AbstractNetwork, scale: float = 1.0) -> Float[Array, "out post"]:
    r"""Feedback $R \sim N(0, \mathrm{scale}^2/N)$ of the shape of the network's read-out (out, post), N units.

    At `scale` 1 it is as large as a read-out of gain 1; a larger one speeds early learning and lowers the largest
    stable learning rate.

    **Raises:** ValueError when `scale` is not positive: without feedback `w_rec` and `w_in` never change.
    """
    if not scale > 0:
        raise ValueError(f"scale must be positive; got {scale}. Without feedback w_rec and w_in never change.")
    outputs, units = network.w_out.shape[-2:]
    return scale * jax.random.normal(key, (outputs, units), network.w_out.dtype) / jnp.sqrt(units)
