"""Exact losses and velocities against reference numbers, autodiff of another route, SciPy, and closed forms."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from integrator_reference import ALL, TARGETS, deterministic, gaussian, kronecker_loss, problem

import weightpath as wp
from weightpath.rules.population import network_gramians, population_loss, population_residual, population_velocity


def relative(found, expected):
    return np.linalg.norm(np.asarray(found) - np.asarray(expected)) / np.linalg.norm(np.asarray(expected))


@pytest.mark.parametrize(
    ("name", "loss", "w_rec", "entry", "w_in", "w_out"),
    [
        ("exponential", 1.093417567979, 0.618374301501, -0.075637478148, 0.722781883428, 0.692681887325),
        ("oscillator", 0.543437527383, 0.054644829520, -0.001702090359, 0.380897810550, 0.378019988087),
    ],
)
def test_reference_table_of_loss_and_gradient(name, loss, w_rec, entry, w_in, w_out):
    setup = problem(deterministic(8, 0.4), TARGETS[name], train=ALL)
    velocity = wp.velocity(setup)
    assert wp.loss(setup) == pytest.approx(float(loss), rel=1e-8)
    assert np.linalg.norm(velocity.w_rec) == pytest.approx(w_rec, rel=1e-8)
    assert -velocity.w_rec[0, 1] == pytest.approx(entry, rel=1e-8)
    assert np.linalg.norm(velocity.w_in) == pytest.approx(w_in, rel=1e-8)
    assert np.linalg.norm(velocity.w_out) == pytest.approx(w_out, rel=1e-8)


#: Several poles in several channels, and one unit; the others are of their kind, and in the table above.
SLOW = ("exponential", "oscillator", "defective")


@pytest.mark.parametrize(
    ("name", "units"),
    [*(pytest.param(name, 6, marks=[pytest.mark.slow] * (name in SLOW)) for name in TARGETS), ("exponential", 1)],
)
def test_loss_and_gradient_equal_autodiff_of_kronecker_solves(name, units):
    target = TARGETS[name].population()
    weights = gaussian(units, units, 0.5, (target.drive.shape[1], target.output.shape[0]))
    setup = problem(weights, TARGETS[name], train=ALL)
    loss, gradient = jax.value_and_grad(kronecker_loss)(tuple(map(jnp.asarray, weights)), target)
    velocity = wp.velocity(setup)
    assert wp.loss(setup) == pytest.approx(float(loss), rel=1e-12)
    for found, expected in zip((velocity.w_rec, velocity.w_in, velocity.w_out), gradient, strict=True):
        assert relative(-found, expected) < 1e-12


def test_gradient_equals_scipys_lyapunov_and_sylvester_solutions():
    target = TARGETS["several"].population()
    w_rec, w_in, w_out = gaussian(3, 30, 0.7, (2, 3))
    generator, transition = w_rec - np.eye(30), np.asarray(target.transition)
    drive, output = np.asarray(target.drive), np.asarray(target.output)
    controlled = scipy.linalg.solve_continuous_lyapunov(generator, -w_in @ w_in.T)
    observed = scipy.linalg.solve_continuous_lyapunov(generator.T, -w_out.T @ w_out)
    x = scipy.linalg.solve_sylvester(generator, transition.T, -w_in @ drive.T)
    y = scipy.linalg.solve_sylvester(generator.T, transition, -w_out.T @ output)
    setup = problem((w_rec, w_in, w_out), TARGETS["several"], train=ALL)
    velocity = wp.velocity(setup)
    assert relative(-velocity.w_rec, observed @ controlled - y @ x.T) < 1e-12
    assert relative(-velocity.w_in, observed @ w_in - y @ drive) < 1e-12
    assert relative(-velocity.w_out, w_out @ controlled - output @ x.T) < 1e-12
    for found, expected in zip(network_gramians(setup.network, target), (controlled, observed), strict=True):
        assert relative(found, expected) < 1e-12


def test_discrete_time_equals_autodiff_of_the_truncated_sum():
    task = wp.RationalFilter(
        [[-0.3, -1.0], [1.0, -0.3]], [[1.0, 0.2], [0.0, 1.0]], [[1.0, 0.5], [0.2, -1.0], [0.0, 1.0]], dt=0.5
    )
    target = task.population()
    weights = gaussian(5, 6, 0.5, (2, 3))

    def truncated(weights):
        w_rec, w_in, w_out = weights

        def step(state, _):
            own, other = state
            error = w_out @ own - target.output @ other
            return (w_rec @ own, target.transition @ other), 0.5 * jnp.sum(error**2)

        return jnp.sum(jax.lax.scan(step, (w_in, target.drive), length=300)[1])

    loss, gradient = jax.value_and_grad(truncated)(tuple(map(jnp.asarray, weights)))
    setup = problem(weights, task, train=ALL)
    velocity = wp.velocity(setup)
    assert wp.loss(setup) == pytest.approx(float(loss), rel=1e-12)
    for found, expected in zip((velocity.w_rec, velocity.w_in, velocity.w_out), gradient, strict=True):
        assert relative(-found, expected) < 1e-12


def test_rates_multiply_and_frozen_weights_stand_still():
    weights = deterministic(8, 0.4)
    plain = wp.velocity(problem(weights, TARGETS["exponential"], train=ALL))
    found = wp.velocity(problem(weights, TARGETS["exponential"], train=("w_rec",), rates={"w_rec": 0.3}))
    assert relative(found.w_rec, 0.3 * plain.w_rec) < 1e-15
    assert not np.any(found.w_in) and not np.any(found.w_out)


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(TARGETS["several"], id="continuous"),
        pytest.param(wp.Integrator(0.3, dt=0.5), id="discrete", marks=pytest.mark.slow),
    ],
)
def test_first_and_second_derivatives_of_the_loss(task):
    """wp.loss is differentiable: its gradient is minus the velocity, and the derivative of the velocity its Hessian."""
    target = task.population()
    weights = tuple(map(jnp.asarray, gaussian(8, 4, 0.5, (target.drive.shape[1], target.output.shape[0]))))

    def loss(weights):
        return wp.loss(problem(weights, task, train=ALL))

    def gradient(weights):
        velocity = wp.velocity(problem(weights, task, train=ALL))
        return jax.tree.map(jnp.negative, (velocity.w_rec, velocity.w_in, velocity.w_out))

    direction = gaussian(9, 4, 0.5, (target.drive.shape[1], target.output.shape[0]))
    direction = tuple(map(jnp.asarray, direction))
    for found, expected in zip(jax.grad(loss)(weights), gradient(weights), strict=True):
        assert relative(found, expected) < 1e-13
    forward = jax.jvp(gradient, (weights,), (direction,))[1]
    backward = jax.vjp(gradient, weights)[1](direction)[0]  # the Hessian is symmetric
    step = 1e-5
    shifted = [
        gradient(tuple(w + sign * step * d for w, d in zip(weights, direction, strict=True))) for sign in (1, -1)
    ]
    for ahead, back, plus, minus in zip(forward, backward, *shifted, strict=True):
        assert relative(back, ahead) < 1e-11
        assert relative((plus - minus) / (2 * step), ahead) < 1e-7


@pytest.mark.parametrize("distance", [1e-3, 1e-7, 1e-9, 1e-12])
def test_loss_keeps_its_digits_down_to_rounding(distance):
    """Rank one: L = 1/2 [A^2/(2c) - 2A/(c+c*) + 1/(2c*)], evaluated in rational numbers at the same floats."""
    decay, readout, pole = 0.25, 1.0 + distance, 0.75 - distance
    a, c, target = Fraction(readout), 1 - Fraction(pole), Fraction(decay)
    exact = float((a * a / (2 * c) - 2 * a / (c + target) + 1 / (2 * target)) / 2)
    found = float(wp.loss(problem(([[pole]], [1.0], [readout]), wp.Integrator(decay))))
    assert found == pytest.approx(exact, rel=max(1e-12, 1e-14 / distance))


def test_loss_at_the_optimum_is_zero_and_never_negative():
    w_rec, w_in, _ = gaussian(2, 12, 0.0)
    u = w_in[:, 0]
    for decay in (0.05, 0.2, 0.37, 0.9):
        loss = float(wp.loss(problem((w_rec + (1 - decay) * np.outer(u, u), u, u), wp.Integrator(decay))))
        assert 0 <= loss < 1e-25 / decay


@pytest.mark.parametrize("margin", [1e-2, 1e-4, 1e-7])
def test_close_to_instability(margin):
    """Rank one at c = margin, where the Gramian is of order 1/(2 margin)."""
    margin = 1 - (1 - margin)  # the decay rate that the stored eigenvalue really has
    found = wp.velocity(problem(([[1 - margin]], [1.0], [0.8]), wp.Integrator(0.5)))
    assert found.w_out[0, 0] == pytest.approx(-(0.8 / (2 * margin) - 1 / (margin + 0.5)), rel=1e-9)
    assert -found.w_rec[0, 0] == pytest.approx(0.8**2 / (4 * margin**2) - 0.8 / (margin + 0.5) ** 2, rel=1e-9)


@pytest.mark.parametrize("abscissa", [0.3, 0.95, 0.9999])
def test_residuals_of_the_gramians(abscissa):
    w_rec, w_in, w_out = gaussian(4, 60, 0.6)
    w_rec += (abscissa - np.linalg.eigvals(w_rec).real.max()) * np.eye(60)
    setup = problem((w_rec, w_in, w_out), wp.Integrator(0.2))
    assert population_residual(setup.network, setup.task.population()) < 1e-14


def test_unstable_networks_are_a_result_inside_compiled_code():
    target = wp.Integrator(0.2).population()

    @jax.jit
    def both(pole):
        network = wp.ContinuousLinearRNN(pole[None, None], [1.0], [1.0])
        velocity, result = population_velocity(network, target)
        return population_loss(network, target), velocity.w_rec, result

    for pole in (1.0, 1.1, 3.0, 40.0):
        loss, velocity, result = both(jnp.asarray(pole))
        assert loss == np.inf and np.all(np.isnan(velocity)) and result == wp.RESULTS.unstable
    assert both(jnp.asarray(jnp.nan))[2] == wp.RESULTS.nonfinite
    assert both(jnp.asarray(0.9))[2] == wp.RESULTS.successful


def test_a_batch_of_problems_equals_one_by_one():
    weights = deterministic(8, 0.4)
    decays, gains = jnp.array([0.1, 0.5, 2.0]), jnp.array([1.0, 0.1, 2.0])

    def both(decay, gain):
        setup = problem((gain * weights[0], *weights[1:]), wp.Integrator(decay))
        return wp.loss(setup), wp.velocity(setup).w_rec

    losses, velocities = jax.vmap(both)(decays, gains)
    for step in range(3):
        loss, velocity = both(decays[step], gains[step])
        assert losses[step] == pytest.approx(float(loss), rel=1e-13)
        assert relative(velocities[step], velocity) < 1e-13
