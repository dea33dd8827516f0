"""Noise ceilings against simulations whose signal is known, and bits per spike against SciPy's Poisson."""

import numpy as np
import pytest
from scipy.stats import poisson

import weightpath as wp
from weightpath.inference.bits import FLOOR, bits_per_spike, spike_counts
from weightpath.inference.ceiling import poisson_ceiling, repeat_ceiling, split_halves
from weightpath.inference.masks import SCHEMES
from weightpath.inference.paired import r_squared
from weightpath.inference.plain import tuned_smoother

TRIALS, BINS, NEURONS = 480, 10, 6


def signal(rng, drift=0.5):
    """Smooth courses of four conditions in two epochs, and a slow drift of every neuron."""
    condition, epoch = np.arange(TRIALS) % 4, np.arange(TRIALS) // (TRIALS // 2)
    time = np.arange(BINS) / BINS
    phase = rng.uniform(0, 2 * np.pi, (2, 4, NEURONS))
    course = np.sin(2 * np.pi * time[:, None] + phase[epoch, condition][:, None])
    slow = np.sin(np.arange(TRIALS)[:, None] / 150 + rng.uniform(0, 6, NEURONS))
    return course + drift * slow[:, None], dict(condition=condition, epoch=epoch)


@pytest.mark.parametrize("noise", [0.5, 1.5])
@pytest.mark.parametrize("shared", [False, True])
def test_ceiling_of_known_signals(noise, shared):
    """Signal variance over total variance, also where the noise is common to the bins and neurons of a trial."""
    rng = np.random.default_rng(0)
    clean, labels = signal(rng)
    extra = rng.normal(size=clean.shape)
    if shared:
        extra = (extra + rng.normal(size=(TRIALS, 1, 1))) / np.sqrt(2)
    recording = wp.Recording(clean + noise * extra, **labels)
    mask = SCHEMES["even"](recording)
    known = r_squared(recording.values, clean, mask.test)
    got = repeat_ceiling(recording, mask.test)
    assert got.r2 == pytest.approx(known, abs=max(0.02, 3 * got.se)) and 0 < got.se < 0.03
    assert known == pytest.approx(clean.var() / (clean.var() + noise**2), abs=0.02)
    # What is predicted on held-out trials stays below what can be.
    assert r_squared(recording.values, tuned_smoother(recording, mask.train), mask.test) < got.r2


def test_bound_holds_where_the_smoother_is_too_slow():
    """With signals that no kernel follows the estimate is a lower bound: below the true share, above the smoother."""
    rng = np.random.default_rng(1)
    clean, labels = signal(rng, drift=0.0)
    fast = np.sin(np.arange(TRIALS) / 4)[:, None, None]
    recording = wp.Recording(clean + fast + 0.3 * rng.normal(size=clean.shape), **labels)
    mask = SCHEMES["runs"](recording)
    got = repeat_ceiling(recording, mask.test).r2
    assert r_squared(recording.values, tuned_smoother(recording, mask.train), mask.test) - 0.02 < got
    assert got < r_squared(recording.values, clean + fast, mask.test) - 0.1


def test_halves_share_no_trial_and_hold_equal_parts():
    rng = np.random.default_rng(2)
    clean, labels = signal(rng)
    recording = wp.Recording(clean + rng.normal(size=clean.shape), **labels)
    halves = split_halves(recording)
    for condition in range(4):
        for epoch in range(2):
            cell = (recording.condition == condition) & (recording.epoch == epoch)
            assert halves.half[cell].sum() == cell.sum() // 2
    # A trial's value moves the smoother of its own half only.
    changed = recording.values.copy()
    changed[5] += 1e-3
    again = split_halves(recording._with(values=changed))
    moved, still = (halves.first, halves.second) if halves.half[5] == 0 else (halves.second, halves.first)
    redone, kept = (again.first, again.second) if halves.half[5] == 0 else (again.second, again.first)
    assert np.array_equal(still, kept) and not np.array_equal(moved, redone)


