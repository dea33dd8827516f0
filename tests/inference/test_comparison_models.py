"""Models for comparison: unconstrained weights, constant or per trial, and inputs per trial."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from generator import generate

import weightpath as wp
from weightpath.inference.keep import load_fit
from weightpath.inference.reading.in_span import in_span
from weightpath.networks.base import rollout
from weightpath.networks.kernels import RationalQuadratic

TRIALS, BINS, NEURONS = 20, 10, 8
KERNEL = RationalQuadratic(8.0, 0.5, 0.02, by_epoch=False)


@pytest.fixture(scope="module")
def truth():
    return generate(2, 0.1, 0, trials=TRIALS, units=NEURONS, bins=BINS, conditions=2)


def fitted(truth, changes, mask=None, iterations=400, **settings):
    settings = dict(rank=2, decoder="identity", inputs="none", kernel=KERNEL, time_constant=10.0) | settings
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(
            wp.LowTensorRankRNN(changes=changes, **settings), wp.Recording(truth.data, condition=truth.condition),
            mask=mask, iterations=iterations, dtype="float64",
        )  # fmt: skip


@pytest.mark.slow  # twins: the mean of such weights and the trajectory of directions below; test_dense
@pytest.mark.parametrize("changes", ["full", "per_trial_full"])
def test_unconstrained_weights(truth, changes):
    """Of full rank, the same for all trials or not, and the networks of the trajectory are those of the fit."""
    fit = fitted(truth, changes)
    weights = np.stack([fit.weights(k) for k in range(TRIALS)])
    assert weights.shape == (TRIALS, NEURONS, NEURONS) and fit.model.rank == NEURONS
    assert np.linalg.matrix_rank(weights[0], tol=1e-4) == NEURONS
    assert np.allclose(weights, weights[0]) == (changes == "full")
    outputs = rollout(fit.to_trajectory().network(4), jnp.zeros((BINS, NEURONS)))[1]
    np.testing.assert_allclose(outputs[:-1], fit.predict([4])[0, 1:], atol=1e-12)


@pytest.mark.slow  # twin: test_inputs_of_trials against fixed
def test_unconstrained_weights_hold_those_of_low_rank(truth):
    """More freedom explains the training entries no worse: full against fixed, per trial against low tensor rank."""
    train = {changes: fitted(truth, changes).score() for changes in ("fixed", "full", "trial", "per_trial_full")}
    assert train["full"] >= train["fixed"] - 0.005 and train["per_trial_full"] >= train["trial"] - 0.005
    assert train["full"] < train["trial"]


def test_weights_of_held_out_trials_are_the_mean(truth):
    """The ridge draws towards one mean: a trial without data has it."""
    mask = np.ones((TRIALS, BINS, NEURONS), bool)
    mask[5] = False
    fit = fitted(truth, "per_trial_full", mask, iterations=100)
    np.testing.assert_allclose(np.diagonal(fit.c[5]), fit.level[5])
    norms = np.linalg.norm(fit.c - fit.c[5], axis=(1, 2))
    assert norms[5] == 0 and np.delete(norms, 5).min() > 0


def test_inputs_of_trials(truth, tmp_path):
    mask = np.ones((TRIALS, BINS, NEURONS), bool)
    mask[5] = False
    fit = fitted(truth, "inputs_only", mask, inputs="free")
    np.testing.assert_allclose(fit.c, np.broadcast_to(fit.c[0], fit.c.shape))
    assert not fit.own_inputs[5].any() and np.all(np.abs(np.delete(fit.own_inputs, 5, axis=0)).max(axis=(1, 2)) > 0)
    np.testing.assert_allclose(fit.trial_inputs(), fit.inputs[0, truth.condition] + fit.own_inputs)
    outputs = rollout(fit.to_trajectory().network(4), jnp.asarray(fit.trial_inputs()[4]))[1]
    np.testing.assert_allclose(outputs[:-1], fit.predict([4])[0, 1:], atol=1e-12)
    assert fit.score(mask) > fitted(truth, "fixed", mask, inputs="free").score(mask)
    fit.save(tmp_path / "fit.npz")
    np.testing.assert_array_equal(load_fit(tmp_path / "fit.npz").trial_inputs(), fit.trial_inputs())


def test_directions_of_trials(truth):
    """Low matrix rank on each trial, without directions that trials share; those of a held-out trial are the common."""
    mask = np.ones((TRIALS, BINS, NEURONS), bool)
    mask[5] = False
    fit = fitted(truth, "low_matrix_rank", mask)
    weights = np.stack([fit.weights(k) for k in range(TRIALS)])
    singular = np.linalg.svd(weights, compute_uv=False)
    assert fit.a.shape == (TRIALS, NEURONS, 2) and singular[:, 2].max() < 1e-12 and singular[:, 1].min() > 1e-3
    np.testing.assert_allclose(np.linalg.norm(fit.b, axis=1), 1)
    assert np.linalg.matrix_rank(weights.transpose(1, 0, 2).reshape(NEURONS, -1), tol=1e-3) > 2
    distance = np.linalg.norm(weights - weights[5], axis=(1, 2))
    assert np.delete(distance, 5).min() > 0 and fit.score(mask) > fitted(truth, "fixed", mask).score(mask)
    path = fit.to_trajectory()
    np.testing.assert_allclose(path.w_rec, weights, atol=1e-12)
    outputs = rollout(path.network(4), jnp.zeros((BINS, 2)))[1]
    np.testing.assert_allclose(outputs[:-1], fit.predict([4])[0, 1:], atol=1e-12)
    largest = np.sort(np.abs(np.linalg.eigvals(weights[4])))[-2:]
    np.testing.assert_allclose(np.sort(np.abs(fit.eigenvalues()[4])), largest, atol=1e-10)
    assert fit.recheck_solver() < 1e-2
    with pytest.raises(ValueError, match="has directions of its own on every trial, so there is no canonical form"):
        fit.canonical()
    with pytest.raises(ValueError, match="in_span needs directions that all trials share"):
        in_span(fit)
