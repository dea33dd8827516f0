"""Derivatives of steady states against finite differences, the adjoint's definition, and one another."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.networks.steady_adjoint import adjoint, resolvent
from weightpath.networks.steady_state import solve_states

UNITS, IN, OUT, SAMPLES = 7, 4, 3, 5


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def network(units=UNITS, form="rate", activation="tanh"):
    arrays = 0.6 * normal(0, units, units) / np.sqrt(units), normal(1, units, IN), normal(2, OUT, units)
    return wp.RateRNN(
        *arrays, bias=normal(3, units), readout_bias=normal(4, OUT), form=form, activation=activation, leak=0.3
    )


INPUTS, WEIGHTS = normal(5, SAMPLES, IN), normal(6, SAMPLES, OUT)


def loss(network, inputs, solver=None):
    """A loss whose derivative by an output depends on the output."""
    outputs = wp.steady_state(network, inputs, solver=solver or wp.SteadySolver(newton=False), check=False).outputs
    return jnp.sum(jnp.sin(outputs) * WEIGHTS)


@pytest.mark.parametrize(("form", "activation"), [("rate", "tanh"), ("current", "softplus"), ("rate", "linear")])
def test_gradients_against_finite_differences(form, activation):
    """Every array of the network, and the inputs, along a random direction; backward and forward mode."""
    net = network(form=form, activation=activation)
    point = net, jnp.asarray(INPUTS)
    direction = jax.tree.map(lambda leaf: jnp.asarray(normal(leaf.size, *leaf.shape)), point)

    @eqx.filter_jit
    def moved(size, direction):
        return loss(*jax.tree.map(lambda leaf, way: leaf + size * way, point, direction))

    @eqx.filter_jit
    def derivatives(direction):
        return eqx.filter_grad(lambda both: loss(*both))(point), jax.jvp(lambda s: moved(s, direction), (0.0,), (1.0,))

    gradient, (_, forward) = derivatives(direction)
    parts = jax.tree.map(lambda slope, way: np.sum(np.asarray(slope) * np.asarray(way)), gradient, direction)
    np.testing.assert_allclose(forward, sum(jax.tree.leaves(parts)), rtol=1e-11)
    # One array at a time, so that an error in a small one shows.
    for k, leaf in enumerate(jax.tree.leaves(direction)):
        alone = jax.tree.unflatten(
            jax.tree.structure(direction),
            [one if i == k else 0 * np.asarray(one) for i, one in enumerate(jax.tree.leaves(direction))],
        )
        h = 1e-5 / np.linalg.norm(leaf)
        expected = (float(moved(h, alone)) - float(moved(-h, alone))) / (2 * h)
        np.testing.assert_allclose(jax.tree.leaves(parts)[k], expected, rtol=2e-7, atol=1e-9)


@pytest.mark.slow  # twin: first derivatives in every leaf above
def test_second_derivative():
    net = network()

    @eqx.filter_jit
    def along(size):
        return loss(eqx.tree_at(lambda one: one.w_rec, net, net.w_rec + size * normal(9, UNITS, UNITS)), INPUTS)

    h = 1e-4
    slope = eqx.filter_jit(jax.grad(along))
    expected = (float(slope(h)) - float(slope(-h))) / (2 * h)
    np.testing.assert_allclose(float(eqx.filter_jit(jax.grad(jax.grad(along)))(0.0)), expected, rtol=1e-5)


def test_the_adjoint_by_its_definition(units=24):
    """lambda = G v with (1 - W^T G) v = e, with dense inverses in NumPy; by LU and by iteration."""
    net, errors = network(units), normal(7, SAMPLES, units)
    solvers = {way: wp.SteadySolver(adjoint=way, newton=False) for way in ("lu", "iterate", "auto")}

    @eqx.filter_jit
    def every(net, inputs, errors):
        steady = solve_states(net, inputs, None, solvers["lu"], check=False)
        return steady.slopes, {way: adjoint(net, steady, errors, solver) for way, solver in solvers.items()}

    slopes, found = jax.tree.map(np.asarray, every(net, jnp.asarray(INPUTS), jnp.asarray(errors)))
    w_rec = np.asarray(net.w_rec)
    for k in range(SAMPLES):
        response = np.linalg.inv(np.diag(1 / slopes[k]) - w_rec)  # A = (G^-1 - W)^-1, the linear response
        np.testing.assert_allclose(found["lu"][k], response.T @ errors[k], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found["iterate"], found["lu"], rtol=0, atol=1e-12 * np.max(np.abs(found["lu"])))
    np.testing.assert_allclose(found["auto"], found["lu"], rtol=0, atol=1e-12 * np.max(np.abs(found["lu"])))


@pytest.mark.parametrize("transpose", [False, True])
def test_samples_whose_iteration_diverges_are_factorised(transpose):
    """Slopes of which some make the spectral radius exceed one: "auto" is right, "iterate" says that it is not.

    With the largest the iterates overflow before the other samples have settled.
    """
    units = 20
    net, right = network(units), normal(8, 4, units)
    slopes = np.array([0.5, 1.0, 4.0, 1e30])[:, None] * np.ones((4, units))

    @jax.jit
    def every(slopes, right):
        solvers = {way: wp.SteadySolver(adjoint=way) for way in ("auto", "iterate")}
        return {way: resolvent(net, slopes, right, one, transpose=transpose) for way, one in solvers.items()}

    ways = jax.tree.map(np.asarray, every(slopes, right))
    for k in range(4):
        matrix = np.eye(units) - slopes[k][:, None] * np.asarray(net.w_rec)
        expected = np.linalg.solve(matrix.T if transpose else matrix, right[k])
        np.testing.assert_allclose(ways["auto"][k], expected, rtol=1e-10, atol=1e-11 * np.max(np.abs(expected)))
    assert np.all(np.isfinite(ways["iterate"][:2])) and np.all(np.isnan(ways["iterate"][2:]))


def test_many_samples_are_worked_on_in_chunks(monkeypatch):
    """With room for two matrices at a time the answers are the same, and only samples to be worked on are touched."""
    from weightpath.networks import chunks

    rng = np.random.default_rng(0)
    todo, matrices, rights = rng.random(7) < 0.5, rng.normal(size=(7, 3, 3)), rng.normal(size=(7, 3))

    def solve(pair):
        return jnp.linalg.solve(pair[0], pair[1][..., None])[..., 0]

    expected = np.where(todo[:, None], np.linalg.solve(matrices, rights[..., None])[..., 0], rights)
    for numbers in (18, 10**6):
        monkeypatch.setattr(chunks, "NUMBERS", numbers)
        found = jax.jit(lambda *arrays: chunks.in_chunks(solve, *arrays, 3))(todo, (matrices, rights), rights)
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_rates_follow_net_inputs_by_their_slopes():
    """States of form="current" are the net inputs z; dr = f'(z) dz along any change of the inputs."""
    net, solver = network(form="current"), wp.SteadySolver(newton=False, adjoint="lu")

    def along(inputs):
        found = solve_states(net, inputs, solver=solver, check=False)
        return found.rates, found.states, found.slopes

    found, moved = jax.jit(lambda way: jax.jvp(along, (jnp.asarray(INPUTS),), (way,)))(normal(7, SAMPLES, IN))
    np.testing.assert_allclose(moved[0], found[2] * moved[1], atol=1e-13)
    # tanh: d f' = -2 r dr.
    np.testing.assert_allclose(moved[2], -2 * found[0] * moved[0], atol=1e-13)


def test_an_iterate_that_overflows_has_not_settled():
    """After one step the first sample is infinite, and has moved by infinity; the second stays where it is."""
    net, slopes, right = network(20), np.zeros((2, 20)), 1e3 * np.ones((2, 20))
    slopes[0, 0] = 1e308
    solver = wp.SteadySolver(adjoint="iterate", max_steps=1)
    found = jax.jit(lambda slopes, right: resolvent(net, slopes, right, solver, transpose=True))(slopes, right)
    assert np.all(np.isnan(found[0])) and np.array_equal(found[1], right[1])
