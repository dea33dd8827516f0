"""Tensor rank: planted tensors, tensorly as an independent program, spectra in closed form, paths known by factors."""

import jax.numpy as jnp
import numpy as np
import pytest
import tensorly
from tensorly.decomposition import parafac

from weightpath import Trajectory, outcome_name
from weightpath.analysis import matched_correlation, principal_angles, share_outside, tensor_rank
from weightpath.analysis.cp import congruence
from weightpath.analysis.rank import energy_count, higher_order_svd, numerical_rank, unfolding
from weightpath.networks.factored import FactoredRNN
from weightpath.networks.lift import Lift
from weightpath.networks.linear import LinearRNN

SHAPE = (12, 9, 8)
RANKS = (1, 2, 3)


def planted(rank, shape=SHAPE, seed=0):
    random = np.random.default_rng(seed)
    factors = [random.standard_normal((size, rank)) for size in shape]
    return np.einsum("kr,ir,jr->kij", *factors), factors


def rebuilt(found, rank):
    return np.einsum("kr,ir,jr->kij", *found.factors(rank))


@pytest.fixture(scope="module")
def noisy():
    return planted(3)[0] + 0.3 * np.random.default_rng(1).standard_normal(SHAPE)


@pytest.fixture(scope="module")
def found(noisy):
    return tensor_rank(noisy, RANKS, relative_to=None, tolerance=1e-11)


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_terms_are_found_again(seed):
    tensor, factors = planted(3, seed=seed)
    found = tensor_rank(tensor, RANKS, relative_to=None, tolerance=1e-16)
    assert (
        found.multilinear_rank == (3, 3, 3)
        and found.slice_rank.max() <= 3
        and found.core_energy == pytest.approx(1, abs=1e-12)
    )
    assert found.r2[-1] == pytest.approx(1, abs=1e-12) and found.r2[1] < 0.999
    np.testing.assert_allclose(rebuilt(found, 3), tensor, atol=1e-5 * np.abs(tensor).max())
    assert congruence(found.factors(3), tuple(factors)) == pytest.approx(1, abs=1e-9)
    assert found.congruence[-1, 1] == pytest.approx(1, abs=1e-5)


def test_as_good_as_tensorly(found, noisy):
    """The same start as tensorly's, and others: the error is never larger than where tensorly ends."""
    power = np.sum(noisy**2)
    for rank, r2 in zip(found.ranks, found.r2, strict=True):
        other = parafac(tensorly.tensor(noisy), rank, n_iter_max=1000, init="svd", tol=1e-10)
        assert r2 >= 1 - np.sum((noisy - tensorly.cp_to_tensor(other)) ** 2) / power - 1e-9
        assert r2 == pytest.approx(1 - np.sum((noisy - rebuilt(found, rank)) ** 2) / power, abs=1e-12)


def test_r2_grows_with_rank_and_restarts_are_ordered(found):
    assert np.all(np.diff(found.r2) > 0)
    assert np.all(np.diff(found.r2_restarts, axis=1) <= 0)
    np.testing.assert_allclose(found.congruence[:, 0], 1)
    assert found.settled[:, 0].all() and outcome_name(found.result) == "successful"


def test_best_rank_one_term_is_a_stationary_point(found, noisy):
    # Normal equations of the three axes: c = T(., a, b), and the same for the unit columns.
    (c, a, b) = (factor[:, 0] for factor in found.factors(1))
    np.testing.assert_allclose(np.einsum("kij,i,j->k", noisy, a, b), c, rtol=1e-4)
    np.testing.assert_allclose(np.einsum("kij,k,j->i", noisy, c, b) / (c @ c), a, atol=1e-4)


def test_scale_signs_and_order_of_the_terms(found):
    for rank in found.ranks:
        c, a, b = found.factors(rank)
        np.testing.assert_allclose([np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0)], 1)
        assert np.all(a[np.abs(a).argmax(axis=0), range(rank)] > 0) and np.all(c.mean(axis=0) >= 0)
        assert np.all(np.diff(np.mean(c**2, axis=0)) <= 0)


