"""The chord method of a batch: its certificate, its answers, and the adjoint that uses the same system."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import root

import weightpath as wp
from weightpath.networks.steady_adjoint import resolvent
from weightpath.networks.steady_chord import has_one_fixed_point
from weightpath.networks.steady_solver import RUNGS
from weightpath.networks.steady_stability import recurrent_spectrum

UNITS, SAMPLES = 12, 9
CHORD = wp.SteadySolver(chord=True, newton=False)
PLAIN = dataclasses.replace(CHORD, chord=False)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def network(w_rec, activation="tanh", form="rate"):
    return wp.RateRNN(w_rec, np.eye(UNITS), normal(1, 3, UNITS), activation=activation, form=form, leak=0.5)


def weights(eigenvalue, seed=0):
    """Random weights whose symmetric part has this largest eigenvalue."""
    matrix = normal(seed, UNITS, UNITS) / np.sqrt(UNITS)
    largest = np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1]
    return eigenvalue / largest * matrix


SOLVE = {
    way: eqx.filter_jit(lambda net, inputs, way=way: wp.steady_state(net, inputs, solver=way, check=False))
    for way in (CHORD, PLAIN)
}


def rungs(steady):
    return {RUNGS[number] for number in np.asarray(steady.rung)}


@pytest.mark.parametrize(("activation", "steepest"), [("tanh", 1.0), ("sigmoid", 0.25), ("softplus", 1.0)])
def test_the_certificate_is_an_eigenvalue_of_the_symmetric_part(activation, steepest):
    told = eqx.filter_jit(has_one_fixed_point)
    for seed in range(3):
        assert told(network(weights(0.99 / steepest, seed), activation))
        assert not told(network(weights(1.01 / steepest, seed), activation))
    # A turn has symmetric part 0, whatever its size.
    assert told(network(50 * np.kron(np.eye(6), [[0.0, -1.0], [1.0, 0.0]]), activation))
    assert not has_one_fixed_point(network(weights(0.1), "rectified_quadratic"))


def test_certified_fixed_points_are_stable_flows():
    """Re(eigenvalues of GW) < 1 for any slopes up to 1, though the spectral radius is not."""
    turned = weights(0.98) + 3 * (normal(5, UNITS, UNITS) - normal(5, UNITS, UNITS).T)
    slopes = np.random.default_rng(2).uniform(0, 1, (200, UNITS))
    spectrum = np.linalg.eigvals(slopes[:, :, None] * turned)
    assert np.max(spectrum.real) < 1 and np.max(np.abs(spectrum)) > 3


@pytest.mark.parametrize(("activation", "form"), [("tanh", "rate"), ("softplus", "current"), ("relu", "rate")])
def test_answers_are_those_of_a_root_finder(activation, form):
    f = {"tanh": np.tanh, "softplus": lambda z: np.log1p(np.exp(z)), "relu": lambda z: np.maximum(z, 0)}[activation]
    w_rec, inputs = weights(0.6), 0.5 * normal(3, SAMPLES, UNITS)
    steady = SOLVE[CHORD](network(w_rec, activation, form), inputs)
    assert rungs(steady) == {"chord"} and np.all(steady.stable)
    for k, x in enumerate(inputs):
        expected = root(lambda r, x=x: r - f(w_rec @ r + x), np.zeros(UNITS), tol=1e-14).x
        np.testing.assert_allclose(np.asarray(steady.rates)[k], expected, atol=1e-12)
        np.testing.assert_allclose(np.max(np.abs(f(w_rec @ steady.rates[k] + x) - steady.rates[k])), 0, atol=1e-12)


def test_iterations_are_those_of_its_rate():
    """The error falls by the radius of M (G - mean G) in each iteration, of order x^2 for tanh; plainly by GW's."""
    w_rec, directions = weights(0.8), normal(4, SAMPLES, UNITS)
    for size in (0.01, 0.1, 0.5):
        shared, plain = (SOLVE[way](network(w_rec), size * directions) for way in (CHORD, PLAIN))
        mean = np.mean(1 - np.tanh(size * directions) ** 2, axis=0)
        matrix = np.linalg.solve(np.eye(UNITS) - w_rec * mean, w_rec)
        radii = [np.max(np.abs(np.linalg.eigvals(matrix * (g - mean)))) for g in np.asarray(shared.slopes)]
        plain_radii = [np.max(np.abs(np.linalg.eigvals(g[:, None] * w_rec))) for g in np.asarray(shared.slopes)]
        # From the size of the inputs to the residual allowed, 1e-13 |W|.
        reach = np.log(1e-13 * np.max(np.sum(np.abs(w_rec), axis=1)) / (size * np.max(np.abs(directions))))
        for steady, slowest in ((shared, max(radii)), (plain, max(plain_radii))):
            count = int(np.max(steady.iterations))
            assert abs(count - reach / np.log(slowest)) <= 2 + 0.15 * count, (size, count, slowest)
        assert int(np.max(shared.iterations)) < int(np.max(plain.iterations))


