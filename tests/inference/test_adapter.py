"""The scikit-learn adapter: its manners by scikit-learn's own checks, its predictions against `wp.fit`, searches."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.utils import estimator_checks

import weightpath as wp
from weightpath.inference.new_trials import predict_trials
from weightpath.inference.paired import r_squared
from weightpath.networks.kernels import RationalQuadratic
from weightpath.networks.low_tensor_rank import SmoothOffset

KERNEL = RationalQuadratic(length=8.0, sd=0.3, noise_sd=0.05)
SETTINGS = dict(units=8, inputs="none", kernel=KERNEL, iterations=60, learning_rate=2e-2)

pytestmark = pytest.mark.filterwarnings("ignore:the fit is not settled")


def regressor(rank=2, **settings):
    return wp.LowTensorRankRegressor(rank, **SETTINGS | settings)


@pytest.fixture(scope="module")
def recording():
    return wp.simulate_recording(rank=2, noise=0.3, trials=20, neurons=6, bins=8, conditions=2, epochs=True, seed=1)[0]


@pytest.fixture(scope="module")
def tables(recording):
    return wp.LowTensorRankRegressor.table(recording)


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable", "check_estimator_tags_renamed", "check_valid_tag_types", "check_estimator_repr",
        "check_no_attributes_set_in_init", "check_parameters_default_constructible", "check_get_params_invariance",
        "check_set_params", "check_mixin_order",
    ],
)  # fmt: skip
def test_manners_by_scikit_learns_checks(check):
    getattr(estimator_checks, check)("LowTensorRankRegressor", wp.LowTensorRankRegressor())


def test_clones_are_equal_and_unfitted():
    one = regressor(3, trial_offset=SmoothOffset(), settings={"solver": "heun"})
    other = clone(one)
    assert other.get_params() == one.get_params() and other is not one and is_regressor(other)
    assert other.set_params(rank=1, prior_multiplier=8).model.rank == 1
    assert one.model == wp.LowTensorRankRNN(
        rank=3, units=8, inputs="none", kernel=KERNEL, trial_offset=SmoothOffset(), solver="heun"
    )
    with pytest.raises(NotFittedError):
        one.predict([[0.0]])


@pytest.mark.parametrize("settings", [pytest.param({}, marks=pytest.mark.slow), {"changes": "readout_epoch"}])
def test_left_out_trials_are_predicted_as_by_a_masked_fit(recording, tables, settings):
    X, y = tables
    train = np.arange(20) % 2 == 0
    fitted = regressor(**settings).fit(X[train], y[train])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mask = np.broadcast_to(train[:, None, None], y.shape)
        by_mask = wp.fit(fitted.model, recording, mask=mask, iterations=60, learning_rate=2e-2)
    expected = by_mask.predict()
    # Training trials come from the stored float32 states of the very same fit; the others are integrated anew.
    np.testing.assert_allclose(fitted.predict(X), expected, atol=2e-5)
    assert fitted.score(X[~train], y[~train]) == pytest.approx(
        r_squared(recording.values, np.asarray(expected, float), ~mask), abs=1e-4
    )


@pytest.mark.slow  # twin: left-out trials without offsets above
def test_offsets_of_left_out_trials_are_predicted(recording, tables):
    X, y = tables
    train = np.arange(20) % 2 == 0
    slow = SmoothOffset(length=8.0, sd=0.5)
    drifting = y + np.sin(np.arange(20) / 6)[:, None, None]
    fitted = regressor(trial_offset=slow).fit(X[train], drifting[train])
    recording = wp.Recording(drifting, condition=X["condition"], epoch=X["epoch"], trial_id=X["trial_id"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mask = np.broadcast_to(train[:, None, None], y.shape)
        by_mask = wp.fit(fitted.model, recording, mask=mask, iterations=60, learning_rate=2e-2)
    difference = fitted.predict(X[~train]) - by_mask.predict()[~train]
    assert np.sqrt(np.mean(difference**2)) < 0.05 * drifting.std()


def test_the_order_of_trials_does_not_matter(tables):
    X, y = tables
    order = np.random.default_rng(0).permutation(20)
    one, other = regressor().fit(X, y), regressor().fit(X.iloc[order], y[order])
    np.testing.assert_allclose(one.predict(X)[order], other.predict(X.iloc[order]), atol=1e-12)
    codes = np.column_stack([X["trial_id"], X["condition"], X["epoch"]])
    np.testing.assert_allclose(regressor().fit(codes, y).predict(codes), one.predict(X), atol=1e-12)


def test_splitters_and_searches_work_over_trials(tables):
    X, y = tables
    folds = KFold(2, shuffle=True, random_state=0)
    scores = cross_val_score(regressor(), X, y, cv=folds)
    train, test = next(folds.split(X))
    assert scores[0] == regressor().fit(X.iloc[train], y[train]).score(X.iloc[test], y[test])
    grouped = cross_val_score(regressor(), X, y, groups=np.arange(20) // 2, cv=GroupKFold(2))
    assert np.isfinite(grouped).all() and len(grouped) == 2
    search = GridSearchCV(regressor(), {"rank": np.arange(1, 3)}, cv=folds).fit(X, y)
    table = search.cv_results_
    assert table["mean_test_score"][1] == pytest.approx(scores.mean())
    assert search.best_params_["rank"] == int(np.argmax(table["mean_test_score"])) + 1
    assert search.best_estimator_.fit_.model.rank == search.best_params_["rank"]


def test_score_ignores_missing_entries_and_weighs_trials(tables):
    X, y = tables
    gaps = y.copy()
    gaps[3, 2:, 1] = np.nan
    fitted = regressor().fit(X, gaps)
    prediction = fitted.predict(X)
    seen = np.isfinite(gaps)
    error = np.sum((gaps - prediction)[seen] ** 2)
    assert fitted.score(X, gaps) == pytest.approx(1 - error / (gaps[seen].var() * seen.sum()))
    twice = np.r_[np.arange(20), np.arange(10)]
    weight = np.r_[np.full(10, 2.0), np.ones(10)]
    assert fitted.score(X.iloc[twice], gaps[twice]) == pytest.approx(fitted.score(X, gaps, sample_weight=weight))


def test_neurons_that_were_never_recorded_are_nan(tables):
    """The recording leaves them out; the prediction keeps their place."""
    X, y = tables
    fitted = regressor().fit(X, y)
    expected = fitted.predict(X)
    fitted.fit_ = replace(
        fitted.fit_, recording=fitted.fit_.recording._with(source_neuron=np.array([0, 1, 2, 4, 5, 6]))
    )
    fitted.n_neurons_ = 7
    prediction = fitted.predict(X)
    assert np.isnan(prediction[:, :, 3]).all() and np.array_equal(np.delete(prediction, 3, axis=2), expected)


def test_bad_input(tables):
    X, y = tables
    fitted = regressor().fit(X, y)
    early = replace(fitted.fit_, mask=np.broadcast_to((np.arange(20) < 10)[:, None, None], y.shape))
    apart = replace(early, model=replace(early.model, changes="per_trial"))
    cases = [
        (lambda: regressor().fit(X, y[:, :, 0]), "y must be activity"),
        (lambda: regressor().fit(X, y[:5]), "y must be activity"),
        (lambda: regressor().fit(X.rename(columns={"epoch": "phase"}), y), "X needs the column trial_id"),
        (lambda: regressor().fit(np.zeros((20, 4)), y), "up to three columns"),
        (lambda: regressor().fit(np.array([["a"]] * 20), y), "must hold numbers"),
        (lambda: regressor(settings={"colour": 1}).fit(X, y), "settings holds 'colour'"),
        (lambda: regressor(settings={"rank": 1}).fit(X, y), "settings holds 'rank'"),
        (lambda: regressor(0).fit(X, y), "rank must be"),
        (lambda: fitted.predict(X[["trial_id"]]), "the fit knows 2 conditions"),
        (lambda: fitted.predict(X.assign(condition=7)), "condition 7 is not among"),
        (lambda: fitted.predict(X.assign(trial_id=np.nan)), "one finite number a trial"),
        (lambda: fitted.score(X, y[:, :4]), "y has shape"),
        (lambda: fitted.score(X, np.full_like(y, np.nan)), "no observed entry"),
        (lambda: predict_trials(early, [19.0], [0], ["washout"]), "no training trial has epoch 'washout'"),
        (lambda: predict_trials(apart, [19.0], [0], ["baseline"]), "knows no course over trials"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
