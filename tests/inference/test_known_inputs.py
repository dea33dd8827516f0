"""Measured inputs: lags, leakage, a learnt map, and the regression that stands beside them."""

import re
import warnings

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.keep import load_fit
from weightpath.inference.known import known_regressors
from weightpath.inference.plain import epoch_mean, smoother
from weightpath.inference.ridge_control import ridge_control
from weightpath.networks.kernels import RationalQuadratic
from weightpath.networks.low_tensor_rank import KnownInput

TRIALS, BINS, NEURONS = 30, 8, 5
KERNEL = RationalQuadratic(5.0, 0.3, 0.05)
ALL = np.ones(TRIALS, bool)


def driven(lag=2, strength=1.0):
    """A recording in which a stimulus of each trial moves the activity `lag` bins later."""
    rng = np.random.default_rng(0)
    stimulus = rng.standard_normal((TRIALS, BINS, 2))
    condition = np.arange(TRIALS) % 2
    values = rng.standard_normal((2, BINS, NEURONS))[condition] + 0.1 * rng.standard_normal((TRIALS, BINS, NEURONS))
    values[:, lag:] += strength * stimulus[:, : BINS - lag] @ rng.standard_normal((2, NEURONS))
    return wp.Recording(values, condition=condition, covariates={"light": stimulus, "speed": stimulus[:, :, 0]})


def fitted(what, mask=None, iterations=30, **settings):
    model = wp.LowTensorRankRNN(**(dict(rank=2, units=10, kernel=KERNEL) | settings))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(model, what, mask=mask, iterations=iterations, dtype="float64")


def test_regressors_are_what_was_known_at_the_lag():
    what = driven()
    light = what.covariates["light"]
    scaled = (light - light.mean(axis=(0, 1))) / light.std(axis=(0, 1))
    found = known_regressors(what, (KnownInput("light", (1, 3)),), ALL, ahead=0)
    np.testing.assert_allclose(found[:, 3:, 2:], scaled[:, :-3], atol=1e-12)
    np.testing.assert_allclose(found[:, 1:, :2], scaled[:, :-1], atol=1e-12)
    assert not found[:, 0].any() and not found[:, :3, 2:].any()
    # The network's input at bin t moves the state of bin t + 1.
    np.testing.assert_allclose(known_regressors(what, (KnownInput("light"),), ALL), scaled, atol=1e-12)
    now = known_regressors(what, (KnownInput("light", (0,), behaviour=False),), ALL)
    np.testing.assert_allclose(now[:, :-1], scaled[:, 1:], atol=1e-12)


@pytest.mark.parametrize("inputs", ["known", pytest.param("free", marks=pytest.mark.slow)])
def test_the_future_of_behaviour_does_not_enter(inputs):
    """Changing a covariate from bin 5 on changes predictions from bin 6 on only, at a lag of one bin."""
    what = driven()
    fit = fitted(what, inputs=inputs, known=("light",))
    assert np.abs(fit.known_map).max() > 0
    later = what.covariates["light"].copy()
    held = np.zeros(TRIALS, bool)
    held[7] = True
    later[7, 5:] += 3.0
    mask = np.ones(what.values.shape, bool) & ~held[:, None, None]
    with_later = wp.Recording(what.values, condition=what.condition, covariates={"light": later})
    one, other = fitted(what, mask, inputs=inputs, known=("light",)), fitted(
        with_later, mask, inputs=inputs, known=("light",)
    )  # fmt: skip
    np.testing.assert_array_equal(one.c, other.c)
    np.testing.assert_array_equal(one.predict()[:, :6], other.predict()[:, :6])
    assert not np.allclose(one.predict()[7, 6:], other.predict()[7, 6:])
    np.testing.assert_array_equal(np.delete(one.predict(), 7, axis=0), np.delete(other.predict(), 7, axis=0))


def test_inputs_of_a_trial_and_fits_on_disk(tmp_path):
    what = driven()
    fit = fitted(what, inputs="free", known=("speed", KnownInput("light", (2, 3))))
    assert fit.known_map.shape == (2, 1 + 4) and fit.known.shape == (TRIALS, BINS, 2)
    table = fit.inputs[0, what.condition]
    np.testing.assert_allclose(fit.trial_inputs(), table + fit.known)
    v = known_regressors(what, fit.model.known, ALL)
    np.testing.assert_allclose(fit.known, v @ fit.known_map.T, atol=1e-12)
    fit.save(tmp_path / "fit.npz")
    again = load_fit(tmp_path / "fit.npz")
    assert again.model == fit.model
    np.testing.assert_array_equal(again.known, fit.known)


