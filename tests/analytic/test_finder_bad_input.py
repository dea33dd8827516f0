"""What the finder of fixed points refuses, and what it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp

STARTS = np.zeros((3, 2))
NETWORK = wp.RateRNN(np.eye(2) / 2, np.ones((2, 3)), np.ones((1, 2)), leak=1.0)


@pytest.mark.parametrize(("system", "starts", "options", "message"), [
    (NETWORK, STARTS, {"dynamics": "both"}, 'dynamics must be "flow" or "map"; got \'both\''),
    (NETWORK, STARTS, {"solver": "adam"}, "solver must be one of levenberg-marquardt, newton; got 'adam'"),
    (NETWORK, STARTS, {"steps": 0}, "steps must be a whole number, at least 1; got 0"),
    (NETWORK, None, {"count": 0}, "count must be a whole number, at least 1; got 0"),
    (NETWORK, STARTS, {"burn_in": -1}, "burn_in must be a whole number, at least 0; got -1"),
    (NETWORK, STARTS, {"q_slow": -1.0}, r"q_slow must not be negative \(0: no slow points\); got -1"),
    (NETWORK, STARTS, {"tau": -1.0}, "tau must be positive"),
    (NETWORK, np.zeros((3, 4)), {}, "starts must have one column a unit, 2; got 4"),
    (NETWORK, np.zeros((0, 2)), {}, r"starts must be \(start, unit\) with at least one row; got shape \(0, 2\)"),
    (NETWORK, np.full((1, 2), np.nan), {}, "starts holds NaN or infinite entries"),
    (NETWORK, STARTS, {"inputs": np.zeros((2, 4))}, "inputs must have 3 channels, as w_in has; got 4"),
    (NETWORK, STARTS, {"inputs": np.full(3, np.inf)}, "inputs holds NaN or infinite entries"),
    (NETWORK, STARTS, {"inputs": np.zeros((1, 2, 3))}, r"inputs must be \(in,\) or \(input, in\)"),
    (NETWORK, None, {"visited": np.zeros((4, 0))}, r"visited must be \(start, unit\) with at least one row"),
    (wp.ContinuousLinearRNN(np.eye(2) / 2, np.ones(2), np.ones(2)), STARTS, {"dynamics": "map"}, "has no time step"),
    (jnp.tanh, None, {}, "a function needs starts"),
    (lambda x: x[:1], STARTS, {}, r"must return an array of the state's shape \(2,\); got \(1,\)"),
    (lambda x: (x, x), STARTS, {}, r"must return an array of the state's shape \(2,\); got tuple"),
    (lambda x, u: x, STARTS, {}, r"cannot be called with a state of shape \(2,\)"),
    (lambda x: jnp.eye(3) @ x, STARTS, {}, r"cannot be called with a state of shape \(2,\)"),
    (lambda x, u: x, STARTS, {}, r"\(a function of state and input needs `inputs`\)"),
    (lambda x, u: jnp.eye(3) @ u, STARTS, {"inputs": np.zeros(2)}, r"of shape \(2,\) and an input of shape \(2,\)"),
    (lambda x: np.tanh(x), STARTS, {}, "system must be written in jax.numpy, without Python branches"),
    (lambda x: x if x[0] > 0 else -x, STARTS, {}, "system must be written in jax.numpy, without Python branches"),
])  # fmt: skip
def test_bad_input_is_refused_with_one_clear_message(system, starts, options, message):
    with pytest.raises(ValueError, match=message):
        wp.analysis.fixed_points(system, starts, **options)


def test_a_stacked_network_is_refused():
    path = wp.Trajectory.from_arrays(np.zeros((3, 2, 2)))
    with pytest.raises(ValueError, match="analysis.follow_fixed_points for all steps"):
        wp.analysis.fixed_points(path.networks, STARTS)


def test_32_bit_mode_is_refused():
    with jax.enable_x64(False), pytest.raises(ValueError, match="needs 64-bit numbers"):
        wp.analysis.fixed_points(NETWORK, STARTS)


def test_starting_states_need_states_and_a_count():
    with pytest.raises(ValueError, match="count must be at least 1; got 0"):
        wp.analysis.starting_states(STARTS, 0, key=jax.random.key(0))
    starts = wp.analysis.starting_states(np.arange(20.0).reshape(10, 2), 40, key=jax.random.key(0))
    assert starts.shape == (40, 2) and np.all(np.isin(starts[:20, 0], np.arange(0, 20, 2)))


def test_what_is_not_finite_or_never_ends_has_a_name():
    """1/x has no root: the search runs away; the logarithm is not finite at the second start."""
    found = wp.analysis.fixed_points(lambda x: jnp.log(x) + 1 / x + 5, np.array([[1e-3], [-1.0]]), steps=5)
    assert found.status.tolist() == [["max_steps", "nonfinite"]] and len(found) == 0
    assert bool(found.result == wp.RESULTS.no_fixed_point) and found.reached_point.tolist() == [[-1, -1]]
    assert "0 fixed points (0 stable) and 0 slow points" in str(found)
    assert found.to_dataset().attrs["result"] == "no_fixed_point"
    assert "1 start had not settled after 5 steps: more `steps` may settle" in str(found)
