"""Plain predictors from the rest of a trial: against closed forms, on their own masks only, blind to test entries."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.masks import SCHEMES
from weightpath.inference.paired import r_squared
from weightpath.inference.plain import tuned_smoother
from weightpath.inference.within import PENALTIES, WITHIN, _ridge, earlier_bins, seen_neurons, within_predictions

KINDS = {"units": {"ridge on seen neurons"}, "future": {"persistence", "ridge on earlier bins"}}


def shared_state(trials=200, bins=8, neurons=6, decay=0.9, noise=0.3, seed=0):
    """Every trial has a state of its own, a first-order process seen by all neurons through one loading each."""
    rng = np.random.default_rng(seed)
    state = np.zeros((trials, bins))
    state[:, 0] = rng.normal(size=trials)
    for t in range(1, bins):
        state[:, t] = decay * state[:, t - 1] + np.sqrt(1 - decay**2) * rng.normal(size=trials)
    loading = rng.choice([-1, 1], neurons) * rng.uniform(0.7, 1.3, neurons)
    data = state[..., None] * loading + noise * rng.normal(size=(trials, bins, neurons))
    return wp.Recording(data, condition=np.arange(trials) % 2), loading


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.filterwarnings("ignore:only .* of the observed")
def test_each_is_offered_on_its_own_masks(name):
    recording, _ = shared_state(trials=40, bins=12)
    mask = SCHEMES[name](recording)
    assert set(within_predictions(recording, mask.train)) == KINDS.get(name, set())


def test_seen_neurons_reach_what_the_state_allows():
    r"""With loadings $l$, noise $\sigma$, the best prediction of neuron n has error $l_n^2 v + \sigma^2$ per bin,

    v = 1 / (1 + sum over seen l^2 / sigma^2) the variance of the state given the seen neurons of the bin.
    """
    noise = 0.5
    recording, loading = shared_state(trials=600, decay=0.0, noise=noise)
    mask = SCHEMES["units"](recording)
    held = mask.test.any((0, 1))
    rest = 1 / (1 + (loading[~held] ** 2).sum() / noise**2)
    error = (loading[held] ** 2 * rest + noise**2).mean()
    best = 1 - error / (loading[held] ** 2 + noise**2).mean()
    got = r_squared(recording.values, seen_neurons(recording, mask.train), mask.test)
    assert got == pytest.approx(best, abs=0.02)
    assert r_squared(recording.values, tuned_smoother(recording, mask.train), mask.test) < 0.1


def test_persistence_finds_the_decay_and_the_ridge_does_better_with_noise():
    """Without noise the best prediction is the decayed last value: R^2 = mean of decay^(2 h) over the horizon."""
    recording, _ = shared_state(trials=500, noise=1e-3)
    mask = SCHEMES["future"](recording)
    found = within_predictions(recording, mask.train)
    best = np.mean(0.9 ** (2 * np.array([1, 2])))
    assert r_squared(recording.values, found["persistence"], mask.test) == pytest.approx(best, abs=0.03)
    noisy, _ = shared_state(trials=500, noise=1.0)
    found = within_predictions(noisy, SCHEMES["future"](noisy).train)
    scores = {name: r_squared(noisy.values, one, mask.test) for name, one in found.items()}
    assert scores["ridge on earlier bins"] > scores["persistence"] + 0.05


def test_ridge_is_the_penalised_least_squares():
    rng = np.random.default_rng(0)
    x, rows = rng.normal(size=(30, 2, 3)), rng.random((30, 2)) < 0.8
    y = x @ rng.normal(size=(3, 2))
    got = _ridge([x], y, rows, np.arange(4))
    kept, target = x[rows], y[rows]
    penalty = PENALTIES[0] * np.trace(kept.T @ kept) / 3  # nothing but penalty stands between it and the truth
    expected = np.linalg.solve(kept.T @ kept + penalty * np.eye(3), kept.T @ target)
    np.testing.assert_allclose(got, x[:4] @ expected, atol=1e-12)


@pytest.mark.parametrize("name", WITHIN)
def test_nothing_of_the_test_entries_is_used(name):
    recording, _ = shared_state(trials=40)
    mask = SCHEMES["units" if "neurons" in name else "future"](recording)
    changed = recording._with(values=np.where(mask.test, 1e3, recording.values))
    predict = WITHIN[name][1]
    np.testing.assert_array_equal(predict(recording, mask.train), predict(changed, mask.train))


def test_missing_bins_and_too_little_to_learn_from():
    recording, _ = shared_state(trials=12)
    data = recording.values.copy()
    data[3, 5:], data[5, :, 1] = np.nan, np.nan
    missing = wp.Recording(data, condition=recording.condition)
    for scheme, predict in (("units", seen_neurons), ("future", earlier_bins)):
        mask = SCHEMES[scheme](missing)
        assert np.isfinite(predict(missing, mask.train)).all()
    few = wp.Recording(data[:2])
    np.testing.assert_allclose(
        seen_neurons(few, SCHEMES["units"](few).train), tuned_smoother(few, SCHEMES["units"](few).train)
    )
