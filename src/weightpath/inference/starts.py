"""Where a fit starts: directions, states and decoder from the condition means, for each kind of decoder."""

from typing import NamedTuple

import numpy as np

from weightpath._types import Float
from weightpath.inference.counts import count_means
from weightpath.inference.observe import inverse_softplus
from weightpath.inference.problem import Arrangement

#: Spread of the state that decoders with a scale of their own start from, per square root of a unit.
STATE_SD = 0.7
#: Rates beyond this are clipped before arctanh.
LARGEST_RATE = 0.97
#: Gain of the identity decoder, in standard deviations of a neuron and in largest deviations of its means.
GAIN_OF_SD, GAIN_OF_LARGEST = 2.0, 1.2


class Start(NamedTuple):
    """Directions, states of the conditions, and the decoder (with None for what the decoder does not have)."""

    post: Float[np.ndarray, "unit rank"]
    pre: Float[np.ndarray, "unit rank"]
    states: Float[np.ndarray, "condition time rank"]
    w_out: Float[np.ndarray, "neuron unit"] | None
    bias: Float[np.ndarray, " neuron"] | None
    gain: Float[np.ndarray, " gains"] | None


def start(arrangement: Arrangement, rng: np.random.Generator) -> Start:
    """Start of the model's decoder.

    Identity: A from the principal directions of arctanh(data). Linear: A random orthonormal, the states from the
    principal coordinates of the condition means, the decoder by ridge regression from tanh(A z) to the means.
    Orthogonal: Q random, A = Q^T V for the principal directions V of the means, so that Q A z follows them.
    """
    means = condition_means(arrangement)
    return _STARTS[arrangement.model.decoder](arrangement, means, rng)


def condition_means(arrangement: Arrangement) -> Float[np.ndarray, "condition time neuron"]:
    """Means of the training entries per condition, on the model's scale (before the softplus, with counts).

    Where a condition has no entry in a bin, the mean over all conditions stands in; where no trial has one, the nearest
    bin in time; a neuron without any entry is zero.
    """
    if arrangement.model.counts:
        means = count_means(arrangement.recording, arrangement.mask)
        return (inverse_softplus(means) - arrangement.centre) / arrangement.scale
    mask, condition = arrangement.mask, arrangement.recording.condition
    total = np.zeros((len(arrangement.recording.conditions), *mask.shape[1:]))
    count = np.zeros_like(total)
    for rows in arrangement.blocks():
        np.add.at(total, condition[rows], arrangement.standardised(rows))
        np.add.at(count, condition[rows], mask[rows])
    overall = _nearest_in_time(total.sum(axis=0), count.sum(axis=0))
    return np.where(count > 0, total / np.maximum(count, 1), overall)


def inverse_dynamics(arrangement: Arrangement, states: np.ndarray, read: np.ndarray) -> np.ndarray:
    """Inputs (condition, time, rank) that would carry the states from bin to bin with all factors at one."""
    change = np.zeros_like(states)
    change[:, :-1] = np.diff(states, axis=1) * arrangement.model.time_constant
    return states + change - read


