"""The word-Krylov basis and the projected network: spans, exactness, and the way back."""

import itertools

import numpy as np
import pytest
from integrator_reference import ALL, TARGETS, gaussian, problem

import weightpath as wp
from weightpath.networks.words import project, word_basis


def words(w_rec, vectors, depth):
    """Every word of at most `depth` letters applied to every vector, the long way."""
    letters = (w_rec, w_rec.T)
    found = []
    for length in range(depth + 1):
        for word in itertools.product(letters, repeat=length):
            product = np.eye(len(w_rec))
            for letter in word:
                product = product @ letter
            found.append(product @ vectors)
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_basis_is_orthonormal_and_spans_all_words(depth):
    w_rec, w_in, w_out = gaussian(0, 80, 0.5)
    vectors = np.concatenate([w_in, w_out.T], axis=1)
    basis = word_basis(w_rec, vectors, depth)
    every = words(w_rec, vectors, depth)
    assert basis.shape == (80, 2 * (2 ** (depth + 1) - 1))
    assert np.abs(basis.T @ basis - np.eye(basis.shape[1])).max() < 1e-14
    assert np.abs(every - basis @ (basis.T @ every)).max() < 1e-13
    assert np.linalg.matrix_rank(every) == basis.shape[1]


def test_dimension_collapses_for_special_matrices():
    w_rec, w_in, _ = gaussian(1, 40, 0.5)
    rank_one = np.outer(w_rec[0], w_rec[1])
    assert word_basis(np.zeros((40, 40)), w_in, 5).shape[1] == 1
    assert word_basis(w_rec + w_rec.T, w_in, 4).shape[1] == 5
    assert word_basis(rank_one, w_in, 5).shape[1] == 3
    assert word_basis(w_rec[:5, :5], w_in[:5], 6).shape == (5, 5)
    assert word_basis(w_rec, np.concatenate([w_in, 0 * w_in, 2 * w_in], axis=1), 0).shape[1] == 1


def test_full_basis_gives_the_same_learning_problem():
    """A basis of the whole space is a change of coordinates: loss and velocities transform with it."""
    weights = gaussian(2, 12, 0.6, (2, 3))
    setup = problem(weights, TARGETS["several"], train=ALL)
    small, lift = project(setup.network, 2)
    assert small.w_rec.shape == (12, 12)
    velocity, reduced = wp.velocity(setup), wp.velocity(setup.with_network(small))
    assert wp.loss(setup.with_network(small)) == pytest.approx(float(wp.loss(setup)), rel=1e-13)
    assert np.abs(lift.basis @ reduced.w_rec @ lift.basis.T - velocity.w_rec).max() < 1e-12
    assert np.abs(lift.basis @ reduced.w_in - velocity.w_in).max() < 1e-12


def test_lift_of_the_projection_is_the_network_itself():
    weights = gaussian(3, 50, 0.4)
    network = wp.ContinuousLinearRNN(*weights)
    small, lift = project(network, 2)
    again = lift.network(small)
    assert np.abs(again.w_rec - network.w_rec).max() < 1e-14
    assert np.abs(again.w_in - network.w_in).max() < 1e-14
    assert np.abs(again.w_out - network.w_out).max() < 1e-14
    assert lift.bulk_radius == pytest.approx(0.4, rel=0.05)


def test_bad_input():
    w_rec, w_in, _ = gaussian(4, 6, 0.4)
    with pytest.raises(ValueError, match="depth .* must not be negative; got -1"):
        word_basis(w_rec, w_in, -1)
    with pytest.raises(ValueError, match="every start vector is zero"):
        project(wp.ContinuousLinearRNN(w_rec, 0 * w_in, 0 * w_in.T), 2)
