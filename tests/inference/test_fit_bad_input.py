"""Bad models, masks and settings: one clear message each, before any work is done."""

import re
import warnings

import jax
import jaxtyping
import numpy as np
import pytest

import weightpath as wp
from weightpath.networks.init import gaussian
from weightpath.networks.kernels import RationalQuadratic

TRIALS, BINS, NEURONS = 20, 6, 5
CONDITION = np.arange(TRIALS) % 2
EPOCH = np.repeat(["before", "after"], TRIALS // 2)
SHORT = RationalQuadratic(length=5.0, sd=0.3, noise_sd=0.05)


def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, BINS, NEURONS))[CONDITION] + 0.3 * rng.standard_normal((TRIALS, BINS, NEURONS))


def recording(values=None, **labels):
    values = data() if values is None else values
    return wp.Recording(values, **(dict(condition=CONDITION, epoch=EPOCH) | labels))


def model(**settings):
    return wp.LowTensorRankRNN(**(dict(rank=2, units=10, kernel=SHORT) | settings))


def fit(one, what, **settings):
    """A short fit; that it has not settled is not the question here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(one, what, **(dict(iterations=5) | settings))


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(rank=0), "rank must be a whole number, at least 1; got 0"),
        (dict(rank=True), "rank must be a whole number"),
        (dict(units=-1), "units must be a whole number"),
        (dict(decoder="rotated"), "decoder must be one of 'identity', 'linear', 'orthogonal'; got 'rotated'"),
        (dict(inputs="lfads"), "inputs must be one of 'free', 'ode', 'known', 'none'"),
        (dict(initial_state="zero"), "initial_state must be one of"),
        (dict(changes="weights"), "changes must be one of"),
        (dict(solver="euler"), "solver must be one of 'rk4', 'heun'"),
        (dict(prior_weight=-1.0), "prior_weight must be \"auto\" or a number, not negative; got -1.0"),
        (dict(prior_weight="strong"), "prior_weight must be"),
        (dict(prior_weight=float("nan")), "prior_weight must be"),
        (dict(prior_multiplier=-1), "prior_multiplier must be a finite number, not negative"),
        (dict(input_penalty=float("inf")), "input_penalty must be a finite number"),
        (dict(time_constant=0.5), "time_constant must be at least one bin"),
        (dict(time_constant=-2), "time_constant must be at least one bin"),
        (dict(substeps=0), "substeps must be a whole number"),
        (dict(time_constant=float("nan")), "time_constant must be at least one bin"),
        (dict(likelihood="binomial"), "likelihood must be one of 'gaussian', 'poisson', 'negative_binomial'"),
        (dict(gain=True), "decoder='linear' carries its own scale; leave gain out"),
        (dict(likelihood="poisson", decoder="identity", gain=False), "needs gain: softplus of rates within (-1, 1)"),
        (dict(inputs="known"), "inputs='known' needs the measured inputs"),
        (dict(trial_dropout=1.0), "trial_dropout must be a share of the trials, at least 0 and below 1; got 1.0"),
        (dict(batch_trials=0), "batch_trials must be a whole number, at least 1; got 0"),
        (dict(process_noise=-1.0), "process_noise must be a finite number, not negative"),
        (dict(initial_state_sd=0.0), "initial_state_sd must be a positive number"),
    ],
)  # fmt: skip
def test_settings_of_the_model(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        model(**settings)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(length=0.0, sd=1.0), "the kernel's length must be positive and finite; got 0.0"),
        (dict(length=5.0, sd=-1.0), "the kernel's sd must be positive"),
        (dict(length=5.0, sd=1.0, noise_sd=-0.1), "the kernel's noise_sd must be finite and not negative"),
        (dict(length=5.0, sd=1.0, alpha=0.0), "the kernel's alpha must be positive"),
    ],
)
def test_settings_of_the_kernel(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        RationalQuadratic(**settings)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(iterations=0), "iterations must be a whole number, at least 1"),
        (dict(seed=-1), "seed must be a whole number, not negative"),
        (dict(learning_rate=0.0), "learning_rate must be positive"),
        (dict(learning_rate=float("nan")), "learning_rate must be positive"),
        (dict(dtype="float16"), 'dtype must be "float32" or "float64"'),
        (dict(mask=np.ones((TRIALS, BINS))), "mask must be boolean"),
        (dict(mask=np.ones((BINS, TRIALS, NEURONS), bool)), "mask must be (trial, time, neuron) = (20, 6, 5)"),
        (dict(mask=np.zeros((TRIALS, BINS, NEURONS), bool)), "holds out everything"),
    ],
)
def test_settings_of_the_fit(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(model(), recording(), **settings)


@pytest.fixture
def unchecked():
    """As users call it: without the checks of annotations, which would answer first under test."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_wrong_kinds_of_arguments(unchecked):
    with pytest.raises(ValueError, match="rank must be a whole number"):
        model(rank=2.5)
    with pytest.raises(ValueError, match="kernel must be a kernel"):
        model(kernel="rq")
    with pytest.raises(ValueError, match="trial_offset must be a SmoothOffset"):
        model(trial_offset=3.0)
    with pytest.raises(ValueError, match="length must be positive and finite; got 'long'"):
        RationalQuadratic(length="long", sd=1.0)
    with pytest.raises(ValueError, match="iterations must be a whole number"):
        fit(model(), recording(), iterations=10.5)
    with pytest.raises(ValueError, match="model must be a wp.LowTensorRankRNN; got int"):
        fit(3, recording())
    with pytest.raises(ValueError, match="recording must be a wp.Recording; got ndarray"):
        fit(model(), data())
    with pytest.raises(ValueError, match="recording must be a wp.Recording; got ndarray"):
        wp.cross_validate(model(), data())
    with pytest.raises(ValueError, match="models must be one or several wp.LowTensorRankRNN"):
        wp.cross_validate(3, recording())
    with pytest.raises(ValueError, match="units must be a whole number, at least 1; got 2.5"):
        gaussian(jax.random.key(0), 2.5, gain=0.1, read_in_norm=1.0, readout="zero")


