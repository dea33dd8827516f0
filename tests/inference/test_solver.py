"""Fixed steps against an adaptive solver of higher order, and the number of steps that a bin is given."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.dynamics import Drive, integrate
from weightpath.networks.kernels import RationalQuadratic


def system(seed=0):
    rng = np.random.default_rng(seed)
    unit = lambda array: jnp.asarray(array / np.linalg.norm(array, axis=0))  # noqa: E731
    post, pre = unit(rng.standard_normal((20, 3))), unit(rng.standard_normal((20, 3)))
    return post, pre, jnp.asarray(1.5 + rng.standard_normal((3, 4))), jnp.asarray(3 * rng.standard_normal((3, 4)))


def last_state(solver, size, steps):
    post, pre, factor, start = system()
    drive = Drive(post, pre, factor, start, jnp.zeros((steps + 1, 3, 1)), jnp.asarray(size))
    observe = lambda carry, z, rate, item: (carry, z)  # noqa: E731
    return np.asarray(integrate(drive, observe, None, jnp.zeros(steps + 1), solver=solver, substeps=1)[1][-1])


@pytest.mark.parametrize("solver, order", [("heun", 2), ("rk4", 4)])
def test_order_of_convergence(solver, order):
    """Halving the step divides the error by two to the order."""
    exact = last_state("rk4", 0.005, 400)
    error = [np.abs(last_state(solver, 2 / steps, steps) - exact).max() for steps in (10, 20, 40)]
    found = np.log2(np.array(error[:-1]) / error[1:])
    assert np.all(np.abs(found - order) < 0.35)


@pytest.mark.parametrize("solver, tau, substeps", [("rk4", 4.0, 1), ("rk4", 3.0, 2), ("rk4", 1.0, 4), ("heun", 4.0, 3)])
def test_automatic_steps_keep_the_rule(solver, tau, substeps):
    model = wp.LowTensorRankRNN(rank=2, solver=solver, time_constant=tau)
    assert model.solver_steps == substeps
    assert 1 / (tau * model.solver_steps) <= (0.25 if solver == "rk4" else 0.1) + 1e-12


@pytest.mark.slow  # twins: test_order_of_convergence; the recheck in test_comparison_models
def test_recheck_of_a_fit():
    """Automatic steps are as exact as stated; coarser ones are found out, by the factor of their order."""
    rng = np.random.default_rng(0)
    condition = np.arange(12) % 2
    values = rng.standard_normal((2, 8, 5)).cumsum(axis=1)[condition] + 0.2 * rng.standard_normal((12, 8, 5))
    kernel, errors = RationalQuadratic(4.0, 0.3, 0.05), []
    for substeps in ("auto", 1):
        model = wp.LowTensorRankRNN(rank=2, units=10, kernel=kernel, time_constant=2.0, substeps=substeps)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="the fit is not settled")
            fit = wp.fit(model, wp.Recording(values, condition=condition), iterations=10, dtype="float64")
        errors.append(fit.recheck_solver(rtol=1e-9))
    assert errors[0] < 1e-3 and errors[1] > 6 * errors[0]
