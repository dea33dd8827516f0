"""Small networks on static stimuli without random numbers, and their fixed points and losses written out in NumPy."""

import jax.numpy as jnp
import numpy as np
from fixed_point_program import wave

import weightpath as wp
from weightpath.networks.steady_state import SteadyState
from weightpath.rules.static_loss import AtRest

#: Iterations only: networks of these tests contract, and the program is small.
FAST = wp.SteadySolver(newton=False)

ACTIVATIONS = {
    "linear": (lambda z: z, np.ones_like),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "softplus": (lambda z: np.logaddexp(0, z), lambda z: 1 / (1 + np.exp(-z))),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
}


def eight_units(activation: str, loss: str) -> tuple[wp.RateRNN, wp.StaticTargets]:
    """Eight units with direct input, six stimuli in three classes."""
    network = wp.RateRNN(
        wave(8, 8, 1, 2, 0.7, 0.6 * np.sqrt(2 / 8)),
        np.eye(8),
        wave(3, 8, 0.3, 1.9, 0.6, np.sqrt(2 / 8)),
        activation=activation,
        leak=1.0,
    )
    inputs = wave(8, 6, 2.1, 0.4, 0.9, 0.8 * np.sqrt(2)).T
    return network, wp.StaticTargets(inputs, np.arange(6) % 3, loss=loss)


def rest(weights: dict, inputs: np.ndarray, activation: str) -> np.ndarray:
    """Rates (trial, unit) at the fixed points, by plain iteration."""
    f, _ = ACTIVATIONS[activation]
    drive = inputs @ weights["w_in"].T + weights.get("bias", 0.0)
    if activation == "linear":
        return np.linalg.solve(np.eye(len(weights["w_rec"])) - weights["w_rec"], drive.T).T
    rates = np.zeros_like(drive)
    for _ in range(400):
        rates = f(rates @ weights["w_rec"].T + drive)
    assert np.max(np.abs(rates - f(rates @ weights["w_rec"].T + drive))) < 1e-14
    return rates


def at_rest(network, batch) -> AtRest:
    """What a rule is given at the fixed points, these found in NumPy."""
    names = ("w_rec", "w_in", "w_out", "bias", "readout_bias")
    weights = {name: np.asarray(getattr(network, name)) for name in names if getattr(network, name, None) is not None}
    activation = getattr(network, "activation", "linear")
    rates = rest(weights, np.asarray(batch.inputs), activation)
    net_input = rates @ weights["w_rec"].T + np.asarray(batch.inputs) @ weights["w_in"].T + weights.get("bias", 0.0)
    outputs = jnp.asarray(rates @ weights["w_out"].T + weights.get("readout_bias", 0.0))
    count = len(rates)
    steady = SteadyState(
        states=jnp.asarray(net_input if getattr(network, "form", "") == "current" else rates),
        rates=jnp.asarray(rates),
        slopes=jnp.asarray(ACTIVATIONS[activation][1](net_input)),
        outputs=outputs,
        residual=jnp.zeros(count),
        iterations=jnp.ones(count, int),
        rung=jnp.ones(count, int),
        stable=jnp.ones(count, bool),
        margin=jnp.full(count, jnp.nan),
        result=wp.RESULTS.successful,
    )
    errors = batch.errors(outputs)
    return AtRest(steady, errors, errors @ network.w_out, batch.criterion(outputs), wp.RESULTS.successful)


def loss(weights: dict, inputs: np.ndarray, targets: np.ndarray, activation: str, kind: str) -> float:
    """Mean loss of the samples."""
    outputs = rest(weights, inputs, activation) @ weights["w_out"].T + weights.get("readout_bias", 0.0)
    if kind == "cross_entropy":
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
        return float(-np.mean(logs[np.arange(len(targets)), targets]))
    squared = (outputs - targets) ** 2
    return float(
        {"squared": 1, "half_squared": 0.5, "mean_squared": 0.5 / outputs.shape[1]}[kind] * squared.sum(1).mean()
    )
