"""Kalman smoother and EM against dense Gaussian conditioning, the likelihood's rise, and known systems."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import weightpath as wp
from weightpath.inference.baselines import linear_system, smoother_and_system
from weightpath.inference.lds import LinearSystem, fit_system, predicted_values, smooth
from weightpath.inference.masks import SCHEMES
from weightpath.inference.paired import r_squared
from weightpath.inference.plain import PLAIN

TRIALS, BINS, NEURONS, STATES = 3, 4, 3, 2


def system(rng, neurons=NEURONS, noise=0.3, bins=BINS):
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    return LinearSystem(
        transition=0.9 * turn,
        process=np.array([[0.1, 0.03], [0.03, 0.2]]),
        readout=rng.normal(size=(neurons, STATES)),
        offset=rng.normal(size=neurons),
        noise=noise * rng.uniform(0.5, 1.5, neurons),
        start=rng.normal(size=(2, STATES)),
        spread=np.array([[0.5, -0.1], [-0.1, 0.3]]),
        drive=0.5 * rng.normal(size=(2, bins - 1, STATES)),
    )


def drawn(one, rng, trials, bins):
    condition = np.arange(trials) // 2 % 2
    state = one.start[condition] + rng.multivariate_normal(np.zeros(STATES), one.spread, trials)
    values = []
    for t in range(bins):
        values.append(state @ one.readout.T + one.offset + rng.normal(size=(trials, len(one.offset))) * one.noise**0.5)
        shock = rng.multivariate_normal(np.zeros(STATES), one.process, trials)
        if t < bins - 1:
            state = state @ one.transition.T + one.drive[condition, t] + shock
    return np.stack(values, 1), condition


def dense(one, bins):
    """Map from initial state and shocks to all states of a trial, and their covariance: no recursion of covariances."""
    powers = [np.linalg.matrix_power(one.transition, t) for t in range(bins)]
    shocks = np.zeros((bins * STATES, bins * STATES))
    for t in range(bins):
        for source in range(t + 1):
            shocks[t * STATES : (t + 1) * STATES, source * STATES : (source + 1) * STATES] = powers[t - source]
    blocks = np.zeros_like(shocks)
    for t in range(bins):
        blocks[t * STATES : (t + 1) * STATES, t * STATES : (t + 1) * STATES] = one.spread if t == 0 else one.process
    return shocks, shocks @ blocks @ shocks.T


def test_smoother_is_gaussian_conditioning():
    """Means, covariances, lagged covariances and the likelihood of the joint normal, with entries missing."""
    rng = np.random.default_rng(0)
    one = system(rng)
    values, condition = drawn(one, rng, TRIALS, BINS)
    seen = rng.random(values.shape) < 0.6
    seen[1], seen[2, 2:] = False, False
    got = smooth(one, np.where(seen, values, np.nan), seen, condition)
    shocks, prior = dense(one, BINS)
    readout = np.kron(np.eye(BINS), one.readout)
    total = 0.0
    for k in range(TRIALS):
        kept = seen[k].ravel()
        mean = shocks @ np.concatenate([one.start[condition[k]], one.drive[condition[k]].ravel()])
        expected = (readout @ mean + np.tile(one.offset, BINS))[kept]
        seeing = readout[kept]
        spread = seeing @ prior @ seeing.T + np.diag(np.tile(one.noise, BINS)[kept])
        covariance = prior
        if kept.any():
            total += multivariate_normal(expected, spread).logpdf(values[k].ravel()[kept])
            gain = np.linalg.solve(spread, seeing @ prior).T
            mean = mean + gain @ (values[k].ravel()[kept] - expected)
            covariance = prior - gain @ seeing @ prior
        np.testing.assert_allclose(got.mean[k].ravel(), mean, atol=1e-12)
        blocks = covariance.reshape(BINS, STATES, BINS, STATES)
        for t in range(BINS):
            np.testing.assert_allclose(got.covariance[got.pattern[k], t], blocks[t, :, t], atol=1e-12)
        for t in range(BINS - 1):
            np.testing.assert_allclose(got.following[got.pattern[k], t], blocks[t + 1, :, t], atol=1e-12)
    assert got.log_likelihood == pytest.approx(total, abs=1e-10)


def test_likelihood_rises_in_every_iteration():
    rng = np.random.default_rng(1)
    values, condition = drawn(system(rng, neurons=5, bins=8), rng, 30, 8)
    seen = rng.random(values.shape) < 0.7
    seen[4] = False
    _, course, _ = fit_system(np.where(seen, values, np.nan), seen, condition, size=3, conditions=2, iterations=40)
    assert len(course) > 10 and np.all(np.diff(course) > -1e-8 * np.abs(course[1:]))


def test_known_system_is_found():
    """Eigenvalues of the transition, which no change of the states' coordinates moves, and the noise of each neuron."""
    rng = np.random.default_rng(2)
    one = system(rng, neurons=6, bins=15)
    values, condition = drawn(one, rng, 400, 15)
    seen = rng.random(values.shape) < 0.9
    found, course, settled = fit_system(values, seen, condition, size=2, conditions=2, iterations=200)
    assert settled and course[-1] > smooth(one, values, seen, condition).log_likelihood
    expected = np.sort_complex(np.linalg.eigvals(one.transition))
    np.testing.assert_allclose(np.sort_complex(np.linalg.eigvals(found.transition)), expected, atol=0.04)
    np.testing.assert_allclose(found.noise, one.noise, rtol=0.1)
    true = predicted_values(one, smooth(one, values, seen, condition))
    got = predicted_values(found, smooth(found, values, seen, condition))
    assert np.mean((got - true) ** 2) < 0.02 * true.var()


