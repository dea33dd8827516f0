"""The prior is chosen on training trials: scores are those of single fits, test entries are never seen, refusals."""

from dataclasses import replace

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference import jobs
from weightpath.inference.bits import bits_per_spike
from weightpath.inference.choose import choose_model
from weightpath.inference.choose_prior import tune_prior
from weightpath.inference.masks import SCHEMES
from weightpath.inference.paired import r_squared
from weightpath.networks.kernels import Independent, RationalQuadratic

SETTINGS = dict(folds=2, iterations=60)


def made(seed=0, moves=0.0, noise=1.0):
    """One factor that scales the activity from trial to trial around one, as much as `moves`."""
    rng = np.random.default_rng(seed)
    condition = np.arange(40) // 2 % 2
    course = np.stack([np.sin(np.arange(6) / 2), np.cos(np.arange(6) / 3)])[condition]
    size = 1 + moves * np.sin(np.arange(40) / 6)
    data = (size[:, None] * course)[..., None] * rng.normal(size=4) + noise * rng.normal(size=(40, 6, 4))
    return wp.Recording(data, condition=condition)


def model(**settings):
    kernel = RationalQuadratic(length=8.0, sd=1.0, noise_sd=0.05, by_epoch=False)
    return wp.LowTensorRankRNN(rank=1, units=8, **(dict(kernel=kernel) | settings))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("prior")


@pytest.fixture(scope="module")
def tuned(kept):
    return tune_prior(model(), made(moves=0.8, noise=0.2), multipliers=(1, 1e5), checkpoint_dir=kept, **SETTINGS)


def test_a_prior_that_lets_them_move_is_chosen_where_factors_move(tuned):
    weak, strong = tuned.candidates
    assert (
        tuned.model == model(prior_multiplier=1)
        and tuned.best is weak
        and weak.label == "multiplier 1, length 8"
        and tuned.measure == "R^2"
    )
    assert weak.score > strong.score + 0.02 and weak.behind.difference == 0
    assert strong.behind.difference == pytest.approx(weak.score - strong.score) and strong.behind.se > 0
    assert "chosen" in str(tuned).splitlines()[1] and f"{strong.score:.4f}" in str(tuned).splitlines()[2]


@pytest.mark.filterwarnings("ignore")
def test_scores_are_those_of_fits_to_the_other_folds(tuned):
    recording = made(moves=0.8, noise=0.2)
    prediction = np.zeros(recording.shape)
    for fold in range(2):
        held = np.arange(40) % 2 == fold
        train = np.broadcast_to(~held[:, None, None], recording.shape)
        fitted = wp.fit(replace(model(), prior_multiplier=1), recording, mask=train.copy(), iterations=60)
        prediction[held] = fitted.predict()[held]
    expected = r_squared(recording.values, prediction, recording.observed)
    assert tuned.candidates[0].score == pytest.approx(expected, abs=1e-12)


def test_finished_fits_are_not_fitted_again(tuned, kept, monkeypatch):
    monkeypatch.setattr(jobs, "fit", lambda *args, **kwargs: pytest.fail("a finished fit was fitted again"))
    again = tune_prior(model(), made(moves=0.8, noise=0.2), multipliers=(1, 1e5), checkpoint_dir=kept, **SETTINGS)
    assert again == tuned


def test_test_entries_are_never_seen():
    recording = made()
    mask = SCHEMES["even"](recording)
    changed = recording._with(values=np.where(mask.test, 50.0, recording.values))
    options = dict(multipliers=(3,), lengths=(20, 100), folds=2, iterations=2)
    found = [tune_prior(model(), one, mask, **options) for one in (recording, changed)]
    assert found[0] == found[1]
    assert [one.model.kernel.length for one in found[0].candidates] == [20, 100]
    assert found[0].model.prior_multiplier == 3


def test_models_and_the_mean_of_seeds():
    """Different models on the same folds; with two seeds the mean of their predictions is scored."""
    recording = made(moves=0.8, noise=0.2)
    models = {"one": model(), "fixed": model(changes="fixed")}
    found = choose_model(models, recording, seeds=(0, 1), **SETTINGS)
    assert [one.label for one in found.candidates] == list(models) and found.model == models[found.best.label]
    single = [choose_model({"one": model()}, recording, seeds=(seed,), **SETTINGS).best.score for seed in (0, 1)]
    # The squared error of a mean is at most the mean of the squared errors.
    assert found.candidates[0].score >= np.mean(single) - 1e-12


def test_counts_are_judged_in_bits():
    rng = np.random.default_rng(1)
    recording = wp.Recording(rng.poisson(np.exp(made(noise=0.1).values)).astype(float), condition=made().condition)
    counted = model(likelihood="poisson")
    found = tune_prior(counted, recording, multipliers=(1.0,), folds=2, iterations=2)
    assert found.measure == "bits per spike" and found.candidates[0].behind.difference == 0
    gains, spikes = 0.0, 0.0
    for fold in range(2):
        held = np.broadcast_to((np.arange(40) % 2 == fold)[:, None, None], recording.shape)
        with pytest.warns(UserWarning):
            fitted = wp.fit(counted, recording, mask=~held, iterations=2)
        number = recording.values[held].sum()
        gains, spikes = (
            gains + number * bits_per_spike(recording.values, fitted.predict(), ~held, held),
            spikes + number,
        )
    assert found.candidates[0].score == pytest.approx(gains / spikes, rel=1e-9)


def test_refusals():
    recording = made()
    with pytest.raises(ValueError, match="models and seeds must hold at least one each"):
        choose_model({}, recording)
    with pytest.raises(ValueError, match="multipliers must hold at least one"):
        tune_prior(model(), recording, multipliers=())
    with pytest.raises(ValueError, match="prior_weight=0.1"):
        tune_prior(model(prior_weight=0.1), recording)
    for other in (model(changes="fixed"), model(kernel=Independent(sd=0.1))):
        with pytest.raises(ValueError, match="lengths have no effect"):
            tune_prior(other, recording, lengths=(10,))
    with pytest.raises(ValueError, match="folds must be at least 2 and run at least 1; got 1 and 0"):
        tune_prior(model(), recording, folds=1, run=0)
    with pytest.raises(ValueError, match="40 training trials do not fill 3 folds of runs of 20"):
        tune_prior(model(), recording, run=20)
    epoch = np.where(np.arange(40) == 4, "b", "a")
    with pytest.raises(ValueError, match="length 8, fold 1 of the training trials: no training trial in epoch 'b'"):
        tune_prior(model(kernel=RationalQuadratic(8.0, 1.0)), recording.with_epoch(epoch), folds=2, iterations=2)
