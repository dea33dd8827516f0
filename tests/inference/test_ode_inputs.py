"""Inputs from autonomous networks: their equation, when they act, and that every part of them is trained."""

import warnings
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import weightpath as wp
from weightpath.inference.objective import objective
from weightpath.inference.ode_inputs import input_networks, ode_layout, run_input_networks
from weightpath.inference.parameters import initial_values
from weightpath.inference.problem import arrange
from weightpath.networks.kernels import RationalQuadratic
from weightpath.networks.low_tensor_rank import InputNetwork

TRIALS, BINS, NEURONS, PREPARATION = 12, 9, 5, 4
SMALL = InputNetwork(hidden=8, layers=(6, 7))
MODEL = wp.LowTensorRankRNN(
    rank=2, units=10, kernel=RationalQuadratic(5.0, 0.3, 0.05), inputs="ode", input_network=SMALL, time_constant=10.0,
    input_penalty=1e-3,
)  # fmt: skip
TIME = 0.02 * (np.arange(BINS) - PREPARATION)


def recording(time=TIME):
    rng = np.random.default_rng(0)
    condition = np.arange(TRIALS) % 3
    means = rng.standard_normal((3, BINS, NEURONS)).cumsum(axis=1)
    values = means[condition] + 0.2 * rng.standard_normal((TRIALS, BINS, NEURONS))
    return wp.Recording(values, condition=condition, epoch=np.repeat(["a", "b"], 6), time=time)


def fitted(model=MODEL, what=None, iterations=20):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(model, recording() if what is None else what, iterations=iterations, dtype="float64")


def drift(networks, table):
    """The right-hand side of the stated equation for one network, in NumPy."""
    weights = [np.asarray(one[table]) for one in networks.weights]
    biases = [np.asarray(one[table]) for one in networks.biases]

    def flow(hidden):
        first = np.maximum(weights[0] @ hidden + biases[0], 0)
        second = np.maximum(weights[1] @ first + biases[1], 0)
        return -hidden + np.maximum(5 * (weights[2] @ second + biases[2]), 0)

    return flow


def test_inputs_solve_the_stated_equation_to_second_order():
    """Against an adaptive solver of SciPy: eight times finer steps leave below a twentieth of the error, not an eighth.

    The rectifiers' corners make the ratio of a single network uneven, so it is taken over several.
    """
    networks = input_networks(MODEL, 5, np.random.default_rng(1), np.dtype("float64"))
    acting, _, _ = ode_layout(MODEL, TIME)
    assert acting == PREPARATION
    length, bins = SMALL.time_constant * MODEL.time_constant, np.arange(PREPARATION)
    read = np.asarray(networks.read / jnp.linalg.norm(networks.read, axis=1, keepdims=True))
    exact = []
    for table in range(5):
        flow, start = drift(networks, table), np.asarray(networks.start[table])
        run = solve_ivp(lambda t, h: flow(h) / length, (0, bins[-1]), start, t_eval=bins, rtol=1e-9, atol=1e-11)  # noqa: B023
        exact.append(read @ run.y)
    exact = np.stack(exact, axis=-1).transpose(1, 0, 2)
    run, error = jax.jit(run_input_networks, static_argnums=(1, 2)), []
    for steps in (2, 16):
        inputs, mean = run(networks, (PREPARATION, steps, 1 / (length * steps)), BINS)
        error.append(np.abs(inputs[:PREPARATION] - np.asarray(networks.gain)[:, None] * np.tanh(exact)).max())
        assert not np.any(inputs[PREPARATION:])
    np.testing.assert_allclose(mean, np.mean(exact**2, axis=(0, 1)), rtol=1e-4)
    assert error[1] < 1e-5 and error[0] > 20 * error[1]


def test_every_part_of_the_networks_is_trained():
    what = recording()
    arrangement = arrange(MODEL, what, what.observed)
    dtype = np.dtype("float64")
    parameters, problem = initial_values(arrangement, 0, dtype), arrangement.problem(dtype)
    slope = jax.jit(jax.grad(objective, has_aux=True), static_argnums=3)(
        parameters, problem, jnp.zeros(()), arrangement.layout
    )[0]
    for leaf in jax.tree.leaves(slope.ode):
        assert np.abs(leaf).max() > 1e-8


@pytest.mark.slow
def test_inputs_act_before_time_zero_or_throughout():
    fit = fitted()
    assert fit.inputs.shape == (1, 3, BINS, 2)
    assert np.all(np.any(fit.inputs[:, :, :PREPARATION] != 0, axis=3)) and not fit.inputs[:, :, PREPARATION:].any()
    np.testing.assert_array_equal(fit.trial_inputs(), fit.inputs[0, fit.recording.condition])
    without_preparation = recording(time=np.arange(BINS) * 0.02)
    with pytest.raises(ValueError, match="no preparatory bins: inputs would never act.*initial_state='condition'"):
        fitted(what=without_preparation)
    throughout = replace(MODEL, input_network=replace(SMALL, throughout=True))
    assert np.all(np.any(fitted(throughout, without_preparation).inputs != 0, axis=3))


def test_networks_per_epoch():
    fit = fitted(replace(MODEL, changes="inputs_epoch"))
    assert fit.inputs.shape == (2, 3, BINS, 2) and not np.allclose(fit.inputs[0], fit.inputs[1])


@pytest.mark.slow
def test_fit_with_input_networks_explains_the_conditions():
    """The start is one for all, so that only the inputs can tell the conditions apart."""
    with_inputs = replace(MODEL, initial_state="shared", time_constant=4.0)
    assert fitted(with_inputs, iterations=500).score() > 0.6
    assert fitted(replace(with_inputs, inputs="none"), iterations=500).score() < 0.4


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(hidden=0), "sizes of the input network must be whole numbers, at least 1; got 0"),
        (dict(layers=(5, -1)), "sizes of the input network must be whole numbers, at least 1; got -1"),
        (dict(time_constant=0.0), "the input network's time_constant must be positive"),
    ],
)
def test_settings_of_the_input_network(settings, message):
    with pytest.raises(ValueError, match=message):
        InputNetwork(**settings)
