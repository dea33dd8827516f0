"""Recovery of known weights of low tensor rank: the reference cases R1 and R1b, with their models for comparison."""

import jax.numpy as jnp
import numpy as np
import pytest
from generator import (
    block_mask,
    flow_r_squared,
    generate,
    matched_correlations,
    principal_angles,
    r_squared,
    weight_error,
)

import weightpath as wp
from weightpath.inference.canonical import visited_directions
from weightpath.networks.kernels import RationalQuadratic

KERNEL = RationalQuadratic(length=8.0, sd=0.5, noise_sd=0.02, by_epoch=False)


def model(rank, **changes):
    settings = dict(decoder="identity", inputs="none", kernel=KERNEL, prior_weight=1e-4, time_constant=10.0)
    return wp.LowTensorRankRNN(rank=rank, **(settings | changes))


class Case:
    """A synthetic recording, its masks, and fits made once."""

    def __init__(self, rank, noise, seed):
        self.truth = generate(rank, noise, seed)
        self.train, self.test = block_mask(self.truth.data.shape, 100 + seed)
        self.recording = wp.Recording(self.truth.data, condition=self.truth.condition)
        self.fits = {}

    def fit(self, rank, changes="trial"):
        if (rank, changes) not in self.fits:
            self.fits[rank, changes] = wp.fit(
                model(rank, changes=changes), self.recording, mask=self.train, iterations=2500, learning_rate=2e-2
            )
        return self.fits[rank, changes]

    def score(self, rank, changes="trial"):
        return self.fit(rank, changes).score(self.test)

    def chosen(self, ranks):
        """Smallest rank within .002 of the best."""
        scores = {rank: self.score(rank) for rank in ranks}
        return min(rank for rank, score in scores.items() if score >= max(scores.values()) - 0.002)


#: Each case fits several ranks to convergence; the quick preset of `recorded-bci-learning` guards the fit meanwhile.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def r1():
    return Case(rank=2, noise=0.1, seed=0)


@pytest.fixture(scope="module")
def r1b():
    return Case(rank=3, noise=0.2, seed=1)


def test_the_masks_hold_out_the_stated_shares(r1):
    assert abs(r1.train.mean() - 0.468) < 0.01 and abs(r1.test.mean() - 0.137) < 0.01
    assert not np.any(r1.train & r1.test)
    assert abs(r_squared(r1.truth.data, r1.truth.clean, r1.test) - 0.9899) < 5e-4


def test_r1_chooses_the_true_rank(r1):
    assert r1.score(1) < 0.6
    assert r1.score(2) >= 0.985
    assert r1.chosen((1, 2, 3)) == 2
    assert all(r1.fit(rank).converged for rank in (1, 2, 3))


def test_r1_recovers_activity_flow_directions_and_factors(r1):
    fit, truth = r1.fit(2), r1.truth
    assert r_squared(truth.clean, fit.predict()) >= 0.998
    recurrent, full = flow_r_squared(truth, fit)
    assert recurrent >= 0.995 and full >= 0.995
    assert principal_angles(truth.a, fit.a).max() <= 2
    assert matched_correlations(truth, fit.c).min() >= 0.99
    assert weight_error(truth, fit.weights) <= 0.03


def test_r1_models_for_comparison(r1):
    assert r1.score(2, "fixed") < r1.score(2) - 0.02
    assert r1.score(2) >= r1.score(2, "per_trial") - 0.003


def test_r1b_chooses_the_true_rank_and_recovers(r1b):
    fit, truth = r1b.fit(3), r1b.truth
    assert r1b.chosen((2, 3, 4)) == 3
    assert r1b.score(3) >= 0.955
    assert r_squared(truth.clean, fit.predict()) >= 0.997
    assert min(flow_r_squared(truth, fit)) >= 0.99
    assert principal_angles(truth.a, fit.a).max() <= 3
    assert matched_correlations(truth, fit.c).min() >= 0.985
    assert weight_error(truth, fit.weights) <= 0.04


@pytest.mark.parametrize("case, rank", [("r1", 2), ("r1b", 3)])
def test_canonical_weights_agree_with_the_truth_in_visited_directions(case, rank, request):
    case = request.getfixturevalue(case)
    shown = case.fit(rank).canonical()
    visited = visited_directions(case.truth.clean.reshape(-1, case.truth.clean.shape[-1]))
    true = np.stack([case.truth.weights(k) @ visited @ visited.T for k in range(60)])
    found = np.stack([shown.weights(k) for k in range(60)])
    assert np.linalg.norm(found - true) <= 0.05 * np.linalg.norm(true)


def test_canonical_form_fixes_signs_lengths_and_order(r1b):
    shown = r1b.fit(3).canonical()
    columns = np.arange(3)
    assert np.all(shown.a[np.abs(shown.a).argmax(axis=0), columns] > 0)
    assert np.all(shown.c.mean(axis=0) >= 0)
    np.testing.assert_allclose(np.linalg.norm(shown.b, axis=0), 1, rtol=1e-12)
    assert np.all(np.diff(np.mean(shown.c**2, axis=0)) <= 0)
    assert shown.blocks == ()


def test_constant_factors_are_reported_as_one_block(r1):
    assert r1.fit(2, "fixed").canonical().blocks == ((0, 1),)


def test_a_full_core_has_no_canonical_form(r1):
    with pytest.raises(ValueError, match="full core"):
        r1.fit(2, "per_trial").canonical()


def test_an_under_trained_fit_says_so(r1):
    with pytest.warns(UserWarning, match="not settled"):
        fit = wp.fit(model(2), r1.recording, mask=r1.train, iterations=100, learning_rate=1e-2)
    assert not fit.converged and fit.result == wp.RESULTS.not_converged and "more iterations" in fit.reason


def test_fit_as_a_trajectory_has_the_same_weights(r1):
    fit = r1.fit(2)
    trajectory = fit.to_trajectory()
    assert len(trajectory) == 60
    for k in (0, 31, 59):
        np.testing.assert_allclose(trajectory.network(k).w_rec, fit.weights(k), atol=1e-6)
    assert trajectory.w_rec.shape == (60, 40, 40)
    # The network of a trial, run on its own, gives that trial's prediction.
    network = trajectory.network(31)
    state, outputs = network.initial(), []
    for _ in range(40):
        outputs.append(network.readout(state))
        state = network.step(state, jnp.zeros(2, jnp.float32))
    np.testing.assert_allclose(np.stack(outputs), fit.predict(31)[0], atol=1e-4)
