"""Flows against reference numbers, exact reductions, closed forms, and one another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from integrator_reference import ALL, TARGETS, deterministic, gaussian, problem

import weightpath as wp
from weightpath.learn.stiffness import choose_solver

ZERO = np.zeros((1, 1)), [1.0], [0.0]


def abscissa(networks):
    return np.array([np.linalg.eigvals(w_rec).real.max() for w_rec in np.asarray(networks.w_rec)])


@pytest.mark.parametrize(
    ("train", "loss", "outlier", "change"),
    [
        (
            ("w_rec", "w_out"),
            [0.97767651, 0.70630023, 0.00462236, 0.00046091],
            [0.20252749, 0.28334385, 0.82500708, 0.80647432],
            [0.06068484, 0.24965518, 0.75168425, 0.75565976],
        ),
        (
            ALL,
            [0.95442490, 0.56150961, 0.00172217, 0.00085884],
            [0.20298530, 0.35392691, 0.81093033, 0.80865739],
            [0.06351517, 0.29062966, 0.69751841, 0.70544847],
        ),
    ],
)
def test_reference_table_of_full_flows(train, loss, outlier, change):
    w_rec, w_in, _ = deterministic(8, 0.4)
    path = wp.flow(problem((w_rec, w_in, 0 * w_in), wp.Integrator(0.2), train=train), [0.5, 1.0, 2.0, 4.0])
    assert np.abs(path.loss - np.array(loss)).max() < 1e-6
    assert np.abs(abscissa(path.networks) - outlier).max() < 1e-6
    assert np.abs(np.linalg.norm(path.networks.w_rec - w_rec, axis=(1, 2)) - change).max() < 1e-6
    frozen = "w_in" not in train
    assert np.array_equal(path.networks.w_in, np.broadcast_to(w_in[:, None], (4, 8, 1))) == frozen


def test_reference_table_of_the_oscillator():
    task = wp.RationalFilter([[-0.3, -1.0], [1.0, -0.3]], [1.0, 0.0], [1.0, 0.0])
    path = wp.flow(problem(deterministic(8, 0.4), task), [0.0, 1.0, 5.0, 20.0, 60.0])
    expected = [0.348831256, 0.259651468, 0.150168731, 0.007670663, 0.000080608]
    assert np.abs(path.loss - np.array(expected)).max() < 1e-6
    eigenvalues = np.linalg.eigvals(path.network(-1).w_rec)
    assert np.abs(eigenvalues - (0.70474213 + 0.98581484j)).min() < 1e-5


@pytest.mark.slow  # twin: test_compare's rank-one starts of 12 units
def test_small_start_reduces_exactly_to_one_unit():
    """W0 = v0 = 0: the flow of 20 units is that of one."""
    time, tight = [0.5, 1.0, 1.5, 2.0, 4.0], {"rtol": 1e-10, "atol": 1e-12}
    u = gaussian(7, 20, 0.0)[1][:, 0]
    large = wp.flow(problem((np.zeros((20, 20)), u, 0 * u), wp.Integrator(0.2)), time, **tight)
    small = wp.flow(problem(ZERO, wp.Integrator(0.2)), time, **tight)
    assert np.abs(large.loss - small.loss).max() < 1e-8
    assert np.abs(abscissa(large.networks) - small.networks.w_rec[:, 0, 0]).max() < 1e-8


@pytest.mark.slow
def test_implicit_flow_equals_the_two_dimensional_system():
    """A slow target makes a stiff flow, for which the implicit solver is chosen; against SciPy on dA/dtau, dc/dtau."""
    decay = 0.01

    def field(_, state):
        a, c = state
        return -(a / (2 * c) - 1 / (c + decay)), a**2 / (4 * c**2) - a / (c + decay) ** 2

    time = np.array([0.5, 0.9, 1.5, 4.0])
    expected = scipy.integrate.solve_ivp(field, (0, 4), (0.0, 1.0), "Radau", time, rtol=1e-12, atol=1e-14).y
    setup = problem(ZERO, wp.Integrator(decay))
    assert choose_solver("auto", setup, jnp.asarray(4.0), True) == "implicit"
    path = wp.flow(setup, time)
    assert np.abs(path.networks.w_out[:, 0, 0] - expected[0]).max() < 1e-7
    assert np.abs(1 - path.networks.w_rec[:, 0, 0] - expected[1]).max() < 1e-7


@pytest.mark.slow  # twin: test_recurrent_only has the same table and end
@pytest.mark.filterwarnings("ignore:w_rec learns alone")
def test_recurrent_weights_alone():
    """v parallel to u ends at c = c* sqrt(A)/(2 - sqrt(A)); v across u follows the reversal-symmetric pair of poles."""
    readout, decay = 1.5, 0.4
    path = wp.flow(problem((ZERO[0], [1.0], [readout]), wp.Integrator(decay), train="w_rec"), [400.0])
    end = decay * np.sqrt(readout) / (2 - np.sqrt(readout))
    assert 1 - path.networks.w_rec[0, 0, 0] == pytest.approx(end, rel=1e-8)
    across = problem((np.zeros((2, 2)), [1.0, 0.0], [0.0, 1.0]), wp.Integrator(0.2), train="w_rec")
    path = wp.flow(across, [5.0, 20.0, 100.0])
    assert np.abs(path.loss - np.array([0.15849, 0.11199, 0.06807])).max() < 1e-5
    assert np.abs(path.networks.w_rec[:, 0, 0] - path.networks.w_rec[:, 1, 1]).max() < 1e-10


@pytest.mark.parametrize("name", ["w_out", "w_in"])
def test_closed_form_of_a_lone_readout_or_read_in(name):
    setup = problem(gaussian(1, 8, 0.5, (2, 3)), TARGETS["several"], train=name, rates={name: 0.7})
    closed = wp.flow(setup, [0.0, 0.5, 5.0])
    solved = wp.flow(setup, [0.0, 0.5, 5.0], solver="explicit", rtol=1e-11, atol=1e-13)
    assert np.abs(getattr(closed.networks, name) - getattr(solved.networks, name)).max() < 1e-9
    assert np.abs(closed.loss - solved.loss).max() < 1e-10


def test_flow_on_a_fixed_batch_is_linear_for_a_readout():
    """For the read-out alone the batch loss is quadratic: v(t) by the eigenvectors of the mean of h h^T."""
    w_rec, w_in, _ = gaussian(5, 6, 0.5)
    network = wp.ContinuousLinearRNN(w_rec, w_in, np.zeros(6), dt=0.1)
    task = wp.Integrator(0.4, noise=wp.WhiteNoise(duration=3.0, dt=0.1, trials=5))
    batch = task.sample(jax.random.key(0), 0)
    states = jax.vmap(lambda inputs: wp.rollout(network, inputs)[0])(batch.inputs).reshape(-1, 6)
    values, vectors = np.linalg.eigh(states.T @ states / len(states))
    pull = vectors.T @ np.asarray(states.T @ batch.targets.reshape(-1)) / len(states)
    time = np.array([0.3, 2.0])
    expected = (-np.expm1(-values * time[:, None]) / values * pull) @ vectors.T
    path = wp.flow(wp.Setup(network, task, wp.BPTT(), train="w_out"), time, batch)
    assert np.abs(path.networks.w_out[:, 0] - expected).max() < 1e-8


@pytest.mark.slow
def test_projection_error_falls_with_depth_until_the_words_span_everything():
    w_rec, w_in, _ = gaussian(8, 24, 0.3)
    setup = problem((w_rec, w_in, 0 * w_in.T), wp.Integrator(0.2))
    time = np.linspace(0, 2.5, 26)
    full = wp.flow(setup, time)
    paths = [wp.flow(setup, time, project=depth) for depth in (0, 1, 2, 4)]
    errors = [np.abs(path.loss - full.loss).max() for path in paths]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < 3e-2
    assert paths[3].lift.basis.shape == (24, 24) and errors[3] < 1e-8
    assert np.abs(paths[3].w_rec - full.w_rec).max() < 1e-8
    assert np.abs(paths[3].network(-1, lifted=True).w_out - full.network(-1).w_out).max() < 1e-8
    chosen = wp.flow(setup, time, project="auto", project_error=0.1)
    assert np.abs(chosen.loss - full.loss).max() < 0.1 * full.loss[0]
    assert np.allclose(chosen.statistics["projection_error"], np.abs(chosen.loss - paths[1].loss), atol=1e-7)
    assert chosen.lift.basis.shape == (24, 7) and chosen.network(0, lifted=True).w_rec.shape == (24, 24)


def final_loss(decay):
    return wp.flow(problem(ZERO, wp.Integrator(decay)), [0.0, 1.0], solver="explicit").loss[1]


def test_flows_of_a_batch_of_problems():
    """The reference table of the two-dimensional system at learning time 1."""
    together = jax.vmap(final_loss)(jnp.array([0.2, 0.1]))
    assert np.abs(together - np.array([0.67593105, 1.61551073])).max() < 1e-6


@pytest.mark.slow
def test_derivative_through_a_flow():
    slope = jax.grad(final_loss)(0.3)
    difference = (final_loss(0.3 + 1e-4) - final_loss(0.3 - 1e-4)) / 2e-4
    assert slope == pytest.approx(float(difference), rel=1e-5)


def test_a_solver_that_runs_out_of_steps_says_so_and_keeps_what_it_has():
    setup = problem(ZERO, wp.Integrator(0.2))
    with pytest.raises(RuntimeError, match="max_steps"):
        wp.flow(setup, [0.1, 4.0], max_steps=4)
    path = wp.flow(setup, [0.1, 4.0], max_steps=4, throw=False)
    assert path.result == wp.RESULTS.max_steps and len(path) < 2 and np.all(np.isfinite(path.loss))


def test_flow_of_several_channels_in_discrete_time():
    """Against SciPy on the gradient of the truncated sum of the filters' difference, all weights at unequal rates."""
    task = wp.RationalFilter(
        [[-0.3, -1.0], [1.0, -0.3]], [[1.0, 0.2], [0.0, 1.0]], [[1.0, 0.5], [0.2, -1.0], [0.0, 1.0]], dt=0.5
    )
    target, rates = task.population(), {"w_rec": 0.7, "w_in": 0.4, "w_out": 1.0}
    step, drive, output = (np.asarray(array) for array in (target.transition, target.drive, target.output))
    wanted = [output @ np.linalg.matrix_power(step, k) @ drive for k in range(100)]
    start = gaussian(5, 3, 0.3, (2, 3))
    cuts = np.cumsum([part.size for part in start])[:-1]

    def field(_, vector):
        w_rec, w_in, w_out = (part.reshape(old.shape) for part, old in zip(np.split(vector, cuts), start, strict=True))
        powers = [np.eye(3)]
        for _ in wanted[1:]:
            powers.append(powers[-1] @ w_rec)
        errors = [w_out @ power @ w_in - goal for power, goal in zip(powers, wanted, strict=True)]
        by_in = sum(power.T @ w_out.T @ error for power, error in zip(powers, errors, strict=True))
        by_out = sum(error @ (power @ w_in).T for power, error in zip(powers, errors, strict=True))
        # Adjoint state of the recursion h_{k+1} = W h_k: a_k = V^T e_k + W^T a_{k+1}.
        adjoint, by_rec = np.zeros_like(w_in), np.zeros_like(w_rec)
        for power, error in zip(powers[::-1], errors[::-1], strict=True):
            by_rec += adjoint @ (power @ w_in).T
            adjoint = w_out.T @ error + w_rec.T @ adjoint
        return -np.concatenate([0.7 * by_rec.ravel(), 0.4 * by_in.ravel(), 1.0 * by_out.ravel()])

    time = np.array([0.3, 1.0])
    vector = np.concatenate([part.ravel() for part in start])
    expected = scipy.integrate.solve_ivp(field, (0, 1), vector, "DOP853", time, rtol=1e-9, atol=1e-11).y.T
    path = wp.flow(problem(start, task, train=ALL, rates=rates), time, solver="explicit")
    found = [np.concatenate([np.ravel(part[index]) for part in _arrays(path)]) for index in range(2)]
    assert np.abs(np.array(found) - expected).max() < 1e-7


def _arrays(path):
    return path.networks.w_rec, path.networks.w_in, path.networks.w_out