def _nearest_in_time(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Means (time, neuron) from sums and counts, each empty bin filled from the nearest one that is not."""
    mean = total / np.maximum(count, 1)
    for neuron in np.flatnonzero((count == 0).any(axis=0) & (count > 0).any(axis=0)):
        seen = np.flatnonzero(count[:, neuron])
        nearest = seen[np.abs(seen[None, :] - np.arange(len(count))[:, None]).argmin(axis=1)]
        mean[:, neuron] = mean[nearest, neuron]
    return mean


def _identity_start(arrangement: Arrangement, means: np.ndarray, rng: np.random.Generator) -> Start:
    """Directions and states of a model whose units are the neurons."""
    model, mask = arrangement.model, arrangement.mask
    filled = means
    if not model.counts:
        data = arrangement.standardised()
        filled = np.where(mask, data, _nearest_in_time(data.sum(axis=0), mask.sum(axis=0)))[arrangement.training]
    gain = _neuron_gain(filled, means) if model.trains_gain else None
    if gain is not None:
        filled, means = filled / gain, means / gain
    state = np.arctanh(np.clip(filled, -LARGEST_RATE, LARGEST_RATE)).reshape(-1, arrangement.units)
    directions = np.linalg.eigh(state.T @ state)[1][:, ::-1][:, : model.rank]
    root = np.sqrt(arrangement.units)
    post = directions + 0.02 * rng.standard_normal(directions.shape) / root
    pre = post + 0.3 * rng.standard_normal(directions.shape) / root
    states = np.arctanh(np.clip(means, -LARGEST_RATE, LARGEST_RATE)) @ post
    post, pre = _unit(post, pre)
    return Start(post, pre, states, None, None if gain is None else np.zeros_like(gain), gain)


def _linear_start(arrangement: Arrangement, means: np.ndarray, rng: np.random.Generator) -> Start:
    """Directions and states of a model with a learnt decoder."""
    units, rank = arrangement.units, arrangement.model.rank
    post = np.linalg.qr(rng.standard_normal((units, rank)))[0]
    pre = post + 0.5 * rng.standard_normal((units, rank)) / np.sqrt(units)
    flat = means.reshape(-1, means.shape[-1])
    directions = np.linalg.eigh(flat.T @ flat)[1][:, ::-1][:, :rank]
    states = np.zeros((*means.shape[:2], rank))
    states[..., : directions.shape[1]] = means @ directions
    states = states * (STATE_SD * np.sqrt(units) / max(states.std(), 1e-12))
    post, pre = _unit(post, pre)
    return Start(post, pre, states, *_ridge(np.tanh(states @ post.T), means), None)


def _orthogonal_start(arrangement: Arrangement, means: np.ndarray, rng: np.random.Generator) -> Start:
    """Directions and states of a model with a semi-orthogonal decoder."""
    model, units, neurons = arrangement.model, arrangement.units, means.shape[-1]
    flat = means.reshape(-1, neurons)
    directions = np.linalg.eigh(flat.T @ flat)[1][:, ::-1][:, : model.rank]
    if units < neurons:
        # The principal directions within the column space, then a random rotation of the units.
        spare = rng.standard_normal((neurons, units - model.rank))
        turn = np.linalg.qr(rng.standard_normal((units, units)))[0]
        w_out = _positive_q(np.concatenate([directions, spare], axis=1)) @ turn
    else:
        w_out = rng.standard_normal((neurons, units)) / np.sqrt(neurons)
    q = _positive_q(w_out) if units < neurons else _positive_q(w_out.T).T
    post = q.T @ directions
    pre = post + 0.5 * rng.standard_normal(post.shape) / np.sqrt(units)
    states = means @ directions
    post, pre = _unit(post, pre)
    gain = None
    if model.trains_gain:
        states = states * (STATE_SD * np.sqrt(units) / max(states.std(), 1e-12))
        decoded = np.tanh(states @ post.T) @ q.T
        size = np.sum(decoded * means) / max(np.sum(decoded**2), 1e-12)
        gain = np.full(neurons if model.gain_by_neuron else 1, size if size > 0 else 1.0)
    bias = (means - (1.0 if gain is None else gain) * (np.tanh(states @ post.T) @ q.T)).mean(axis=(0, 1))
    return Start(post, pre, states, w_out, bias, gain)


_STARTS = {"identity": _identity_start, "linear": _linear_start, "orthogonal": _orthogonal_start}


def _neuron_gain(data: np.ndarray, means: np.ndarray) -> np.ndarray:
    """A gain per neuron that keeps its activity well within (-1, 1)."""
    spread, largest = data.std(axis=(0, 1)), np.abs(means).max(axis=(0, 1))
    gain = np.maximum(GAIN_OF_SD * spread, GAIN_OF_LARGEST * largest)
    return np.maximum(gain, 0.1 * max(float(np.median(gain)), 1e-6))


def _unit(*columns: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(one / np.linalg.norm(one, axis=0) for one in columns)


def _positive_q(tall: np.ndarray) -> np.ndarray:
    q, r = np.linalg.qr(tall)
    return q * np.where(np.diagonal(r) < 0, -1.0, 1.0)


def _ridge(rate: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decoder and offset by ridge regression (penalty 1) of the means on the rates."""
    rate, means = rate.reshape(-1, rate.shape[-1]), means.reshape(-1, means.shape[-1])
    centre, target = rate.mean(axis=0), means.mean(axis=0)
    gram = (rate - centre).T @ (rate - centre) + np.eye(rate.shape[1])
    w_out = np.linalg.solve(gram, (rate - centre).T @ (means - target)).T
    return w_out, target - w_out @ centre
