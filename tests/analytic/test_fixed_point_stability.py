"""The border of stability, close to it and as a map with a leak: what a larger step or a round number would hide."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.analysis.fixed_modes import modes


def linear(weight, leak):
    """Units that do not see each other; multipliers are 1 - leak + leak * weight."""
    return wp.RateRNN(np.diag([weight, 0.1]), np.eye(2), np.eye(2), activation="linear", leak=leak)


@pytest.mark.parametrize(("weight", "leak", "stable"), [(-2.0, 0.2, True), (-2.0, 0.9, False), (-10.0, 0.2, False)])
def test_a_leak_can_keep_a_linear_map_stable(weight, leak, stable):
    """1 - 0.2 - 0.4 = 0.4; 1 - 0.9 - 1.8 = -1.7; 1 - 0.2 - 2 = -1.2. As flows all of them are stable."""
    net, inputs = linear(weight, leak), np.ones((1, 2))
    assert bool(wp.steady_state(net, inputs, dynamics="map").stable[0]) is stable
    assert bool(wp.steady_state(net, inputs).stable[0])


def test_a_smaller_step_of_the_solver_vouches_for_no_larger_one():
    """r = tanh(-3 r): damping finds r = 0, a stable flow, from which the map itself runs away (multiplier -3)."""
    net = wp.RateRNN([[-3.0]], [[1.0]], [[1.0]], leak=1.0)
    solver = wp.SteadySolver(newton=False)
    steady = wp.steady_state(net, [[0.0]], start=[[0.3]], dynamics="map", check=False, solver=solver)
    np.testing.assert_allclose(steady.rates, 0, atol=1e-12)
    assert not bool(steady.stable[0]) and float(steady.margin[0]) == pytest.approx(-2)


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("distance", [-1e-2, -1e-6, 1e-6, 1e-2])
def test_unstable_directions_are_counted_by_the_sign_alone(discrete, distance):
    """However close to the border: `distance` beyond 0 of a flow, beyond the unit circle of a map."""
    values = np.diag([(1.0 if discrete else 0.0) + distance, 0.5 if discrete else -1.0])
    found = modes(values[None], discrete=discrete, unit_time=1.0)
    assert found.unstable_dimension[0] == (distance > 0) and found.stable[0] == (distance < 0)
    np.testing.assert_allclose(found.margin, -distance, atol=1e-15)
