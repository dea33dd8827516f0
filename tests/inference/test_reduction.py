"""R5: the network in all its units and its reduction to `rank` dimensions are the same system."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.dynamics import Drive, fast_tanh, integrate
from weightpath.networks.factored import FactoredRNN
from weightpath.networks.kernels import Matern32

UNITS, RANK, TRIALS, STEPS = 50, 4, 10, 100


def random_system(seed):
    rng = np.random.default_rng(seed)
    unit = lambda array: jnp.asarray(array / np.linalg.norm(array, axis=0))  # noqa: E731
    post, pre = unit(rng.standard_normal((UNITS, RANK))), unit(rng.standard_normal((UNITS, RANK)))
    factor = jnp.asarray(1.5 + rng.standard_normal((TRIALS, RANK)))
    start, inputs = rng.standard_normal((TRIALS, RANK)), rng.standard_normal((STEPS, TRIALS, RANK))
    return post, pre, factor, jnp.asarray(start), jnp.asarray(inputs)


@pytest.mark.parametrize("solver, core", [("heun", False), ("rk4", False), ("rk4", True)])
def test_states_stay_in_the_span_and_follow_the_reduced_dynamics(solver, core):
    post, pre, factor, start, inputs = random_system(0)
    if core:
        factor = jnp.asarray(np.random.default_rng(1).standard_normal((TRIALS, RANK, RANK)))
    drive = Drive(post, pre, jnp.moveaxis(factor, 0, -1), start.T, jnp.moveaxis(inputs, 1, 2), jnp.asarray(0.1))
    observe = lambda carry, z, rate, item: (carry, z)  # noqa: E731
    _, states = integrate(drive, observe, None, jnp.zeros(STEPS), solver=solver, substeps=1)

    def full(factor, start, inputs):
        network = FactoredRNN(
            post_factor=post, pre_factor=pre, trial_factor=factor, initial_state=start, w_out=jnp.eye(UNITS),
            readout_bias=jnp.zeros(UNITS), time_constant=jnp.asarray(10.0), core=core, solver=solver,
        )  # fmt: skip
        return jax.lax.scan(lambda x, u: (network.step(x, u), x), network.initial(), inputs)[1]

    states_of_units = jax.jit(jax.vmap(full, in_axes=(0, 0, 1)))(factor, start, inputs)
    np.testing.assert_allclose(states_of_units, (post @ states).transpose(2, 0, 1), atol=1e-10)


def test_substeps_refine_the_same_bins():
    """RK4 with four substeps a bin equals RK4 at a quarter of the step, with the input held."""
    post, pre, factor, start, inputs = random_system(2)
    observe = lambda carry, z, rate, item: (carry, z)  # noqa: E731

    def run(inputs, size, substeps):
        drive = Drive(post, pre, factor.T, start.T, jnp.moveaxis(inputs, 1, 2), jnp.asarray(size))
        return integrate(drive, observe, None, jnp.zeros(len(inputs)), solver="rk4", substeps=substeps)[1]

    coarse = run(inputs[:10], 0.05, 4)
    fine = run(jnp.repeat(inputs[:10], 4, axis=0), 0.05, 1)[::4]
    np.testing.assert_allclose(coarse, fine, rtol=1e-12, atol=1e-12)


def test_eigenvalues_of_the_small_matrix_are_those_of_the_weights():
    rng = np.random.default_rng(3)
    recording = wp.Recording(np.tanh(rng.standard_normal((12, 8, 20))) / 2, condition=np.arange(12) % 2)
    model = wp.LowTensorRankRNN(rank=3, units=50, kernel=Matern32(5.0, 0.5, 0.1))
    fit = wp.fit(model, recording, iterations=20, dtype="float64")
    found = fit.eigenvalues()
    for k in (0, 11):
        full = np.linalg.eigvals(fit.weights(k))
        full = full[np.argsort(-np.abs(full))][:3]
        distance = np.abs(full[:, None] - found[k][None, :])
        assert distance.min(axis=0).max() <= 1e-10 and distance.min(axis=1).max() <= 1e-10


def test_the_fast_tanh_is_tanh():
    x = jnp.linspace(-12, 12, 20001, dtype=jnp.float32)
    np.testing.assert_allclose(fast_tanh(x), np.tanh(np.asarray(x, np.float64)), atol=5e-7)
    slope = jax.vmap(jax.grad(fast_tanh))(x)
    np.testing.assert_allclose(slope, 1 - np.tanh(np.asarray(x, np.float64)) ** 2, atol=1e-6)
    wide = jnp.linspace(-3, 3, 101)
    np.testing.assert_array_equal(fast_tanh(wide), jnp.tanh(wide))
