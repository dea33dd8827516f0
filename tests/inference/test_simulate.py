"""Simulated recordings: the stated reference numbers, the dynamics by another solver, statistics, and refusals."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import weightpath as wp
from weightpath.inference.masks import block_entries
from weightpath.inference.paired import r_squared

SMALL = dict(trials=24, neurons=9, bins=12, conditions=3)


@pytest.mark.parametrize(("rank", "noise", "seed", "ceiling"), [(2, 0.1, 0, 0.9899), (3, 0.2, 1, 0.9625)])
def test_reference_cases_have_the_stated_ceiling(rank, noise, seed, ceiling):
    """Only the exact order of random numbers gives these four digits."""
    recording, truth = wp.simulate_recording(rank=rank, noise=noise, seed=seed)
    train, test = block_entries(recording.shape, seed=100 + seed, outer=(3, 3, 0), inner=(1, 1, 0), fraction=0.15)
    assert r_squared(recording.values, truth.clean, test) == pytest.approx(ceiling, abs=1e-4)
    assert train.mean() == pytest.approx(0.468, abs=0.01) and test.mean() == pytest.approx(0.137, abs=0.01)


def test_stated_construction():
    _, truth = wp.simulate_recording(rank=3, seed=4)
    np.testing.assert_allclose(truth.a.T @ truth.a, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(truth.b, axis=0), 1, rtol=1e-14)
    rotation = np.array([[0.8, -0.75, -0.75], [0.75, 0.8, -0.75], [0.75, 0.75, 0.8]])
    # A part of length 0.3 is orthogonal to a, before b is normalised.
    inside = truth.a.T @ truth.b
    length = np.sqrt(np.sum(rotation**2, axis=1) + 0.09)
    np.testing.assert_allclose(inside, rotation.T / length, atol=1e-13)
    assert truth.c[0, 0] == 1.9 and truth.c[30, 0] == pytest.approx(1.9 - 0.8 * (1 - np.exp(-2)))
    assert np.bincount(truth.condition).tolist() == [15] * 4
    np.testing.assert_allclose(np.hypot(truth.start[:, 0], truth.start[:, 1]), 0.8 * np.sqrt(40))


def test_states_follow_the_full_network():
    """SciPy's solver on all units, with the dense weights of the trial."""
    _, truth = wp.simulate_recording(rank=2, seed=1, **SMALL)
    for k in (0, 11, 23):
        w = truth.weights(k)
        path = solve_ivp(
            lambda t, x, w=w: -x + w @ np.tanh(x), (0, 1.1), truth.a @ truth.start[truth.condition[k]],
            t_eval=0.1 * np.arange(12), rtol=1e-10, atol=1e-12,
        )  # fmt: skip
        np.testing.assert_allclose(truth.z[k] @ truth.a.T, path.y.T, atol=1e-7)
        eigenvalues = np.linalg.eigvals(w)
        for one in truth.eigenvalues()[k]:
            assert np.abs(eigenvalues - one).min() < 1e-12


def test_networks_of_the_trajectory_give_the_activity():
    for options in ({"noise": 0.0}, {"units": 7, "drift": 0.3}, {"drift": 0.3, "rate": 20.0, "bin_width": 0.05}):
        _, truth = wp.simulate_recording(rank=2, seed=2, **SMALL, **options)
        path = truth.to_trajectory()
        assert len(path) == 24
        np.testing.assert_allclose(path.w_rec[5], truth.weights(5), atol=1e-14)
        network = path.network(5)
        state, outputs = network.initial(), []
        for _ in range(12):
            outputs.append(network.readout(state))
            state = network.step(state, jnp.zeros(2))
        np.testing.assert_allclose(np.stack(outputs), truth.clean[5], atol=1e-12)


def test_noise_has_the_asked_size_and_the_data_are_truth_plus_noise():
    recording, truth = wp.simulate_recording(noise=0.7, seed=3)
    noise = recording.values - truth.clean
    assert noise.std() == pytest.approx(0.7 * truth.clean.std(), rel=0.01)
    assert abs(np.corrcoef(noise.ravel(), truth.clean.ravel())[0, 1]) < 0.01


