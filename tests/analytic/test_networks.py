"""Networks against independent programs: matrix exponentials, integrators, hand-written steps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

from weightpath import ContinuousLinearRNN, Lift, LinearRNN, RateRNN, rollout
from weightpath.networks.init import gaussian


def random_network(key, units=6, **fields):
    keys = jax.random.split(key, 3)
    w_rec = 0.5 * jax.random.normal(keys[0], (units, units)) / np.sqrt(units)
    return ContinuousLinearRNN(
        w_rec, jax.random.normal(keys[1], (units, 2)), jax.random.normal(keys[2], (3, units)), **fields
    )


def test_exact_steps_follow_the_differential_equation(getkey):
    network = random_network(getkey(), dt=0.3, scheme="zoh")
    inputs = jax.random.normal(getkey(), (7, 2))
    states, outputs = rollout(network, inputs)
    state = np.zeros(6)
    for index, value in enumerate(np.asarray(inputs)):
        generator, drive = np.asarray(network.w_rec) - np.eye(6), np.asarray(network.w_in) @ value
        solution = scipy.integrate.solve_ivp(
            lambda _, h, drive=drive, generator=generator: generator @ h + drive,
            (0, 0.3),
            state,
            rtol=1e-11,
            atol=1e-12,
        )
        state = solution.y[:, -1]
        np.testing.assert_allclose(states[index], state, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(outputs[index], np.asarray(network.w_out) @ state, rtol=1e-9, atol=1e-10)


def test_exact_step_of_a_perfect_integrator():
    # W = 1 makes the generator singular: the state is then the integral of the input.
    network = ContinuousLinearRNN(jnp.eye(2), jnp.eye(2), jnp.eye(2), dt=0.5, scheme="zoh")
    np.testing.assert_allclose(network.step(jnp.array([1.0, 2.0]), jnp.array([1.0, -1.0])), [1.5, 1.5], rtol=1e-14)


def test_euler_is_of_first_order(getkey):
    key, errors, steps = getkey(), [], np.array([20, 40, 80, 160])
    exact = random_network(key, dt=2.0, scheme="zoh").step(jnp.zeros(6), jnp.ones(2))
    for count in steps:
        states, _ = rollout(random_network(key, dt=2.0 / count), jnp.ones((count, 2)))
        errors.append(float(jnp.linalg.norm(states[-1] - exact)))
    slope = np.polyfit(np.log(1 / steps), np.log(errors), 1)[0]
    assert 0.95 < slope < 1.1


def test_discrete_network_is_a_power_series(getkey):
    network = LinearRNN(0.3 * jax.random.normal(getkey(), (4, 4)), jnp.ones(4), jnp.arange(4.0))
    impulse = jnp.zeros((6, 1)).at[0].set(1.0)
    _, outputs = rollout(network, impulse)
    expected = [network.w_out @ np.linalg.matrix_power(np.asarray(network.w_rec), k) @ network.w_in for k in range(6)]
    np.testing.assert_allclose(outputs, np.array(expected)[:, :, 0], rtol=1e-12)


@pytest.mark.parametrize("form", ["rate", "current"])
def test_linear_activation_recovers_the_linear_network(getkey, form):
    linear = random_network(getkey(), dt=0.1)
    rate = RateRNN(linear.w_rec, linear.w_in, linear.w_out, activation="linear", leak=0.1, form=form)
    inputs = jax.random.normal(getkey(), (20, 2))
    np.testing.assert_allclose(rollout(rate, inputs)[1], rollout(linear, inputs)[1], rtol=1e-12, atol=1e-14)


def test_the_two_rate_forms_are_one_network_in_two_coordinates(getkey):
    # With x = W h + U u held constant, the current form's state follows the drive of the rate form.
    w_rec = 0.8 * jax.random.normal(getkey(), (5, 5)) / np.sqrt(5)
    rate = RateRNN(w_rec, jnp.zeros((5, 1)), w_rec, leak=0.2, form="rate", activation="linear")
    current = RateRNN(w_rec, jnp.zeros((5, 1)), w_rec, leak=0.2, form="current")
    rate_tanh = RateRNN(w_rec, jnp.zeros((5, 1)), w_rec, leak=0.2, form="rate")
    h = jax.random.normal(getkey(), (5,))
    x = w_rec @ h
    for _ in range(10):
        h, x = rate_tanh.step(h, jnp.zeros(1)), current.step(x, jnp.zeros(1))
        np.testing.assert_allclose(x, w_rec @ h, rtol=1e-12, atol=1e-14)
    assert rate.readout(h).shape == (5,)


def test_gaussian_weights_have_their_moments(getkey):
    network = gaussian(getkey(), 200, gain=0.7, read_in_norm=2.0, readout="random", readout_norm=0.5)
    entries = np.asarray(network.w_rec).ravel() * np.sqrt(200)
    # Standard error of the variance of n Gaussian entries is sqrt(2/n) of it: 5 of them.
    assert abs(entries.var() / 0.49 - 1) < 5 * np.sqrt(2 / entries.size)
    np.testing.assert_allclose([np.linalg.norm(network.w_in), np.linalg.norm(network.w_out)], [2.0, 0.5], rtol=1e-12)
    # Circular law: the spectral radius tends to the gain.
    assert abs(np.abs(np.linalg.eigvals(network.w_rec)).max() - 0.7) < 0.08


def test_aligned_readout_is_parallel(getkey):
    network = gaussian(getkey(), 9, gain=0.0, read_in_norm=1.0, readout="aligned", readout_norm=3.0)
    np.testing.assert_allclose(network.w_out[0], 3.0 * network.w_in[:, 0], rtol=1e-12)


def test_lift_keeps_the_filter_and_the_invisible_part(getkey):
    basis = scipy.linalg.qr(np.asarray(jax.random.normal(getkey(), (8, 3))), mode="economic")[0]
    base = 0.2 * jax.random.normal(getkey(), (8, 8))
    small = ContinuousLinearRNN(0.3 * jax.random.normal(getkey(), (3, 3)), jnp.ones(3), jnp.ones(3))
    large = Lift(jnp.asarray(basis), base, jnp.asarray(0.2)).network(small)
    np.testing.assert_allclose(basis.T @ large.w_rec @ basis, small.w_rec, atol=1e-14)
    outside = np.eye(8) - basis @ basis.T
    np.testing.assert_allclose(outside @ (large.w_rec - base), 0, atol=1e-14)
    free = Lift(jnp.asarray(basis), None, jnp.asarray(0.0)).network(small)
    for s in (0.0, 0.7, 3.0):
        expected = small.w_out @ scipy.linalg.expm(s * (np.asarray(small.w_rec) - np.eye(3))) @ small.w_in
        actual = free.w_out @ scipy.linalg.expm(s * (np.asarray(free.w_rec) - np.eye(8))) @ free.w_in
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_a_bulk_beyond_the_edge_of_stability_is_said(getkey):
    with pytest.warns(UserWarning, match="gain 1.3 >= 1: .* unstable with high probability"):
        network = gaussian(getkey(), 200, gain=1.3, read_in_norm=1.0, readout="zero")
    assert np.linalg.eigvals(network.w_rec).real.max() > 1  # the warning is true


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ContinuousLinearRNN(np.zeros((2, 3)), np.ones(2), np.ones(2)), r"square.*\(2, 3\)"),
        (lambda: ContinuousLinearRNN(np.zeros((2, 2)), np.ones(3), np.ones(2)), r"w_in.*\(2, 2\).*\(3, 1\)"),
        (lambda: LinearRNN(np.zeros((2, 2)), np.ones(2), np.ones(3)), r"w_out.*\(1, 3\)"),
        (lambda: LinearRNN(np.full((2, 2), np.nan), np.ones(2), np.ones(2)), "w_rec holds NaN"),
        (lambda: LinearRNN(np.zeros((0, 0)), np.ones(0), np.ones(0)), "at least one unit"),
        (lambda: ContinuousLinearRNN(np.zeros((1, 1)), [1.0], [1.0], dt=-1.0), "dt must be positive"),
        (lambda: ContinuousLinearRNN(np.zeros((1, 1)), [1.0], [1.0], scheme="rk"), "scheme"),
        (lambda: ContinuousLinearRNN(np.zeros((1, 1)), [1.0], [1.0]).step(jnp.zeros(1), jnp.zeros(1)), "no time step"),
        (lambda: RateRNN(np.zeros((1, 1)), [1.0], [1.0], leak=1.5), "leak"),
        (lambda: RateRNN(np.zeros((1, 1)), [1.0], [1.0], leak=0.5, activation="sine"), "activation"),
        (lambda: RateRNN(np.zeros((1, 1)), [1.0], [1.0], leak=0.5, bias=np.ones(2)), "bias must have shape"),
        (lambda: gaussian(jax.random.key(0), 0, gain=0.1, read_in_norm=1.0, readout="zero"), "units must be"),
        (lambda: gaussian(jax.random.key(0), 5, gain=np.nan, read_in_norm=1.0, readout="zero"), "w_rec holds NaN"),
        (lambda: gaussian(jax.random.key(0), 5, gain=-0.1, read_in_norm=1.0, readout="zero"), "gain"),
        (lambda: gaussian(jax.random.key(0), 5, gain=0.1, read_in_norm=1.0, readout="random"), "readout_norm"),
    ],
)
def test_bad_input_has_one_clear_message(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_python_and_array_hyperparameters_share_one_program():
    from weightpath import Integrator

    traces = []

    @eqx.filter_jit
    def decay_of(task):
        traces.append(1)
        return 2 * task.decay

    assert float(decay_of(Integrator(0.1))) == 0.2
    decay_of(Integrator(jnp.asarray(0.3)))
    decay_of(Integrator(1))
    assert len(traces) == 1