def test_predicts_within_trials_and_conditions_of_held_out_ones():
    rng = np.random.default_rng(3)
    values, condition = drawn(system(rng, neurons=6, bins=10), rng, 120, 10)
    recording = wp.Recording(values, condition=condition)
    for scheme in ("units", "future"):
        mask = SCHEMES[scheme](recording)
        found = linear_system(recording, mask.train, 2)
        plain = r_squared(values, PLAIN["tuned smoother"](recording, mask.train), mask.test)
        assert r_squared(values, found.prediction, mask.test) > plain + 0.1
    mask = SCHEMES["even"](recording)
    held = linear_system(recording, mask.train, 2).prediction[::2]
    assert not np.allclose(held[0], held[1])
    for one in (0, 1):
        same = held[condition[::2] == one]
        np.testing.assert_allclose(same, same[:1].repeat(len(same), 0), atol=1e-12)


def test_smoother_and_system_adds_the_state_of_the_trial_to_slow_change():
    """Noise-free change over trials and a state of each trial: above either alone; on held-out trials the smoother."""
    rng = np.random.default_rng(5)
    values, condition = drawn(system(rng, neurons=6, bins=10), rng, 160, 10)
    values = values + 3 * np.sin(np.arange(160) / 40)[:, None, None]
    recording = wp.Recording(values, condition=condition)
    mask = SCHEMES["units"](recording)
    both, alone = (one(recording, mask.train, 2).prediction for one in (smoother_and_system, linear_system))
    smoothed = PLAIN["tuned smoother"](recording, mask.train)
    score = r_squared(values, both, mask.test)
    assert score > r_squared(values, alone, mask.test) + 0.02 and score > r_squared(values, smoothed, mask.test) + 0.02
    mask = SCHEMES["even"](recording)
    np.testing.assert_array_equal(
        smoother_and_system(recording, mask.train, 2).prediction[::2],
        PLAIN["tuned smoother"](recording, mask.train)[::2],
    )


def test_nothing_of_the_test_entries_is_used_and_thin_cases_run():
    rng = np.random.default_rng(4)
    values, condition = drawn(system(rng), rng, 12, 4)
    recording = wp.Recording(values, condition=condition)
    mask = SCHEMES["units"](recording)
    changed = recording._with(values=np.where(mask.test, np.nan, recording.values))
    np.testing.assert_array_equal(
        linear_system(recording, mask.train, 2).prediction, linear_system(changed, mask.train, 2).prediction
    )
    train = recording.observed.copy()
    train[:, :, 2], train[condition == 1] = False, False
    assert np.isfinite(linear_system(recording, train, 4).prediction).all()
    assert np.isfinite(linear_system(wp.Recording(values[:, :1]), recording.observed[:, :1], 1).prediction).all()
