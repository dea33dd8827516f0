"""Factors against behaviour: correlations by another program, honest probabilities, and which covariates are used."""

import numpy as np
import pytest
from planted import small_recording
from scipy.stats import pearsonr

from weightpath.inference.reading.behaviour_factors import behaviour_covariates, correlate_behaviour

EPOCH = np.repeat([0, 1], [60, 90])


def drifting(rng, coefficient=0.9):
    noise = rng.standard_normal(150)
    values = np.zeros(150)
    for k in range(1, 150):
        values[k] = coefficient * values[k - 1] + noise[k]
    return values


def test_correlations_are_those_of_residuals():
    rng = np.random.default_rng(0)
    factors, covariate = np.stack([drifting(rng), drifting(rng)], axis=1), drifting(rng) + 5 * EPOCH
    found = correlate_behaviour(factors, covariate, EPOCH, draws=99)
    for degree, values in ((0, found.within), (1, found.detrended)):
        residual = np.zeros((3, 150))
        for number in (0, 1):
            place = np.flatnonzero(EPOCH == number)
            for row, one in enumerate((*factors.T, covariate)):
                residual[row, place] = one[place] - np.polyval(np.polyfit(place, one[place], degree), place)
        np.testing.assert_allclose(values, [pearsonr(row, residual[2])[0] for row in residual[:2]], atol=1e-10)
    np.testing.assert_allclose(found.overall, [pearsonr(one, covariate)[0] for one in factors.T], atol=1e-10)


def test_a_step_at_the_border_is_no_correlation_within_epochs():
    """With a common step or without: the same correlations and probabilities within epochs."""
    rng = np.random.default_rng(1)
    factor, covariate = 0.1 * rng.standard_normal((150, 1)), 0.1 * rng.standard_normal(150)
    with_step = correlate_behaviour(factor + EPOCH[:, None], covariate + EPOCH, EPOCH, draws=49)
    without = correlate_behaviour(factor, covariate, EPOCH, draws=49)
    assert with_step.overall[0] > 0.9 and abs(without.overall[0]) < 0.3
    for name in ("within", "within_p", "detrended", "detrended_p"):
        np.testing.assert_allclose(getattr(with_step, name), getattr(without, name), atol=1e-10)


def test_shared_drift_goes_with_the_lines():
    rng = np.random.default_rng(2)
    drift = np.arange(150) / 30
    factor, covariate = drift + 0.2 * rng.standard_normal(150), drift + 0.2 * rng.standard_normal(150)
    found = correlate_behaviour(factor[:, None], covariate, EPOCH, draws=199)
    assert found.within[0] > 0.8 and abs(found.detrended[0]) < 0.25 and found.detrended_p[0] > 0.01


def test_a_true_relation_is_found_and_an_absent_one_is_not():
    rng = np.random.default_rng(3)
    common = drifting(rng)
    factors = np.stack([common, drifting(rng)], axis=1)
    found = correlate_behaviour(factors, common + 0.5 * rng.standard_normal(150), EPOCH, draws=499)
    assert found.detrended_p[0] <= 0.01 and found.family_p <= 0.01 and found.trials == 150


def test_false_alarms_stay_near_their_rate_where_neighbours_are_alike():
    """150 pairs that have nothing to do with one another; the usual t test cries out for half of them."""
    rng = np.random.default_rng(4)
    pairs = [(drifting(rng), drifting(rng)) for _ in range(150)]
    found = [correlate_behaviour(one[:, None], other, EPOCH, draws=99) for one, other in pairs]
    assert np.mean([pearsonr(*pair)[1] <= 0.05 for pair in pairs]) > 0.3
    # .05 expected; three standard errors of the binomial and the test's small excess under drift.
    assert np.mean([one.detrended_p[0] <= 0.05 for one in found]) <= 0.12
    assert np.mean([one.within_p[0] <= 0.05 for one in found]) <= 0.15


def test_missing_trials_and_short_epochs_are_left_out():
    rng = np.random.default_rng(5)
    factor, covariate = drifting(rng), drifting(rng)
    covariate[:57] = np.nan
    found = correlate_behaviour(factor[:, None], covariate, EPOCH, draws=49)
    only = correlate_behaviour(factor[60:, None], covariate[60:], EPOCH[60:], draws=49)
    assert found.trials == 90 and found.within[0] == pytest.approx(only.within[0])
    still = correlate_behaviour(np.ones((150, 1)), covariate, EPOCH, draws=49)
    assert still.within[0] == 0.0 and still.within_p[0] == 1.0


def test_what_cannot_be_correlated_is_refused():
    with pytest.raises(ValueError, match="one entry a trial; got 150, 149 and 150"):
        correlate_behaviour(np.zeros((150, 1)), np.zeros(149), EPOCH)
    with pytest.raises(ValueError, match="no epoch has 4 trials with a finite covariate"):
        correlate_behaviour(np.zeros((150, 1)), np.full(150, np.nan), EPOCH)


def test_covariates_with_one_number_a_trial():
    rng = np.random.default_rng(6)
    speed = rng.normal(size=(14, 6))
    speed[3, 2:] = np.nan
    recording = small_recording(
        covariates=dict(
            speed=speed, score=rng.normal(size=14), clock=np.arange(14.0), angle=np.arange(14) % 2 * 90.0,
            words=np.array(["a"] * 14), place=rng.normal(size=(14, 2, 6)), same=np.ones(14),
        )
    )  # fmt: skip
    found = behaviour_covariates(recording)
    assert set(found) == {"speed", "score"}
    np.testing.assert_allclose(found["speed"], np.nanmean(speed, axis=1))