def test_rank_beyond_what_the_data_hold():
    with pytest.raises(ValueError, match=re.escape("rank 6 exceeds min(units, neurons) = min(10, 5) = 5")):
        fit(model(rank=6), recording())
    with pytest.raises(ValueError, match=re.escape("rank 5 exceeds time bins x conditions = 2 x 2 = 4")):
        fit(model(rank=5), recording(data()[:, :2]))


def test_identity_decoder_and_the_units():
    with pytest.raises(ValueError, match="units must be the 5 neurons; got units=10"):
        fit(model(decoder="identity"), recording())


def test_data_that_the_identity_decoder_cannot_reach():
    with pytest.raises(ValueError, match=r"no more than R\^2 = 0\.\d+ is attainable"):
        fit(model(decoder="identity", units=None), recording(10 * data()))


def test_constant_data():
    with pytest.warns(UserWarning, match="silent"):
        constant = recording(np.ones((TRIALS, BINS, NEURONS)))
    with pytest.raises(ValueError, match="all training entries of each neuron are equal"):
        fit(model(), constant)
    with pytest.warns(UserWarning, match="silent"):
        levels = recording(np.ones((TRIALS, BINS, NEURONS)) * np.arange(NEURONS))
    with pytest.raises(ValueError, match="all training entries of each neuron are equal"):
        fit(model(), levels)


@pytest.mark.parametrize("changes", ["trial", "epoch", "inputs_epoch", "readout_epoch", "per_epoch"])
def test_an_epoch_without_training_trials_is_named(changes):
    mask = np.ones((TRIALS, BINS, NEURONS), bool)
    mask[10:] = False
    with pytest.raises(ValueError, match="no training trial in epoch 'after'"):
        fit(model(changes=changes), recording(), mask=mask)
    fit(model(changes="fixed"), recording(), mask=mask)


def test_doubled_trial_numbers_need_trial_noise():
    doubled = recording(trial_id=np.repeat(np.arange(10), 2))
    with pytest.raises(ValueError, match="trial_id occur more than once"):
        fit(model(kernel=RationalQuadratic(length=5.0, sd=0.3)), doubled)
    assert fit(model(), doubled).c.shape == (TRIALS, 2)


def test_doubled_trial_numbers_have_a_core_each():
    """A core per trial is not smooth, so that a shared number ties nothing."""
    doubled = fit(model(changes="per_trial"), recording(trial_id=np.repeat(np.arange(10), 2)), iterations=20)
    single = fit(model(changes="per_trial"), recording(), iterations=20)
    np.testing.assert_array_equal(doubled.c, single.c)