def test_a_core_that_is_cut_loses_only_what_it_leaves_out(noisy):
    cut = tensor_rank(noisy, RANKS, relative_to=None, largest_core=4)
    left, values = higher_order_svd(noisy)
    core = np.einsum("kij,ka,ib,jc->abc", noisy, *(one[:, :4] for one in left))
    assert cut.core_energy == pytest.approx(np.sum(core**2) / np.sum(noisy**2), rel=1e-12)
    error = np.sum((noisy - rebuilt(cut, 3)) ** 2) / np.sum(noisy**2)
    assert cut.r2[-1] == pytest.approx(1 - error, abs=1e-12)


def test_too_few_sweeps_are_told(noisy):
    hurried = tensor_rank(noisy, (3,), relative_to=None, sweeps=2)
    assert outcome_name(hurried.result) == "not_converged" and not hurried.settled[0, 0]


def test_spectra_are_those_of_the_unfoldings_and_slices(found, noisy):
    for mode, values in enumerate(found.unfolding_values):
        np.testing.assert_allclose(values, np.linalg.svd(unfolding(noisy, mode), compute_uv=False)[: len(values)])
    np.testing.assert_allclose(found.slice_values, np.linalg.svd(noisy, compute_uv=False))
    assert energy_count(np.array([3.0, 4.0, 0.0])[::-1] ** 0.5, 0.5).shape == ()
    assert int(energy_count(np.array([2.0, 1.0, 1.0]), 0.8)) == 2 and int(energy_count(np.zeros(3))) == 0
    assert int(numerical_rank(np.array([1.0, 1e-7, 1e-9]))) == 2 and int(numerical_rank(np.zeros(3))) == 0


def test_thirty_slices_of_rank_one_can_need_thirty_terms():
    """Slice rank says nothing about tensor rank: rank-one slices whose unfoldings have full rank (section 5.5)."""
    random = np.random.default_rng(0)
    tensor = random.standard_normal((30, 30, 1)) * random.standard_normal((30, 1, 30))
    spectra = higher_order_svd(tensor)[1]
    assert [int(numerical_rank(values)) for values in spectra] == [30, 30, 30]
    assert set(numerical_rank(np.linalg.svd(tensor, compute_uv=False))) == {1}


def test_what_is_subtracted(noisy):
    for relative_to, base in (("start", noisy[0]), ("mean", noisy.mean(0)), (None, 0.0)):
        found = tensor_rank(noisy, RANKS, relative_to=relative_to, sweeps=2, restarts=8)
        np.testing.assert_allclose(found.slice_values, np.linalg.svd(noisy - base, compute_uv=False), atol=1e-12)


@pytest.mark.parametrize("core", [False, True])
def test_paths_known_by_factors_are_never_built(core, monkeypatch):
    random = np.random.default_rng(3)
    a, b = random.standard_normal((2, 30, 2))
    mixing = random.standard_normal((12, 2, 2) if core else (12, 2))
    network = FactoredRNN(
        jnp.asarray(a), jnp.asarray(b), jnp.asarray(mixing), jnp.ones((12, 2)), jnp.ones((1, 30)), jnp.zeros(1),
        jnp.asarray(4.0), core=core,
    )  # fmt: skip
    shared = ("post_factor", "pre_factor", "w_out", "readout_bias", "time_constant")
    trajectory = Trajectory(jnp.arange(12.0), network, jnp.zeros(12), shared=shared)
    whole = np.asarray(trajectory.w_rec)
    monkeypatch.setattr(Trajectory, "w_rec", property(lambda self: pytest.fail("the square matrices were built")))
    found = tensor_rank(trajectory, (1, 2, 4), relative_to="mean", tolerance=1e-14)
    change = whole - whole.mean(0)
    np.testing.assert_allclose(found.slice_values, np.linalg.svd(change, compute_uv=False)[:, :2], atol=1e-12)
    np.testing.assert_allclose(rebuilt(found, 4), change, atol=1e-5)
    if not core:
        assert found.r2[1] == pytest.approx(1, abs=1e-10)
        assert principal_angles(found.factors(2)[1], a).max() < 1e-3


