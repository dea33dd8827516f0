"""Saturating units on the filtering task: the change of variables, and the order in the amplitude."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from outlier_cases import random_start

import weightpath as wp
from weightpath.studies import integrator_nonlinear

TASK = wp.Integrator(0.5, noise=wp.WhiteNoise(duration=4.0, dt=0.2, trials=3))
START = random_start(6, 0.3, readout="random", readout_norm=0.7, read_in_norm=1.3).network
BATCH = TASK.sample(jax.random.key(0), 0)


def velocity(amplitude, activation):
    network = wp.RateRNN(START.w_rec, START.w_in, START.w_out, activation=activation, leak=0.2, form="current")
    louder = eqx.tree_at(lambda b: (b.inputs, b.targets), BATCH, (amplitude * BATCH.inputs, amplitude * BATCH.targets))
    setup = wp.Setup(network, TASK, wp.BPTT(), train=("w_rec", "w_out"), rates=dict.fromkeys(("w_rec", "w_out"), 1.0))
    return setup.rule.update(network, louder, None)[0].w_rec / amplitude**2


def test_amplitude_is_a_change_of_the_activation():
    """Gradient of the loss over s^2 with inputs s x = autodiff of a run with activation tanh(s g)/s and inputs x."""
    amplitude = 1.7

    def loss(w_rec):
        def rate(state):
            return jnp.tanh(amplitude * state) / amplitude

        def step(state, input):
            state = 0.8 * state + 0.2 * (w_rec @ rate(state) + START.w_in @ input)
            return state, START.w_out @ rate(state)

        run = jax.vmap(lambda inputs: jax.lax.scan(step, jnp.zeros(6), inputs)[1])(BATCH.inputs)
        return 0.5 * jnp.mean(jnp.sum((run - BATCH.targets) ** 2, axis=-1))

    np.testing.assert_allclose(velocity(amplitude, "tanh"), -jax.grad(loss)(START.w_rec), rtol=1e-9, atol=1e-12)


def test_saturation_enters_at_second_order():
    linear = velocity(1.0, "linear")
    error = [np.abs(velocity(amplitude, "tanh") - linear).max() for amplitude in (0.1, 0.05)]
    assert 1.95 < np.log2(error[0] / error[1]) < 2.02


def test_linear_units_learn_the_same_at_every_amplitude():
    np.testing.assert_allclose(velocity(3.0, "linear"), velocity(1.0, "linear"), rtol=1e-10)


def test_time_to_a_tenth_by_interpolation_and_its_absence():
    loss = np.exp(-integrator_nonlinear.TIME)
    np.testing.assert_allclose(integrator_nonlinear.tenth_time(loss), np.log(10), rtol=1e-12)
    assert np.isnan(integrator_nonlinear.tenth_time(np.ones_like(loss)))