def test_counts_have_the_asked_rate_and_are_poisson():
    recording, truth = wp.simulate_recording(rate=12.0, bin_width=0.02, trials=100, seed=5)
    assert truth.clean.mean() == pytest.approx(0.24, rel=1e-9)
    assert recording.time[1] == 0.02 and recording.time_unit == "s"
    assert recording.is_counts and recording.counts
    counts = recording.values
    assert np.all(counts == np.round(counts)) and counts.min() >= 0
    # Pearson's statistic of Poisson counts has the mean 1; its sd here is sqrt((2 + 1/mean) / entries).
    pearson = np.mean((counts - truth.clean) ** 2 / truth.clean)
    assert abs(pearson - 1) < 5 * np.sqrt((2 + np.mean(1 / truth.clean)) / counts.size)
    # softplus(d + modulation * activity / sd): undone, a line of the activity with the asked slope.
    activity = truth.rate
    slope = np.polyfit(activity.ravel() / activity.std(), np.log(np.expm1(truth.clean)).ravel(), 1)[0]
    assert slope == pytest.approx(0.5, rel=1e-9)


def test_no_change_is_no_learning():
    _, still = wp.simulate_recording(change=0.0, seed=6, **SMALL)
    _, half = wp.simulate_recording(change=0.5, seed=6, **SMALL)
    _, full = wp.simulate_recording(seed=6, **SMALL)
    assert np.ptp(still.c, axis=0).max() == 0
    np.testing.assert_allclose(half.c - still.c, (full.c - still.c) / 2, atol=1e-15)
    assert np.array_equal(half.start, full.start) and np.array_equal(half.condition, full.condition)


def test_options_leave_the_other_random_numbers_alone():
    plain, truth = wp.simulate_recording(seed=7, **SMALL)
    drifting, other = wp.simulate_recording(seed=7, drift=0.5, epochs=True, **SMALL)
    np.testing.assert_allclose(drifting.values - plain.values, np.repeat(other.drift[:, None], 12, axis=1), atol=1e-12)
    assert drifting.epochs == ("baseline", "perturbation", "washout")
    assert np.bincount(drifting.epoch).tolist() == [8, 9, 7]
    assert np.array_equal(truth.z, other.z)


def test_drift_has_the_asked_size():
    _, truth = wp.simulate_recording(drift=0.5, trials=200, neurons=60, seed=8)
    assert truth.drift.std() == pytest.approx(0.5 * truth.rate.std(), rel=0.15)
    near, far = (np.mean(truth.drift[lag:] * truth.drift[:-lag]) for lag in (1, 120))
    assert near > 0.95 * np.mean(truth.drift**2) and far < 0.4 * near


def test_own_courses_and_mixing():
    course = np.linspace(1, 2, 24)[:, None] * np.ones((1, 5))
    recording, truth = wp.simulate_recording(rank=5, factors=course, units=8, seed=9, **SMALL)
    assert np.array_equal(truth.c, course) and recording.shape == (24, 12, 9)
    np.testing.assert_allclose(truth.clean, truth.rate @ truth.w_out.T, atol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank must be a whole number, at least 1"),
        ({"trials": 1}, "trials must be a whole number, at least 2"),
        ({"neurons": 0}, "neurons must be a whole number"),
        ({"units": 0}, "units must be a whole number"),
        ({"seed": -1}, "seed must be a whole number, at least 0"),
        ({"conditions": 70}, "70 conditions need at least as many trials"),
        ({"rank": 2, "neurons": 2}, "rank 2 needs more than 2 neurons"),
        ({"rank": 5}, "rank 5 has no built-in course"),
        ({"noise": -1.0}, "noise must be finite and not negative"),
        ({"drift": np.nan}, "drift must be finite"),
        ({"change": np.inf}, "change must be a finite number"),
        ({"rate": 10.0}, "needs bin_width"),
        ({"rate": 0.0, "bin_width": 0.1}, "rate must be positive"),
        ({"rate": 10.0, "bin_width": 0.0}, "bin_width must be positive"),
        ({"rate": 10.0, "bin_width": 0.1, "noise": 0.1}, "not both"),
        ({"rate": 10.0, "bin_width": 0.1, "modulation": 0.0}, "modulation must be positive"),
        ({"factors": np.ones((3, 2))}, r"\(60, 2\)"),
        ({"factors": np.ones((60, 2)), "change": 0.5}, "leave it out"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        wp.simulate_recording(**options)
