"""The one-outlier theory of finite trials: reference table, exact reduction, end points, regimes, sampled training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from integrator_reference import gaussian

import weightpath as wp
from weightpath.theory import FiniteOutlier, Outlier, solve

BOTH = ("w_rec", "w_out")
TIMES = [0.5, 1.0, 1.5, 2.0, 4.0]
#: Outlier and amplitude of the flow of L_{T,dt} for decay .2: the reference table.
TABLE = {
    (0.1, 20.0): ([0.0585, 0.2286, 0.5729, 0.8008, 0.8019], [0.3651, 0.6681, 0.9270, 1.0042, 1.0005]),
    (0.05, 40.0): ([0.0613, 0.2434, 0.6408, 0.8017, 0.8011], [0.3695, 0.6792, 0.9467, 0.9968, 0.9997]),
}


def setup_of(weights=([[0.0]], [1.0], [0.0]), *, decay=0.2, dt=0.1, duration=20.0, scheme="euler", train=BOTH,
             exact=False, trials=32, rates=None):  # fmt: skip
    task = wp.Integrator(decay, noise=wp.WhiteNoise(duration, dt, trials))
    network = wp.ContinuousLinearRNN(*weights, dt=dt, scheme=scheme)
    return wp.Setup(network, wp.FiniteTrials(task) if exact else task, wp.BPTT(), train=train, rates=rates)


@eqx.filter_jit
def field(coords, setup, theory=FiniteOutlier()):  # noqa: B008
    return theory.vector_field(0.0, coords, setup)


@pytest.mark.parametrize(("dt", "duration"), [(0.1, 20.0), pytest.param(0.05, 40.0, marks=pytest.mark.slow)])
def test_the_flow_of_the_finite_loss_is_the_reference_table(dt, duration):
    found = solve(FiniteOutlier(), setup_of(dt=dt, duration=duration), TIMES).coords
    outlier, amplitude = TABLE[dt, duration]
    np.testing.assert_allclose(found[:, 2], outlier, atol=5e-5)
    np.testing.assert_allclose(found[:, 1], amplitude, atol=5e-5)


def rank_one(coords, **fields):
    """The network of 20 units that the coordinates stand for."""
    direction = np.cos(np.arange(20)) / np.linalg.norm(np.cos(np.arange(20)))
    kappa, readout, outlier = coords
    weights = outlier * np.outer(direction, direction), kappa * direction, readout * direction
    return direction, setup_of(weights, exact=True, rates={"w_out": 0.6}, **fields)


def test_the_weights_stay_on_the_ansatz():
    """The velocity of 20 units at a point of the ansatz is the theory's vector field, and nothing besides."""
    coords = jnp.array([1.3, 0.7, 1.02])  # also where the network is unstable
    direction, setup = rank_one(coords)
    moved, (_, readout, outlier) = wp.velocity(setup), field(coords, setup)
    np.testing.assert_allclose(moved.w_rec, outlier * np.outer(direction, direction), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(moved.w_out[0], readout * direction, rtol=1e-11, atol=1e-13)


@pytest.mark.slow
def test_the_reduction_is_exact():
    """W0 = v0 = 0 at 20 units: every weight's flow on finite trials against the three coordinates."""
    direction, setup = rank_one((1.3, 0.0, 0.0))
    whole = wp.flow(setup, TIMES, rtol=1e-10, atol=1e-12)
    theory = solve(FiniteOutlier(), setup, TIMES, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(theory.loss, whole.loss, atol=1e-9)
    outlier = [np.linalg.eigvals(w_rec).real.max() for w_rec in whole.w_rec]
    np.testing.assert_allclose(theory.coords[:, 2], outlier, atol=1e-9)
    np.testing.assert_allclose(theory.coords[:, 1], whole.networks.w_out[:, 0] @ direction, atol=1e-9)


def test_the_flow_ends_at_the_end_point():
    setup = setup_of()
    found = solve(FiniteOutlier(), setup, [1.0, 2.0, 4.0, 50.0, 200.0]).coords[-1]
    np.testing.assert_allclose(found, FiniteOutlier().endpoint(setup), atol=1e-8)


@pytest.mark.parametrize("scheme", ["euler", "zoh"])
def test_the_end_point_is_stationary(scheme):
    start = [[0.2]], [0.8], [0.3]
    setup = setup_of(start, decay=0.5, scheme=scheme, train=("w_rec", "w_in", "w_out"), rates={"w_in": 0.5})
    end = FiniteOutlier().endpoint(setup)
    assert np.abs(field(end, setup)).max() < 1e-13
    np.testing.assert_allclose(end[2], {"euler": 1 - (1 - np.exp(-0.05)) / 0.1, "zoh": 0.5}[scheme], rtol=1e-14)
    np.testing.assert_allclose(Outlier().conserved(end, setup), 0.3**2 - 0.8**2 / 0.5, rtol=1e-12)


def test_one_trained_weight_ends_at_its_least_squares():
    setup = setup_of(([[0.2]], [0.8], [0.3]), train="w_out")
    end = FiniteOutlier().endpoint(setup)
    assert abs(field(end, setup)[1]) < 1e-13 and end[2] == 0.2
    assert np.isnan(FiniteOutlier().endpoint(setup_of(([[0.2]], [0.8], [0.3]), train="w_rec"))[2])


def test_its_loss_is_the_loss_that_training_records():
    coords = jnp.array([1.0, 0.7, 0.3])
    at = ([[0.3]], [1.0], [0.7])
    sampled, exact = setup_of(at), setup_of(at, exact=True)
    np.testing.assert_allclose(FiniteOutlier().loss(coords, sampled), 0.64722222, atol=1e-8)
    np.testing.assert_allclose(FiniteOutlier().loss(coords, exact), wp.loss(exact), rtol=1e-13)
    np.testing.assert_allclose(FiniteOutlier().trial_loss(coords, sampled), wp.loss(exact), rtol=1e-13)
    perfect = setup_of(at, decay=0.0)  # no stationary state: the batch loss is recorded, whose mean is the trial loss
    np.testing.assert_allclose(
        FiniteOutlier().loss(coords, perfect), FiniteOutlier().trial_loss(coords, perfect), rtol=1e-14
    )


def test_long_trials_and_small_bins_are_the_theory_of_the_stationary_loss():
    coords, differences = jnp.array([0.9, 0.7, 0.3]), []
    for dt, duration in ((0.04, 50.0), (0.02, 100.0)):
        setup = setup_of(decay=0.5, dt=dt, duration=duration)
        differences.append(np.abs(field(coords, setup) - Outlier().vector_field(0.0, coords, setup)).max())
    assert differences[1] < 0.01
    np.testing.assert_allclose(differences[0] / differences[1], 2, rtol=0.05)  # both errors halve


def test_regimes():
    finite, stationary = FiniteOutlier(), Outlier()
    assert finite.regime(setup_of()).inside and finite.regime(setup_of(exact=True)).inside
    # The stationary theory answers for sampled tasks, and says when their trials are too short for it.
    lag = stationary.regime(setup_of())
    assert lag.defined and not lag.inside and "use theory.FiniteOutlier" in lag.reason
    assert stationary.regime(setup_of(duration=100.0)).inside
    assert not stationary.regime(setup_of(exact=True)).defined
    assert finite.regime(setup_of(([[1.2]], [1.0], [0.1]))).inside  # unstable, and yet its trials end
    network = wp.ContinuousLinearRNN([[0.0]], [1.0], [0.0], dt=0.1)
    for task, word in (
        (wp.Integrator(0.2), "no `noise`"),
        (wp.RationalFilter(-np.eye(2), [1.0, 1.0], [1.0, 0.5], noise=wp.WhiteNoise(2.0, 0.1, 1)), "2 poles"),
    ):
        regime = finite.regime(wp.Setup(network, task, wp.BPTT(), train=BOTH))
        assert not regime.defined and word in regime.reason
    for other, word in (
        (wp.LinearRNN([[0.0]], [1.0], [0.0]), "discrete time"),
        (wp.ContinuousLinearRNN([[0.0]], [1.0], [0.0]), "dt=None"),
        (wp.RateRNN([[0.0]], [1.0], [0.0], leak=0.1), "RateRNN"),
    ):
        regime = finite.regime(wp.Setup(other, setup_of().task, wp.BPTT(), train=BOTH))
        assert not regime.defined and word in regime.reason


@pytest.fixture(scope="module")
def descent():
    """The reference run: 32 units of gain .01, dt .1, trials of 20, 32 a batch, 200 steps of rate .02; four seeds."""
    runs, optimiser = [], optax.sgd(0.02)
    for seed in range(4):
        w_rec, w_in, _ = gaussian(seed, 32, 0.01)
        setup = setup_of((w_rec, w_in, 0 * w_in.T))
        runs.append(wp.train(setup, optimiser, 200, record=wp.Record(every=25), key=jax.random.key(seed)))
    return runs


@pytest.mark.slow
def test_sampled_descent_follows_the_theory_of_its_trials(descent):
    compared = [wp.compare(FiniteOutlier(), run) for run in descent]
    optimum = 1 - (1 - np.exp(-0.02)) / 0.1
    for found in compared:
        assert found.result == wp.RESULTS.successful
        assert abs(found.measured[2, 2] - found.predicted[2, 2]) < 0.02  # time 1
        assert abs(found.measured[-1, 2] - optimum) < 2e-3  # time 4
        assert abs(found.measured[-1, 1] - 1) < 0.01
        np.testing.assert_allclose(found.predicted_loss[0], found.loss[0], rtol=1e-3)
    # At time 1.5, on average, the stationary theory is far off and this one is not.
    measured = np.mean([found.measured[3, 2] for found in compared])
    stationary = [wp.compare(Outlier(), run) for run in descent]
    assert all(not found.result == wp.RESULTS.successful for found in stationary)
    assert abs(measured - compared[0].predicted[3, 2]) < 0.05 < 0.1 < stationary[0].predicted[3, 2] - measured


@pytest.mark.slow
def test_momentum_and_adam_learn_from_batches_without_a_prediction():
    setup, record = setup_of(([[0.3]], [1.0], [0.5]), decay=0.5), wp.Record(every=100)
    for optimiser in (optax.sgd(0.02, momentum=0.8), optax.adam(0.02)):
        run = wp.train(setup, optimiser, 100, key=jax.random.key(0), record=record)
        assert run.loss[-1] < 0.02 * run.loss[0] and not run.follows_velocity
        found = wp.compare(FiniteOutlier(), run)
        assert found.result == wp.RESULTS.outside_regime and "no prediction" in found.reason
        assert np.isnan(found.predicted).all() and np.isfinite(found.measured).all()
