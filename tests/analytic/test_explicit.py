"""The explicit solver behind theories and flows: order conditions, SciPy's own program, levels, and failures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import weightpath as wp
from weightpath import _explicit

TIME = np.array([0.0, 0.1, 0.7, 0.7, 2.0, 5.0])


def pendulum(t, y):
    return jnp.stack([y[1], -jnp.sin(y[0]) + 0.1 * jnp.cos(t)])


@jax.jit
def swing(time, rtol):
    return _explicit.path(pendulum, jnp.array([1.0, 0.0]), time, rtol, rtol / 1e3, 10_000)


def test_path_against_scipy_with_values_within_steps():
    found = swing(TIME, 1e-10)
    once, places = np.unique(TIME, return_inverse=True)
    expected = solve_ivp(
        lambda t, y: [y[1], -np.sin(y[0]) + 0.1 * np.cos(t)], (0, 5), [1, 0], "DOP853", once, rtol=1e-12, atol=1e-14
    ).y.T[places]
    assert found.result == wp.RESULTS.successful
    np.testing.assert_allclose(found.states, expected, atol=1e-9)


def test_one_step_is_of_order_eight_and_its_inside_of_order_seven():
    """Of dy/dt = y: the error of one step of length h falls as h^9, and as h^8 inside it."""
    lengths = np.array([0.8, 0.4])
    ends, inside = [], []
    for length in lengths:
        now = _explicit.begin(lambda t, y: y, jnp.ones(1))
        slopes, new, _ = _explicit._stages(lambda t, y: y, now, length, 1.0, 1.0, _explicit.WHOLE)
        ends.append(abs(float(new[0]) - np.exp(length)))
        inside.append(abs(float(_explicit._within(now, new, slopes, length, 0.4)[0]) - np.exp(0.4 * length)))
    assert 8.7 < np.log2(ends[0] / ends[1]) < 9.5
    assert 7.5 < np.log2(inside[0] / inside[1]) < 9.2


def test_coefficients_are_those_of_scipy():
    from scipy.integrate._ivp import dop853_coefficients as stated

    np.testing.assert_allclose(_explicit.WEIGHTS[:12, :12], stated.A[:12, :12], rtol=0, atol=1e-15)
    np.testing.assert_allclose(_explicit.WEIGHTS[13:, :16], stated.A[13:, :16], rtol=0, atol=1e-15)
    np.testing.assert_allclose(_explicit.NODES, stated.C, atol=1e-14)
    np.testing.assert_allclose(_explicit.POLYNOMIAL[3:, 1:], stated.D, rtol=0, atol=1e-12)


@jax.jit
def decay_to(level, horizon):
    return _explicit.arrival(lambda t, y: -y, jnp.ones(1), lambda y: level - y[0], horizon, 1e-11, 1e-14, 1000)


def test_arrival_is_found_to_rounding():
    for level in (0.9, 0.5, 1e-3):
        found = decay_to(level, 1e6)
        assert found.result == wp.RESULTS.successful
        np.testing.assert_allclose(found.time, -np.log(level), rtol=1e-9)
        np.testing.assert_allclose(found.state[0], level, rtol=1e-10)


def test_levels_that_are_not_reached_and_those_reached_at_once():
    late = decay_to(1e-3, 2.0)
    assert late.result == wp.RESULTS.not_converged and np.isinf(late.time)
    assert decay_to(1.5, 2.0).time == 0.0
    assert decay_to(-1.0, 1e9).result == wp.RESULTS.max_steps


@pytest.mark.parametrize("blow_up", [lambda t, y: y**2, lambda t, y: jnp.where(t < 0.5, y, jnp.nan)])
def test_a_solution_that_ends_is_named_and_keeps_what_was_reached(blow_up):
    found = _explicit.path(blow_up, jnp.ones(1), jnp.array([0.2, 3.0]), 1e-9, 1e-12, 5000)
    assert found.result != wp.RESULTS.successful
    assert np.isfinite(found.states[0, 0]) and not np.isfinite(found.states[1, 0])


def test_a_batch_of_paths():
    rates = jnp.array([0.3, 1.0, 4.0])
    together = jax.vmap(
        lambda rate: _explicit.path(lambda t, y: -rate * y, jnp.ones(2), jnp.asarray(TIME), 1e-9, 1e-12, 1000).states
    )(rates)
    np.testing.assert_allclose(together[..., 0], np.exp(-np.outer(rates, TIME)), atol=1e-8)
