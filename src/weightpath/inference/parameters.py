"""The trained arrays of a low-tensor-rank fit and their initial values."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float
from weightpath.inference.problem import Arrangement

#: Spread of the state that the linear decoder starts from, per square root of a unit.
STATE_SD = 0.7
#: Rates beyond this are clipped before arctanh.
LARGEST_RATE = 0.97


class Parameters(eqx.Module):
    """Everything that is trained. Tables of inputs and initial states are carried divided by sqrt(units)."""

    post: Float[Array, "unit rank"]
    """Directions a_r; only their direction counts."""
    pre: Float[Array, "unit rank"]
    level: Float[Array, "... levels"]
    """beta: (rank, levels), or (rank, rank, levels) of a core."""
    deviation: Float[Array, "... training"]
    """zeta, standard normal under the prior, over the training trials."""
    start: Float[Array, "rank starts"]
    inputs: Float[Array, "time rank tables"] | None
    w_out: Float[Array, "copies neuron unit"] | None
    readout_bias: Float[Array, "copies neuron"] | None
    offset: Float[Array, "neuron basis"] | None


def initial_values(arrangement: Arrangement, seed: int, dtype: np.dtype) -> Parameters:
    """Initial values from the condition means of the training data; every copy of a table starts equal.

    Identity decoder: A from the principal directions of arctanh(data). Linear decoder: A random orthonormal, the
    states from the principal coordinates of the condition means, the inputs by inverting the dynamics on those states,
    the decoder by ridge regression from tanh(A z) to the means.
    """
    rng = np.random.default_rng(seed)
    means = condition_means(arrangement)
    identity = arrangement.model.decoder == "identity"
    post, pre, states = (_identity_start if identity else _linear_start)(arrangement, means, rng)
    post, pre = (one / np.linalg.norm(one, axis=0) for one in (post, pre))
    rate = np.tanh(states @ post.T)
    first = states[:, 0] if arrangement.model.initial_state == "condition" else states[:, :1].mean(axis=0)
    root, copies = np.sqrt(arrangement.units), arrangement.copies
    level, deviation = _factors(arrangement, rng)
    w_out, bias = (None, None) if identity else _ridge(rate, means)
    arrays: dict[str, Any] = dict(
        post=post,
        pre=pre,
        level=level,
        deviation=deviation,
        start=np.tile(first / root, (copies, 1)).T,
        inputs=_inverse_dynamics(arrangement, states, rate @ pre, copies) / root if _free(arrangement) else None,
        w_out=None if w_out is None else np.tile(w_out, (copies, 1, 1)),
        readout_bias=None if bias is None else np.tile(bias, (copies, 1)),
        offset=_offset(arrangement),
    )
    converted: dict[str, Any] = {name: None if one is None else jnp.asarray(one, dtype) for name, one in arrays.items()}
    return Parameters(**converted)


def condition_means(arrangement: Arrangement) -> Float[np.ndarray, "condition time neuron"]:
    """Means of the training entries per condition, on the model's scale.

    Where a condition has no entry in a bin, the mean over all conditions stands in; where no trial has one, the nearest
    bin in time; a neuron without any entry is zero.
    """
    data, mask = arrangement.standardised, arrangement.mask
    codes = np.arange(len(arrangement.recording.conditions))
    member = (arrangement.recording.condition[None, :] == codes[:, None]).astype(float)
    total, count = np.einsum("ck,ktm->ctm", member, data), np.einsum("ck,ktm->ctm", member, mask.astype(float))
    overall = _nearest_in_time(data.sum(axis=0), mask.sum(axis=0))
    return np.where(count > 0, total / np.maximum(count, 1), overall)


def _nearest_in_time(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Means (time, neuron) from sums and counts, each empty bin filled from the nearest one that is not."""
    mean = total / np.maximum(count, 1)
    for neuron in np.flatnonzero((count == 0).any(axis=0) & (count > 0).any(axis=0)):
        seen = np.flatnonzero(count[:, neuron])
        nearest = seen[np.abs(seen[None, :] - np.arange(len(count))[:, None]).argmin(axis=1)]
        mean[:, neuron] = mean[nearest, neuron]
    return mean


def _identity_start(arrangement: Arrangement, means: np.ndarray, rng: np.random.Generator):
    """Directions and states of a model whose units are the neurons."""
    data, mask, rank = arrangement.standardised, arrangement.mask, arrangement.model.rank
    count = mask.sum(axis=0)
    filled = np.where(mask, data, _nearest_in_time(data.sum(axis=0), count))[arrangement.training]
    state = np.arctanh(np.clip(filled, -LARGEST_RATE, LARGEST_RATE)).reshape(-1, arrangement.units)
    directions = np.linalg.eigh(state.T @ state)[1][:, ::-1][:, :rank]
    root = np.sqrt(arrangement.units)
    post = directions + 0.02 * rng.standard_normal(directions.shape) / root
    pre = post + 0.3 * rng.standard_normal(directions.shape) / root
    return post, pre, np.arctanh(np.clip(means, -LARGEST_RATE, LARGEST_RATE)) @ post


def _linear_start(arrangement: Arrangement, means: np.ndarray, rng: np.random.Generator):
    """Directions and states of a model with a learnt decoder."""
    units, rank = arrangement.units, arrangement.model.rank
    post = np.linalg.qr(rng.standard_normal((units, rank)))[0]
    pre = post + 0.5 * rng.standard_normal((units, rank)) / np.sqrt(units)
    flat = means.reshape(-1, means.shape[-1])
    directions = np.linalg.eigh(flat.T @ flat)[1][:, ::-1][:, :rank]
    states = np.zeros((*means.shape[:2], rank))
    states[..., : directions.shape[1]] = means @ directions
    return post, pre, states * (STATE_SD * np.sqrt(units) / max(states.std(), 1e-12))


def _factors(arrangement: Arrangement, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Levels of one and small random deviations."""
    rank, training = arrangement.model.rank, int(arrangement.training.sum())
    core, identity = arrangement.model.core, arrangement.model.decoder == "identity"
    start = np.eye(rank) if core else np.ones(rank)
    level = np.repeat(start[..., None], arrangement.copies, axis=-1)
    spread = (0.1 if identity else 0.01) * arrangement.maps["deviation"].any()
    return level, spread * rng.standard_normal((*start.shape, training))


def _inverse_dynamics(arrangement: Arrangement, states: np.ndarray, read: np.ndarray, copies: int) -> np.ndarray:
    """Inputs (time, rank, tables) that would carry the states from bin to bin with all factors at one."""
    change = np.zeros_like(states)
    change[:, :-1] = np.diff(states, axis=1) * arrangement.model.time_constant
    return np.tile(states + change - read, (copies, 1, 1)).transpose(1, 2, 0)


def _ridge(rate: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decoder and offset by ridge regression (penalty 1) of the means on the rates."""
    rate, means = rate.reshape(-1, rate.shape[-1]), means.reshape(-1, means.shape[-1])
    centre, target = rate.mean(axis=0), means.mean(axis=0)
    gram = (rate - centre).T @ (rate - centre) + np.eye(rate.shape[1])
    w_out = np.linalg.solve(gram, (rate - centre).T @ (means - target)).T
    return w_out, target - w_out @ centre


def _offset(arrangement: Arrangement) -> np.ndarray | None:
    basis = arrangement.maps["offset"]
    return None if basis is None else np.zeros((arrangement.recording.shape[2], len(basis)))


def _free(arrangement: Arrangement) -> bool:
    return arrangement.model.inputs == "free"
