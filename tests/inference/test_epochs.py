"""Weights between epochs, savings and speeds of learning: against dense matrices and planted courses."""

from dataclasses import replace

import numpy as np
import pytest
from planted import small_fit, with_factors

from weightpath._results import RESULTS
from weightpath.inference.reading.epochs import WeightMetric, compare_epochs
from weightpath.inference.reading.learning_curves import exponential, learning_curves
from weightpath.inference.reading.savings import savings

THREE = np.repeat([0, 1, 2], [4, 5, 5])


@pytest.fixture(scope="module")
def fit():
    return small_fit()


@pytest.fixture(scope="module")
def washed(fit):
    """Baseline, learning, washout in the smallest numbers of trials."""
    return replace(fit, recording=fit.recording.with_epoch(np.array(["base", "turn", "wash"])[THREE]))


def test_distances_are_those_of_dense_weights(fit):
    c = np.asarray(fit.c) + np.arange(14)[:, None] * [0.1, -0.05]
    moved = with_factors(fit, c)
    found = compare_epochs(moved)
    rate = np.tanh(moved.z.reshape(-1, 2) @ moved.a.T)
    values, vectors = np.linalg.eigh(rate.T @ rate / len(rate))
    root = vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.T
    first, second = (np.mean([moved.weights(k) for k in range(*ends)], axis=0) for ends in ((0, 7), (7, 14)))
    for table, scale in ((found.distance, np.eye(12)), (found.weighted, root)):
        one, two = first @ scale, second @ scale
        size = np.sqrt((np.sum(one**2) + np.sum(two**2)) / 2)
        assert table[0, 1] == table[1, 0] == pytest.approx(np.linalg.norm(one - two) / size, rel=1e-6)
    spread = np.sqrt(np.mean([np.sum(((moved.weights(k) - first) @ root) ** 2) for k in range(7)]))
    assert found.weighted[0, 0] == pytest.approx(spread / np.linalg.norm(first @ root), rel=1e-6)


def test_angles_tell_which_direction_is_used(fit):
    """One factor in each epoch: output angle is that of the a's, input angle that of the b's in the rates' metric."""
    moved = with_factors(fit, np.repeat([[1.0, 0.0], [0.0, 1.0]], 7, axis=0))
    found = compare_epochs(moved)
    assert found.directions.tolist() == [1, 1]
    between = abs(float(moved.a[:, 0] @ moved.a[:, 1]))
    assert found.output_angle[0, 1] == pytest.approx(np.degrees(np.arccos(between)), abs=1e-6)
    rate = np.tanh(moved.z.reshape(-1, 2) @ moved.a.T)
    seen = rate @ moved.b
    cosine = abs(seen[:, 0] @ seen[:, 1]) / np.linalg.norm(seen[:, 0]) / np.linalg.norm(seen[:, 1])
    assert found.input_angle[0, 1] == pytest.approx(np.degrees(np.arccos(cosine)), abs=1e-5)
    same = compare_epochs(with_factors(fit, np.ones((14, 2))))
    assert same.weighted.max() < 1e-12 and same.output_angle.max() < 1e-5


def test_the_metric_is_the_norm_of_dense_weights(fit):
    core = np.random.default_rng(0).normal(size=(2, 2))
    metric = WeightMetric.of(fit)
    assert metric.plain_norm(core) == pytest.approx(np.linalg.norm(fit.a @ core @ fit.b.T), rel=1e-9)


def test_savings_by_how_much_the_factors_return(washed):
    """Late washout a third of the way: the index of a line is a third, whatever the metric."""
    noise = 1e-3 * np.random.default_rng(0).normal(size=(14, 2))
    for kept in (0.0, 1 / 3, 1.0):
        c = np.array([[1.0, 1.0], [2.0, 0.5], [1 + kept, 1 - kept / 2]])[THREE] + noise
        found = savings(with_factors(washed, c), draws=200)
        assert found.overall == pytest.approx(kept, abs=5e-3) and bool(found.result == RESULTS.successful)
        np.testing.assert_allclose(found.factors, kept, atol=5e-3)
        assert found.interval[0] <= found.overall + 1e-3 and found.overall - 1e-3 <= found.interval[1]
        assert found.interval[1] - found.interval[0] < 0.01 and found.floor < 5e-3
        assert found.factor_interval.shape == (2, 2)


def test_savings_of_nothing_learnt_say_so(washed):
    found = savings(with_factors(washed, 1 + 0.1 * np.random.default_rng(1).normal(size=(14, 2))), draws=200)
    assert bool(found.result == RESULTS.outside_regime)


def test_savings_need_three_epochs_and_factors(fit, washed):
    with pytest.raises(ValueError, match=r"savings need three epochs, .* of 2 \(before, after\)"):
        savings(fit)
    with pytest.raises(ValueError, match="savings need three epochs"):
        savings(washed, washout=1)
    with pytest.raises(ValueError, match=r"late must be a share in \(0, 1\]; got 0"):
        savings(washed, late=0)
    with pytest.raises(ValueError, match="has a core and no factors"):
        savings(small_fit("per_trial"))


def test_an_exponential_course_is_found():
    rng = np.random.default_rng(0)
    trial = np.sort(rng.choice(300, 120, replace=False)).astype(float)
    for tau in (4.0, 40.0):
        clean = 2.0 - 1.5 * np.exp(-(trial - trial[0]) / tau)
        exact = exponential(trial, clean)
        assert exact is not None
        np.testing.assert_allclose(exact[:3], [0.5, 2.0, tau], rtol=1e-5)
        assert exact[4] == pytest.approx(1.0)
        noisy = exponential(trial, clean + 0.1 * rng.normal(size=120))
        assert noisy is not None and abs(noisy[2] - tau) < 3 * noisy[3] and 0.5 < noisy[4] < 1


def test_courses_without_a_speed_are_told():
    trial = np.arange(50.0)
    assert exponential(trial, 1 + 0.02 * trial) is None
    assert exponential(trial, np.ones(50)) is None
    assert exponential(trial[:5], np.exp(-trial[:5])) is None


def test_courses_of_a_fit_by_epoch(fit):
    """Fourteen trials are seven an epoch, too few for three numbers; one epoch has enough."""
    assert (learning_curves(fit).outcome == "not_converged").all()
    c = np.stack([np.exp(-np.arange(14) / 3.0), np.ones(14)], axis=1)
    whole = with_factors(replace(fit, recording=fit.recording.with_epoch(np.zeros(14, int))), c)
    found = learning_curves(whole)
    assert found.outcome.tolist() == [["successful", "not_converged"]]
    assert found.trials[0, 0] == pytest.approx(3.0, rel=1e-4) and np.isnan(found.trials[0, 1])
    with pytest.raises(ValueError, match="has a core and no factors"):
        learning_curves(small_fit("per_trial"))