def test_where_inputs_may_have_several_fixed_points_the_flow_decides():
    """tanh(2 r + x) has two stable points for small x; from rest the flow goes to the side of x."""
    net = network(2 * np.eye(UNITS))
    inputs = 0.2 * np.sign(normal(6, SAMPLES, UNITS))
    steady = SOLVE[CHORD](net, inputs)
    assert rungs(steady) == {"picard"} and np.array_equal(np.sign(steady.rates), np.sign(inputs))


def test_a_turn_that_plain_iteration_cannot_follow():
    """Spectral radius 4 of GW; certified, since the symmetric part is zero."""
    turn = 4 * np.kron(np.eye(6), [[0.0, -1.0], [1.0, 0.0]])
    inputs = 0.05 * normal(7, SAMPLES, UNITS)
    steady = SOLVE[CHORD](network(turn), inputs)
    assert rungs(steady) == {"chord"} and rungs(SOLVE[PLAIN](network(turn), inputs)) == {"damped"}
    spectrum = np.asarray(recurrent_spectrum(network(turn), steady.slopes))
    assert np.min(np.max(np.abs(spectrum), axis=1)) > 3 and np.max(spectrum.real) < 1
    np.testing.assert_allclose(steady.rates, SOLVE[PLAIN](network(turn), inputs).rates, atol=1e-11)


@pytest.mark.parametrize("transpose", [False, True])
def test_systems_of_every_sample(transpose):
    """Against dense solves in NumPy, where the plain iteration diverges (spectral radius above 1) too."""
    right, spread = normal(8, SAMPLES, UNITS), np.random.default_rng(9).uniform(0.8, 1.0, (SAMPLES, UNITS))
    turn = weights(0.3) + 2 * np.kron(np.eye(6), [[0.0, -1.0], [1.0, 0.0]])
    iterating = dataclasses.replace(CHORD, adjoint="iterate")

    @eqx.filter_jit
    def solved(w_rec, solver):
        return resolvent(network(w_rec), jnp.asarray(spread), jnp.asarray(right), solver, transpose=transpose)

    for w_rec, plain in ((weights(0.5), True), (turn, False)):
        found = np.asarray(solved(jnp.asarray(w_rec), iterating))
        for k in range(SAMPLES):
            matrix = np.eye(UNITS) - spread[k][:, None] * w_rec
            expected = np.linalg.solve(matrix.T if transpose else matrix, right[k])
            np.testing.assert_allclose(found[k], expected, rtol=1e-11, atol=1e-12)
        without = solved(jnp.asarray(w_rec), dataclasses.replace(PLAIN, adjoint="iterate"))
        assert np.all(np.isfinite(without)) == plain


def test_a_mean_system_close_to_singular_is_left_to_factorisations_per_sample(units=17):
    """Mean slopes 1 - 1e-7 times an eigenvalue 1: the shared system is too large to trust, those of the samples are."""
    slopes = np.array([0.5, 1.5])[:, None] * (1 - 1e-7) * np.ones((2, units))
    w_rec, right = np.diag([1.0] + [0.3] * (units - 1)), normal(10, 2, units)
    net = wp.RateRNN(w_rec, np.eye(units), np.eye(units), leak=0.5)

    @jax.jit
    def solved(slopes, right):
        return resolvent(net, slopes, right, dataclasses.replace(CHORD, adjoint="auto"))

    found = np.asarray(solved(slopes, right))
    np.testing.assert_allclose(found, right / (1 - slopes * np.diag(w_rec)), rtol=1e-12)


def test_gradient_of_a_loss_is_that_without_it():
    inputs = jnp.asarray(0.5 * normal(11, SAMPLES, UNITS))

    @eqx.filter_jit
    def slope(net, solver):
        return eqx.filter_grad(
            lambda net: jnp.sum(jnp.sin(wp.steady_state(net, inputs, solver=solver, check=False).outputs))
        )(net)

    iterating = [dataclasses.replace(way, adjoint="iterate") for way in (CHORD, PLAIN)]
    here, there = (slope(network(weights(0.6)), solver) for solver in iterating)
    np.testing.assert_allclose(here.w_rec, there.w_rec, rtol=0, atol=1e-11)
    np.testing.assert_allclose(here.w_in, there.w_in, rtol=0, atol=1e-11)


def test_single_precision_agrees_with_factorisation():
    """Adjoints by iteration, plain and shared, and by LU, in 32 bits: 1e-6 of the largest entry."""
    net = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), network(weights(0.6)))
    slopes = jnp.asarray(np.random.default_rng(9).uniform(0.6, 1.0, (SAMPLES, UNITS)), jnp.float32)
    right = jnp.asarray(normal(8, SAMPLES, UNITS), jnp.float32)

    @jax.jit
    def every(slopes, right):
        ways = [dataclasses.replace(way, adjoint=name) for way, name in ((CHORD, "iterate"), (PLAIN, "iterate"))]
        ways.append(dataclasses.replace(PLAIN, adjoint="lu"))
        return [resolvent(net, slopes, right, way, transpose=True) for way in ways]

    shared, plain, factorised = map(np.asarray, every(slopes, right))
    size = np.max(np.abs(factorised))
    assert shared.dtype == np.float32
    np.testing.assert_allclose(plain, factorised, rtol=0, atol=1e-6 * size)
    np.testing.assert_allclose(shared, factorised, rtol=0, atol=1e-6 * size)
