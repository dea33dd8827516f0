"""Fixed points of networks for which all of them are known, and what is said about those that are hard to find."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq, root

import weightpath as wp
from weightpath.analysis.fixed_modes import modes
from weightpath.analysis.fixed_sets import joined
from weightpath.analysis.fixed_system import as_system
from weightpath.networks.factored import FactoredRNN


def ramp(units):
    """The shifted ramp: row i of S is -roll(linspace(-1, 1, n), -i); the map is tanh(S^T r)."""
    return np.array([-np.roll(np.linspace(-1, 1, units), -i) for i in range(units)]).T


def grid(units):
    return np.array(np.meshgrid(*[[-1.0, 0.0, 1.0]] * units)).reshape(units, -1).T


def rate(w_rec, bias=None, **options):
    units = len(w_rec)
    return wp.RateRNN(w_rec, np.zeros((units, 1)), np.zeros((1, units)), bias, **{"leak": 1.0, **options})


def blocks(units=30, gain=1.5, noise=0.0):
    """`gain` times the projector on the means of three blocks, and some noise."""
    size = units // 3
    around = np.random.default_rng(5).standard_normal((units, units)) / np.sqrt(units)
    return gain * np.kron(np.eye(3), np.ones((size, size)) / size) + noise * around


RAMPS = {
    2: {(0.0, 0.0): (2, 0), (-0.95750402, 0.95750402): (0.16637, 0)},
    3: {(0.0, 0.0, 0.0): (1.73205, 1.73205, 0), (-0.94979571, 0.42550230, 0.87989400): (1.00641, 0.28535, 0)},
    4: {
        (0.0,) * 4: (1.88562, 1.88562, 1.33333),
        (-0.77551631, 0.77551631, -0.77551631, 0.77551631): (0.75156, 0.75156, 0.53143, 0),
        (-0.96289191, -0.52523523, 0.96289191, 0.52523523): (1.04743, 0.53131, 0.17905, 0),
        (-0.87726314, 0.56969616, -0.33974500, 0.78964767): (1.31596, 1.00002, 0.44842, 0),
        (-0.33974500, 0.78964767, -0.87726314, 0.56969616): (1.31596, 1.00002, 0.44842, 0),
    },
}


@pytest.mark.parametrize("units", [2, 3, 4])
def test_ramps_have_the_points_of_the_table(units):
    found = wp.analysis.fixed_points(rate(ramp(units)), grid(units), dynamics="map")
    signs = {True: (1, -1), False: (1,)}
    expected = [(sign * np.array(point), eig) for point, eig in RAMPS[units].items() for sign in signs[any(point)]]
    assert len(found) == len(expected) == {2: 3, 3: 3, 4: 9}[units] and found.fixed.all()
    for point, eig in expected:
        here = np.argmin(np.linalg.norm(found.points - point, axis=1))
        np.testing.assert_allclose(found.points[here], point, atol=1e-7)
        np.testing.assert_allclose(np.abs(found.eigenvalues[here])[: len(eig)], eig, atol=6e-6)
    assert found.q.max() <= 1e-24 and set(found.status.ravel()) == {"fixed"}
    np.testing.assert_array_equal(found.stable, np.abs(found.eigenvalues).max(axis=1) < 1)
    near = np.abs(np.abs(found.eigenvalues).max(axis=1) - 1) < 1e-3
    np.testing.assert_array_equal(found.marginal, near)


@pytest.mark.parametrize("units", [2, 3, 4])
def test_ramps_agree_with_the_published_ground_truth(units, shared_data):
    truth = np.load(shared_data / "fixed_points_golub_ground_truth" / "ground_truth.npz")
    found = wp.analysis.fixed_points(rate(ramp(units)), grid(units), dynamics="map")
    known, jacobian = truth[f"n{units}_xstar"], truth[f"n{units}_J_xstar"]
    assert len(found) == len(known)
    for point, slope in zip(known, jacobian, strict=True):
        here = np.argmin(np.linalg.norm(found.points - point, axis=1))
        np.testing.assert_allclose(found.points[here], point, atol=3e-7)
        np.testing.assert_allclose(found.jacobian[here], slope, atol=2e-6)


def test_a_point_unstable_as_a_map_is_stable_as_a_flow():
    """Three units: largest modulus 1.00641 at the eigenvalue -1.00641, largest real part .28535."""
    by_map, by_flow = (wp.analysis.fixed_points(rate(ramp(3)), grid(3), dynamics=kind) for kind in ("map", "flow"))
    np.testing.assert_allclose(by_map.points[:2], by_flow.points[:2], atol=1e-12)
    assert not by_map.stable.any() and by_flow.stable.tolist() == [True, True, False]
    np.testing.assert_allclose(by_map.margin[:2], -0.00641, atol=6e-6)
    np.testing.assert_allclose(by_flow.margin[:2], 1 - 0.28535, atol=6e-6)
    for one in (by_map, by_flow):
        assert one.unstable_dimension.tolist() == ([1, 1, 2] if one is by_map else [0, 0, 1])  # +-1.732 at zero


@pytest.mark.parametrize("noise", [pytest.param(0.0, marks=pytest.mark.slow), 0.05])
def test_512_starts_find_all_27_points_of_three_blocks(noise):
    network = rate(blocks(noise=noise))
    starts = 2 * np.random.default_rng(1).standard_normal((512, 30))
    found = wp.analysis.fixed_points(network, starts)
    assert len(found) == 27 and found.fixed.all() and int(found.stable.sum()) == 8 and found.q.max() < 1e-20
    assert np.bincount(found.unstable_dimension).tolist() == [8, 12, 6, 1]
    assert found.reached.sum() == 512 and set(found.status.ravel()) == {"fixed"}
    for point in found.points:
        np.testing.assert_allclose(np.tanh(np.asarray(network.w_rec) @ point), point, atol=1e-12)
    if not noise:
        level = brentq(lambda m: m - np.tanh(1.5 * m), 0.1, 1)
        np.testing.assert_allclose(level, 0.8585596366, atol=1e-10)
        np.testing.assert_allclose(np.abs(found.points[:8]), level, atol=1e-12)
        np.testing.assert_allclose(1 + found.eigenvalues[:8, 0], 0.3943130255, atol=1e-9)
        mixed = wp.analysis.fixed_points(network, starts[np.random.default_rng(2).permutation(512)])
        for name in ("points", "unstable_dimension", "reached", "spread"):
            np.testing.assert_allclose(getattr(mixed, name), getattr(found, name), atol=1e-13)
        newton = wp.analysis.fixed_points(network, starts, solver="newton")
        np.testing.assert_allclose(newton.points, found.points, atol=1e-12)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_default_starts_find_all_27_points_too(seed):
    found = wp.analysis.fixed_points(rate(blocks(noise=0.05)), key=jax.random.key(seed))
    assert len(found) == 27 and found.status.shape == (1, 512)


def test_scalar_is_bistable_up_to_the_threshold():
    """|x| < w r_c - artanh(r_c), r_c = sqrt(1 - 1/w): all inputs in one call."""
    critical = np.sqrt(0.5)
    threshold = 2 * critical - np.arctanh(critical)
    assert threshold == pytest.approx(0.532839975, abs=1e-9)
    inputs = np.array([-threshold - 1e-3, -threshold + 1e-3, 0.0, threshold - 1e-3, threshold + 1e-3])
    network = wp.RateRNN([[2.0]], [[1.0]], [[1.0]], leak=0.25)
    found = wp.analysis.fixed_points(network, np.linspace(-1, 1, 41)[:, None], inputs=inputs[:, None])
    fixed = [found.points[(found.input == row) & found.fixed, 0] for row in range(5)]
    assert [len(one) for one in fixed] == [1, 3, 3, 3, 1]
    for drive, points in zip(inputs, fixed, strict=True):

        def rest(r, drive=drive):
            return r - np.tanh(2 * r + drive)

        for point in points:
            assert abs(rest(point)) < 1e-10 and root(rest, point, tol=1e-13).x == pytest.approx(point, abs=1e-7)
    slope = 1 - np.tanh(2 * found.points[:, 0] + inputs[found.input]) ** 2
    np.testing.assert_allclose(found.eigenvalues[:, 0], 2 * slope - 1, atol=1e-12)
    np.testing.assert_allclose(found.input_jacobian[:, 0, 0], slope, atol=1e-12)
    kept = found.fixed & ~found.singular
    response = slope / (1 - 2 * slope)
    np.testing.assert_allclose(found.input_response[kept, 0, 0], response[kept], rtol=1e-6)


@pytest.mark.parametrize(("drive", "place", "q"), [
    (0.54, -0.710686793510, 6.408244117e-6), (0.6, -0.740686793510, 5.638086138e-4),
])  # fmt: skip
def test_slow_points_to_the_digits(drive, place, q):
    """Beyond the threshold the lost pair leaves r_s = (-artanh(r_c) - x)/w with q = (r_c + r_s)^2 / 2."""
    found = wp.analysis.fixed_points(rate([[2.0]], [drive]), np.linspace(-1, 1, 41)[:, None])
    assert found.fixed.tolist() == [True, False] and found.reached[1] > 20
    assert found.points[1, 0] == pytest.approx(place, abs=1e-11)
    assert found.q[1] == pytest.approx(q, rel=2e-10)
    assert set(found.status.ravel()) == {"fixed", "slow"}
    assert set(found.reached_point[found.status == "slow"]) == {1}


def test_a_minimum_that_is_too_fast_is_no_slow_point():
    found = wp.analysis.fixed_points(rate([[2.0]], [0.6]), np.linspace(-1, 1, 41)[:, None], q_slow=1e-5)
    assert found.fixed.tolist() == [True] and set(found.status.ravel()) == {"fixed", "minimum"}


def test_a_singular_point_is_one_with_its_spread():
    """r = tanh(r): the ends scatter with the cube root of the residual; the only root is zero."""
    found = wp.analysis.fixed_points(rate([[1.0]]), np.linspace(-1, 1, 41)[:, None])
    assert len(found) == 1 and found.singular.all() and found.marginal.all() and found.reached[0] == 41
    assert abs(found.points[0, 0]) < 6e-4 and 0 < found.spread[0] < 1.2e-3
    assert np.ptp(found.end_state[0, :, 0]) > 1e-6


def test_modes_are_those_of_the_jacobian():
    jacobian = np.random.default_rng(3).standard_normal((4, 5, 5))
    for discrete in (False, True):
        found = modes(jacobian, discrete=discrete, unit_time=2.0)
        for one in range(4):
            values, right, left = found.eigenvalues[one], found.right[one], found.left[one]
            np.testing.assert_allclose(jacobian[one] @ right, right * values, atol=1e-12)
            np.testing.assert_allclose(left.conj().T @ jacobian[one], values[:, None] * left.conj().T, atol=1e-11)
            np.testing.assert_allclose(left.conj().T @ right, np.eye(5), atol=1e-12)
            size = np.abs(values) if discrete else values.real
            assert np.all(np.diff(size) <= 1e-12) and found.unstable_dimension[one] == np.sum(size > discrete)
            decay = np.log(np.abs(values)) if discrete else values.real
            np.testing.assert_allclose(found.time_constants[one], -2.0 / decay, rtol=1e-12)
            assert found.margin[one] == pytest.approx(float(discrete) - size.max(), abs=1e-12)


def test_joining_is_greedy_from_the_lowest_q_and_keeps_what_is_apart():
    points = np.array([[0.0], [0.6], [1.2], [5.0]])
    groups = joined(points, np.array([3.0, 1.0, 2.0, 2.0]), 1.0)
    assert groups.leader.tolist() == [1, 3] and groups.member.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(groups.spread, [0.6, 0.0])


NETWORKS = {
    "rate": lambda w, u, o: wp.RateRNN(w, u, o, np.full(4, 0.1), leak=0.3),
    "current": lambda w, u, o: wp.RateRNN(w, u, o, leak=0.3, form="current", activation="softplus"),
    "linear": lambda w, u, o: wp.LinearRNN(0.4 * w, u, o),
    "continuous": lambda w, u, o: wp.ContinuousLinearRNN(0.4 * w, u, o, dt=0.3),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_flow_and_map_of_every_network_differ_by_its_leak(name):
    """The network's own step is an Euler step of its flow; Jacobians in closed form against autodiff of the step."""
    rng = np.random.default_rng(0)
    w_rec, w_in = 0.5 * rng.standard_normal((4, 4)), rng.standard_normal((4, 2))
    network = NETWORKS[name](w_rec, w_in, np.zeros((1, 4)))
    state, drive = jnp.asarray(rng.standard_normal(4)), jnp.array([0.3, -0.2])
    share = 1.0 if name == "linear" else 0.3
    flow, step = (as_system(network, None, kind)[0] for kind in ("flow", "map"))
    np.testing.assert_allclose(state + share * flow.residual(state, drive), network.step(state, drive), atol=1e-14)
    np.testing.assert_allclose(step.residual(state, drive), network.step(state, drive) - state, atol=1e-14)
    slope = jax.jacfwd(lambda x: network.step(x, drive))(state)
    np.testing.assert_allclose(np.eye(4) + share * flow.jacobian(state, drive), slope, atol=1e-14)
    np.testing.assert_allclose(np.eye(4) + step.jacobian(state, drive), slope, atol=1e-14)