@pytest.mark.parametrize("known", [("light",), pytest.param((), marks=pytest.mark.slow)])
def test_measured_inputs_explain_what_the_stimulus_does(known):
    """A stimulus that moves the next bin, with a state that forgets within it."""
    what, mask = driven(lag=1), np.ones((TRIALS, BINS, NEURONS), bool)
    mask[::3] = False
    fit = fitted(what, mask, iterations=500, inputs="free", known=known, time_constant=1.0, changes="fixed")
    assert fit.score() > 0.8 if known else fit.score() < 0.5


def test_a_resumed_fit_knows_its_covariates(tmp_path):
    what, path = driven(), tmp_path / "fit.npz"
    model = wp.LowTensorRankRNN(rank=2, units=10, kernel=KERNEL, inputs="known", known=("light",))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wp.fit(model, what, iterations=5, checkpoint=path, dtype="float64")
        changed = wp.Recording(
            what.values, condition=what.condition, covariates={"light": 1 + what.covariates["light"] ** 2}
        )
        with pytest.raises(ValueError, match="checkpoint of another fit"):
            wp.fit(model, changed, iterations=5, checkpoint=path, dtype="float64")


def test_missing_inputs_are_at_the_last_known_value():
    """And at the mean, zero, before there is one; the future is not looked at."""
    what = driven()
    light = what.covariates["light"].copy()
    light[3, 2:4], light[4, :2], light[5] = np.nan, np.nan, np.nan
    gaps = wp.Recording(what.values, condition=what.condition, covariates={"light": light})
    found = known_regressors(gaps, (KnownInput("light"),), ALL)
    np.testing.assert_array_equal(found[3, 2:4], found[3, [1, 1]])
    assert not found[4, :2].any() and not found[5].any() and found[4, 2:].all()
    seen = known_regressors(gaps, (KnownInput("light"),), ALL, filled=False)
    assert np.isnan(seen[4, :2]).all() and np.isfinite(seen[4, 2:]).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("cursor", (0, 1)), "lag 0 of 'cursor' is refused: behaviour of a bin is made of the activity of that bin"),
        (("cursor", ()), "lags must be different whole numbers of bins, not negative; got ()"),
        (("cursor", (1, 1)), "lags must be different whole numbers"),
        (("cursor", (-1,)), "lags must be different whole numbers"),
        (("",), "covariate must be the name of a covariate"),
    ],
)
def test_settings_of_measured_inputs(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        KnownInput(*arguments)
    assert KnownInput("light", (0,), behaviour=False).lags == (0,)


@pytest.mark.parametrize(
    "known, message",
    [
        (("cursor",), "the recording has no covariate 'cursor' (it has: 'light', 'speed', 'name')"),
        (("reward",), "covariate 'reward' must be (trial, time) or (trial, time, channel) = (30, 8, ...)"),
        (("name",), "covariate 'name' does not hold numbers; an input must."),
        ((KnownInput("light", (8,)),), "lag 8 of 'light' leaves nothing of the 8 bins"),
    ],
)
def test_covariates_that_do_not_fit(known, message):
    what = driven()
    covariates = dict(what.covariates)
    if known == ("reward",):
        covariates["reward"] = np.ones(TRIALS)
    covariates["name"] = np.full((TRIALS, BINS), "left")
    given = wp.Recording(what.values, condition=what.condition, covariates=covariates)
    with pytest.raises(ValueError, match=re.escape(message)):
        fitted(given, known=known)


@pytest.mark.parametrize("base", ["target x epoch", "smoother"])
def test_ridge_control_finds_a_linear_dependence(base):
    """Noise of variance .01 is left on held-out trials; the penalty is chosen without them."""
    what = driven(lag=2)
    train = np.ones(what.shape, bool)
    train[::3] = False
    predicted = ridge_control(what, train, (KnownInput("light", (1, 2)),), base=base)
    assert np.mean((predicted - what.values)[~train] ** 2) < 0.03
    plain = (smoother if base == "smoother" else epoch_mean)(what, train)
    assert np.mean((plain - what.values)[~train] ** 2) > 0.5
    per_condition = ridge_control(what, train, (KnownInput("light", (1, 2)),), base=base, by_condition=True)
    assert np.mean((per_condition - what.values)[~train] ** 2) < 0.04


def test_ridge_control_does_not_see_held_out_activity():
    what = driven()
    train = np.ones(what.shape, bool)
    train[::3] = False
    changed = wp.Recording(np.where(train, what.values, 100.0), condition=what.condition, covariates=what.covariates)
    one, other = (ridge_control(each, train, ("light",)) for each in (what, changed))
    np.testing.assert_array_equal(one, other)


def test_ridge_control_of_nothing():
    with pytest.raises(ValueError, match="known names no measured input"):
        ridge_control(driven(), np.ones((TRIALS, BINS, NEURONS), bool), ())
    with pytest.raises(ValueError, match="base must be one of 'target'"):
        ridge_control(driven(), np.ones((TRIALS, BINS, NEURONS), bool), ("light",), base="best")
