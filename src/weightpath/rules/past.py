r"""The influence of weights on states, kept as the steps that made it: real-time recurrent learning at less cost.

With the Jacobians $J_k$ that were, each of its own weights, the influence that RTRL carries meets an error as

$$q_t \cdot M_t = \sum_{k \le t} (g_k \circ c_k)\,z_k^\top, \qquad c_t = q_t, \quad c_{k-1} = J_k^\top c_k,$$

the same numbers up to rounding. The steps since the start of the trial, or since the influence was last worked out, are
kept with the weights of their time, and each error goes back through them. What lies before them is the influence as a
matrix, met by the $c$ that is left, and it takes up the kept steps together:

$$M \leftarrow J_t \cdots J_{s+1} M + \sum_{s < k \le t} (J_t \cdots J_{k+1} g_k) \otimes z_k.$$

Source: derived here from the recursion of Williams and Zipser 1989 (Neural Computation 1:270).
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Bool, Float, Int
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.local_step import Local, StepForm, seen_size

#: Steps that are kept before the influence takes them up, where it is a matrix at all.
WINDOW = 16
#: Units up to which a credit's way back is a plain sum: it costs less than the call of a matrix product.
SMALL = 32


class Past(eqx.Module):
    """Steps of all streams, oldest first, the weights that all of them had, and the influence before them."""

    weights: Float[Array, "step unit unit"]
    """Transposed above `SMALL` units, so that a credit's way back is a product along rows."""
    gains: Float[Array, "step stream post"]
    """Zero for steps that do not belong to the stream's trial."""
    slopes: Float[Array, "step stream post"]
    seen: Float[Array, "step stream seen"]
    filled: Int[Array, ""]
    """Number of steps that are kept now."""
    influence: Float[Array, "stream unit weight"] | None
    """None where whole trials are kept."""


def keeps_trials(network: AbstractNetwork, bins: int, *, together: bool) -> bool:
    """Whether keeping whole trials costs less than the influence, or not much more.

    Only where all trials of a batch begin `together`, with the batch. The limits are where the two took equal times on
    one core: up to `SMALL` units the way back is short of work, and the influence is cheap.
    """
    steps = 2 if network.w_rec.shape[0] <= SMALL else 3
    return together and bins <= steps * seen_size(network)


def size(network: AbstractNetwork, streams: int, bins: int, *, whole: bool) -> int:
    """Numbers that are held: the kept steps, and the influence unless they are whole trials."""
    units, seen = network.w_rec.shape[0], seen_size(network)
    steps = bins if whole else WINDOW
    return steps * (units**2 + streams * (2 * units + seen)) + (0 if whole else streams * units**2 * seen)


def empty(network: AbstractNetwork, streams: int, bins: int, *, whole: bool) -> Past:
    """Before the first step."""
    units, seen, dtype = network.w_rec.shape[0], seen_size(network), network.w_rec.dtype
    steps = bins if whole else WINDOW
    return Past(
        weights=jnp.zeros((steps, units, units), dtype),
        gains=jnp.zeros((steps, streams, units), dtype),
        slopes=jnp.zeros((steps, streams, units), dtype),
        seen=jnp.zeros((steps, streams, seen), dtype),
        filled=jnp.zeros((), int),
        influence=None if whole else jnp.zeros((streams, units, units * seen), dtype),
    )


def forgotten(past: Past, first: Bool[Array, " stream"]) -> Past:
    """`past` without the steps of streams in which a trial begins."""
    influence = None if past.influence is None else jnp.where(first[:, None, None], 0, past.influence)
    return dataclasses.replace(
        past,
        gains=jnp.where(first[:, None], 0, past.gains),
        filled=jnp.where(jnp.all(first), 0, past.filled),
        influence=influence,
    )


def met(
    past: Past, network: AbstractNetwork, form: StepForm, local: Local, credits: Float[Array, "stream post"]
) -> tuple[Past, Float[Array, "post seen"]]:
    """The past with the step that left `local`, and the gradient estimate of [W, U, b], summed over streams."""
    if past.influence is not None:
        # A loop of no turn or one: unlike a branch, it leaves the influence where it is.
        past = jax.lax.while_loop(lambda past: past.filled == WINDOW, lambda past: _worked_out(past, form), past)
    now = past.filled
    kept = dataclasses.replace(
        past,
        weights=_written(past.weights, network.w_rec if _small(past) else network.w_rec.T, now),
        gains=_written(past.gains, _of_units(local.gain, credits), now),
        slopes=_written(past.slopes, _of_units(local.slope, credits), now),
        seen=_written(past.seen, local.seen, now),
        filled=now + 1,
    )
    # The barrier has each array written once, in place: without it the compiler writes copies for its several readers.
    kept = jax.lax.optimization_barrier(kept)

    def passed(rows, weights):
        return jnp.sum(rows[:, :, None] * weights, axis=1) if _small(past) else rows @ weights.T

    def back(carry):
        index, credit, driven = carry
        weights, gain, slope = (_step(kept, index) for kept in (kept.weights, kept.gains, kept.slopes))
        here = gain * credit
        return index - 1, form.retention * credit + slope * passed(here, weights), _written(driven, here, index)

    start = now, credits, jnp.zeros_like(kept.gains)
    _, left, driven = jax.lax.while_loop(lambda carry: carry[0] >= 0, back, start)
    change = jnp.einsum("ksi,ksj->ij", driven, kept.seen)
    if kept.influence is None:
        return kept, change
    return kept, change + jnp.einsum("su,suw->w", left, kept.influence).reshape(change.shape)


def _worked_out(past: Past, form: StepForm) -> Past:
    """The influence with all kept steps in it, and none kept."""
    streams, units = past.gains.shape[1:]
    identity = jnp.broadcast_to(jnp.eye(units, dtype=past.gains.dtype), (streams, units, units))

    def back(moved, step):
        """`moved` is the product of the Jacobians of all later steps."""
        weights, gain, slope = step
        weights = weights if _small(past) else weights.T
        at_once = moved * gain[:, None, :]
        return form.retention * moved + (at_once @ weights) * slope[:, None, :], at_once

    influence = past.influence
    assert influence is not None
    moved, at_once = jax.lax.scan(back, identity, (past.weights, past.gains, past.slopes), reverse=True)
    added = jnp.einsum("ksui,ksj->suij", at_once, past.seen).reshape(influence.shape)
    return dataclasses.replace(past, influence=moved @ influence + added, filled=jnp.zeros_like(past.filled))


def _step(kept: Array, index: Int[Array, ""]) -> Array:
    return jax.lax.dynamic_index_in_dim(kept, index, keepdims=False)


def _written(kept: Array, new: Array, index: Int[Array, ""]) -> Array:
    """`kept` with one step written, in place where the compiler may (a scatter is not)."""
    return jax.lax.dynamic_update_index_in_dim(kept, new, index, 0)


def _small(past: Past) -> bool:
    return past.weights.shape[-1] <= SMALL


def _of_units(value: Array, like: Array) -> Array:
    """A number per unit, or one for all units, of every stream."""
    return jnp.broadcast_to(value if value.ndim == 2 else value[:, None], like.shape)
