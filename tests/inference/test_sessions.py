"""Several sessions fitted together: planted shared directions, independence of sessions, one layout, refusals."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.sessions import fit_sessions, join
from weightpath.inference.simulate import states
from weightpath.networks.kernels import RationalQuadratic

KERNEL = RationalQuadratic(length=8.0, sd=0.3, noise_sd=0.05, by_epoch=True)
MODEL = wp.LowTensorRankRNN(rank=2, units=16, inputs="none", kernel=KERNEL, time_constant=10.0)


def planted(neurons=(12, 9), scale=(1.0, 50.0)):
    """Sessions of one network with other courses, decoders, neurons and units of measurement."""
    _, truth = wp.simulate_recording(trials=24, neurons=16, bins=14, conditions=3, seed=2)
    rng = np.random.default_rng(1)
    recordings = {}
    for name, count, size in zip(("first", "second"), neurons, scale, strict=True):
        c = truth.c if name == "first" else truth.c[::-1][:20]
        condition = truth.condition[: len(c)]
        z = states(truth.a, truth.b, c, truth.start[condition], 14)
        clean = np.tanh(z @ truth.a.T).transpose(1, 0, 2) @ rng.normal(size=(16, count)) / 4
        data = size * (clean + 0.1 * clean.std() * rng.standard_normal(clean.shape) + 0.3 * rng.normal(size=count))
        recordings[name] = wp.Recording(data, condition=condition, name=name)
    return recordings


@pytest.fixture(scope="module")
def recordings():
    return planted()


@pytest.fixture(scope="module")
def masks(recordings):
    masks = {name: np.ones(one.shape, bool) for name, one in recordings.items()}
    for mask in masks.values():
        mask[1::4] = False
    return masks


def quick(recordings, masks=None, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_sessions(MODEL, recordings, masks=masks, **{"iterations": 400, "learning_rate": 2e-2, **settings})


@pytest.fixture(scope="module")
def fitted(recordings, masks):
    return quick(recordings, masks)


def test_sessions_stand_apart_in_one_array(recordings):
    joined, (first, second) = join(MODEL, recordings, "shared")
    assert joined.shape == (44, 14, 21) and joined.epochs == ("first / all", "second / all")
    assert joined.conditions == ("0", "1", "2") and np.all(np.diff(joined.trial_id) > 0)
    assert not joined.observed[first.trials, :, second.neurons].any()
    assert not joined.observed[second.trials, :, first.neurons].any()
    for one in (first, second):
        part, own = joined.values[one.trials, :, one.neurons], one.recording.values
        np.testing.assert_allclose(part / part[0, 0, 0], own / own[0, 0, 0])
        assert np.nanstd(part - part.mean(axis=(0, 1))) == pytest.approx(1)
    assert len(join(MODEL, recordings, "own")[0].conditions) == 6


def test_held_out_trials_of_both_sessions_are_predicted(fitted, recordings, masks):
    for name, one in recordings.items():
        assert fitted.predict(name).shape == one.shape
        assert fitted.score(name) > 0.95
        values, predicted = one.values[~masks[name]], fitted.predict(name)[~masks[name]]
        expected = 1 - np.sum((values - predicted) ** 2) / np.sum((values - values.mean()) ** 2)
        assert fitted.score(name) == pytest.approx(expected, rel=1e-12)
        assert fitted.score(name, masks[name]) != fitted.score(name)
    assert fitted.c("first").shape == (24, 2) and fitted.c("second").shape == (20, 2)
    assert fitted.decoder("second").shape == (9, 16)


def test_activity_is_the_decoder_of_the_shared_network(fitted):
    one = fitted["second"]
    rate = np.tanh(fitted.fit.z[one.trials] @ fitted.fit.a.T)
    bias = np.asarray(fitted.fit.network.readout_bias)[one.neurons] * fitted.scale("second")
    np.testing.assert_allclose(fitted.predict("second"), rate @ fitted.decoder("second").T + bias, rtol=1e-4, atol=1e-3)


def test_units_of_measurement_do_not_matter(recordings, fitted, masks):
    """Each session has a scale of its own."""
    data = recordings["second"].values / 50
    other = recordings | {"second": wp.Recording(data, condition=recordings["second"].condition, name="second")}
    again = quick(other, masks)
    np.testing.assert_allclose(again.predict("first"), fitted.predict("first"), atol=2e-3)
    np.testing.assert_allclose(50 * again.predict("second"), fitted.predict("second"), atol=0.1)


def test_a_sequence_is_named(recordings, masks):
    found = quick(list(recordings.values()), masks, iterations=20)
    assert [one.name for one in found.sessions] == ["first", "second"]
    alike = [recordings["first"]._with(name="recording"), recordings["second"]._with(name="recording")]
    found = quick(alike, list(masks.values()), iterations=20)
    assert [one.name for one in found.sessions] == ["session 1", "session 2"]
    with pytest.raises(ValueError, match="no session 'third'; there are 'session 1', 'session 2'"):
        found.predict("third")


def test_bad_input(recordings):
    first, second = recordings.values()
    late = wp.Recording(second.values[:, :10], condition=second.condition)
    plain = replace(MODEL, kernel=replace(KERNEL, by_epoch=False))
    cases = [
        (MODEL, {"first": first}, {}, "two sessions or more; got 1"),
        (MODEL, {"first": first, "second": late}, {}, "same time bins; got {'first': 14, 'second': 10}"),
        (MODEL, {"first": first, "second": second.values}, {}, "session 'second' must be a wp.Recording; got ndarray"),
        (MODEL, recordings, {"conditions": "mixed"}, 'conditions must be "shared" or "own"'),
        (replace(MODEL, decoder="identity", units=None), recordings, {}, "need decoder='linear'"),
        (plain, recordings, {}, "by_epoch=True"),
        (MODEL, recordings, {"masks": {"first": np.ones(first.shape, bool)}}, "masks must be given for"),
        (MODEL, recordings, {"masks": [np.ones(2, bool), np.ones(3, bool)]}, "the mask of session 'first' must be"),
    ]
    for model, given, options, message in cases:
        with pytest.raises(ValueError, match=message):
            fit_sessions(model, given, **options)
