"""A planted network of rank two is found again in a few seconds; the full reference cases are in a slow file."""

import warnings

import pytest
from generator import flow_r_squared, generate, matched_correlations, principal_angles, r_squared, weight_error

import weightpath as wp
from weightpath.inference.masks import blocks
from weightpath.networks.kernels import RationalQuadratic


@pytest.fixture(scope="module")
def case():
    truth = generate(2, 0.1, 0, trials=40, units=20, bins=20)
    recording = wp.Recording(truth.data, condition=truth.condition)
    kernel = RationalQuadratic(length=8.0, sd=0.5, noise_sd=0.02, by_epoch=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the blocks leave less than half to train on
        mask = blocks(recording, seed=100)

    def fit(rank):
        model = wp.LowTensorRankRNN(
            rank=rank, decoder="identity", inputs="none", kernel=kernel, prior_weight=1e-4, time_constant=10.0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return wp.fit(model, recording, mask=mask.train, iterations=800, learning_rate=2e-2)

    return truth, mask, fit, fit(2)


@pytest.mark.slow  # the study low-tensor-rank-recovery asks the same, in every run of it
def test_the_planted_rank_is_needed_and_reaches_the_ceiling(case):
    truth, mask, fit, of_rank_two = case
    ceiling = r_squared(truth.data, truth.clean, mask.test)
    assert fit(1).score(mask.test) < 0.6
    assert of_rank_two.score(mask.test) >= ceiling - 0.002 and of_rank_two.converged


def test_activity_flow_directions_and_factors_are_recovered(case):
    truth, *_, fit = case
    assert r_squared(truth.clean, fit.predict()) >= 0.998
    assert min(flow_r_squared(truth, fit)) >= 0.99
    assert principal_angles(truth.a, fit.a).max() <= 2
    assert matched_correlations(truth, fit.c).min() >= 0.96
    assert weight_error(truth, fit.weights) <= 0.08
