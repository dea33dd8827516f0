"""A read-out that learns alone: reference values, closed forms, quadrature, the threshold, and finite networks."""

from math import factorial

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm, solve_continuous_lyapunov

import weightpath as wp
from weightpath.networks.fock import infinite
from weightpath.networks.init import gaussian
from weightpath.studies.lazy_networks import krylov, oscillation
from weightpath.theory import Reservoir, bounded_readout

TIMES = [1.0, 10.0, 100.0, 1000.0]


def alone(task, *, gain=0.5, kappa=1.0, network=None, rate=1.0):
    network = infinite(gain, 3, read_in_norm=kappa, readout="zero") if network is None else network
    return wp.Setup(network, task, wp.BPTT(), train=("w_out",), rates={"w_out": rate})


@pytest.mark.parametrize(
    ("gain", "decay", "loss", "norm"),
    [
        (0.9, 0.2, [0.3730390, 4.542204e-3, 3.441358e-5, 2.581359e-7], [0.91942, 2.05425, 2.17341, 2.18211]),
        (0.5, 0.2, [0.7261661, 0.3218496, 0.1394916, 5.945497e-2], [0.71566, 2.11162, 4.76795, 10.36327]),
        (0.5, 0.6, [0.1507009, 6.583462e-3, 2.717909e-4, 1.189346e-5], [0.50971, 1.24911, 1.47746, 1.57348]),
    ],
)
def test_reference_values(gain, decay, loss, norm):
    setup = alone(wp.Integrator(decay), gain=gain)
    found = Reservoir().predict(setup, TIMES)
    np.testing.assert_allclose(found[:, 1], loss, rtol=1e-5)
    np.testing.assert_allclose(found[:, 0], norm, rtol=1e-5)
    assert np.all(Reservoir().truncation_error(setup, TIMES) < 1e-7)


def test_the_threshold_at_infinitely_many_units():
    """I6."""
    for decay in (0.6, 0.7, 0.8, 0.9):
        setup = alone(wp.Integrator(decay))
        limit = 1 / np.sqrt(1 - ((1 - decay) / 0.5) ** 2)
        np.testing.assert_allclose(Reservoir().limit_norm(setup), limit, rtol=1e-12)
        np.testing.assert_allclose(Reservoir().solve(setup, [1e5]).norm, limit, rtol=0.02)
        assert bounded_readout(0.5, [1 - decay])
    for decay in (0.3, 0.35):
        setup = alone(wp.Integrator(decay))
        norm = Reservoir().solve(setup, [1e4, 1e5]).norm
        assert norm[1] > 1.45 * norm[0] and not bounded_readout(0.5, [1 - decay])
        assert np.isinf(Reservoir().limit_norm(setup))


