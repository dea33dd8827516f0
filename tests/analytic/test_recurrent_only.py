"""Recurrent weights that learn alone: the two-pole system against the flow, reference values, and its warning."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.theory import Outlier, RecurrentOnly, learning_time, solve


def alone(read_in, read_out, w_rec=None, decay=0.2, rate=1.0):
    units = len(read_in)
    network = wp.ContinuousLinearRNN(np.zeros((units, units)) if w_rec is None else w_rec, read_in, read_out)
    return wp.Setup(network, wp.Integrator(decay), wp.BPTT(), train=("w_rec",), rates={"w_rec": rate})


def test_readout_across_the_read_in():
    """I13, and where the poles go."""
    path = solve(RecurrentOnly(), alone([1.0, 0.0], [0.0, 1.0]), [5.0, 20.0, 100.0, 1000.0])
    np.testing.assert_allclose(path.loss, [0.15849, 0.11199, 0.06807, 0.03189], atol=1e-4)
    poles = np.asarray(RecurrentOnly().poles(path.coords))
    assert np.all(np.abs(poles.imag) == 0) and np.all(np.diff(poles[:, 1].real) < 0) and poles[-1, 1].real < -6
    np.testing.assert_allclose(poles[-1, 0].real, 0.8, atol=0.01)


def test_any_angle_against_the_flow():
    rng = np.random.default_rng(0)
    read_in, read_out = rng.normal(size=(2, 5))
    setup = alone(read_in, 0.5 * read_out, decay=0.3, rate=0.7)
    with pytest.warns(UserWarning, match="zero delay"):
        run = wp.flow(setup, [0.0, 0.5, 2.0, 5.0])
    found = wp.compare(RecurrentOnly(), run)
    assert found.reason == ""
    np.testing.assert_allclose(found.error, 0, atol=1e-8)
    np.testing.assert_allclose(found.loss, found.predicted_loss, atol=1e-9)
    # The exchange symmetry that leaves three coordinates, in the plane of read-in and read-out.
    u, v = read_in / np.linalg.norm(read_in), read_out / np.linalg.norm(read_out)
    for w_rec in np.asarray(run.networks.w_rec):
        np.testing.assert_allclose(u @ w_rec @ u, v @ w_rec @ v, atol=1e-12)


def test_parallel_vectors_are_the_single_outlier():
    setup = alone([1.0], [1.5])
    path = solve(RecurrentOnly(), setup, [0.0, 0.5, 50.0, 60.0])
    np.testing.assert_allclose(path.coords[-1, 0], Outlier().endpoint(setup)[2], atol=1e-8)
    np.testing.assert_allclose(path.loss, solve(Outlier(), setup, [0.0, 0.5, 50.0, 60.0]).loss, atol=1e-9)


def test_a_matching_start_is_not_warned_of(recwarn):
    wp.flow(alone([1.0], [1.0]), [0.1, 0.5])
    assert not [warning for warning in recwarn if "zero delay" in str(warning.message)]


def test_the_plateau_when_everything_learns():
    """I12: each factor of ten in the start costs ln(10) (1 + decay)."""
    trained = ("w_rec", "w_in", "w_out")
    times = [
        float(
            learning_time(
                wp.Setup(wp.ContinuousLinearRNN([[0.0]], [e], [e]), wp.Integrator(0.2), wp.BPTT(), trained), 0.01
            )
        )
        for e in (0.01, 0.001, 1e-4)
    ]
    np.testing.assert_allclose(np.diff(times) / np.log(10), 1.2, rtol=1e-3)


def test_regimes():
    theory, u, v = RecurrentOnly(), [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]
    assert theory.regime(alone(u, v)).inside
    turned = np.zeros((3, 3))
    turned[2, 0] = 0.4
    assert "out of their plane" in theory.regime(alone(u, v, turned)).reason
    assert not theory.regime(alone(u, [0.0, 0.0, 0.0])).defined
    other = wp.Setup(alone(u, v).network, wp.Integrator(0.2), wp.BPTT(), train=("w_rec", "w_out"))
    assert "learn alone" in theory.regime(other).reason
