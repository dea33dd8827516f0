"""Inputs produced by autonomous networks, one per condition, integrated once per condition and not per trial."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float
from weightpath.networks.factored import advance
from weightpath.networks.low_tensor_rank import LARGEST_STEP, LowTensorRankRNN

#: Factor before the rectifier.
STEEPNESS = 5.0


class InputNetworks(eqx.Module):
    """Weights of the networks behind the inputs, one per table (first axis), and the read-out that they share."""

    weights: tuple[Float[Array, "tables _ _"], ...]
    biases: tuple[Float[Array, "tables _"], ...]
    start: Float[Array, "tables hidden"]
    read: Float[Array, "rank hidden"]
    gain: Float[Array, " rank"]
    """Size of the inputs, divided by sqrt(units); trained."""


def ode_layout(model: LowTensorRankRNN, time: Float[np.ndarray, " time"]) -> tuple[int, int, float]:
    """Bins in which the inputs act, Heun steps per bin, and their size in time constants of the input network."""
    network = model.input_network
    bins = len(time) if network.throughout else int(np.sum(time < 0))
    length = network.time_constant * model.time_constant
    steps = max(1, math.ceil(1 / length / LARGEST_STEP["heun"] - 1e-9))
    return bins, steps, 1 / (length * steps)


def input_networks(model: LowTensorRankRNN, tables: int, rng: np.random.Generator, dtype: np.dtype) -> InputNetworks:
    """Initial weights: normal with variance 1/fan-in, initial states uniform in (-1, 1)."""
    network = model.input_network
    sizes = (network.hidden, *network.layers, network.hidden)
    normal = lambda *shape, fan: jnp.asarray(rng.standard_normal(shape) / np.sqrt(fan), dtype)  # noqa: E731
    pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
    return InputNetworks(
        weights=tuple(normal(tables, after, before, fan=before) for after, before in pairs),
        biases=tuple(normal(tables, after, fan=before) for after, before in pairs),
        start=jnp.asarray(rng.uniform(-1, 1, (tables, network.hidden)), dtype),
        read=normal(model.rank, network.hidden, fan=network.hidden),
        gain=jnp.full(model.rank, 1 / np.sqrt(model.rank), dtype),
    )


def unit_length(vectors: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Vectors along `axis` at unit length; one of zeros stays so, and gets the gradient of its length held at one."""
    square = jnp.sum(vectors**2, axis=axis, keepdims=True)
    return vectors / jnp.sqrt(jnp.where(square > 0, square, 1))


def run_input_networks(
    networks: InputNetworks, layout: tuple[int, int, float], bins: int
) -> tuple[Float[Array, "time rank tables"], Float[Array, " tables"]]:
    r"""Inputs divided by sqrt(units), zero where they do not act; per table the mean of $(p_r \cdot h / |p_r|)^2$."""
    acting, steps, size = layout

    def flow(hidden):
        signal = hidden
        for index, (weight, bias) in enumerate(zip(networks.weights, networks.biases, strict=True)):
            signal = jnp.einsum("toi,ti->to", weight, signal) + bias
            signal = jax.nn.relu(signal) if index < len(networks.weights) - 1 else signal
        return -hidden + jax.nn.relu(STEEPNESS * signal)

    def step(hidden, _):
        after = hidden
        for _ in range(steps):
            after = advance(flow, after, flow(after), size, "heun")
        return after, hidden

    _, hidden = jax.lax.scan(step, networks.start, length=acting)
    read = unit_length(networks.read, axis=1)
    before = jnp.einsum("rh,bth->brt", read, hidden)
    inputs = networks.gain[:, None] * jnp.tanh(before)
    silent = jnp.zeros((bins - acting, *inputs.shape[1:]), inputs.dtype)
    return jnp.concatenate([inputs, silent]), jnp.mean(before**2, axis=(0, 1))
