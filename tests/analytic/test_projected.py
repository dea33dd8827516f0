"""Large networks in factors: silent units, the search for a depth, what is stored, and outliers of the whole."""

import jax.numpy as jnp
import numpy as np
import pytest
from outlier_cases import random_start

import weightpath as wp
from weightpath.analysis import spectrum
from weightpath.learn import projected
from weightpath.networks.words import first_words, longer_words, project, start_vectors, word_basis

TIME = np.linspace(0.0, 2.0, 21)


@pytest.fixture(scope="module")
def setup():
    return random_start(60, 0.3, seed=3)


@pytest.fixture(scope="module")
def run(setup):
    return wp.flow(setup, TIME, project=3)


def test_words_grow_letter_by_letter(setup):
    w_rec = setup.network.w_rec
    words = first_words(start_vectors(setup.network))
    for depth in range(1, 4):
        words = longer_words(w_rec, words)
        np.testing.assert_array_equal(words.basis, word_basis(w_rec, start_vectors(setup.network), depth))
        assert words.depth == depth and words.fresh == 2**depth and not words.complete
    assert longer_words(0 * w_rec, first_words(start_vectors(setup.network))).complete


def test_factors_and_products_are_those_of_the_large_network(setup, run):
    small, vectors = run.network(-1), np.random.default_rng(0).normal(size=(60, 3))
    whole = run.network(-1, lifted=True).w_rec
    post, core, pre = run.lift.change_factors(small)
    assert core.shape == (15, 15) and run.lift.depth == 3
    np.testing.assert_allclose(setup.network.w_rec + post @ core @ pre.T, whole, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(core), np.linalg.norm(whole - setup.network.w_rec), rtol=1e-12)
    np.testing.assert_allclose(run.lift.apply(small, vectors), whole @ vectors, atol=1e-13)
    np.testing.assert_allclose(run.lift.apply(small, vectors, transpose=True), whole.T @ vectors, atol=1e-13)
    bare = wp.Lift(run.lift.basis, None, jnp.asarray(0.0))
    np.testing.assert_allclose(bare.apply(small, vectors), bare.network(small).w_rec @ vectors, atol=1e-13)


@pytest.mark.slow
def test_silent_units_change_nothing(setup, run):
    settings = {"solver": "explicit", "rtol": 1e-9, "atol": 1e-12, "max_steps": 1000}
    padded = projected.projected_flow(setup, jnp.asarray(TIME), None, 2, size=15, **settings)
    plain = wp.flow(setup, TIME, project=2)
    assert padded.networks.w_rec.shape == plain.networks.w_rec.shape == (21, 7, 7)
    np.testing.assert_allclose(padded.loss, plain.loss, atol=1e-7)
    np.testing.assert_allclose(padded.networks.w_rec, plain.networks.w_rec, atol=1e-6)


def test_a_search_that_must_stop_says_so(setup, monkeypatch):
    monkeypatch.setattr(projected, "LARGEST_BASIS", 10)
    with pytest.warns(UserWarning, match=r"has not converged: words of 2 letters.*3 letters would take 15 units"):
        found = wp.flow(setup, TIME, project="auto", project_error=1e-9)
    assert found.lift.depth == 2
    assert float(found.statistics["projection_error"].max()) > 1e-9 * float(found.loss[0])


def test_an_invariant_span_ends_the_search():
    found = wp.flow(random_start(30, 0.0), TIME, project="auto")
    assert found.lift.basis.shape == (30, 1) and not np.any(found.statistics["projection_error"])


def test_what_is_stored_holds_the_large_weights_at_most_once(run, tmp_path):
    large = random_start(300, 0.3)
    stored = wp.Trajectory(run.time, run.networks, run.loss, large, lift=project(large.network, 3)[1])
    size = wp.save(stored, tmp_path / "run.npz").stat().st_size
    assert size < 1.1 * (300**2 + 21 * 15**2 + 2 * 300 * 15) * 8
    again = wp.load(tmp_path / "run.npz")
    np.testing.assert_array_equal(again.lift.base, again.setup.network.w_rec)
    dataset = stored.to_dataset()
    assert dataset.projected_w_rec.shape == (21, 15, 15) and dataset.basis.shape == (300, 15)
    assert max(variable.size for variable in dataset.variables.values()) < 300**2


def test_outlier_of_the_projection_is_that_of_the_whole():
    """All eigenvalues of the large network: one outside the disk, where the projection has it."""
    trained = wp.flow(random_start(300, 0.3, seed=1), [0.0, 2.0, 4.0], project=3)
    found = spectrum(trained)
    whole = np.linalg.eigvals(np.asarray(trained.network(-1, lifted=True).w_rec))
    outside = whole[np.abs(whole) > 0.3 * (1 + 3 / np.sqrt(300))]
    assert outside.size == 1 and found.outlier[-1].sum() == 1
    np.testing.assert_allclose(found.outliers[-1, 0], outside[0], atol=5e-4)
