"""Escape rates and the chain of plateaus: closed forms, finite differences of the exact velocity, conservation laws."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from integrator_reference import ALL, TARGETS, gaussian, problem

import weightpath as wp
from weightpath.theory.approximation import best_approximation, interpolation_error
from weightpath.theory.escape_rates import escape_rates
from weightpath.theory.staircase import staircase

#: decay, frequency, read-in norm, rates of W and of the read-out, escape rate (specification; the last at c = 1).
OSCILLATORS = [
    (0.2, 1.0, 1.0, 1.0, 1.0, 0.093351997),
    (0.3, 2.0, 1.0, 1.0, 1.0, 0.046536147),
    (0.1, 0.5, 1.0, 1.0, 1.0, 0.205497760),
    (0.3, 1.1, 1.7, 0.6, 2.0, 0.0769952338177),
    (0.2, 0.6, 1.0, 1.0, 1.0, 10 / 81),
]
MIXED = wp.RationalFilter([[-0.3, -1.5, 0], [1.5, -0.3, 0], [0, 0, -0.5]], [1.0, 0, 1], [1.0, 0, -1.0])
SEVERAL = wp.RationalFilter(
    [[-0.3, -1.0, 0], [1.0, -0.3, 0], [0, 0, -0.5]], [[1.0, 0.0], [0, 1], [0.5, 0.5]], [[1.0, 0, -1], [0, 1, 0.5]]
)
SAMPLED = wp.RationalFilter([[-0.3, -1.5, 0], [1.5, -0.3, 0], [0, 0, -0.5]], [1.0, 0, 1], [1.0, 0, 0.5], dt=0.5)


def oscillator(decay, frequency):
    return wp.RationalFilter([[-decay, -frequency], [frequency, -decay]], [1.0, 0.0], [1.0, 0.0])


def small(task, train=("w_rec", "w_out"), units=6, rates=None, read_in=1.0):
    """A start of size 1e-3, the read-in of full size where it is frozen."""
    target = task.population()
    w_rec, w_in, w_out = gaussian(3, units, 1e-3, (target.drive.shape[1], target.output.shape[0]))
    w_in = w_in * (1e-3 if "w_in" in train else read_in)
    return problem((w_rec, w_in, 1e-3 * w_out), task, train=train, rates=rates)


KNOWN = {}


def chain(task, train):
    """The staircase of a small start, worked out once."""
    if (id(task), train) not in KNOWN:
        KNOWN[id(task), train] = staircase(small(task, train))
    return KNOWN[id(task), train]


@pytest.mark.parametrize(("decay", "frequency", "read_in", "speed", "readout_speed", "rate"), OSCILLATORS)
def test_escape_from_one_pole_of_an_oscillation(decay, frequency, read_in, speed, readout_speed, rate):
    rates = {"w_rec": speed, "w_out": readout_speed}
    found = staircase(small(oscillator(decay, frequency), rates=rates, read_in=read_in), most=1)
    assert abs(found.rates[0] - rate) < 1e-8 and found.result == wp.RESULTS.max_steps
    at_saddle = problem(
        (found[0].network.w_rec, found[0].network.w_in, found[0].network.w_out),
        oscillator(decay, frequency),
        rates=rates,
    )
    assert abs(escape_rates(at_saddle)[0] - rate) < 1e-8


def test_silent_networks_leave_the_origin_at_the_mean_of_the_target():
    """W = 0 and all weights trained: sqrt(eta_u eta_v) times the singular values of F*(1)."""
    target, rates = SEVERAL.population(), {"w_in": 0.4, "w_rec": 1.0, "w_out": 2.5}
    mean = target.output @ jnp.linalg.solve(jnp.eye(3) - target.transition, target.drive)
    silent = problem((np.zeros((1, 1)), np.zeros((1, 2)), np.zeros((2, 1))), SEVERAL, train=ALL, rates=rates)
    expected = np.sqrt(0.4 * 2.5) * np.linalg.svd(mean, compute_uv=False)
    assert np.abs(escape_rates(silent)[:2] - expected).max() < 1e-12
    exponential = problem(([[0.0]], [0.0], [0.0]), wp.Integrator(0.2), train=ALL)
    assert abs(escape_rates(exponential)[0] - 1 / 1.2) < 1e-12


@pytest.mark.parametrize(
    ("task", "train", "rates"),
    [
        (MIXED, ("w_rec", "w_out"), {"w_rec": 0.6, "w_out": 2.0}),
        (SEVERAL, ALL, {"w_in": 0.5, "w_rec": 1.3, "w_out": 1.0}),
        (SAMPLED, ("w_rec", "w_out"), {"w_rec": 0.6, "w_out": 2.0}),
    ],
    ids=["continuous", "several", "discrete"],
)
def test_growth_rates_are_those_of_the_linearised_velocity(task, train, rates):
    """Two silent units added to the best filter of two poles: the Jacobian of the exact velocity at unequal rates."""
    point = best_approximation(task, 2, starts=4).network()
    found = escape_rates(problem((point.w_rec, point.w_in, point.w_out), task, train=train, rates=rates))
    padded = (np.pad(point.w_rec, (0, 2)), np.pad(point.w_in, ((0, 2), (0, 0))), np.pad(point.w_out, ((0, 0), (0, 2))))
    setup = problem(padded, task, train=train, rates=rates)
    shapes = [array.shape for array in padded]
    at, cuts = (
        np.concatenate([np.ravel(array) for array in padded]),
        np.cumsum([np.size(array) for array in padded])[:-1],
    )

    def field(vector):
        parts = tuple(
            jnp.asarray(part.reshape(shape)) for part, shape in zip(np.split(vector, cuts), shapes, strict=True)
        )
        network = eqx.tree_at(lambda net: (net.w_rec, net.w_in, net.w_out), setup.network, parts)
        velocity = wp.velocity(setup.with_network(network))
        return np.concatenate([np.ravel(leaf) for leaf in (velocity.w_rec, velocity.w_in, velocity.w_out)])

    odd = np.concatenate([
        np.add.outer(np.arange(4) >= 2, np.arange(4) >= 2).ravel() == 1,
        np.repeat(np.arange(4) >= 2, shapes[1][1]),
        np.tile(np.arange(4) >= 2, shapes[2][0]),
    ])  # fmt: skip
    small_steps = 1e-5 * np.eye(at.size)[odd]
    jacobian = np.stack([(field(at + step) - field(at - step)) / 2e-5 for step in small_steps], axis=1)
    eigenvalues = np.sort(np.linalg.eigvals(jacobian[odd]).real)[::-1]
    assert np.abs(jacobian[~odd]).max() < 1e-9  # the transverse block decouples
    growing = np.repeat(found, 2)
    assert np.abs(eigenvalues[: growing.size] - growing).max() < 1e-7 * growing[0]
    assert np.abs(eigenvalues[-growing.size :] + growing[::-1]).max() < 1e-7 * growing[0]


def test_closed_form_of_the_growth_at_a_stationary_point():
    """E between the two weights seen through the inverse of W: one rate for one input and output."""
    point = best_approximation(MIXED, 2, starts=4).network()
    found = escape_rates(problem((point.w_rec, point.w_in, point.w_out), MIXED, train=ALL))
    target, inverse = MIXED.population(), np.linalg.inv(np.asarray(point.w_rec))

    def mean(step, drive, output):
        return (np.asarray(output) @ np.linalg.solve(np.eye(len(step)) - np.asarray(step), np.asarray(drive)))[0, 0]

    error = mean(point.w_rec - np.eye(2), point.w_in, point.w_out) - mean(*_parts(target))
    reading = 1 + np.sum((point.w_out @ inverse) ** 2)
    driving = 1 + np.sum((inverse @ point.w_in) ** 2)
    assert found[0] == pytest.approx(abs(error) * np.sqrt(reading * driving), rel=1e-9)
    assert found[1:].max() < 1e-9 * found[0]


def _parts(target):
    return target.transition, target.drive, target.output


@pytest.mark.parametrize(
    ("task", "train"),
    [(MIXED, ("w_rec", "w_out")), (MIXED, ALL), (SEVERAL, ALL), (SAMPLED, ("w_rec", "w_out"))],
    ids=["frozen read-in", "all", "several", "discrete"],
)
def test_plateaus_are_best_filters_in_the_realisation_that_learning_conserves(task, train):
    setup, found = small(task, train), chain(task, train)
    assert found.result == wp.RESULTS.successful and found.reason == "" and found.loss[-1] == 0
    assert np.all(np.diff(found.loss) < 0) and np.all(found.rates[:-1] > 0)
    for stair in found.plateaus[:-1]:
        if stair.order == 0:
            continue
        points = best_approximation(task, stair.order, starts=6)
        assert np.min(np.abs(points.loss - stair.loss)) < 1e-10
        assert interpolation_error(stair.network, task) < 1e-8
    w_rec, w_in, w_out = (np.asarray(getattr(found[-1].network, name)) for name in ("w_rec", "w_in", "w_out"))
    conserved = w_rec @ w_rec.T - w_rec.T @ w_rec - w_out.T @ w_out
    if train == ALL:
        conserved = conserved + w_in @ w_in.T
    else:
        direction = w_in / np.linalg.norm(w_in)
        across = np.eye(len(w_rec)) - direction @ direction.T
        conserved = across @ conserved @ across
        assert np.linalg.norm(w_in) == pytest.approx(np.linalg.norm(setup.network.w_in), rel=1e-9)
    assert np.abs(conserved).max() < 2e-5


def test_delays_add_up_over_plateaus():
    found = chain(MIXED, ("w_rec", "w_out"))
    expected = np.log(100) * np.cumsum(1 / found.rates[:-1])
    assert np.abs(found.delays(100.0)[:-1] - expected).max() < 1e-12 and found.delays(100.0)[-1] > 1e200


def test_starts_that_are_not_small_are_named():
    setup = problem(gaussian(1, 6, 0.5), MIXED)
    assert "gain of w_rec" in staircase(setup, most=1).reason and "norm of w_out" in staircase(setup, most=1).reason


def test_a_target_that_cannot_be_felt_at_first_is_a_named_outcome():
    """f*_0 = 0 in discrete time: W = 0, v = 0 is itself stationary, and the first step leads nowhere."""
    task = wp.RationalFilter([[-0.3, -1.5, 0], [1.5, -0.3, 0], [0, 0, -0.5]], [1.0, 0, 1], [1.0, 0, -1.0], dt=0.5)
    assert staircase(small(task)).result == wp.RESULTS.not_converged


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: staircase(small(MIXED, ("w_out",))), "knows train"),
        (lambda: staircase(small(MIXED), most=0), "most"),
        (lambda: staircase(small(MIXED, read_in=0.0)), "w_in is frozen"),
        (lambda: staircase(problem(gaussian(1, 3, 0.1), wp.RationalFilter([[-1.0]], [0.0], [1.0]))), "zero"),
        (lambda: escape_rates(problem(([[1.5]], [1.0], [1.0]), wp.Integrator(0.2))), "unstable"),
        (lambda: escape_rates(problem(gaussian(1, 3, 0.1), TARGETS["several"])), "inputs"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()
