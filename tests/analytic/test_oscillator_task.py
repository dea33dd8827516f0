"""The task of the damped oscillation: its impulse response by an independent formula, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import weightpath as wp
from weightpath.theory.two_pole import energy, oscillation

TIMES = np.linspace(0.0, 6.0, 13)


def response(decay, frequency, cosine, sine):
    return np.exp(-decay * TIMES) * (cosine * np.cos(frequency * TIMES) + sine * np.sin(frequency * TIMES))


def test_impulse_response():
    target = wp.DampedOscillator(0.3, 1.7, 0.8, -0.5).population()
    found = target.impulse_response(jnp.asarray(TIMES))[:, 0, 0]
    np.testing.assert_allclose(found, response(0.3, 1.7, 0.8, -0.5), atol=1e-13)


def test_sampled_target_is_the_filter_at_multiples_of_dt():
    target = wp.DampedOscillator(0.3, 1.7, 0.8, -0.5, dt=0.5).population()
    powers = [np.linalg.matrix_power(np.asarray(target.transition), k) for k in range(13)]
    found = [(np.asarray(target.output) @ power @ np.asarray(target.drive))[0, 0] for power in powers]
    np.testing.assert_allclose(found, response(0.3, 1.7, 0.8, -0.5), atol=1e-13)


def test_numbers_are_read_off_any_realisation():
    change = np.array([[1.0, 0.4], [-0.3, 0.7]])
    plain = wp.DampedOscillator(0.3, 1.7, 0.8, -0.5).population()
    F, b, c = (np.asarray(array) for array in (plain.transition, plain.drive, plain.output))
    other = wp.RationalFilter(change @ F @ np.linalg.inv(change), change @ b, c @ np.linalg.inv(change)).population()
    for target in (plain, other):
        np.testing.assert_allclose(oscillation(target), [0.3, 1.7, 0.8, -0.5], rtol=1e-13)


def test_energy_is_the_integral():
    def squared(s):
        return (np.exp(-0.3 * s) * (0.8 * np.cos(1.7 * s) - 0.5 * np.sin(1.7 * s))) ** 2

    target = oscillation(wp.DampedOscillator(0.3, 1.7, 0.8, -0.5).population())
    np.testing.assert_allclose(energy(target), quad(squared, 0, 80, limit=400)[0], rtol=1e-9)


def test_sweep_by_vmap():
    def of_decay(decay):
        return wp.DampedOscillator(decay, 1.0).population().transition

    swept = jax.vmap(of_decay)(jnp.array([0.2, 0.3]))
    np.testing.assert_allclose(swept[1], wp.DampedOscillator(0.3, 1.0).population().transition)
    assert all(eqx.is_array(leaf) for leaf in jax.tree.leaves(wp.DampedOscillator(0.3, 1.0)))


def test_undamped_oscillation_lives_on_finite_trials_only():
    noise = wp.WhiteNoise(duration=2.0, dt=0.1, trials=2)
    undamped = wp.DampedOscillator(0.0, 1.0, noise=noise)
    assert undamped.population() is None
    assert bool(jnp.all(jnp.isfinite(undamped.sample(jax.random.key(0), 0).targets)))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.0, 1.0), "decay must be positive; got 0.*WhiteNoise"),
        ((-0.1, 1.0), "decay must be positive"),
        ((np.nan, 1.0), "decay holds NaN"),
        ((0.2, np.inf), "frequency holds NaN or infinite"),
        ((0.2, -1.0), "frequency must not be negative; got -1"),
        ((0.2, 1.0, 0.0, 0.0), "the target filter is zero"),
        ((0.2, 0.0, 0.0, 1.0), "the target filter is zero"),
        ((0.2, 1.0, np.nan), "cosine holds NaN"),
    ],
)
def test_bad_input(numbers, words):
    with pytest.raises(ValueError, match=words):
        wp.DampedOscillator(*numbers)
    with pytest.raises(ValueError, match="dt must be positive"):
        wp.DampedOscillator(0.2, 1.0, dt=0.0)