@pytest.mark.parametrize(("cosine", "sine"), [(1.0, 0.0), (0.7, -1.2)])
def test_a_damped_oscillation(cosine, sine):
    """Products with the features by quadrature; coefficients, their norm and the threshold from the complex pole."""
    pole, kappa, gain = 0.2 + 0.3j, 1.3, 0.5
    task = wp.RationalFilter([[-0.8, -0.3], [0.3, -0.8]], [1.0, 0.0], [cosine, sine])
    setup = alone(task, gain=gain, kappa=kappa)
    n = np.arange(60)
    exact = np.real((cosine - 1j * sine) * pole**n) / (kappa * gain**n)
    # At the end of learning P a = X.
    for order in (0, 3, 7):
        feature = lambda s, order=order: kappa * np.exp(-s) * (gain * s) ** order / factorial(order)  # noqa: E731
        target = lambda s: np.exp(-0.8 * s) * (cosine * np.cos(0.3 * s) + sine * np.sin(0.3 * s))  # noqa: E731
        product = quad(lambda s: feature(s) * target(s), 0, 80, epsabs=1e-12, limit=300)[0]  # noqa: B023
        total = order + n
        binomial = np.array([float(factorial(int(k)) // (factorial(order) * factorial(int(k) - order))) for k in total])
        np.testing.assert_allclose(
            np.sum(kappa**2 * gain**total * binomial / 2.0 ** (total + 1) * exact), product, atol=1e-9
        )
    z, q = cosine - 1j * sine, pole / gain
    closed = np.sqrt(0.5 * (abs(z) ** 2 / (1 - abs(q) ** 2) + np.real(z**2 / (1 - q**2)))) / kappa
    np.testing.assert_allclose(Reservoir().limit_norm(setup), closed, rtol=1e-12)
    path = Reservoir().solve(setup, [0.0, 1e7])
    np.testing.assert_allclose(path.norm[1], closed, rtol=0.02)
    np.testing.assert_allclose(path.loss[1], 0.0, atol=1e-7)
    energy = quad(lambda s: target(s) ** 2, 0, 80, epsabs=1e-12)[0]
    np.testing.assert_allclose(path.loss[0], energy / 2, rtol=1e-10)


@pytest.mark.parametrize("angle", [0.3, 0.8, 1.3])
def test_complex_poles_are_bounded_inside_the_disk_only(angle):
    norms = {}
    for radius in (0.4, 0.6):
        pole = radius * np.exp(1j * angle)
        setup = alone(oscillation(pole))
        norms[radius] = np.asarray(Reservoir().solve(setup, [1e2, 1e6]).norm)
        assert bounded_readout(0.5, [pole, np.conj(pole)]) == (radius < 0.5)
        assert np.isfinite(Reservoir().limit_norm(setup)) == (radius < 0.5)
    assert norms[0.6][1] / norms[0.6][0] > 2 and norms[0.4][1] / norms[0.4][0] < 1.2


@pytest.fixture(scope="module")
def networks():
    keys = jax.random.split(jax.random.key(2503), 6)
    return [krylov(gaussian(key, 400, gain=0.5, read_in_norm=1.0, readout="zero")) for key in keys]


def test_networks_of_400_units(networks):
    """I5(a)."""
    runs = [wp.flow(alone(wp.Integrator(0.6), network=network), TIMES[:3]) for network in networks]
    ratio = np.mean([run.loss for run in runs], axis=0) / np.array([0.1507, 6.58e-3, 2.72e-4])
    assert np.all(np.abs(ratio - 1) < [0.05, 0.25, 0.7]), ratio
    assert all(np.array_equal(run.networks.w_rec[-1], run.networks.w_rec[0]) for run in runs)


@pytest.mark.slow
def test_complex_poles_in_networks_of_400_units(networks):
    growth = {}
    for radius in (0.4, 0.65):
        runs = [
            wp.flow(alone(oscillation(radius * np.exp(0.3j)), network=network), [1.0, 10.0, 1000.0])
            for network in networks[:2]
        ]
        norms = np.array([np.linalg.norm(run.networks.w_out[:, 0], axis=1) for run in runs])
        growth[radius] = np.mean(norms[:, 2] / norms[:, 1])
    assert growth[0.4] < 1.3 < 1.5 < growth[0.65], growth


@pytest.mark.slow  # twins: test_reference_values and the Krylov space below
def test_compare_with_a_cut_of_the_same_limit():
    """Words up to 4 know W^n u for n <= 4: the flow of the cut network is the theory's with 5 modes."""
    network = infinite(0.4, 4, read_in_norm=1.2, readout="aligned", readout_norm=0.3)
    run = wp.flow(alone(wp.Integrator(0.7), network=network, rate=0.6), [0.0, 1.0, 20.0, 300.0])
    found = wp.compare(Reservoir(modes=5), run)
    assert found.reason == ""
    np.testing.assert_allclose(found.error, 0, atol=1e-9)


def test_the_krylov_space_holds_all_that_a_readout_sees():
    """Against SciPy on the whole network: d(v)/d(time) = -(P v - X)."""
    network = gaussian(jax.random.key(1), 60, gain=0.5, read_in_norm=1.0, readout="zero")
    w_rec, u = np.asarray(network.w_rec), np.asarray(network.w_in)[:, 0]
    covariance = solve_continuous_lyapunov(w_rec - np.eye(60), -np.outer(u, u))
    product = np.linalg.solve(1.6 * np.eye(60) - w_rec, u)
    small = wp.flow(alone(wp.Integrator(0.6), network=krylov(network)), TIMES[:3])
    for time, loss in zip(TIMES, small.loss, strict=False):
        block = np.block([[-covariance, product[:, None]], [np.zeros((1, 61))]])
        v = expm(block * time)[:60, 60]
        np.testing.assert_allclose(0.5 * (v @ covariance @ v - 2 * v @ product + 1 / 1.2), loss, rtol=1e-7)


def rule(w_rec, w_in, w_out, **change):
    setup = {"task": wp.Integrator(0.6), "train": ("w_out",)} | change
    return wp.Setup(wp.ContinuousLinearRNN(w_rec, w_in, w_out), setup["task"], wp.BPTT(), train=setup["train"])


def test_regimes():
    rng = np.random.default_rng(0)
    w_rec, u = 0.5 * rng.normal(size=(200, 200)) / np.sqrt(200), rng.normal(size=200) / np.sqrt(200)
    zero, theory = np.zeros(200), Reservoir()
    assert theory.regime(rule(w_rec, u, zero)).inside
    assert theory.regime(rule(w_rec, u, rng.normal(size=200))).inside  # an independent start is no obstacle
    cases = {
        "learns alone": (rule(w_rec, u, zero, train=("w_rec", "w_out")), False),
        "no input": (rule(w_rec, zero, u), False),
        "gain 1": (rule(2.4 * w_rec, u, zero), False),
        "gain 0": (rule(0 * w_rec, u, zero), True),
        "already reads": (rule(w_rec, u, w_rec @ u), True),
        r"u\^T W0 u": (rule(0.5 * np.eye(200), u, zero), True),
    }
    for words, (setup, defined) in cases.items():
        regime = theory.regime(setup)
        assert not regime.inside and regime.defined == defined
        with pytest.warns(UserWarning, match=words):
            assert np.all(np.isnan(theory.predict(setup, [1.0]))) != defined


def test_bad_input():
    setup = alone(wp.Integrator(0.6))
    with pytest.raises(ValueError, match="times from 0 on"):
        Reservoir().solve(setup, [-1.0])
    with pytest.raises(ValueError, match="modes"):
        Reservoir(modes=1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Reservoir(gain=1.5)
