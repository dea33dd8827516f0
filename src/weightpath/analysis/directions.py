"""Directions in weight space: an array of recurrent weights or a network of changes, and the networks along them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.slopes import is_linear


def checked_direction(network: AbstractNetwork, direction: Any, name: str = "direction") -> AbstractNetwork:
    """The direction as a network of changes: an array (post, pre) changes `w_rec` alone.

    **Raises:** ValueError for another class of network, another shape, entries that are not real and finite numbers, or
    no change.
    """
    arrays, rest = eqx.partition(network, eqx.is_inexact_array)
    if isinstance(direction, AbstractNetwork):
        change = eqx.filter(direction, eqx.is_inexact_array)
        if jax.tree.structure(change) != jax.tree.structure(arrays):
            raise ValueError(
                f"{name} must be an array (post, pre) or a {type(network).__name__} with the same weights; got a "
                f"{type(direction).__name__} of another structure."
            )
    else:
        w_rec = np.asarray(direction)
        if not (np.issubdtype(w_rec.dtype, np.floating) or np.issubdtype(w_rec.dtype, np.integer)):
            raise ValueError(f"{name} must be real numbers (post, pre) or a network of changes; got {direction!r}.")
        if w_rec.shape != network.w_rec.shape:
            raise ValueError(f"{name} must have the shape of w_rec, {network.w_rec.shape}; got {w_rec.shape}.")
        change = eqx.tree_at(lambda net: net.w_rec, jax.tree.map(jnp.zeros_like, arrays), jnp.asarray(w_rec, float))
    leaves = list(zip(jax.tree.leaves(change), jax.tree.leaves(arrays), strict=True))
    for leaf, like in leaves:
        if leaf.shape != like.shape:
            raise ValueError(f"{name} must have weights of the network's shapes; got {leaf.shape} for {like.shape}.")
        if not np.all(np.isfinite(leaf)):
            raise ValueError(f"{name} holds NaN or infinite entries; give finite changes of the weights.")
    if not any(np.any(leaf) for leaf, _ in leaves):
        raise ValueError(f"{name} is zero everywhere: it leads nowhere. Give a change of the weights.")
    return eqx.combine(change, rest)


def moved(network: AbstractNetwork, directions: tuple[AbstractNetwork, ...], at: tuple) -> AbstractNetwork:
    """The network at `at`: weights plus the directions times their coordinates."""
    arrays, rest = eqx.partition(network, eqx.is_inexact_array)
    for direction, coordinate in zip(directions, at, strict=True):
        change = eqx.filter(direction, eqx.is_inexact_array)
        arrays = jax.tree.map(lambda weight, part, t=coordinate: weight + t * part, arrays, change)
    return eqx.combine(arrays, rest)


def linear_pencil(
    network: AbstractNetwork, direction: Any, what: str
) -> tuple[Float[np.ndarray, "post pre"], Float[np.ndarray, "post pre"]]:
    """`w_rec` of a linear network and its change along the direction, as NumPy arrays.

    **Raises:** ValueError for a nonlinear network, a direction that does not change `w_rec`, or weights not finite.
    """
    if not is_linear(network):
        raise ValueError(
            f"{what} is exact for linear networks only; this {type(network).__name__} has slopes that change along "
            "the line. Use analysis.landscape: its `smallest_singular`, `determinant_sign` and `stable` are those of "
            "the fixed points it finds."
        )
    change = np.asarray(checked_direction(network, direction).w_rec, dtype=float)
    w_rec = np.asarray(network.w_rec, dtype=float)
    if not np.all(np.isfinite(w_rec)):
        raise ValueError("w_rec holds NaN or infinite entries; repair the weights first.")
    if not np.any(change):
        raise ValueError(f"the direction does not change w_rec, so that {what} has nothing to follow.")
    return w_rec, change
