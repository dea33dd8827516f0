"""Ensembles over starts and bootstraps over trials: what they compute, their limits, resuming, and refusals."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference import bootstrapping as bootstrap_module
from weightpath.inference import side_by_side
from weightpath.inference.align import Terms, terms
from weightpath.inference.ensembles import by_modulus, ensemble
from weightpath.networks.kernels import RationalQuadratic

MODEL = wp.LowTensorRankRNN(
    rank=2, units=8, inputs="none", kernel=RationalQuadratic(length=8.0, sd=0.3, noise_sd=0.05, by_epoch=False)
)
SETTINGS = dict(iterations=60, learning_rate=2e-2)


@pytest.fixture(scope="module")
def recording():
    return wp.simulate_recording(rank=2, noise=0.3, trials=20, neurons=6, bins=8, conditions=2, epochs=True, seed=1)[0]


@pytest.fixture(scope="module")
def mask(recording):
    mask = np.ones(recording.shape, bool)
    mask[::5] = False
    return mask


@pytest.fixture(scope="module")
def fit(recording, mask):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return wp.fit(MODEL, recording, mask=mask, **SETTINGS)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def several(recording, mask, kept):
    return ensemble(MODEL, recording, 3, mask=mask, checkpoint_dir=kept, **SETTINGS)


@pytest.fixture(scope="module")
def draws(fit, kept):
    return bootstrap_module.bootstrap(fit, 3, starts=1, seed=4, checkpoint_dir=kept)


def no_fit(*args, **settings):
    raise AssertionError("everything should have been read from the directory")


def test_ensemble_holds_the_single_fits(several, fit, recording):
    np.testing.assert_allclose(several.predictions[0], fit.predict(), atol=1e-12)
    assert several.loss[0] == fit.history["loss"][-1] and several.settled[0] == fit.converged
    np.testing.assert_allclose(several.predict(), sum(several.predictions) / 3, atol=1e-12)
    deviation = several.predictions - several.predict()
    np.testing.assert_allclose(several.spread() ** 2, np.sum(deviation**2, axis=0) / 2, atol=1e-12)
    assert several.scores()[0] == pytest.approx(fit.score(), abs=1e-12)
    assert several.scores(fit.mask)[0] == pytest.approx(fit.score(fit.mask), abs=1e-12)


def test_the_mean_is_no_worse_than_the_average_fit(several):
    """Squared error is convex."""
    assert several.score() > several.scores().mean()
    assert several.agreement().shape == (3, 2)
    np.testing.assert_allclose(several.agreement()[several.best], 1, rtol=1e-12)


def test_one_start_has_no_spread(several):
    names = ("predictions", "c", "directions", "eigenvalues", "loss", "settled")
    one = replace(several, seeds=(0,), **{name: getattr(several, name)[:1] for name in names})
    assert np.isnan(one.spread()).all()


def test_finished_fits_are_read(several, recording, mask, kept, monkeypatch):
    monkeypatch.setattr(side_by_side, "fit", no_fit)
    again = ensemble(MODEL, recording, 3, mask=mask, checkpoint_dir=kept, **SETTINGS)
    assert np.array_equal(again.predictions, several.predictions) and np.array_equal(again.c, several.c)
    with pytest.raises(AssertionError, match="everything"):
        ensemble(MODEL, recording, (7,), mask=mask, checkpoint_dir=kept, **SETTINGS)


def test_an_interrupted_ensemble_goes_on(several, recording, mask, tmp_path):
    def stop(label, done, total, **numbers):
        if done >= 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensemble(MODEL, recording, (1,), mask=mask, checkpoint_dir=tmp_path, progress=stop, **SETTINGS)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    seen = []
    again = ensemble(
        MODEL, recording, (1,), mask=mask, checkpoint_dir=tmp_path, **SETTINGS,
        progress=lambda label, done, total, **numbers: seen.append((label, done, total)),
    )  # fmt: skip
    assert np.array_equal(again.predictions[0], several.predictions[1])
    assert seen[-1] == ("ensemble", 60, 60) and [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_terms_are_matched_by_course_and_direction():
    rng = np.random.default_rng(0)
    c, direction = 1 + rng.random((15, 3)), np.linalg.qr(rng.normal(size=(6, 3)))[0]
    own = Terms(c, direction)
    order, sign = [2, 0, 1], np.array([1.0, -1.0, -1.0])
    found = Terms(c[:, order], direction[:, order] * sign).ordered_as(own)
    assert np.array_equal(found.c, c)
    np.testing.assert_allclose(found.direction, direction, atol=1e-15)


def test_directions_of_terms_are_patterns_over_neurons(fit):
    found, shown = terms(fit), fit.canonical()
    pattern = np.asarray(fit.network.w_out, np.float64) @ shown.a
    np.testing.assert_allclose(found.direction, pattern / np.linalg.norm(pattern, axis=0), atol=1e-12)


def test_eigenvalues_by_modulus():
    values = np.array([[0.5 + 0j, 1 - 2j, 1 + 2j], [3 + 0j, -4 + 0j, 0j]])
    assert by_modulus(values).tolist() == [[1 + 2j, 1 - 2j, 0.5], [-4, 3, 0]]


def test_draws_keep_the_numbers_of_trials_of_condition_and_epoch(fit, recording):
    drawn = bootstrap_module.drawn_trials(fit, np.random.default_rng(1))
    training = np.flatnonzero(fit.training_trials)
    for condition in range(2):
        for epoch in range(3):
            cell = (recording.condition == condition) & (recording.epoch == epoch)
            assert cell[drawn].sum() == cell[training].sum()
    assert set(drawn) <= set(training) and len(set(drawn)) < len(drawn)


def test_a_draw_of_every_trial_once_is_the_fit_itself(fit, monkeypatch):
    """Then the refit sees the same data, and its course is the fit's smooth one in canonical scale."""
    monkeypatch.setattr(bootstrap_module, "drawn_trials", lambda fit, rng: np.flatnonzero(fit.training_trials))
    same = bootstrap_module.bootstrap(fit, 2, starts=1)
    shown = fit.canonical()
    order = list(shown.order)
    scale = shown.c[0] / fit.c[0, order]
    np.testing.assert_allclose(same.c[0], fit.c_smooth[:, order] * scale, rtol=2e-3)
    np.testing.assert_allclose(np.abs(np.sum(same.directions[0] * terms(fit).direction, axis=0)), 1, atol=1e-5)
    assert np.array_equal(same.c[0], same.c[1]) and np.isnan(same.r2).all()
    assert same.se("c").max() == 0


