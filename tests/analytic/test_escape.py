"""The escape of random small starts: the linear system across the read-in, and times of single seeds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pair_cases import in_plane, random_start, two_units
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

import weightpath as wp
from weightpath import theory
from weightpath.theory.escape import _single

PAIR = theory.ConjugatePair()
RATES = {"w_rec": 0.6, "w_out": 2.0}


@pytest.mark.parametrize("target", [pytest.param((0.2, 1.0, 1.0, 0.0), marks=pytest.mark.slow), (0.3, 1.1, 0.8, -0.5)])
@pytest.mark.parametrize("rate", [pytest.param(0.7, marks=pytest.mark.slow), 1.0, 1.6])
def test_linear_system_is_the_jacobian_of_the_pair(target, rate):
    setup = two_units(target[0], target[1], cosine=target[2], sine=target[3], kappa=1.7, rates=RATES)
    system, _ = _single(setup)
    point = jnp.array([1 - rate, 0, 0, 0, 0.4, 0])
    matrix = jax.jacfwd(lambda y: PAIR.vector_field(0.0, y, setup))(point)
    across = np.array([2, 1, 5])  # d, b, e
    found = system.generator(jnp.asarray(0.4), jnp.asarray(rate))
    np.testing.assert_allclose(found, np.asarray(matrix)[np.ix_(across, across)], atol=1e-12)
    along = system.field(0.0, jnp.concatenate([jnp.array([0.4, rate]), jnp.eye(3).reshape(9)]))[:2]
    field = PAIR.vector_field(0.0, point, setup)
    np.testing.assert_allclose(along, [field[4], -field[0]], rtol=1e-12)


def test_weights_of_the_table():
    np.testing.assert_allclose(theory.escape_weights(two_units(), 40.0), [51.64, -45.67, -24.08], atol=0.01)


@pytest.mark.slow
def test_weights_do_not_depend_on_when_the_plateau_is_reached():
    setup = random_start(0, 1e-3)
    chosen = np.asarray(theory.escape(setup).weights)
    gaps = []
    for time in (40.0, 60.0, 120.0):
        row = np.asarray(theory.escape_weights(setup, time))
        gaps.append(np.linalg.norm(row / np.linalg.norm(row) - chosen / np.linalg.norm(chosen)))
    assert gaps[0] < 1e-3 and gaps[1] < 1e-4 and gaps[2] < 1e-6


@pytest.mark.slow  # twin: the table of test_pair, and test_swept_starts below
def test_start_in_a_plane_is_its_own_problem():
    setup = in_plane(9, [0, 0, 0, 0, 0, 1e-4])
    found = theory.escape(setup)
    np.testing.assert_allclose(found.times.half_plateau, 102.0021, atol=1e-3)
    np.testing.assert_allclose(abs(found.direction @ setup.network.w_out[0]), 1e-4, rtol=1e-12)


@pytest.fixture(scope="module")
def seeds():
    """Prediction and projected flow of several starts: (size, predicted, measured, comparison)."""
    rows = []
    for seed, size in ((0, 1e-2), (1, 1e-2), (2, 1e-3)):
        setup = random_start(seed, size)
        found = theory.escape(setup)
        time = np.linspace(0.0, 85.0, 171)
        run = wp.flow(setup, time, project=2, rtol=1e-8)
        height = np.log(np.asarray(run.loss) / (float(theory.plateau(setup).loss) / 2))
        at = int(np.argmax(height < 0))
        measured = brentq(CubicSpline(time, height), time[at - 1], time[at])
        rows.append((size, float(found.times.half_plateau), measured, wp.compare(found.pair, run)))
    return rows


@pytest.mark.slow
def test_escape_times_of_single_seeds(seeds):
    for size, predicted, measured, _ in seeds:
        assert abs(measured / predicted - 1) < 0.5 * size
    assert abs(seeds[0][1] - seeds[1][1]) > 0.3  # the seeds differ by more than the prediction misses


@pytest.mark.slow
def test_whole_paths_in_the_escape_plane(seeds):
    *_, comparison = seeds[2]
    assert comparison.reason == ""
    assert float(np.max(np.abs(comparison.loss - comparison.predicted_loss))) < 2e-3
    end = PAIR.eigenvalues(jnp.asarray(comparison.measured[-1]))
    np.testing.assert_allclose(end, [0.8 + 1j, 0.8 - 1j], atol=2e-3)


def test_large_starts_warn():
    with pytest.warns(UserWarning, match="first order in the initial weights"):
        theory.escape(random_start(0, 0.3))


def test_swept_starts_share_the_theory():
    setup = random_start(0, 1e-2)
    halved = eqx.tree_at(
        lambda s: (s.network.w_rec, s.network.w_out), setup, (setup.network.w_rec / 10, setup.network.w_out / 10)
    )
    early, late = (float(theory.escape(one).times.half_plateau) for one in (setup, halved))
    np.testing.assert_allclose(late - early, np.log(10) / float(theory.escape_rate(setup)), rtol=0.02)
