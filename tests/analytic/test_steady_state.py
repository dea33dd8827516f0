"""Steady states against closed forms, SciPy's root finder and published-by-construction reference numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.optimize import root
from scipy.special import expit

import weightpath as wp
from weightpath._results import OUTCOME_NAMES
from weightpath.networks.rate import ACTIVATIONS
from weightpath.networks.slopes import SLOPES
from weightpath.networks.steady_solver import RUNGS
from weightpath.networks.steady_stability import recurrent_spectrum

#: The activations and slopes in NumPy.
NUMPY = {
    "tanh": (np.tanh, lambda z: np.cosh(z) ** -2.0),
    "sigmoid": (expit, lambda z: expit(z) * (1 - expit(z))),
    "relu": (lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "softplus": (lambda z: np.log1p(np.exp(z)), expit),
    "linear": (lambda z: z, np.ones_like),
    "rectified_quadratic": (lambda z: np.maximum(z, 0) ** 2, lambda z: 2 * np.maximum(z, 0)),
}
N, SAMPLES = 8, 6


def waves(rows, columns, a, b, c, s):
    """Reference matrices without random numbers: s sin(a i + b j + c i j), indices from 1."""
    i, j = np.arange(1, rows + 1)[:, None], np.arange(1, columns + 1)
    return s * np.sin(a * i + b * j + c * i * j)


W = waves(8, 8, 1, 2, 0.7, 0.6 * np.sqrt(2 / 8))
X = waves(8, 6, 2.1, 0.4, 0.9, 0.8 * np.sqrt(2)).T
V = waves(3, 8, 0.3, 1.9, 0.6, np.sqrt(2 / 8))


PLAIN = wp.SteadySolver(newton=False)


def network(w_rec=W, **fields):
    """A tanh network of 8 units, so that most tests share one compiled program; smaller weights fill up with zeros."""
    weights = block_diag(w_rec, np.zeros((N - len(w_rec), N - len(w_rec))))
    return wp.RateRNN(weights, np.eye(N), V, **{"leak": 0.5} | fields)


def filled(*rows):
    """Inputs or starts (6, 8) that begin with these rows; zeros elsewhere."""
    array = np.zeros((SAMPLES, N))
    for k, row in enumerate(rows):
        array[k, : len(row)] = row
    return array


def names(steady):
    """Outcome of every sample, as words."""
    return [OUTCOME_NAMES[code] for code in np.asarray(steady.result._value)]


def rungs(steady):
    return [RUNGS[number] for number in np.asarray(steady.rung)]


def test_slopes_are_the_derivatives_of_the_activations():
    z = np.linspace(-3, 3, 13) + 0.01
    values, slopes = eqx.filter_jit(
        lambda z: ({name: f(z) for name, f in ACTIVATIONS.items()}, {name: g(z) for name, g in SLOPES.items()})
    )(jnp.asarray(z))
    assert values.keys() == slopes.keys() == NUMPY.keys()
    for name, (f, slope) in NUMPY.items():
        np.testing.assert_allclose(values[name], f(z), rtol=1e-13, atol=1e-16)
        np.testing.assert_allclose(slopes[name], slope(z), rtol=1e-12)


def test_reference_numbers():
    """Numbers of a reference program that shares nothing with this one (8 units, 6 samples, direct input)."""
    np.testing.assert_allclose([W[0, 0], V[0, 0]], [-0.1589508423, 0.1674940751], atol=1e-10)
    steady = wp.steady_state(network(), X)
    rates = np.asarray(steady.rates)
    np.testing.assert_allclose(rates[0, 0], 0.233339046754, atol=1e-12)
    np.testing.assert_allclose(np.sum(rates), -3.571259613939, atol=1e-11)
    spectrum = np.asarray(recurrent_spectrum(network(), steady.slopes))
    np.testing.assert_allclose(np.max(spectrum.real) - 1, -0.5933123777, atol=1e-10)
    assert names(steady) == ["successful"] * 6 and rungs(steady) == ["picard"] * 6 and np.all(steady.stable)
    assert wp.outcome_name(jax.tree.map(lambda code: code[0], steady.result)) == "successful"
    # One sample alone, and one sample as a vector.
    for one in (X[:1], X[0]):
        np.testing.assert_allclose(
            wp.steady_state(network(), one, solver=PLAIN, check=False).rates, rates[:1], atol=1e-12
        )


@pytest.mark.parametrize(
    ("activation", "form"),
    [("tanh", "rate"), ("sigmoid", "rate"), ("relu", "rate"), ("softplus", "current"), ("rectified_quadratic", "rate")],
)
def test_nonlinear_networks_against_a_root_finder(activation, form):
    f, slope = NUMPY[activation]
    # The quadratic has a second, large fixed point; from rest the network goes to the small one.
    scale = 0.3 if activation == "rectified_quadratic" else 1.0
    bias, readout_bias = np.linspace(-0.2, 0.2, N), np.arange(3.0)
    net = network(scale * W, activation=activation, bias=bias, readout_bias=readout_bias, form=form)
    steady = wp.steady_state(net, scale * X, solver=PLAIN, check=False)
    assert names(steady) == ["successful"] * SAMPLES
    for k, x in enumerate(scale * X + bias):
        expected = root(lambda r, x=x: r - f(scale * W @ r + x), np.zeros(N), tol=1e-13).x
        z = scale * W @ expected + x
        np.testing.assert_allclose(np.asarray(steady.rates)[k], expected, atol=1e-11)
        np.testing.assert_allclose(np.asarray(steady.slopes)[k], slope(z), atol=1e-11)
        np.testing.assert_allclose(np.asarray(steady.states)[k], expected if form == "rate" else z, atol=1e-11)
        np.testing.assert_allclose(np.asarray(steady.outputs)[k], V @ expected + readout_bias, atol=1e-11)
    # One step of the network leaves its states where they are.
    moved = jax.jit(jax.vmap(net.step))(steady.states, scale * jnp.asarray(X))
    np.testing.assert_allclose(moved, steady.states, atol=1e-12)


@pytest.mark.parametrize("kind", ["discrete", "continuous", "rate"])
def test_linear_networks_are_solved_in_closed_form(kind):
    net = {
        "discrete": lambda: wp.LinearRNN(W, np.eye(8), V),
        "continuous": lambda: wp.ContinuousLinearRNN(W, np.eye(8), V),
        "rate": lambda: network(activation="linear"),
    }[kind]()
    steady = wp.steady_state(net, X)
    expected = np.linalg.solve(np.eye(8) - W, X.T).T
    np.testing.assert_allclose(steady.rates, expected, atol=1e-13)
    np.testing.assert_allclose(steady.outputs, expected @ V.T, atol=1e-13)
    assert rungs(steady) == ["direct"] * 6 and names(steady) == ["successful"] * 6


def test_iteration_is_damped_where_the_spectral_radius_is_above_one():
    """Rotation by 1.5 per iteration: rho > 1 and sa = 0, so that plain iteration spirals outwards."""
    turn = 1.5 * np.kron(np.eye(4), [[0.0, -1.0], [1.0, 0.0]])
    inputs = 0.1 * np.random.default_rng(0).normal(size=(6, 8))
    steady = wp.steady_state(network(turn), inputs)
    assert rungs(steady) == ["damped"] * 6 and names(steady) == ["successful"] * 6
    for k, x in enumerate(inputs):
        expected = root(lambda r, x=x: r - np.tanh(turn @ r + x), np.zeros(8), tol=1e-13).x
        np.testing.assert_allclose(np.asarray(steady.rates)[k], expected, atol=1e-11)
    alone = wp.SteadySolver(damping=1.0, newton=False, max_steps=300)
    assert names(wp.steady_state(network(turn), inputs, solver=alone)) == ["max_steps"] * 6


def test_newton_takes_over_where_no_damping_converges():
    """A real eigenvalue of -300 where the slope is one needs damping below 2/301; the flow is stable."""
    inputs = filled([0.0], [0.1], [30.0])
    steady = wp.steady_state(network([[-300.0]]), inputs)
    assert rungs(steady)[1:3] == ["newton"] * 2 and names(steady) == ["successful"] * 6
    rates = np.asarray(steady.rates)[:3, 0]
    np.testing.assert_allclose(np.arctanh(rates), -300 * rates + inputs[:3, 0], atol=1e-9)
    np.testing.assert_allclose(np.asarray(steady.margin)[1:3], 1.0, atol=1e-12)  # of the units without recurrence


def test_a_network_whose_only_fixed_point_is_unstable():
    """An oscillator: sa of GW at its one fixed point 0 is 1.5."""
    net = network([[1.5, -3.0], [3.0, 1.5]])
    steady = wp.steady_state(net, np.zeros((6, 8)), start=filled(*[[0.3, -0.2]] * 6))
    assert names(steady) == ["unstable_recurrence"] * 6 and not np.any(steady.stable)
    np.testing.assert_allclose(steady.rates, 0.0, atol=1e-12)
    np.testing.assert_allclose(steady.margin, -0.5, atol=1e-10)
    accepting = wp.SteadySolver(newton=False, damping=1.0, accept_unstable=True)
    taken = wp.steady_state(net, np.zeros((6, 8)), solver=accepting)
    assert names(taken) == ["successful"] * 6 and not np.any(taken.stable)


def test_a_network_without_fixed_point():
    """r = relu(2 r + 1) has no solution; with a negative input the silent state is one."""
    net = network([[2.0]], activation="relu")
    steady = wp.steady_state(net, filled([1.0], [-1.0]))
    assert names(steady)[:2] == ["no_fixed_point", "successful"]
    assert np.all(np.isfinite(steady.rates)) and np.asarray(steady.residual)[0] >= 1.0
    linear = wp.steady_state(wp.LinearRNN(np.eye(8), np.eye(8), V), X)
    assert names(linear) == ["no_fixed_point"] * 6 and np.all(np.isfinite(linear.rates))


def test_the_answer_of_a_bistable_network_depends_on_the_start():
    """tanh(2 r + x) with |x| below 2 r_c - artanh(r_c) = 0.5328 has two stable points and an unstable one between."""
    inputs, starts = filled([0.1], [0.1], [0.54], [0.52], [0.0]), filled([-1.0], [1.0], [-1.0], [-1.0], [0.0])
    steady = wp.steady_state(network([[2.0]]), inputs, start=starts)
    rates = np.asarray(steady.rates)[:, 0]
    np.testing.assert_allclose(rates, np.tanh(2 * rates + inputs[:, 0]), atol=1e-12)
    assert rates[0] < -0.8 and rates[1] > 0.9
    # Beyond the threshold only the upper one is left.
    assert rates[2] > 0.9 and rates[3] < -0.7
    # A start on an unstable point stays there, and is not taken for the network's response.
    assert rates[4] == 0.0 and names(steady) == ["successful"] * 4 + ["unstable_recurrence"] * 2


def test_flow_and_map_differ():
    """tanh(M r), 3 units: |eigenvalue| 1.00641 (unstable as a map), real parts at most .28535 (stable as a flow)."""
    ramp = np.array([-np.roll(np.linspace(-1, 1, 3), -i) for i in range(3)]).T
    starts = filled(*[[-0.95, 0.43, 0.88]] * 6)
    flow = wp.steady_state(network(ramp), filled(), start=starts)
    assert names(flow) == ["successful"] * 6
    np.testing.assert_allclose(np.asarray(flow.rates)[0, :3], [-0.94979571, 0.42550230, 0.87989400], atol=1e-7)
    moduli = np.sort(np.abs(recurrent_spectrum(network(ramp), flow.slopes)[0]))
    np.testing.assert_allclose(moduli[-3:], [0, 0.28535, 1.00641], atol=1e-5)
    # A leaky step is the flow's Euler step: |1 - a + a (-1.00641)| < 1 for every leak a below 2/2.00641.
    for leak, outcome in ((1.0, "unstable_recurrence"), (0.5, "successful")):
        net = network(ramp, leak=leak)
        stepped = wp.steady_state(net, filled(), start=starts, dynamics="map", solver=PLAIN)
        assert names(stepped) == [outcome] * 6
        if leak == 1.0:
            np.testing.assert_allclose(stepped.margin, -0.00641, atol=1e-5)


def test_margin_of_the_map_is_that_of_the_networks_own_step():
    net = network(2 * W)
    steady = wp.steady_state(net, X, dynamics="map", margins=True, solver=PLAIN)
    jacobians = jax.jit(jax.vmap(jax.jacobian(net.step)))(steady.states, jnp.asarray(X))
    radius = np.max(np.abs(np.linalg.eigvals(np.asarray(jacobians))), axis=1)
    np.testing.assert_allclose(steady.margin, 1 - radius, atol=1e-10)


@pytest.mark.parametrize(("abscissa", "dynamics", "stable"), [
    (0.9, "flow", True), (1.1, "flow", False), (-3.0, "flow", True), (-3.0, "map", False), (0.9, "map", True),
])  # fmt: skip
def test_stability_of_linear_networks(abscissa, dynamics, stable):
    net = wp.LinearRNN(np.diag([abscissa] + [0.2] * 7), np.eye(8), V)
    steady = wp.steady_state(net, X, dynamics=dynamics)
    assert names(steady) == ["successful" if stable else "unstable_recurrence"] * 6


def test_margin_of_an_exact_step():
    exact = wp.ContinuousLinearRNN(np.diag([0.9] + [0.2] * 7), np.eye(8), V, dt=0.5, scheme="zoh")
    margin = wp.steady_state(exact, X, dynamics="map", margins=True).margin
    np.testing.assert_allclose(margin, 1 - np.exp(-0.05), rtol=1e-12)


def test_a_plain_recipe_is_followed_step_by_step():
    """One damping, an absolute tolerance, all samples together, and the last iterate where it does not pass."""
    for steps in (7, 400):
        solver = wp.SteadySolver(damping=0.25, tolerance=1e-6, max_steps=steps, newton=False, keep_unsolved=True)
        rates, count = np.zeros((6, 8)), 0
        while np.max(np.abs(np.tanh(rates @ W.T + X) - rates)) > 1e-6 and count < steps:
            rates, count = rates + 0.25 * (np.tanh(rates @ W.T + X) - rates), count + 1
        steady = wp.steady_state(network(), X, solver=solver, check=False)
        np.testing.assert_allclose(steady.rates, rates, atol=1e-14)
        assert np.max(np.asarray(steady.iterations)) == count
        assert names(steady) == (["max_steps"] * 6 if steps == 7 else ["successful"] * 6)


def test_single_precision():
    net = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), network())
    steady = wp.steady_state(net, X, solver=PLAIN, check=False)
    assert steady.rates.dtype == jnp.float32 and names(steady) == ["successful"] * 6
    np.testing.assert_allclose(steady.rates, wp.steady_state(network(), X).rates, atol=3e-6)