def test_bootstrap_scores_trials_that_were_left_out(draws, fit, recording):
    assert draws.c.shape == (3, 20, 2) and draws.eigenvalues.shape == (3, 20, 2)
    rng = np.random.default_rng(4)
    drawn = bootstrap_module.drawn_trials(fit, rng)
    left_out = sorted(set(np.flatnonzero(fit.training_trials)) - set(drawn))
    # The same refit, made by hand: copies follow their trial, and only copies are trained on.
    rows = sorted([(k, 0) for k in range(20)] + [(k, 1) for k in drawn])
    index, trained = np.array(rows).T
    by_hand = wp.Recording(
        recording.values[index], condition=recording.condition[index], epoch=recording.epoch[index], trial_id=index
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train = np.broadcast_to(trained[:, None, None] == 1, by_hand.shape)
        refit = wp.fit(MODEL, by_hand, mask=train, **SETTINGS)
    prediction = refit.predict(np.flatnonzero(trained == 0))[left_out]
    values = recording.values[left_out]
    expected = 1 - np.sum((values - prediction) ** 2) / np.sum((values - values.mean()) ** 2)
    assert draws.r2[0] == pytest.approx(expected, abs=1e-5)


def test_intervals_are_quantiles_over_draws(draws):
    low, high = draws.interval("c", 0.5, same=False)
    np.testing.assert_allclose(low, np.percentile(draws.c, 25, axis=0))
    np.testing.assert_allclose(high, np.percentile(draws.c, 75, axis=0))
    assert draws.interval("eigenvalues.abs", same=False).shape == (2, 20, 2)
    assert draws.se("r2") == pytest.approx(np.std(draws.r2, ddof=1))
    with pytest.raises(ValueError, match="name must be one of 'c'"):
        draws.interval("weights")
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        draws.interval("c", 95)


def test_the_best_of_several_starts_is_kept(fit, kept):
    """The first draw from three starts: the one with the smallest loss, as the ensemble of that sample says."""
    three = bootstrap_module.bootstrap(fit, 2, starts=3, seed=4, checkpoint_dir=kept)
    sample, mask = bootstrap_module._sample(fit, bootstrap_module.drawn_trials(fit, np.random.default_rng(4)))
    every = ensemble(MODEL, sample, 3, mask=mask, **SETTINGS)
    originals = np.flatnonzero(np.r_[True, np.diff(sample.trial_id) > 0])
    best = terms_of(every, every.best, originals).ordered_as(terms(fit))
    np.testing.assert_allclose(three.c[0], best.c, atol=1e-12)
    assert three.similarity[0] == pytest.approx(np.sum(best.direction * terms(fit).direction, axis=0).min())
    assert np.array_equal(three.same, three.similarity >= 0.9)


def test_draws_of_another_optimum_tell_of_the_search(draws):
    """They are left out of intervals of terms, and not of the score."""
    chosen = replace(draws, similarity=np.array([1.0, 0.2, 0.95]))
    np.testing.assert_array_equal(chosen.interval("c"), np.quantile(draws.c[[0, 2]], [0.025, 0.975], axis=0))
    np.testing.assert_array_equal(chosen.se("directions"), draws.directions[[0, 2]].std(axis=0, ddof=1))
    np.testing.assert_array_equal(chosen.interval("r2"), draws.interval("r2", same=False))
    np.testing.assert_array_equal(chosen.se("c", same=False), draws.c.std(axis=0, ddof=1))
    with pytest.raises(ValueError, match="1 of 3 draws found the terms of the fit; give more starts"):
        replace(draws, similarity=np.array([1.0, 0.2, 0.5])).se("c")


def terms_of(every, number, rows):
    return Terms(every.c[number][rows], every.directions[number])


def test_finished_draws_are_read(draws, fit, kept, monkeypatch):
    monkeypatch.setattr(side_by_side, "fit", no_fit)
    again = bootstrap_module.bootstrap(fit, 3, starts=1, seed=4, checkpoint_dir=kept)
    assert np.array_equal(again.c, draws.c) and np.array_equal(again.r2, draws.r2)


def test_bad_input(fit, recording):
    with pytest.raises(ValueError, match="full core"):
        ensemble(replace(MODEL, changes="per_trial"), recording)
    with pytest.raises(ValueError, match="seeds must be at least one"):
        ensemble(MODEL, recording, ())
    with pytest.raises(ValueError, match="seeds must differ"):
        ensemble(MODEL, recording, (1, 1))
    with pytest.raises(ValueError, match="workers must be a whole number"):
        ensemble(MODEL, recording, 2, workers=0)
    with pytest.raises(ValueError, match="seed 0: learning_rate must be positive"):
        ensemble(MODEL, recording, 1, learning_rate=-1.0)
    with pytest.raises(ValueError, match="draws must be a whole number, at least 2"):
        bootstrap_module.bootstrap(fit, 1)
    with pytest.raises(ValueError, match="starts must be a whole number, at least 1"):
        bootstrap_module.bootstrap(fit, 2, starts=0)
    with pytest.raises(ValueError, match="full core"):
        bootstrap_module.bootstrap(replace(fit, model=replace(MODEL, changes="per_epoch")))
    still = replace(MODEL, kernel=RationalQuadratic(length=8.0, sd=0.3))
    with pytest.raises(ValueError, match="noise_sd = 0 forces equal factors"):
        bootstrap_module.bootstrap(replace(fit, model=still))
