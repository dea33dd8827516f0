"""Filter tasks: sampled targets against their exact covariance, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from weightpath import Integrator, RationalFilter, WhiteNoise


def oscillation(decay, frequency, **fields):
    return RationalFilter([[-decay, -frequency], [frequency, -decay]], [1.0, 0.0], [1.0, 0.0], **fields)


def test_impulse_response_is_the_damped_oscillation():
    times = jnp.linspace(0, 5, 11)
    response = oscillation(0.2, 1.3).population().impulse_response(times)[:, 0, 0]
    np.testing.assert_allclose(response, np.exp(-0.2 * times) * np.cos(1.3 * times), atol=1e-13)


def test_discrete_target_samples_the_filter():
    target = Integrator(0.4, dt=0.5).population()
    np.testing.assert_allclose(target.transition, [[np.exp(-0.2)]], rtol=1e-14)
    rotated = oscillation(0.2, 1.0, dt=0.3).population().transition
    np.testing.assert_allclose(rotated, scipy.linalg.expm(0.3 * np.array([[-0.2, -1.0], [1.0, -0.2]])), rtol=1e-13)


@pytest.mark.parametrize(
    "task",
    [Integrator(0.5, noise=WhiteNoise(6.0, 0.1, 4000)), Integrator(0.5, dt=0.1, noise=WhiteNoise(6.0, 0.1, 4000))],
)
def test_sampled_targets_have_the_exact_variance(task):
    batch = task.sample(jax.random.key(3), 0)
    decay, bins = np.exp(-0.05), 60
    gain = 0.1 if task.dt is None else 1.0  # dt * b * x with x of variance 1/dt, or unit noise
    variance = gain * (1 - decay ** (2 * bins)) / (1 - decay**2)
    measured = float(jnp.mean(batch.targets[:, -1, 0] ** 2))
    assert abs(measured / variance - 1) < 5 * np.sqrt(2 / 4000)  # five standard errors of a Gaussian variance


def test_every_step_draws_fresh_noise():
    task = Integrator(0.5, noise=WhiteNoise(1.0, 0.1, 2))
    first, again, second = (task.sample(jax.random.key(0), step) for step in (0, 0, 1))
    np.testing.assert_array_equal(first.inputs, again.inputs)
    assert float(jnp.max(jnp.abs(first.inputs - second.inputs))) > 0.1


@pytest.mark.parametrize("dt", [None, 1.0])
def test_a_perfect_integrator_exists_on_trials_of_finite_duration(dt):
    """Its target is the running sum of the input; it has no exact form in the stationary state."""
    task = Integrator(0.0, dt=dt, noise=WhiteNoise(2.0, 0.1, 3))
    batch = task.sample(jax.random.key(0), 0)
    width = 0.1 if dt is None else 1.0
    np.testing.assert_allclose(batch.targets, width * np.cumsum(batch.inputs, axis=1), rtol=1e-12, atol=1e-12)
    assert task.population() is None


def test_criterion_is_half_the_masked_mean_square():
    batch = Integrator(0.5, noise=WhiteNoise(1.0, 0.1, 2)).sample(jax.random.key(0), 0)
    masked = type(batch)(batch.inputs, batch.targets, batch.mask.at[0, :5].set(0.0))
    error = np.asarray(batch.targets)[..., 0] ** 2
    keep = np.asarray(masked.mask).astype(bool)
    np.testing.assert_allclose(masked.criterion(jnp.zeros_like(batch.targets)), 0.5 * error[keep].mean(), rtol=1e-13)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Integrator(-0.1), "decay must be positive.*not square-integrable"),
        (lambda: Integrator(0.0), "infinite white-noise variance.*finite duration"),
        (lambda: Integrator(-0.1, noise=WhiteNoise(1.0, 0.1, 2)), "decay must be positive"),
        (lambda: Integrator(np.nan), "decay holds NaN"),
        (lambda: Integrator(0.1, dt=-1.0), "dt must be positive"),
        (lambda: RationalFilter([[0.1]], [1.0], [1.0]), "Hurwitz.*0.1"),
        (lambda: RationalFilter([[0.0, 1.0], [-1.0, 0.0]], [1.0, 0.0], [1.0, 0.0]), "Hurwitz.*abscissa is 0"),
        (lambda: RationalFilter(-1.0, [1.0], [1.0]), r"\(k, k\).*got \(\)"),
        (lambda: RationalFilter(-np.eye(2), [1.0], [1.0, 1.0]), r"got \(2, 2\), \(1, 1\) and \(1, 2\)"),
        (lambda: RationalFilter(np.zeros((2, 3)), [1.0], [1.0]), r"\(2, 3\)"),
        (lambda: RationalFilter(-np.eye(2), [1.0, np.inf], [1.0, 1.0]), "b holds NaN"),
        (lambda: WhiteNoise(-1.0, 0.1, 3), "must be positive"),
        (lambda: WhiteNoise(0.05, 0.1, 3), "shorter than one bin"),
        (lambda: Integrator(0.1).sample(jax.random.key(0), 0), "no `noise`"),
    ],
)
def test_bad_input_has_one_clear_message(make, message):
    with pytest.raises(ValueError, match=message):
        make()
