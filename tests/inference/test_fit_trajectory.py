"""The path of the weights that a fit found serves the same verbs as that of training, and goes to disk and back."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.comparison import Comparison
from weightpath.inference.read import read_recording
from weightpath.networks.base import rollout
from weightpath.networks.kernels import RationalQuadratic

TRIALS, BINS, NEURONS = 14, 6, 5
CHANGES = ("trial", "fixed", "epoch", "inputs_epoch", "readout_epoch", "per_trial", "per_epoch")


def recording(**labels):
    rng = np.random.default_rng(0)
    condition = np.arange(TRIALS) % 2
    values = rng.standard_normal((2, BINS, NEURONS))[condition] + 0.3 * rng.standard_normal((TRIALS, BINS, NEURONS))
    epoch = np.repeat(["before", "after"], TRIALS // 2)
    return wp.Recording(values, **(dict(condition=condition, epoch=epoch) | labels))


def fitted(changes="trial", **settings):
    model = wp.LowTensorRankRNN(rank=2, units=12, changes=changes, kernel=RationalQuadratic(5.0, 0.3, 0.05), **settings)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(model, recording(), iterations=20, dtype="float64")


@pytest.fixture(scope="module")
def one():
    return fitted()


def sorted_nonzero(values):
    return np.sort_complex(values[np.argsort(-np.abs(values))[:2]])


@pytest.mark.parametrize("changes", CHANGES)
def test_networks_of_the_trajectory_are_those_of_the_fit(changes):
    """Weights of every trial, and the run of a trial: bin t of the fit is the network after t steps."""
    found = fitted(changes)
    path = found.to_trajectory()
    weights = np.stack([found.weights(k) for k in range(TRIALS)])
    np.testing.assert_allclose(path.w_rec, weights, atol=1e-14)
    np.testing.assert_allclose(path.map(lambda network: jnp.trace(network.w_rec)), np.trace(weights, axis1=1, axis2=2))
    for k in (2, TRIALS - 1):
        network, copy = path.network(k), found.recording.epoch[k] if changes == "inputs_epoch" else 0
        outputs = rollout(network, jnp.asarray(found.inputs[copy, found.recording.condition[k]]))[1]
        expected = found.predict([k])[0]
        np.testing.assert_allclose(network.readout(network.initial()), expected[0], atol=1e-12)
        np.testing.assert_allclose(outputs[:-1], expected[1:], atol=1e-12)


@pytest.mark.parametrize("changes", ["trial", "per_trial"])
def test_spectrum_of_a_fit(changes):
    """The nonzero eigenvalues of the square matrices, from the small ones; nothing of a low-rank network is a bulk."""
    found = fitted(changes)
    spectrum = wp.analysis.spectrum(found.to_trajectory())
    assert spectrum.eigenvalues.shape == (TRIALS, 2) and spectrum.bulk_radius == 0 and spectrum.outlier.all()
    np.testing.assert_allclose(spectrum.overlap, 1)
    for k in range(TRIALS):
        small = sorted_nonzero(spectrum.eigenvalues[k])
        np.testing.assert_allclose(small, sorted_nonzero(np.linalg.eigvals(found.weights(k)) + 0j), atol=1e-10)
        np.testing.assert_allclose(small, sorted_nonzero(found.eigenvalues()[k]), atol=1e-12)


def test_the_loss_of_a_step_is_the_error_of_a_trial(one):
    error = np.mean((one.recording.values - one.predict()) ** 2, axis=(1, 2))
    np.testing.assert_allclose(one.to_trajectory().loss, error)


def test_no_theory_speaks_about_a_fit(one):
    with pytest.raises(ValueError, match="this trajectory has no setup"):
        wp.compare(wp.theory.Outlier(), one.to_trajectory())


def test_trajectory_of_a_fit_on_disk(one, tmp_path):
    path = one.to_trajectory()
    again = wp.load(wp.save(path, tmp_path / "path.npz"))
    assert jax.tree.structure(again) == jax.tree.structure(path)
    jax.tree.map(np.testing.assert_array_equal, again, path)
    labelled = wp.load(wp.save(path, tmp_path / "path.nc"))
    np.testing.assert_array_equal(labelled.w_rec, path.w_rec)


def test_fit_on_disk(one, tmp_path):
    again = wp.load(wp.save(one, tmp_path / "fit.npz"))
    assert again.model == one.model and again.recording.digest() == one.recording.digest()
    np.testing.assert_array_equal(again.predict(), one.predict())
    np.testing.assert_array_equal(again.canonical().b, one.canonical().b)
    with pytest.raises(ValueError, match="a Fit has no labelled form.*save it whole as .npz"):
        wp.save(one, tmp_path / "fit.nc")


def test_recording_on_disk(tmp_path):
    """Also with labels and names as Python objects, which .npz files without pickle cannot hold."""
    names = np.array(list("abcde"), dtype=object)
    given = recording(neuron=names, condition=np.array(["l", "r"] * 7, dtype=object), trial_id=np.arange(TRIALS)[::-1])
    again = wp.load(wp.save(given, tmp_path / "recording.npz"))
    assert again.digest() == given.digest() and again.conditions == ("l", "r") and again.epochs == ("after", "before")
    assert again.neuron.tolist() == list("abcde")
    wp.save(given, tmp_path / "recording.nc")
    assert read_recording(tmp_path / "recording.nc").recording.digest() == given.digest()


def test_comparison_on_disk(tmp_path):
    time, pair = np.array([0.0, 1.0]), np.array([[0.0, 1.0], [0.5, np.nan]])
    coords, result = ("outlier", "amplitude"), wp.RESULTS.outside_regime
    given = Comparison(time, pair, pair + 0.1, time, time + 0.2, coords, "nowhere", result, "a reason")
    again = wp.load(wp.save(given, tmp_path / "comparison.npz"))
    np.testing.assert_array_equal(again.error, given.error)
    assert (again.coords, again.reason) == (coords, "a reason") and again.result == result
    np.testing.assert_array_equal(wp.load(wp.save(given, tmp_path / "comparison.nc")).error, given.error)
