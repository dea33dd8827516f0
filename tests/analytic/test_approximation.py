"""Best filters of a given order: closed forms, interpolation conditions, SciPy, and the exact loss of the library."""

import jax
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from integrator_reference import ALL, TARGETS, gaussian, problem

import weightpath as wp
from weightpath.theory import h2
from weightpath.theory.approximation import best_approximation, interpolation_error

OSCILLATORS = [
    (0.2, 1.0, 0.360246216, 1.681488128),
    (0.3, 2.0, 0.277093096, 3.382038915),
    (0.2, 0.6, 0.243055555556, 1),
]
SIGNED = wp.RationalFilter(np.diag([-0.2, -1.0, -4.0]), [1.0, 1.0, 1.0], [1.0, -2.0, 2.0])
SEVERAL = wp.RationalFilter(
    [[-0.4, 2.0, 0.3], [-2.0, -0.4, 0.1], [0.0, 0.0, -1.0]],
    [[1.0, 0.2], [0, -1], [0.5, 0.3]],
    [[1.0, 0, 0.4], [0.3, -0.6, 0]],
)
SAMPLED = wp.RationalFilter([[-0.3, -1.5, 0], [1.5, -0.3, 0], [0, 0, -0.5]], [1.0, 0, 1], [1.0, 0, 0.5], dt=0.5)


def oscillator(decay, frequency):
    return wp.RationalFilter([[-decay, -frequency], [frequency, -decay]], [1.0, 0.0], [1.0, 0.0])


def exponentials(decays, residues):
    return wp.RationalFilter(-np.diag(decays), np.ones(len(decays)), residues)


@pytest.mark.parametrize(("decay", "frequency", "loss", "rate"), OSCILLATORS)
def test_one_pole_for_an_oscillation_solves_the_cubic(decay, frequency, loss, rate):
    found = best_approximation(oscillator(decay, frequency), 1, starts=4)
    c = 1 - found.poles[0, 0].real
    z = c + decay
    cubic = z**3 - 2 * decay * z**2 - 3 * frequency**2 * z + 2 * decay * frequency**2
    assert abs(cubic) < 1e-10 * z**3
    assert abs(c - rate) < 1e-8 and abs(found.loss[0] - loss) < 1e-8
    assert found.found.all() and found.downhill[0] == 0 and found.result == wp.RESULTS.successful


def test_one_pole_for_exponentials_are_the_roots_of_a_polynomial():
    """g(c) + 2 c g'(c) = 0 with g(c) = sum r_j/(c + c_j): every positive root, and no other."""
    decays, residues = np.array([0.2, 1.0, 4.0]), np.array([1.0, -2.0, 2.0])
    total = np.poly1d([0.0])
    for index, residue in enumerate(residues):
        others = np.poly1d(np.repeat(-np.delete(decays, index), 2), r=True)
        total += np.poly1d([-residue, residue * decays[index]]) * others
    roots = total.roots
    expected = np.sort(roots[(abs(roots.imag) < 1e-9) & (roots.real > 0)].real)
    found = best_approximation(SIGNED, 1, starts=16)
    rates = np.sort(1 - found.poles[:, 0].real)
    assert rates.shape == expected.shape and np.abs(rates - expected).max() < 1e-9
    g = np.array([np.sum(residues / (c + decays)) for c in 1 - found.poles[:, 0].real])
    energy = 0.5 * residues @ (1 / np.add.outer(decays, decays)) @ residues
    assert np.abs(found.loss - (energy - (1 - found.poles[:, 0].real) * g**2)).max() < 1e-12
    curvature = [
        _second_difference(lambda c: -c * np.sum(residues / (c + decays)) ** 2, c) for c in 1 - found.poles[:, 0].real
    ]
    assert list(found.downhill) == [int(value < 0) for value in curvature]


def _second_difference(function, at, step=1e-3):
    step *= at
    return function(at + step) - 2 * function(at) + function(at - step)


