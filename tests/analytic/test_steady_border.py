"""Bad input to steady states ends in one clear message, and failures of the numbers in named outcomes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.networks.base import AbstractNetwork

NET = wp.RateRNN(0.1 * np.eye(3), np.ones((3, 2)), np.eye(3), leak=0.5)


@pytest.mark.parametrize(("settings", "message"), [
    (dict(tolerance=0.0), "tolerance must be positive"),
    (dict(tolerance=float("nan")), "tolerance must be positive"),
    (dict(max_steps=0), "max_steps must be a positive integer; got 0"),
    (dict(damping=()), "damping must hold one or more values"),
    (dict(damping=(1.0, 1.5)), r"values in \(0, 1\]"),
    (dict(adjoint="qr"), "adjoint must be .*got 'qr'"),
])  # fmt: skip
def test_settings_of_the_solver(settings, message):
    with pytest.raises(ValueError, match=message):
        wp.SteadySolver(**settings)


def test_a_number_is_one_damping():
    assert wp.SteadySolver(damping=0.25).damping == wp.SteadySolver(damping=[0.25]).damping == (0.25,)


@pytest.mark.parametrize(("inputs", "options", "message"), [
    (np.ones((4, 3)), {}, r"inputs must be \(trial, in\) or \(in,\) with in=2; got shape \(4, 3\)"),
    (np.ones(3), {}, r"with in=2; got shape \(1, 3\)"),
    (np.ones((1, 4, 2)), {}, r"got shape \(1, 4, 2\)"),
    (np.ones((0, 2)), {}, "hold no samples"),
    (np.array([[1.0, np.nan]]), {}, "inputs holds NaN or infinite"),
    (np.ones((4, 2)), dict(start=np.ones((3, 3))), r"start must be \(3,\) or \(trial, unit\) = \(4, 3\); got \(3, 3\)"),
    (np.ones((4, 2)), dict(start=np.array([0.0, np.inf, 0.0])), "start holds NaN or infinite"),
    (np.ones((4, 2)), dict(dynamics="discrete"), "dynamics must be \"flow\" or \"map\"; got 'discrete'"),
])  # fmt: skip
def test_arguments_are_looked_at(inputs, options, message):
    with pytest.raises(ValueError, match=message):
        wp.steady_state(NET, inputs, **options)


def test_networks_are_looked_at():
    continuous = wp.ContinuousLinearRNN(np.eye(2) / 2, np.eye(2), np.eye(2))
    with pytest.raises(ValueError, match="has no time step, so no map"):
        wp.steady_state(continuous, np.ones(2), dynamics="map")

    class Other(AbstractNetwork):
        w_rec: jax.Array
        w_in: jax.Array
        w_out: jax.Array

        def initial(self):
            return jnp.zeros(2)

        def step(self, state, input):
            return state

        def readout(self, state):
            return state

    with pytest.raises(ValueError, match="steady states are known for RateRNN, .* got Other"):
        wp.steady_state(Other(*[jnp.eye(2)] * 3), np.ones(2))
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), NET)
    with pytest.raises(ValueError, match=r"takes one network; w_rec has shape \(2, 3, 3\)"):
        wp.steady_state(stacked, np.ones(2))
    broken = jax.tree.map(lambda leaf: leaf * np.nan, NET)
    with pytest.raises(ValueError, match="w_rec holds NaN"):
        wp.steady_state(broken, np.ones(2))


def test_an_overflow_is_an_outcome():
    """max(z, 0)^2 runs away doubly exponentially; the state that is reported is the last one of finite residual."""
    net = wp.RateRNN(10 * np.eye(1), np.eye(1), np.eye(1), leak=0.5, activation="rectified_quadratic")
    steady = wp.steady_state(net, [[1.0], [-1.0]], solver=wp.SteadySolver(newton=False, damping=1.0))
    words = [wp.outcome_name(jax.tree.map(lambda code, k=k: code[k], steady.result)) for k in range(2)]
    assert words == ["nonfinite", "successful"]
    assert np.all(np.isfinite(steady.rates))
    assert repr(steady) == (
        "SteadyState(2 samples of 1 units: nonfinite 1; successful 1; residual at most "
        f"{float(np.max(steady.residual)):.1e} after at most {int(np.max(steady.iterations))} iterations; "
        "found by none 1; picard 1)"
    )


def test_a_tolerance_below_rounding_is_refused():
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), NET)
    with pytest.raises(ValueError, match="tolerance=1e-10 is below the rounding of float32, 6.0e-08"):
        wp.steady_state(single, np.ones(2), solver=wp.SteadySolver(tolerance=1e-10))
    rule = wp.EuclideanFixedPoint(solver=wp.SteadySolver(adjoint_tolerance=1e-20))
    with pytest.raises(ValueError, match="adjoint_tolerance=1e-20 is below the rounding of float64, 1.1e-16"):
        rule.init(NET, wp.StaticTargets(np.ones((3, 2)), np.ones((3, 2))).everything(), None)
