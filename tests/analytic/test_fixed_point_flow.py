"""Flows of fixed points against other programs and closed forms, and runs that go to a file and come back."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fixed_point_cases import FAST, eight_units
from fixed_point_program import ten_units, update
from scipy.integrate import solve_ivp

import weightpath as wp
from weightpath.tasks.base import Batch

TIME = np.array([0.0, 0.5, 2.0])
PLAIN = optax.sgd(1.0)


@pytest.fixture(scope="module")
def ten():
    w, x, t = ten_units()
    return wp.LinearRNN(w, np.eye(10), np.eye(10)), wp.StaticTargets(x.T, t.T), (w, x, t)


def gradient(time: float, flat: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Velocity of dW1 at rate 0.7, with explicit inverses."""
    return 0.7 * update("dW1", flat.reshape(10, 10), x, t, 1.0).ravel()


def test_the_gradient_flow_is_that_of_another_solver(ten):
    """dW1: the field with explicit inverses in NumPy, by SciPy's method of order 8; on all samples and on two."""
    network, task, (w, x, t) = ten
    setup = wp.Setup(network, task, wp.EuclideanFixedPoint(), train=("w_rec",), rates={"w_rec": 0.7})
    for samples, batch in ((slice(None), None), ([2, 0], task.everything().taken(jnp.array([2, 0])))):
        path = wp.flow(setup, TIME, batch)
        given = x[:, samples], t[:, samples]
        found = solve_ivp(gradient, (0, 2), w.ravel(), "DOP853", TIME, args=given, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(path.w_rec, found.y.T.reshape(-1, 10, 10), atol=1e-8)
        assert path.result == wp.RESULTS.successful and path.setup is not None
        assert path.setup.task.samples == 4


def test_the_response_flows_like_linear_regression(ten):
    r"""$A(t)X - T = (A_0X - T)\,e^{-2t X^\top X/m}$ whatever the weights are, for dW2 and dW3: in continuous time they
    are one flow, and the finite steps of one tend to it in first order from either side of the other's."""
    network, task, (w, x, t) = ten
    values, vectors = np.linalg.eigh(2 / 4 * x.T @ x)
    residual = np.linalg.solve(np.eye(10) - w, x) - t
    wanted = [residual @ vectors @ np.diag(np.exp(-values * time)) @ vectors.T for time in TIME]
    paths = []
    for rule in (wp.Reparameterised("A", exact=True), wp.Reparameterised("A")):
        path = wp.flow(wp.Setup(network, task, rule, train=("w_rec",)), TIME)
        found = [np.linalg.solve(np.eye(10) - weights, x) - t for weights in np.asarray(path.w_rec)]
        np.testing.assert_allclose(found, wanted, atol=1e-8)
        np.testing.assert_allclose(path.loss, [np.sum(one**2) / 4 for one in wanted], rtol=1e-7)
        paths.append(np.asarray(path.w_rec))
    np.testing.assert_allclose(paths[0], paths[1], atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["linear", "tanh"])
@pytest.mark.parametrize(
    "rule",
    [
        wp.EuclideanFixedPoint(solver=FAST), wp.Reparameterised("K", solver=FAST),
        wp.Reparameterised("K", exact=True, solver=FAST), wp.Reparameterised("dW4", solver=FAST),
        wp.PhantomGradient(terms=2, solver=FAST), wp.EquilibriumPropagation(nudge=1e-4, solver=FAST),
        wp.MeanMetric(solver=FAST),
    ],
    ids=lambda rule: type(rule).__name__,
)  # fmt: skip
def test_every_rule_flows_where_its_small_steps_go(rule, activation, ten):
    """The flow is the limit of training: the difference halves with the step. Both come back from a file."""
    network, task = ten[:2] if activation == "linear" else eight_units("tanh", "cross_entropy")
    setup = wp.Setup(network, task, rule, train=("w_rec",))
    end = wp.flow(setup, [0.2]).w_rec[-1]
    gaps = []
    for steps in (20, 40):
        slow = wp.Setup(network, task, rule, train=("w_rec",), rates={"w_rec": 0.2 / steps})
        gaps.append(np.linalg.norm(wp.train(slow, PLAIN, steps, record=wp.Record(every=steps)).w_rec[-1] - end))
    assert 1.8 < gaps[0] / gaps[1] < 2.2


@pytest.mark.slow
def test_the_readout_flows_as_linear_regression_does(ten):
    network, task, (w, x, t) = ten
    path = wp.flow(wp.Setup(network, task, wp.EuclideanFixedPoint(), train=("w_out",)), TIME)
    rates = np.linalg.solve(np.eye(10) - w, x)
    values, vectors = np.linalg.eigh(2 / 4 * rates.T @ rates)
    wanted = [(rates - t) @ vectors @ np.diag(np.exp(-values * time)) @ vectors.T for time in TIME]
    np.testing.assert_allclose(np.asarray(path.networks.w_out) @ rates - t, wanted, atol=1e-8)


def test_failures_of_flows_have_names(ten):
    """A start without fixed points says so, also on a batch."""
    setup = wp.Setup(wp.LinearRNN(*3 * [np.eye(10)]), ten[1], wp.EuclideanFixedPoint(), ("w_rec",), {"w_rec": 0.7})
    with pytest.raises(RuntimeError, match=r"ended early \(no_fixed_point\): No fixed point was found"):
        wp.flow(setup, TIME, ten[1].everything())
    assert wp.flow(setup, TIME, throw=False).result == wp.RESULTS.no_fixed_point


@pytest.mark.slow
def test_a_rule_that_is_not_defined_says_so():
    relu = wp.RateRNN(0.2 * np.eye(3), np.eye(3), np.eye(3), activation="relu", leak=1.0)
    silent = wp.StaticTargets(-np.ones((2, 3)), np.ones((2, 3)))
    setup = wp.Setup(relu, silent, wp.Reparameterised("A", solver=FAST), train=("w_rec",))
    with pytest.raises(RuntimeError, match=r"ended early \(singular_gain\): A unit's gain .* is zero"):
        wp.flow(setup, [0.1], silent.everything())


def test_what_a_flow_refuses(ten):
    network, task, (_, x, t) = ten
    rule = wp.EuclideanFixedPoint()
    setup = wp.Setup(network, task, rule, train=("w_rec",))
    trials = Batch(jnp.ones((2, 3, 10)), jnp.ones((2, 3, 10)), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"batch is a Batch, and EuclideanFixedPoint .* task.everything\(\)"):
        wp.flow(setup, [1.0], trials)
    integrator = wp.Setup(
        wp.ContinuousLinearRNN(np.zeros((3, 3)), np.ones((3, 1)), np.ones((1, 3))),
        *(wp.Integrator(0.3), wp.BPTT(), ("w_rec",)),
    )
    with pytest.raises(ValueError, match="batch is a StaticBatch, and BPTT on Integrator learns from trials in time"):
        wp.flow(integrator, [1.0], task.everything())
    with pytest.raises(ValueError, match=r"the task has 4 inputs, the network 10"):
        wp.flow(setup, [1.0], wp.StaticTargets(x.T[:, :4], t.T).everything())
    some = wp.Setup(network, wp.StaticTargets(x.T, t.T, trials=2), rule, train=("w_rec",))
    with pytest.raises(ValueError, match=r"every update sees some of the samples .* task.everything\(\) is the batch"):
        wp.flow(some, [1.0])
    with pytest.raises(ValueError, match="project is for linear networks .* units of a RateRNN do not mix"):
        wp.flow(wp.Setup(*eight_units("tanh", "cross_entropy"), rule, train=("w_rec",)), [1.0], project="auto")


def test_runs_come_back_from_a_file(ten, tmp_path):
    """A run that ends early: arrays, statistics, outcome, and the problem, which runs again to the same end."""
    network, task, _ = ten
    setup = wp.Setup(network, task, wp.Reparameterised("A"), train=("w_rec",), rates={"w_rec": 3.0})
    path = wp.train(setup, PLAIN, 100, record=wp.Record(every=1), throw=False)
    again = wp.load(wp.save(path, tmp_path / "run.npz"))
    assert again.result == path.result == wp.RESULTS.diverged
    assert sorted(again.statistics) == ["batch_loss", "margin", "stable", "unsolved"]
    for name, values in path.statistics.items():
        assert again.statistics[name].dtype == values.dtype
        np.testing.assert_array_equal(again.statistics[name], values)
    for one, other in ((again.time, path.time), (again.loss, path.loss), (again.w_rec, path.w_rec)):
        np.testing.assert_array_equal(one, other)
    repeated = wp.train(again.setup, PLAIN, 100, record=wp.Record(every=1), throw=False)
    np.testing.assert_array_equal(repeated.w_rec, path.w_rec)
    assert "unsolved" in path.to_dataset() and path.to_dataset().attrs["result"] == "diverged"


def test_training_in_two_parts_is_training_in_one(ten):
    """Where every update starts from rest and plain steps have no memory, a run goes on from its last network as if it
    had not stopped, bit for bit; and how often it is recorded changes nothing."""
    network, _, (_, x, t) = ten
    order = np.array([[2, 0], [1, 3], [3, 0], [2, 1], [0, 1], [3, 2]])
    rule = wp.Reparameterised("A")

    def run(network, rows, every):
        setup = wp.Setup(network, wp.StaticTargets(x.T, t.T, order=rows), rule, ("w_rec",), {"w_rec": 0.1})
        return wp.train(setup, PLAIN, len(rows), record=wp.Record(every=every))

    whole, sparse = run(network, order, 1), run(network, order, 6)
    first = run(network, order[:3], 1)
    second = run(first.network(-1), order[3:], 1)
    np.testing.assert_array_equal(np.concatenate([first.w_rec[:-1], second.w_rec]), whole.w_rec)
    np.testing.assert_array_equal(np.concatenate([first.loss[:-1], second.loss[:-1]]), whole.loss[:-1])
    np.testing.assert_array_equal(sparse.w_rec, whole.w_rec[jnp.array([0, 6])])
    np.testing.assert_array_equal(sparse.loss, whole.loss[jnp.array([0, 6])])
