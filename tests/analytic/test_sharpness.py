"""The edge of stability: sharpness against closed forms and dense Hessians, and what descent does on either side."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from integrator_reference import ALL, TARGETS, gaussian

import weightpath as wp
from weightpath.learn.starts import warn_of_large_steps
from weightpath.rules.edge import largest_finite_step, largest_step
from weightpath.tasks.finite import finite_target

BOTH = ("w_rec", "w_out")


def optimum(decay, units, *, kappa=1.0, rates=None):
    """W = (1 - decay) uhat uhat^T and A = 1, in `units` units."""
    direction = np.cos(np.arange(units)) / np.linalg.norm(np.cos(np.arange(units)))
    weights = (1 - decay) * np.outer(direction, direction), kappa * direction, direction / kappa
    return wp.Setup(wp.ContinuousLinearRNN(*weights), wp.Integrator(decay), wp.BPTT(), train=BOTH, rates=rates)


def test_it_is_the_two_by_two_hessian_at_the_optimum_at_any_size():
    """Ten units, Lanczos on 110 weights, against 2/lambda_max of the closed form."""
    for decay, edge in ((0.2, 0.0614), (0.5, 0.764)):
        found = wp.analysis.sharpness(optimum(decay, 10))
        np.testing.assert_allclose(found.largest_rate, edge, rtol=1e-3)
        np.testing.assert_allclose(found.largest_rate, largest_step(decay), rtol=1e-8)
        assert found.result == wp.RESULTS.successful and found.residual < 1e-6 * found.value
    setup = optimum(0.2, 10, kappa=1.4, rates={"w_rec": 0.7, "w_out": 2.0})
    expected = largest_step(0.2, read_in=1.4, speed=0.7, readout_speed=2.0)
    np.testing.assert_allclose(wp.analysis.sharpness(setup).largest_rate, expected, rtol=1e-8)
    np.testing.assert_allclose(wp.theory.lr_max(setup), expected, rtol=1e-8)


@pytest.fixture(scope="module")
def anywhere():
    """A random network on a filter of several inputs and outputs: sharpness, and its dense Hessian by autodiff."""
    weights = gaussian(3, 4, 0.6, (2, 3))
    setup = wp.Setup(wp.ContinuousLinearRNN(*weights), TARGETS["several"], wp.BPTT(), train=ALL, rates={"w_in": 0.3})

    def loss(vector):
        w_rec, w_in, w_out = vector[:16].reshape(4, 4), vector[16:24].reshape(4, 2), vector[24:].reshape(3, 4)
        return wp.loss(setup.with_network(wp.ContinuousLinearRNN(w_rec, w_in, w_out)))

    vector = jnp.concatenate([jnp.ravel(array) for array in weights])
    scale = np.sqrt(np.repeat([1.0, 0.3, 1.0], [16, 8, 12]))
    hessian = np.asarray(jax.jit(jax.hessian(loss))(vector))
    return setup, scale[:, None] * hessian * scale, scale


def test_it_is_the_top_of_the_dense_scaled_hessian(anywhere):
    setup, hessian, scale = anywhere
    found = wp.analysis.sharpness(setup)
    values, vectors = np.linalg.eigh(hessian)
    np.testing.assert_allclose(found.value, values[-1], rtol=1e-9)
    ours = np.concatenate([np.ravel(leaf) for leaf in (found.direction.w_rec, found.direction.w_in,
                                                       found.direction.w_out)])  # fmt: skip
    theirs = scale * vectors[:, -1]
    np.testing.assert_allclose(ours * np.sign(ours @ theirs), theirs, atol=1e-8)


@pytest.mark.parametrize("scheme", ["euler", "zoh"])
def test_the_edge_of_finite_trials(scheme):
    """The closed form behind the warning against second differences of the finite-trial sum at its optimum."""
    task = wp.Integrator(0.2, noise=wp.WhiteNoise(20.0, 0.1, 4))
    network = wp.ContinuousLinearRNN([[0.1]], [1.3], [0.0], dt=0.1, scheme=scheme)
    lags = np.arange(200)

    def loss(readout, outlier):
        shrink = 1 - 0.1 * (1 - outlier) if scheme == "euler" else np.exp(-0.1 * (1 - outlier))
        fit = 1.0 if scheme == "euler" else (1 - shrink) / (0.1 * (1 - outlier))
        error = 1.3 * readout * fit * shrink**lags - np.exp(-0.02 * lags)
        return 0.05 * np.sum((1 - lags / 200) * error**2)

    outlier = 1 - (1 - np.exp(-0.02)) / 0.1 if scheme == "euler" else 0.8
    at, h = np.array([(1 if scheme == "euler" else 0.02 / (1 - np.exp(-0.02))) / 1.3, outlier]), 1e-4
    rows = np.eye(2) * h
    hessian = [[sum(p * q * loss(*(at + p * a + q * b)) for p in (1, -1) for q in (1, -1)) / (4 * h**2) for b in rows]
               for a in rows]  # fmt: skip
    scale = np.sqrt([0.6, 1.0])
    expected = 2 / np.linalg.eigvalsh(scale[:, None] * np.array(hessian) * scale)[-1]
    edge = largest_finite_step(network, finite_target(task), readout_speed=0.6)
    np.testing.assert_allclose(edge, expected, rtol=1e-4)
    for kind in (task, wp.FiniteTrials(task)):
        setup = wp.Setup(network, kind, wp.BPTT(), train=BOTH, rates={"w_out": 0.6})
        with pytest.warns(UserWarning, match=f"above {edge:.6g}.*stable at the solution for decay 0.2"):
            warn_of_large_steps(setup, 1.01 * edge)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warn_of_large_steps(setup, 0.99 * edge)


@pytest.mark.slow
def test_descent_settles_below_the_edge_and_leaves_above_it():
    setup = optimum(0.5, 1)
    edge = wp.analysis.sharpness(setup).largest_rate
    near = setup.with_network(wp.ContinuousLinearRNN([[0.5001]], [1.0], [1.0001]))
    below = wp.train(near, optax.sgd(0.95 * edge), 60, record=wp.Record(every=20))
    assert np.all(np.diff(below.loss) < 0)
    with pytest.warns(UserWarning, match="training will not settle"):
        above = wp.train(near, optax.sgd(1.05 * edge), 60, record=wp.Record(every=20))
    assert above.loss[-1] > above.loss[1] > below.loss[1]


def test_where_there_is_none():
    with pytest.raises(ValueError, match="needs an exact loss.*RateRNN"):
        wp.analysis.sharpness(wp.Setup(wp.RateRNN([[0.0]], [1.0], [0.0], leak=0.1), wp.Integrator(0.2), wp.BPTT(),
                                       train="w_rec"))  # fmt: skip
    with pytest.raises(ValueError, match="not finite at this network"):
        wp.analysis.sharpness(wp.Setup(wp.ContinuousLinearRNN([[1.1]], [1.0], [1.0]), wp.Integrator(0.2), wp.BPTT(),
                                       train=BOTH))  # fmt: skip
    perfect = wp.Integrator(0.0, noise=wp.WhiteNoise(2.0, 0.1, 1))
    with pytest.raises(ValueError, match="no target of infinite data"):
        wp.analysis.sharpness(wp.Setup(wp.ContinuousLinearRNN([[0.1]], [1.0], [1.0]), perfect, wp.BPTT(), train=BOTH))