@pytest.mark.parametrize(
    ("task", "order"), [(SIGNED, 2), (oscillator(0.3, 1.5), 1), (SEVERAL, 2), (SAMPLED, 2), (SAMPLED, 1)]
)
def test_transfer_functions_touch_at_the_mirrored_poles(task, order):
    """Quadrature (or the sum) of the two filters against exp(lambda s) and s exp(lambda s), along the residues."""
    found = best_approximation(task, order, starts=4)
    network, target = found.network(), task.population()
    step, dt = np.asarray(target.transition), target.dt
    own = np.asarray(network.w_rec) - (np.eye(order) if dt is None else 0)
    values, vectors = np.linalg.eig(own)
    outputs, drives = np.asarray(network.w_out) @ vectors, np.linalg.solve(vectors, np.asarray(network.w_in))
    for value, output, drive in zip(values, outputs.T, drives, strict=True):
        moments = (
            _moments(own, network.w_in, network.w_out, value, dt),
            _moments(step, target.drive, target.output, value, dt),
        )
        (value0, value1), (goal0, goal1) = moments
        size = np.abs(goal0).max()
        assert np.abs(output @ (value0 - goal0)).max() < 1e-7 * size * np.abs(output).max()
        assert np.abs((value0 - goal0) @ drive).max() < 1e-7 * size * np.abs(drive).max()
        assert (
            abs(output @ (value1 - goal1) @ drive)
            < 1e-6 * np.abs(goal1).max() * np.abs(output).max() * np.abs(drive).max()
        )
    assert interpolation_error(network, task) < 1e-9


def _moments(step, drive, output, pole, dt):
    drive, output = np.asarray(drive), np.asarray(output)
    if dt is not None:
        powers = [output @ np.linalg.matrix_power(step, k) @ drive * pole**k for k in range(400)]
        return sum(powers), sum(k * power for k, power in enumerate(powers))

    nodes, weights = np.polynomial.legendre.leggauss(400)
    times, weights = 40 * (nodes + 1), 40 * weights
    values = np.array([weight * output @ scipy.linalg.expm(step * s) @ drive * np.exp(pole * s)
                       for s, weight in zip(times, weights, strict=True)])  # fmt: skip
    return values.sum(0), np.tensordot(times, values, 1)


def test_scipy_finds_the_same_minimum():
    """Minimisation over the two poles alone, with the best residues for them from the Gram matrix."""
    decays, residues = np.array([0.2, 1.0, 4.0]), np.array([1.0, -2.0, 2.0])

    def loss(coordinates):
        middle, spread = np.exp(coordinates[0]), coordinates[1]
        poles = middle + np.array([1, -1]) * np.sqrt(complex(spread))
        if np.any(poles.real <= 0):
            return np.inf
        gram, mixed = 1 / np.add.outer(poles, poles.conj()), np.sum(residues / np.add.outer(poles.conj(), decays), 1)
        fitted = np.real(mixed.conj() @ np.linalg.solve(gram.T, mixed))
        return 0.5 * (residues @ (1 / np.add.outer(decays, decays)) @ residues - fitted)

    best = min(
        (scipy.optimize.minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14})
         for start in ([-1.0, -0.1], [0.0, 0.5])),
        key=lambda run: run.fun,
    )  # fmt: skip
    found = best_approximation(SIGNED, 2, starts=6)
    assert abs(found.loss[0] - best.fun) < 1e-10
    assert abs(np.mean(1 - found.poles[0]).real - np.exp(best.x[0])) < 1e-4


def test_symmetric_channels_keep_the_slower_mode_or_the_larger_one():
    """diag(a e^{-s}, b e^{-2 s}): the best one pole is the channel with the larger energy, a saddle or minimum each."""
    task = wp.RationalFilter(np.diag([-1.0, -2.0]), np.eye(2), np.diag([1.0, 3.0]))
    found = best_approximation(task, 1, starts=10)
    assert np.abs(found.loss - np.array([0.25, 9 / 8])).max() < 1e-12
    assert np.abs(found.poles[:, 0] - np.array([-1.0, 0.0])).max() < 1e-9