def test_flow_of_a_factored_network_is_that_of_its_whole_weights():
    rng = np.random.default_rng(1)
    a, b, c = rng.standard_normal((5, 2)), rng.standard_normal((5, 2)), rng.standard_normal(2)
    network = FactoredRNN(*map(jnp.asarray, (a, b, c, np.zeros(2), np.zeros((1, 5)), np.zeros(1), np.array(4.0))))
    system, table = as_system(network, None, "flow")
    state, drive = rng.standard_normal(5), rng.standard_normal(2)
    expected = -state + a @ np.diag(c) @ b.T @ np.tanh(state) + a @ drive
    np.testing.assert_allclose(system.residual(jnp.asarray(state), jnp.asarray(drive)), expected, atol=1e-14)
    assert table.shape == (1, 2)


def test_a_function_of_the_user_and_its_outlier():
    """A cubic with roots 0, 1 and 100: the last one is far from the starts, and is flagged and kept."""
    starts = np.append(np.linspace(-1, 2, 31), 99.0)[:, None]
    found = wp.analysis.fixed_points(lambda x: x * (1 - x) * (x - 100) * 0.01, starts)
    fixed = found.fixed
    np.testing.assert_allclose(np.sort(found.points[fixed, 0]), [0, 1, 100], atol=1e-10)
    np.testing.assert_array_equal(found.outlier, found.points[:, 0] > 50)
    driven = wp.analysis.fixed_points(
        lambda x, u: jnp.tanh(x) + u - x, np.ones((3, 1)), inputs=np.array([[0.5], [1.0]])
    )
    assert driven.input.tolist() == [0, 1] and driven.input_jacobian.shape == (2, 1, 1)


def test_summary_and_dataset_say_what_was_found():
    found = wp.analysis.fixed_points(rate([[2.0]], [0.54]), np.linspace(-1, 1, 41)[:, None], tau=0.02)
    text = str(found)
    assert text.startswith("1 fixed point (1 stable) and 1 slow point of the flow found from 41 starts")
    assert "others may exist" in text and "singular" in text
    dataset = found.to_dataset()
    assert dataset.attrs["dynamics"] == "flow" and dict(dataset.sizes)["found"] == 2
    np.testing.assert_allclose(dataset["time_constant"][0, 0], -0.02 / found.eigenvalues[0, 0].real)
    with pytest.raises(ValueError, match="read-only"):
        found.points[0] = 0.0
