"""Networks of infinitely many units: the operator on words against reference values, limits and finite networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.networks.fock import infinite
from weightpath.networks.init import gaussian

TIMES = [0.25, 0.5, 1.0, 2.0]


def both(network, decay=0.2, **rates):
    return wp.Setup(network, wp.Integrator(decay), wp.BPTT(), train=("w_rec", "w_out"), rates=rates)


@pytest.fixture(scope="module")
def one_copy():
    return wp.flow(both(infinite(0.3, 4, read_in_norm=1.0, readout="zero")), TIMES, rtol=1e-8, atol=1e-10)


def test_one_copy_against_the_reference(one_copy):
    np.testing.assert_allclose(one_copy.loss, [1.0824924, 0.9317652, 0.5400878, 0.0033011], atol=1e-6)
    change = jnp.linalg.norm(one_copy.networks.w_rec - one_copy.setup.network.w_rec, axis=(1, 2))
    np.testing.assert_allclose(change, [0.019849, 0.077368, 0.344932, 0.675485], atol=1e-6)


def test_the_phase_diagram_against_the_flow():
    cell = wp.phase_diagram([0.6], [0.5], [0.1], error_bars=False, progress=False)
    time = cell.learning_time.item()
    setup = both(infinite(0.6, 4, read_in_norm=1.0, readout="zero"), 0.5, w_rec=0.1)
    run = wp.flow(setup, np.array([0.1, 0.5, 0.9, 1.0]) * time, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(run.loss[-1], 0.01 / (4 * 0.5), rtol=1e-3)
    change = jnp.linalg.norm(run.networks.w_rec[-1] - setup.network.w_rec)
    np.testing.assert_allclose(change / 0.5, cell.richness.item(), rtol=1e-3)


@pytest.mark.slow  # twin: one copy against the reference above
def test_two_copies_against_the_reference():
    network = infinite(0.3, 3, read_in_norm=1.0, readout="random", readout_norm=0.8)
    assert network.w_rec.shape == (30, 30) and not np.any(network.w_out @ network.w_in)
    run = wp.flow(both(network), TIMES, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(run.loss, [1.0032692, 0.7605034, 0.0356401, 0.0099895], atol=1e-6)


def test_without_words_it_is_the_single_outlier():
    run = wp.flow(both(infinite(0.3, 0, read_in_norm=1.0, readout="zero")), TIMES)
    np.testing.assert_allclose(run.loss, [1.093595, 0.957698, 0.675931, 0.000041], atol=1e-6)
    theory = wp.theory.solve(wp.theory.Outlier(), run.setup, TIMES)
    np.testing.assert_allclose(run.loss, theory.loss, atol=1e-9)


def test_words_of_gaussian_matrices_have_the_moments_of_the_operator():
    """Every word in W and W^T up to length 4, between read-ins: the mean over large matrices is the operator's."""
    units, rng = 600, np.random.default_rng(0)
    operator = np.asarray(infinite(0.5, 4, read_in_norm=1.0, readout="zero").w_rec)
    weights = 0.5 * rng.normal(size=(units, units)) / np.sqrt(units)
    vectors = np.linalg.qr(rng.normal(size=(units, 60)))[0]
    for number in range(16):
        left, right = vectors, np.eye(len(operator))[:, :1]
        for bit in f"{number:04b}":
            left = (weights if bit == "0" else weights.T) @ left
            right = (operator if bit == "0" else operator.T) @ right
        # 60 starts of standard deviation gain^4/sqrt(units): five standard errors, plus 1/N.
        found = np.mean(np.sum(vectors * left, axis=0))
        np.testing.assert_allclose(found, right[0, 0], atol=5 * 0.5**4 * np.sqrt(2 / units / 60) + 2 / units)


@pytest.mark.slow
def test_finite_networks_scatter_about_the_limit(one_copy):
    """I10 with fewer seeds: N = 100, words up to 3, spread of one network from the specification."""
    keys = jax.random.split(jax.random.key(2503), 8)
    networks = [gaussian(key, 100, gain=0.3, read_in_norm=1.0, readout="zero") for key in keys]
    losses = [np.asarray(wp.flow(both(network), TIMES, project=3, rtol=1e-5, atol=1e-7).loss) for network in networks]
    spread = np.array([0.0090, 0.0184, 0.0817, 0.00065])
    difference = np.abs(np.mean(losses, axis=0) - one_copy.loss)
    assert np.all(difference < 3 * spread / np.sqrt(8)), difference / spread


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gain": 1.0}, "gain must be in"),
        ({"gain": -0.1}, "gain must be in"),
        ({"depth": -1}, "depth"),
        ({"depth": 13}, "depth"),
        ({"read_in_norm": -1.0}, "read_in_norm"),
        ({"readout": "big"}, "one of zero, aligned, random"),
        ({"readout_norm": 0.5}, "does not fit"),
        ({"readout": "aligned"}, "does not fit"),
    ],
)
def test_bad_input(change, words):
    arguments = {"gain": 0.3, "depth": 2, "read_in_norm": 1.0, "readout": "zero"} | change
    with pytest.raises(ValueError, match=words):
        infinite(arguments.pop("gain"), arguments.pop("depth"), **arguments)