def test_no_signal_has_no_ceiling_that_misleads():
    rng = np.random.default_rng(3)
    recording = wp.Recording(rng.normal(size=(60, 5, 4)), condition=np.arange(60) % 3)
    got = repeat_ceiling(recording, recording.observed)
    assert np.isnan(got.r2) or got.r2 < 0.05


def counts(rng, mean=2.0):
    clean, labels = signal(rng)
    rate = mean * np.exp(0.5 * clean)
    return wp.Recording(rng.poisson(rate).astype(float), **labels), rate


@pytest.mark.parametrize("how", ["raw", "neuron"])
def test_poisson_ceiling_is_the_score_of_the_true_rates(how):
    rng = np.random.default_rng(4)
    recording, rate = counts(rng)
    recording = recording if how == "raw" else recording.standardised("neuron")
    spikes = spike_counts(recording)
    test = SCHEMES["even"](recording).test
    shown = (rate - recording.centre) / recording.scale
    values, scale = recording.values[test], np.broadcast_to(recording.scale, test.shape)[test]
    # (y - rate)^2 - y has the mean 0 and the variance 2 rate^2.
    error = np.sqrt((2 * (rate[test] / scale**2) ** 2).sum()) / ((values - values.mean()) ** 2).sum()
    score = r_squared(recording.values, shown, test)
    assert poisson_ceiling(recording, spikes, test) == pytest.approx(score, abs=3 * error) and 3 * error < 0.04


def test_counts_are_recognised_in_any_scaling():
    rng = np.random.default_rng(5)
    recording, _ = counts(rng)
    for how in ("global", "neuron", "centre"):
        np.testing.assert_array_equal(spike_counts(recording.standardised(how)), recording.values)
    assert spike_counts(wp.Recording(recording.values + 0.5)) is None
    assert spike_counts(wp.Recording(recording.values - 3)) is None
    assert spike_counts(wp.Recording(20 * recording.values).standardised("neuron")) is None
    assert spike_counts(wp.Recording(np.where(recording.values > 3, 2.0, 0.0))) is None
    with_gaps = recording.values.copy()
    with_gaps[3, 4:] = np.nan
    assert np.isnan(spike_counts(wp.Recording(with_gaps))[3, 4:]).all()


def test_bits_are_log_likelihoods_of_scipy():
    rng = np.random.default_rng(6)
    recording, rate = counts(rng, mean=0.3)
    mask = SCHEMES["even"](recording)
    values = recording.values
    mean = np.broadcast_to(np.where(mask.train, values, 0).sum((0, 1)) / mask.train.sum((0, 1)), values.shape)
    gain = poisson.logpmf(values, rate)[mask.test].sum() - poisson.logpmf(values, mean)[mask.test].sum()
    expected = gain / np.log(2) / values[mask.test].sum()
    assert bits_per_spike(values, rate, mask.train, mask.test) == pytest.approx(expected, rel=1e-10)
    assert bits_per_spike(values, mean, mask.train, mask.test) == pytest.approx(0.0, abs=1e-12)
    assert expected > bits_per_spike(values, rate[::-1], mask.train, mask.test)


def test_bits_of_impossible_rates_and_of_neurons_without_spikes():
    values = np.array([[[1.0, 1.0]], [[0.0, 1.0]], [[1.0, 0.0]], [[3.0, 0.0]]])
    train = np.zeros(values.shape, bool)
    train[:2] = True
    low = bits_per_spike(values, np.full(values.shape, -1.0), train, ~train)
    assert low == bits_per_spike(values, FLOOR * np.broadcast_to([0.5, 1.0], values.shape), train, ~train) < 0
    values[:2, :, 1] = 0
    spare = values.copy()
    spare[2:, :, 1] = 7
    rates = np.ones(values.shape)
    assert bits_per_spike(values, rates, train, ~train) == bits_per_spike(spare, rates, train, ~train)
    assert np.isnan(bits_per_spike(np.zeros(values.shape), rates, train, ~train))
