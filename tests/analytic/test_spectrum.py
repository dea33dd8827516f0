"""Eigenvalue paths with known answers, outliers of random matrices, and the disk of projected trajectories."""

import numpy as np
import pytest
from outlier_cases import random_start, rank_one

import weightpath as wp
from weightpath.analysis import spectrum
from weightpath.theory import detached_overlap

TIME = np.linspace(0.0, 1.0, 21)


def conjugated(blocks, seed=0):
    """Matrices similar to the given ones by one fixed, non-orthogonal change of basis."""
    size = blocks.shape[-1]
    basis = np.random.default_rng(seed).normal(size=(size, size)) + 2 * np.eye(size)
    return basis @ blocks @ np.linalg.inv(basis)


class TestMatching:
    def test_paths_that_cross_keep_their_identity(self):
        paths = np.stack([0.2 + 0.6 * TIME, 0.8 - 0.5 * TIME, np.full_like(TIME, 0.45), -0.1 - 0.1 * TIME], axis=1)
        found = spectrum(wp.Trajectory.from_arrays(conjugated(np.stack([np.diag(row) for row in paths])), time=TIME))
        expected = paths[:, np.argsort(-np.abs(paths[-1]))]
        np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-9)

    def test_crossing_at_uneven_times(self):
        time = np.sort(np.random.default_rng(1).uniform(size=25))
        paths = np.stack([0.2 + 0.6 * time, 0.8 - 0.5 * time], axis=1)
        found = spectrum(wp.Trajectory.from_arrays(conjugated(np.stack([np.diag(row) for row in paths])), time=time))
        np.testing.assert_allclose(found.eigenvalues, paths[:, [0, 1]], atol=1e-9)

    def test_two_real_eigenvalues_become_a_conjugate_pair(self):
        # [[0, 1], [D, 0]] has eigenvalues +-sqrt(D), a pair where D < 0.
        squares = 0.31 - 0.6 * TIME
        found = spectrum(wp.Trajectory.from_arrays(np.stack([[[0.0, 1.0], [d, 0.0]] for d in squares]), time=TIME))
        root = np.sqrt(squares.astype(complex))
        np.testing.assert_allclose(found.eigenvalues[:, 0], root, atol=1e-9)
        np.testing.assert_allclose(found.eigenvalues[:, 1], -root, atol=1e-9)
        assert np.all(found.eigenvalues[:, 0].imag >= 0)

    def test_every_step_holds_all_eigenvalues(self):
        weights = np.random.default_rng(2).normal(size=(6, 8, 8))
        found = spectrum(wp.Trajectory.from_arrays(weights))
        for step in range(6):
            np.testing.assert_allclose(
                np.sort_complex(found.eigenvalues[step]), np.sort_complex(np.linalg.eigvals(weights[step])), atol=1e-12
            )

    def test_learning_from_zero_weights(self):
        setup = rank_one(0.2, units=5)
        found = spectrum(wp.flow(setup, np.linspace(0, 4, 9)))
        assert found.bulk_radius == 0 and found.outlier[:, 0].tolist() == [False] + [True] * 8
        assert not found.outlier[:, 1:].any()
        predicted = wp.theory.Outlier().predict(setup, np.linspace(0, 4, 9))
        np.testing.assert_allclose(found.eigenvalues[:, 0], predicted[:, 2], atol=1e-7)
        np.testing.assert_allclose(found.overlap[1:, 0], 1.0, atol=1e-9)


class TestOutliers:
    def test_one_outlier_beside_a_bulk(self):
        setup = random_start(200, 0.3, seed=4)
        direction = np.asarray(setup.network.w_in)[:, 0]
        grown = wp.ContinuousLinearRNN(
            np.asarray(setup.network.w_rec) + 0.6 * np.outer(direction, direction), direction, direction
        )
        for radius in (None, 0.3):
            found = spectrum(grown, bulk_radius=radius)
            assert found.outlier.sum() == 1
            np.testing.assert_allclose(found.bulk_radius, 0.3, rtol=0.03)
            np.testing.assert_allclose(found.outliers[0, 0], 0.6, atol=0.06)
            np.testing.assert_allclose(found.overlap[0, 0], detached_overlap(0.3, 0.6), atol=0.1)

    def test_no_outlier_below_the_gain(self):
        for seed in range(6):
            setup = random_start(100, 0.3, seed=seed)
            direction = np.asarray(setup.network.w_in)[:, 0]
            for size in (0.0, 0.15):
                weights = np.asarray(setup.network.w_rec) + size * np.outer(direction, direction)
                assert not spectrum(wp.ContinuousLinearRNN(weights, direction, direction)).outlier.any()

    @pytest.mark.slow  # twin: test_projected's outlier of the whole
    def test_projected_trajectory_carries_the_disk(self):
        trajectory = wp.flow(random_start(80, 0.1, seed=1), np.linspace(0, 4, 9), project=3)
        found = spectrum(trajectory)
        assert found.projected and found.eigenvalues.shape[1] == trajectory.lift.basis.shape[1]
        np.testing.assert_allclose(found.bulk_radius, 0.1, rtol=0.1)
        whole = np.linalg.eigvals(np.asarray(trajectory.network(-1, lifted=True).w_rec))
        np.testing.assert_allclose(found.outliers[-1, 0], whole[np.argmax(np.abs(whole))], atol=1e-5)


class TestInterface:
    def test_dataset(self):
        found = spectrum(wp.Trajectory.from_arrays(np.random.default_rng(3).normal(size=(3, 4, 4)), time=[0, 1, 3]))
        data = found.to_dataset()
        assert data.sizes == {"step": 3, "eig": 4} and data.attrs["projected"] == 0
        np.testing.assert_array_equal(data.learning_time, [0, 1, 3])
        np.testing.assert_array_equal(data.eigenvalue_re + 1j * data.eigenvalue_im, found.eigenvalues)

    def test_networks_without_input(self):
        found = spectrum(wp.Trajectory.from_arrays(np.random.default_rng(3).normal(size=(2, 4, 4))))
        assert not found.overlap.any()

    def test_bad_input(self):
        network = random_start(4, 0.1).network
        with pytest.raises(ValueError, match="bulk_radius"):
            spectrum(network, bulk_radius=-1.0)