def test_projected_paths_are_lifted():
    random = np.random.default_rng(4)
    basis = np.linalg.qr(random.standard_normal((30, 4)))[0]
    base = random.standard_normal((30, 30))
    inside = basis.T @ base @ basis + np.cumsum(random.standard_normal((12, 4, 4)), axis=0)
    small = LinearRNN(jnp.asarray(inside[0]), jnp.ones((4, 1)), jnp.ones((1, 4)))
    stacked = Trajectory.from_arrays(inside, np.ones((12, 4, 1)), np.ones((12, 1, 4))).networks
    lift = Lift(jnp.asarray(basis), jnp.asarray(base), jnp.asarray(1.0), small.w_rec, 1)
    found = tensor_rank(Trajectory(jnp.arange(12.0), stacked, jnp.zeros(12), lift=lift), RANKS)
    change = basis @ (inside - inside[0]) @ basis.T
    assert found.factors(3)[1].shape == (30, 3)
    error = np.sum((change - rebuilt(found, 3)) ** 2) / np.sum(change**2)
    assert found.r2[-1] == pytest.approx(1 - error, abs=1e-12)


def test_dataset_keeps_every_number(found):
    dataset = found.to_dataset()
    np.testing.assert_array_equal(dataset.r2, found.r2)
    np.testing.assert_array_equal(dataset.pre_factor.sel(rank=2).dropna("term"), found.factors(2)[2])
    np.testing.assert_array_equal(dataset.unfolding_value.sel(mode="pre").dropna("eig"), found.unfolding_values[2])
    assert dataset.attrs["result"] == "successful" and list(dataset.unfolding_count) == list(found.unfolding_count)


def test_angles_shares_and_correlations():
    half = np.array([[1.0, 0.0], [0.0, np.cos(0.3)], [0.0, np.sin(0.3)]])
    np.testing.assert_allclose(principal_angles(np.eye(3)[:, :2], half), [0, np.degrees(0.3)], atol=1e-6)
    change = np.diag([3.0, 4.0, 0.0])
    assert share_outside(change, np.eye(3)[:, :1]) == pytest.approx(4 / 5)
    assert share_outside(change, np.eye(3)[:, :2]) == 0 and share_outside(0 * change, np.eye(3)[:, :1]) == 0
    steps = np.random.default_rng(0).standard_normal((20, 3))
    np.testing.assert_allclose(matched_correlation(steps, -2 * steps[:, [2, 0, 1]] + 1), 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tensor_rank(np.ones((3, 4))), r"array \(step, post, pre\) or a trajectory; got shape \(3, 4\)"),
        (lambda: tensor_rank(np.ones((3, 4, 4))), "do not change over the 3 steps"),
        (lambda: tensor_rank(np.full((3, 4, 4), np.nan)), "NaN or infinite entries; drop those steps"),
        (lambda: tensor_rank(np.ones(SHAPE), relative_to="end"), 'must be "start", "mean" or None; got \'end\''),
        (lambda: tensor_rank(np.ones(SHAPE), (0, 1)), r"different whole numbers from 1 on; got \(0, 1\)"),
        (lambda: tensor_rank(np.ones(SHAPE), (2, 2)), "different whole numbers"),
        (lambda: tensor_rank(np.ones(SHAPE), restarts=0), "restarts must be at least 1; got 0"),
        (lambda: principal_angles(np.ones((3, 1)), np.ones((4, 1))), r"got \(3, 1\) and \(4, 1\)"),
        (lambda: principal_angles(np.full((3, 1), np.nan), np.ones((3, 1))), "NaN or infinite"),
        (lambda: share_outside(np.eye(3), 2 * np.eye(3)), "post_basis must be orthonormal"),
        (lambda: matched_correlation(np.ones((3, 1)), np.ones((4, 1))), "same steps; got 3 and 4"),
        (lambda: energy_count(np.ones(3), 0.0), r"must be in \(0, 1\]; got 0"),
    ],
)
def test_bad_input_is_one_clear_message(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_unknown_rank_names_the_known(found):
    with pytest.raises(ValueError, match="rank 4 was not decomposed; there are 1, 2, 3"):
        found.factors(4)