def test_trial_numbers_out_of_order_give_the_same_fit():
    order = np.random.default_rng(1).permutation(TRIALS)
    shuffled = recording(data()[order], condition=CONDITION[order], epoch=EPOCH[order], trial_id=order)
    np.testing.assert_array_equal(fit(model(), shuffled).c, fit(model(), recording()).c)
    assert shuffled.source_trial.tolist() == np.argsort(order).tolist()


def test_one_trial_is_fitted_with_fixed_weights():
    with pytest.warns(UserWarning, match="changes over learning are not identified"):
        one = fit(model(), wp.Recording(data()[:1]))
    assert one.model.changes == "fixed" and one.predict().shape == (1, BINS, NEURONS)


@pytest.mark.parametrize(
    "settings, trials, message",
    [
        (dict(rank=3, kernel=RationalQuadratic(1.0, 0.3, 0.05)), 2, "rank 3 exceeds the 2 training trials"),
        (dict(rank=2), 5, "5 training trials are fewer than three per factor"),
        (dict(kernel=RationalQuadratic(100.0, 0.3, 0.05)), 20, "the kernel's length, 100 trials, exceeds the 20"),
    ],
)
def test_thin_data_are_said(settings, trials, message):
    with pytest.warns(UserWarning, match=message):
        found = fit(model(**settings), wp.Recording(data()[:trials], condition=CONDITION[:trials]))
    assert any(message in note for note in found.notes)


def test_held_out_trials_are_said_and_predicted():
    mask = np.ones((TRIALS, BINS, NEURONS), bool)
    mask[::4], mask[1::4] = False, False
    found = fit(model(), recording(), mask=mask)
    assert found.notes == ("10 trials have no training entry: their factors are the predictive mean of the prior",)
    assert np.isfinite(found.predict(~found.training_trials)).all()


def test_neurons_and_conditions_without_training_entries_are_said():
    mask = np.ones((TRIALS, BINS, NEURONS), bool)
    mask[:, :, 3] = False
    mask[CONDITION == 1] = False
    with pytest.warns(UserWarning) as said:
        found = fit(model(), recording(), mask=mask)
    text = " ".join(str(one.message) for one in said)
    assert "neurons without any training entry" in text and "conditions without training trials" in text
    other = found.recording.observed.copy()
    other[:, :, 3] = False
    assert found.score(found.recording.observed) == found.score(other)


def test_missing_bins_are_left_out():
    values = data()
    values[4, 2:] = np.nan
    values[:, 0, 1] = np.nan
    found = fit(model(), recording(values), iterations=60)
    assert np.isfinite(found.predict()).all() and np.isfinite(found.history["loss"]).all()
    filled = np.where(np.isnan(values), 0.3, values)
    same = fit(model(), recording(filled), mask=np.isfinite(values), iterations=60)
    np.testing.assert_array_equal(found.c, same.c)


def test_silent_neurons_are_predicted_by_their_constant_and_not_scored():
    values = data()
    values[:, :, 2] = 1.5
    with pytest.warns(UserWarning, match="silent"):
        silent = recording(values)
    found = fit(model(), silent, iterations=200)
    np.testing.assert_allclose(found.predict()[:, :, 2], 1.5, atol=0.1)
    others = found.recording.observed & (np.arange(NEURONS) != 2)
    assert found.score() == found.score(others) and np.isfinite(found.score())
    with pytest.raises(ValueError, match="no observed entry is left to score"):
        found.score(~others)


def test_too_few_iterations_to_judge_by():
    with pytest.warns(UserWarning, match="5 iterations are too few to judge it by"):
        assert not wp.fit(model(), recording(), iterations=5).converged


def test_nothing_left_to_score():
    found = fit(model(), recording())
    with pytest.raises(ValueError, match="no observed entry is left to score"):
        found.score(np.zeros((TRIALS, BINS, NEURONS), bool))


def test_a_loss_that_is_not_finite_stops_the_fit_and_names_the_tensor():
    with pytest.warns(UserWarning, match="not finite at iteration"):
        found = fit(model(), recording(), iterations=60, learning_rate=1e30)
    assert found.result == wp.RESULTS.nonfinite and not found.converged
    assert "learning_rate=5e+29" in found.reason
    assert re.search(r"iteration \d+: [a-z_ ]+\. The last finite", found.reason)
    for array in (found.c, found.a, found.b, found.predict(), found.history["loss"]):
        assert np.isfinite(array).all()
