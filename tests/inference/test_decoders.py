"""Decoders: semi-orthogonal matrices and their gain, and what a decoder without a scale cannot reach."""

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.observe import semi_orthogonal
from weightpath.inference.parameters import initial_values
from weightpath.inference.problem import arrange
from weightpath.inference.starts import condition_means
from weightpath.networks.base import rollout
from weightpath.networks.kernels import RationalQuadratic

TRIALS, BINS, NEURONS = 16, 6, 5
KERNEL = RationalQuadratic(5.0, 0.3, 0.05)


def recording(size=1.0, neurons=NEURONS):
    rng = np.random.default_rng(0)
    condition = np.arange(TRIALS) % 2
    means = rng.standard_normal((2, BINS, neurons)).cumsum(axis=1)
    values = means[condition] + 0.2 * rng.standard_normal((TRIALS, BINS, neurons))
    epoch = np.repeat(["before", "after"], TRIALS // 2)
    return wp.Recording(size * (values + np.arange(neurons)), condition=condition, epoch=epoch)


def fitted(what, iterations=20, **settings):
    model = wp.LowTensorRankRNN(**(dict(rank=2, units=9, kernel=KERNEL, decoder="orthogonal") | settings))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(model, what, iterations=iterations, dtype="float64")


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
def test_retraction(shape):
    """Orthonormal rows or columns; the same matrix for what is semi-orthogonal already; no change by its own scale."""
    raw = jnp.asarray(np.random.default_rng(0).standard_normal(shape))
    q = semi_orthogonal(raw)
    small = q @ q.T if shape[0] <= shape[1] else q.T @ q
    np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-14)
    np.testing.assert_allclose(semi_orthogonal(q), q, atol=1e-13)
    np.testing.assert_allclose(semi_orthogonal(3 * raw), q, atol=1e-14)
    weight = jnp.asarray(np.random.default_rng(1).standard_normal(shape))
    loss = lambda raw: jnp.sum(weight * semi_orthogonal(raw))  # noqa: E731
    slope = jax.grad(loss)(raw)
    turn = jnp.asarray(np.random.default_rng(2).standard_normal(shape))
    difference = (loss(raw + 1e-6 * turn) - loss(raw - 1e-6 * turn)) / 2e-6
    np.testing.assert_allclose(jnp.sum(slope * turn), difference, rtol=1e-6)


@pytest.mark.parametrize("units, changes", [pytest.param(9, "trial", marks=pytest.mark.slow), (4, "readout_epoch")])
def test_fitted_decoder_is_orthogonal_up_to_one_gain(units, changes):
    fit = fitted(recording(), units=units, changes=changes)
    for k in (0, TRIALS - 1):
        network = fit.to_trajectory().network(k)
        q = np.asarray(network.w_out)
        small = q @ q.T if units >= NEURONS else q.T @ q
        np.testing.assert_allclose(small / small[0, 0], np.eye(len(small)), atol=1e-12)
        outputs = rollout(network, jnp.asarray(fit.inputs[0, fit.recording.condition[k]]))[1]
        np.testing.assert_allclose(outputs[:-1], fit.predict([k])[0, 1:], atol=1e-12)
    w_out = np.asarray(fit.network.w_out)
    assert (w_out.ndim == 3) == (changes == "readout_epoch")
    if changes == "readout_epoch":
        assert not np.allclose(w_out[0], w_out[-1])


@pytest.mark.parametrize("units", [9, 4])
def test_start_follows_the_principal_directions_of_the_means(units):
    """Q A z lies in the directions of the condition means before any training."""
    what = recording()
    model = wp.LowTensorRankRNN(rank=2, units=units, kernel=KERNEL, decoder="orthogonal")
    arrangement = arrange(model, what, what.observed)
    start = initial_values(arrangement, 0, np.dtype("float64"))
    q = np.asarray(jax.vmap(semi_orthogonal)(start.w_out))[0]
    a = np.asarray(start.post)
    flat = condition_means(arrangement).reshape(-1, NEURONS)
    directions = np.linalg.eigh(flat.T @ flat)[1][:, ::-1][:, :2]
    spanned = np.linalg.svd(np.linalg.qr(q @ a)[0].T @ directions)[1]
    np.testing.assert_allclose(spanned, 1, atol=1e-10)


def test_fits_do_not_depend_on_units_of_the_data():
    """A gain makes the fit of data in other units the same fit; offsets of the neurons go to the offset."""
    one, other = fitted(recording()), fitted(recording(size=50.0))
    np.testing.assert_allclose(other.predict(), 50 * one.predict(), rtol=1e-6)


def test_identity_with_gain_is_a_network_of_neurons_with_scales():
    what = recording(size=3.0)
    fit = fitted(what, decoder="identity", gain=True, units=None, iterations=400)
    off_diagonal = np.asarray(fit.network.w_out) - np.diag(np.diagonal(fit.network.w_out))
    assert not off_diagonal.any() and len(set(np.diagonal(fit.network.w_out).tolist())) == NEURONS
    assert fit.score() > 0.9
    expected = np.tanh(fit.z @ fit.a.T) * np.diagonal(fit.network.w_out) + np.asarray(fit.network.readout_bias)
    np.testing.assert_allclose(fit.predict(), expected, rtol=1e-10)


def test_orthogonal_without_gain_names_what_can_be_reached():
    """Fewer units than neurons and standardised data: lengths of sqrt(neurons) against less than sqrt(units)."""
    what = recording(neurons=40).standardised("neuron")
    with pytest.raises(ValueError, match=re.escape("below sqrt(units) = 2, and those of the 40 neurons")) as error:
        fitted(what, units=4, gain=False)
    centred = what.values - what.values.mean(axis=(0, 1))
    length = np.linalg.norm(centred, axis=2)
    reach = 1 - np.sum(np.maximum(length - 2, 0) ** 2) / np.sum((what.values - what.values.mean()) ** 2)
    assert f"no more than R^2 = {reach:.3g} is attainable" in str(error.value) and reach < 0.9
    small = fitted(recording(neurons=40, size=0.1), units=4, gain=False)
    q = np.asarray(small.network.w_out)
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-12)