@pytest.mark.parametrize("order", [3, 5])
@pytest.mark.parametrize("name", ["defective", "several"])
def test_enough_poles_give_the_target_itself(name, order):
    found = best_approximation(TARGETS[name], order)
    assert found.loss[0] == 0 and found.found.all() and len(found) == 1 and found.w_rec.shape == (1, order, order)
    assert wp.loss(problem(tuple(_weights(found)), TARGETS[name])) < 1e-14


def _weights(found):
    network = found.network()
    return network.w_rec, network.w_in, network.w_out


def test_repeated_poles_are_no_special_case():
    found = best_approximation(TARGETS["defective"], 2, starts=4)
    assert found.residual.max() < 1e-8
    setup = problem(tuple(_weights(found)), TARGETS["defective"], train=ALL)
    velocity = wp.velocity(setup)
    assert max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(velocity)) < 1e-9
    assert float(wp.loss(setup)) == pytest.approx(found.loss[0], rel=1e-10)


def test_states_that_nothing_drives_do_not_count():
    idle = wp.RationalFilter(np.diag([-0.3, -1.0]), [1.0, 0.0], [1.0, 1.0])
    assert best_approximation(idle, 1).loss[0] == 0


@pytest.mark.parametrize("task", [TARGETS["several"], SAMPLED], ids=["continuous", "discrete"])
def test_kronecker_solves_equal_the_doubling_of_the_rules(task):
    target = task.population()
    weights = gaussian(5, 3, 0.5, (target.drive.shape[1], target.output.shape[0]))
    setup = problem(weights, task, train=ALL)
    step = weights[0] - (np.eye(3) if target.dt is None else 0)
    drive, output = (np.asarray(array) for array in (setup.network.w_in, setup.network.w_out))
    point, goal = h2.Filter(step, drive, output, target.dt is None), h2.filter_of(target)
    solved = h2.gramians_of(point, goal)
    assert h2.loss_of(point, goal, solved, h2.energy(goal)) == pytest.approx(float(wp.loss(setup)), rel=1e-12)
    gradient, velocity = h2.gradient_of(point, goal, solved), wp.velocity(setup)
    for found, expected in zip(gradient, (velocity.w_rec, velocity.w_in, velocity.w_out), strict=True):
        assert np.abs(found + expected).max() < 1e-12 * (1 + np.abs(expected).max())
    hessian, vector = h2.hessian_of(point, goal, solved), h2.flattened(*point[:3])
    direction, small = np.cos(np.arange(vector.size)), 1e-5

    def slope(sign):
        moved = h2.restored(vector + sign * small * direction, point)
        return h2.flattened(*h2.gradient_of(moved, goal, h2.gramians_of(moved, goal)))

    difference = (slope(1) - slope(-1)) / (2 * small)
    assert np.abs(hessian @ direction - difference).max() < 1e-7 * np.abs(difference).max()
    assert np.abs(hessian - hessian.T).max() < 1e-12 * np.abs(hessian).max()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: best_approximation(SIGNED, 0), "order"),
        (lambda: best_approximation(SIGNED, 1, starts=0), "starts"),
        (lambda: best_approximation(exponentials([1.0], [0.0]), 1), "zero"),
        (lambda: best_approximation(wp.Integrator(0.0, noise=wp.WhiteNoise(1.0, 0.1, 1)), 1), "no exact target"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_search_without_success_says_so(monkeypatch):
    from weightpath.theory import approximation

    monkeypatch.setattr(approximation, "stationary_from", lambda *_, **__: None)
    found = best_approximation(SIGNED, 2, starts=2)
    assert found.result == wp.RESULTS.no_fixed_point and not found.found.any()
