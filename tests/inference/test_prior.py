"""The Gaussian prior over trials: smoothing, prediction of held-out trials, epochs, and the automatic weight."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from generator import simulate

import weightpath as wp
from weightpath.inference.prior import (
    automatic_weight,
    factor_map,
    offset_map,
    residual_sums,
    settled_level,
    smooth_factor,
)
from weightpath.networks import kernels
from weightpath.networks.kernels import RationalQuadratic
from weightpath.networks.low_tensor_rank import SmoothOffset

EVERY_KERNEL = [
    kernels.RationalQuadratic, kernels.SquaredExponential, kernels.Matern32, kernels.OrnsteinUhlenbeck,
    kernels.Independent,
]  # fmt: skip


def quick_fit(model, recording, **settings):
    """A fit that need not settle."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(model, recording, **settings)


def trials(count, epochs=1):
    return np.arange(count, dtype=float), np.arange(count) * epochs // count


@pytest.mark.parametrize("kind", EVERY_KERNEL)
def test_kernels_are_covariances_with_the_stated_variance(kind):
    trial, epoch = trials(30, epochs=2)
    covariance = kind(length=5.0, sd=0.7).smooth(trial, trial, epoch, epoch)
    np.testing.assert_allclose(np.diag(covariance), 0.49, rtol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > -1e-10
    assert np.all(covariance[epoch == 0][:, epoch == 1] == 0)


def test_rational_quadratic_has_the_stated_tail():
    kernel = RationalQuadratic(length=1.0, sd=1.0)
    np.testing.assert_allclose(kernel.correlation(np.array([3.0, 10.0])), [0.18, 0.02], atol=0.002)


def test_posterior_mean_finds_the_smooth_factor():
    """R4: raw factors miss the smooth part by .1, the posterior mean by its own standard deviation, .026."""
    kernel = RationalQuadratic(length=15.0, sd=0.1, noise_sd=0.1, by_epoch=False)
    trial, epoch = trials(100)
    rng = np.random.default_rng(0)
    lower = np.linalg.cholesky(kernel.smooth(trial, trial, epoch, epoch) + 1e-12 * np.eye(100))
    smooth = lower @ rng.standard_normal((100, 200))
    raw = smooth + 0.1 * rng.standard_normal((100, 200))
    mean, sd = smooth_factor(kernel, trial, epoch, np.ones(100, bool), raw)
    error = np.sqrt(np.mean((mean - smooth) ** 2))
    assert abs(np.sqrt(np.mean((raw - smooth) ** 2)) - 0.1) < 0.002
    assert error <= 0.03
    assert abs(error - sd.mean()) < 0.001


def test_training_columns_of_the_map_are_a_root_of_the_covariance():
    kernel = RationalQuadratic(length=4.0, sd=0.5, noise_sd=0.1)
    trial, epoch = trials(20, epochs=2)
    training = np.arange(20) % 3 > 0
    root = factor_map(kernel, trial, epoch, training)[:, training]
    covariance = kernel.smooth(trial, trial, epoch, epoch) + 0.01 * np.eye(20)
    np.testing.assert_allclose(root.T @ root, covariance[np.ix_(training, training)], atol=1e-12)


def test_held_out_factors_are_the_conditional_mean():
    """R9: the mean of the joint Gaussian given the training trials, to 1e-10."""
    kernel = RationalQuadratic(length=4.0, sd=0.5, noise_sd=0.1)
    trial, epoch = trials(40, epochs=2)
    training = np.random.default_rng(1).random(40) < 0.6
    zeta = np.random.default_rng(2).standard_normal((3, training.sum()))
    c = zeta @ factor_map(kernel, trial, epoch, training)
    joint = kernel.smooth(trial, trial, epoch, epoch) + 0.01 * np.eye(40)
    seen = joint[np.ix_(training, training)]
    expected = joint[np.ix_(~training, training)] @ np.linalg.solve(seen, c[:, training].T)
    np.testing.assert_allclose(c[:, ~training].T, expected, atol=1e-10)


def test_smooth_part_of_held_out_trials_is_their_factor():
    kernel = RationalQuadratic(length=4.0, sd=0.5, noise_sd=0.1)
    trial, epoch = trials(40)
    training = np.arange(40) % 2 == 0
    c = np.random.default_rng(3).standard_normal((2, 20)) @ factor_map(kernel, trial, epoch, training)
    mean, _ = smooth_factor(kernel, trial, epoch, training, c.T)
    np.testing.assert_allclose(mean[~training], c.T[~training], atol=1e-10)


@pytest.mark.slow
def test_data_of_a_held_out_trial_change_nothing():
    """R9, through the whole fit: bit for bit the same parameters."""
    data, condition, _ = two_epochs()
    mask = np.ones(data.shape, bool)
    mask[5::7] = False
    other = data.copy()
    other[5::7] = np.random.default_rng(4).uniform(-0.5, 0.5, other[5::7].shape)
    model = wp.LowTensorRankRNN(
        rank=2, units=12, kernel=RationalQuadratic(length=5.0, sd=0.3, noise_sd=0.05), trial_offset=SmoothOffset()
    )
    fits = [
        quick_fit(model, wp.Recording(values, condition=condition), mask=mask, iterations=60)
        for values in (data, other)
    ]
    np.testing.assert_array_equal(fits[0].c, fits[1].c)
    np.testing.assert_array_equal(fits[0].predict(), fits[1].predict())


def test_offset_basis_draws_from_the_kernel():
    kernel = SmoothOffset(length=20.0, sd=0.4).kernel()
    trial, epoch = trials(120, epochs=2)
    basis = offset_map(kernel, trial, epoch)
    covariance = kernel.smooth(trial, trial, epoch, epoch)
    assert len(basis) % 8 == 0 and len(basis) < 90
    np.testing.assert_allclose(basis.T @ basis, covariance, atol=1e-3 * 0.16)


def test_correlation_time_of_an_autoregression():
    rng = np.random.default_rng(5)
    rho, bins = 0.6, 200
    noise = rng.standard_normal((600, bins, 4))
    values = np.zeros_like(noise)
    for t in range(1, bins):
        values[:, t] = rho * values[:, t - 1] + noise[:, t]
    expected = (1 + rho) / (1 - rho)
    assert abs(residual_sums(values, np.ones(values.shape, bool)).correlation_time / expected - 1) < 0.1
    assert 1 <= residual_sums(noise, np.ones(noise.shape, bool)).correlation_time < 1.15


def test_automatic_weight_is_the_residual_variance_per_effective_entry():
    residual = 3.0 * np.random.default_rng(6).standard_normal((200, 30, 5))
    mask = np.random.default_rng(7).random(residual.shape) < 0.7
    sums = residual_sums(residual, mask)
    assert sums.effective == mask.sum() / sums.correlation_time
    np.testing.assert_allclose(automatic_weight(sums) * sums.effective, 9, rtol=0.03)
    halves = [residual_sums(residual[rows], mask[rows]) for rows in (slice(77), slice(77, None))]
    np.testing.assert_allclose(np.sum(halves, axis=0), sums, rtol=1e-12)


def two_epochs(jump=2.0, count=60):
    """A recording of a rank-one network whose factor jumps between epochs."""
    rng = np.random.default_rng(8)
    units = 16
    a = rng.standard_normal((units, 1))
    a /= np.linalg.norm(a)
    epoch = (np.arange(count) >= count // 2).astype(int)
    c = 1.0 + jump * epoch[:, None] + 0.05 * rng.standard_normal((count, 1))
    condition = rng.permutation(count) % 4
    start = np.linspace(0.4, 1.2, 4)[condition][:, None] * np.sqrt(units)
    states = simulate(a, a, c, start, 30)
    clean = np.tanh(states @ a.T).transpose(1, 0, 2)
    return clean + 0.05 * clean.std() * rng.standard_normal(clean.shape), condition, epoch


@pytest.mark.slow
def test_levels_follow_a_jump_between_epochs():
    """R10: one level per epoch, their difference within .1 of the jump of 2."""
    data, condition, epoch = two_epochs()
    kernel = RationalQuadratic(length=8.0, sd=0.3, noise_sd=0.05, by_epoch=True)
    model = wp.LowTensorRankRNN(rank=1, decoder="identity", inputs="none", kernel=kernel, time_constant=10.0)
    recording = wp.Recording(data, condition=condition, epoch=np.where(epoch, "perturbation", "baseline"))
    fit = wp.fit(model, recording, iterations=2500, learning_rate=2e-2)
    levels = np.unique(fit.level.round(6), axis=0)
    assert len(levels) == 2
    assert abs((fit.level[-1, 0] - fit.level[0, 0]) - (fit.c[epoch == 1].mean() - fit.c[epoch == 0].mean())) < 0.1
    jump = np.median(fit.level[-1, 0] - fit.level[0, 0])
    assert abs(jump - 2) < 0.1


def test_settled_level_keeps_the_factors_and_is_the_least_squares_mean():
    kernel = RationalQuadratic(length=4.0, sd=0.5, noise_sd=0.1)
    trial, epoch = trials(30, epochs=2)
    member = (np.arange(2)[:, None] == epoch).astype(float)
    root = factor_map(kernel, trial, epoch, np.ones(30, bool))
    rng = np.random.default_rng(9)
    level, deviation = rng.standard_normal((3, 2)), rng.standard_normal((3, 30))
    c = level @ member + deviation @ root
    settled, rest = settled_level(level, deviation, member, root)
    np.testing.assert_allclose(settled @ member + rest @ root, c, atol=1e-9)
    precision = np.linalg.inv(root.T @ root)
    best = np.linalg.solve(member @ precision @ member.T, member @ precision @ c.T).T
    np.testing.assert_allclose(settled, best, atol=1e-9)


@pytest.mark.slow
def test_automatic_weight_is_used_and_reported():
    data, condition, _ = two_epochs()
    recording = wp.Recording(data, condition=condition)
    model = wp.LowTensorRankRNN(rank=1, units=12, kernel=RationalQuadratic(length=5.0, sd=0.3, noise_sd=0.05))
    plain = quick_fit(model, recording, iterations=100)
    tripled = quick_fit(replace(model, prior_multiplier=3.0), recording, iterations=100)
    assert 1 < tripled.prior_weight / plain.prior_weight < 6
    assert 0 < plain.n_eff <= data.size
