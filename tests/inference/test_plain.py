"""Plain predictors against direct sums and against the table of the recorded session; scores and their bootstrap."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.masks import SCHEMES
from weightpath.inference.paired import entry_sums, paired_difference, paired_ratio, r_squared, trial_errors
from weightpath.inference.plain import PLAIN, block_mean, epoch_mean, plain_predictions, smoother, tune
from weightpath.inference.read import read_recording, sample_path

pytestmark = pytest.mark.filterwarnings("ignore:only .* of the observed")

#: Held-out R^2 found by an independent program (docs/studies.md); None where the draw of the mask is not stated.
TABLE = {
    "even": (0.5645, 0.6013, 0.4763, 0.6081, 0.6211),
    "odd": (0.5645, 0.6031, 0.4395, 0.6075, 0.6169),
    "runs": (0.5659, 0.6294, 0.5030, 0.6320, 0.6385),
    "blocks": (0.5483, 0.5907, 0.4583, 0.5974, 0.6074),
}
TUNED = {"odd": 0.6235, "runs": 0.6420}


@pytest.fixture(scope="module")
def session():
    return read_recording(sample_path()).recording.standardised("global")


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(2)
    data = rng.normal(size=(24, 3, 2))
    data[5, 2] = np.nan
    return wp.Recording(data, condition=np.arange(24) % 3, epoch=np.arange(24) // 12)


@pytest.mark.parametrize(
    "scheme", [pytest.param(scheme, marks=[pytest.mark.slow] * (scheme == "odd")) for scheme in TABLE]
)
def test_recorded_session(session, scheme):
    mask = SCHEMES[scheme](session)
    predictions = plain_predictions(session, mask.train)
    found = [r_squared(session.values, prediction, mask.test) for prediction in predictions.values()]
    np.testing.assert_allclose(found[:5], TABLE[scheme], atol=1e-3)
    if scheme in TUNED:
        assert tune(session, mask.train) == (100.0, 0.7)
        assert found[5] == pytest.approx(TUNED[scheme], abs=1e-3)


def test_smoother_is_the_stated_sum(small):
    train = SCHEMES["even"](small).train
    got = smoother(small, train, width=7.0)
    mean = epoch_mean(small, train)
    for k in range(24):
        for t in range(3):
            same = [
                j
                for j in range(24)
                if small.condition[j] == small.condition[k] and small.epoch[j] == small.epoch[k] and train[j, t, 1]
            ]
            weight = np.exp(-((np.array(same) - k) ** 2) / (2 * 7.0**2))
            shift = weight @ (small.values[same, t, 1] - mean[same, t, 1]) / (weight.sum() + 3)
            assert got[k, t, 1] == pytest.approx(mean[k, t, 1] + shift, abs=1e-13)


def test_empty_cells_fall_back(small):
    train = small.observed.copy()
    train[(small.condition == 1) & (small.epoch == 1)] = False
    seen = (small.condition == 1) & (small.epoch == 0)
    expected = np.nanmean(small.values[seen], axis=0)
    missing = np.flatnonzero((small.condition == 1) & (small.epoch == 1))[0]
    np.testing.assert_allclose(epoch_mean(small, train)[missing], expected)
    np.testing.assert_allclose(block_mean(small, train, length=4)[missing], expected)
    train[small.condition == 1] = False
    np.testing.assert_allclose(epoch_mean(small, train)[missing], small.values[train].mean())


@pytest.mark.parametrize("name", PLAIN)
def test_nothing_of_the_test_entries_is_used(small, name):
    mask = SCHEMES["runs"](small) if small.shape[0] > 40 else SCHEMES["odd"](small)
    changed = small._with(values=np.where(mask.test, 1e3 * (1 + small.values), small.values))
    np.testing.assert_array_equal(PLAIN[name](small, mask.train), PLAIN[name](changed, mask.train))


def test_tuning_survives_one_training_trial(small):
    train = small.observed.copy()
    train[1:] = False
    assert np.all(np.isfinite(PLAIN["tuned smoother"](small, train)))


def test_r_squared_uses_one_mean():
    values = np.arange(12.0).reshape(2, 3, 2)
    test = np.ones(values.shape, bool)
    assert r_squared(values, np.full(values.shape, values.mean()), test) == pytest.approx(0.0)
    assert r_squared(values, values, test) == 1.0
    assert np.isnan(r_squared(np.ones((2, 3, 2)), values, test))


def test_paired_difference_is_the_difference_and_its_spread():
    """With equal spread in every trial the bootstrap's standard error is that of a mean over trials."""
    rng = np.random.default_rng(0)
    values = np.tile([1.0, -1.0], (400, 1, 1)).reshape(400, 2, 1)
    test = np.ones(values.shape, bool)
    test[0] = False
    first, second = values + rng.normal(0, 0.5, values.shape), values + rng.normal(0, 0.7, values.shape)
    errors = [trial_errors(values, p, test) for p in (first, second)]
    got = paired_difference(entry_sums(values, test), *errors, draws=4000)
    expected = r_squared(values, first, test) - r_squared(values, second, test)
    assert got.difference == pytest.approx(expected, abs=1e-12)
    gain = (errors[1] - errors[0])[1:] / 2
    assert got.se == pytest.approx(gain.std() / np.sqrt(399), rel=0.05)
    assert got.low == pytest.approx(expected - 1.96 * got.se, abs=0.2 * got.se)


def test_paired_ratio_is_the_difference_of_two_ratios():
    rng = np.random.default_rng(1)
    size = np.full(300, 2.0)
    first, second = rng.normal(1, 1, 300), rng.normal(0.5, 1, 300)
    got = paired_ratio(first, second, size, draws=4000)
    assert got.difference == pytest.approx((first.sum() - second.sum()) / size.sum(), abs=1e-12)
    assert got.se == pytest.approx(((first - second) / 2).std() / np.sqrt(300), rel=0.05)


def test_recorded_paired_difference(session):
    """Smoother minus target x epoch on even trials: +.020 +- .005 by an independent program."""
    mask = SCHEMES["even"](session)
    errors = [
        trial_errors(session.values, PLAIN[n](session, mask.train), mask.test) for n in ("smoother", "target x epoch")
    ]
    got = paired_difference(entry_sums(session.values, mask.test), *errors)
    assert got.difference == pytest.approx(0.020, abs=1e-3) and got.se == pytest.approx(0.005, abs=1e-3)
