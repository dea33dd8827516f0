"""Poles of the loss of fixed points along a line, and how far the line is stable, against determinants and grids."""

import numpy as np
import pytest
from fixed_point_program import wave

import weightpath as wp
from weightpath.analysis.poles import finite_eigenvalues


def ten_units() -> tuple[np.ndarray, np.ndarray]:
    return wave(10, 10, 0.5, 1.3, 1.1, 0.5 * np.sqrt(0.2)), wave(10, 10, 1, 2, 0.7, 2.5 * np.sqrt(0.2))


def network(w_rec: np.ndarray) -> wp.LinearRNN:
    return wp.LinearRNN(w_rec, np.eye(len(w_rec)), np.eye(len(w_rec)))


def test_poles_of_a_network_without_random_numbers():
    w, d = ten_units()
    known = [-1.563856293738, -0.507193072758, 0.233544073464, 0.467508028914]
    np.testing.assert_allclose(wp.analysis.poles(network(w), d), known, rtol=0, atol=1e-8)
    np.testing.assert_allclose(wp.analysis.poles(network(w), d, within=(-1, 0.3)), known[1:3], rtol=0, atol=1e-8)
    as_network = wp.LinearRNN(d, np.zeros((10, 10)), np.ones((10, 10)))
    np.testing.assert_allclose(wp.analysis.poles(network(w), as_network), known, rtol=0, atol=1e-8)


def test_at_a_pole_the_determinant_changes_its_sign_and_nowhere_else():
    random = np.random.default_rng(3)
    w, d = (random.standard_normal((9, 9)) / 3 for _ in range(2))
    poles = wp.analysis.poles(network(w), d, within=(-3, 3))
    t = np.linspace(-3, 3, 4001)
    sign = np.array([np.linalg.slogdet(np.eye(9) - w - at * d)[0] for at in t])
    changes = t[:-1][sign[1:] != sign[:-1]]
    assert poles.size == changes.size > 0
    assert np.max(np.abs(poles - changes)) < 2 * (t[1] - t[0])
    for pole in poles:
        assert np.linalg.svd(np.eye(9) - w - pole * d, compute_uv=False)[-1] < 1e-12


def test_a_direction_of_rank_one_has_the_pole_that_the_determinant_lemma_gives():
    random = np.random.default_rng(4)
    w, a, b = random.standard_normal((7, 7)) / 4, random.standard_normal(7), random.standard_normal(7)
    expected = 1 / (b @ np.linalg.solve(np.eye(7) - w, a))
    np.testing.assert_allclose(wp.analysis.poles(network(w), np.outer(a, b)), [expected], rtol=1e-10)


@pytest.mark.parametrize("dynamics", ["flow", "map"])
@pytest.mark.parametrize("seed", range(4))
def test_the_first_crossing_is_that_of_a_fine_grid(dynamics, seed):
    random = np.random.default_rng([seed, 5])
    w, d = 0.5 * random.standard_normal((6, 6)) / 6**0.5, random.standard_normal((6, 6)) / 6**0.5
    found = wp.analysis.stability_radius(network(w), d, dynamics=dynamics)
    assert found.exact and found.to_dataset().attrs["result"] == "successful"
    t = np.linspace(0, 4, 8001)
    for end, side in ((found.forward, 1), (found.backward, -1)):
        values = np.linalg.eigvals(w + side * t[:, None, None] * d)
        height = np.max(values.real if dynamics == "flow" else np.abs(values), axis=1)
        first = np.argmax(height >= 1)
        assert t[first - 1] - 1e-12 <= side * end <= t[first] + 1e-12
        exact = np.linalg.eigvals(w + end * d)
        assert np.max(exact.real if dynamics == "flow" else np.abs(exact)) == pytest.approx(1, abs=1e-9)


def test_real_pairs_cross_alone_and_rotations_cross_the_circle_only():
    w = np.zeros((2, 2))
    d = np.array([[0.0, 2.0], [0.5, 0.0]])  # eigenvalues +-t: crosses at 1
    found = wp.analysis.stability_radius(network(w), d)
    assert found.forward == pytest.approx(1, abs=1e-12) and found.backward == pytest.approx(-1, abs=1e-12)
    rotation = np.array([[0.0, -1.0], [1.0, 0.0]])
    flow, mapped = (wp.analysis.stability_radius(network(w), rotation, dynamics=name) for name in ("flow", "map"))
    assert flow.forward == np.inf and flow.backward == -np.inf  # rotation leaves the real parts at 0
    assert mapped.forward == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(mapped.frequency, [np.pi / 2] * 2)


def test_a_network_too_large_for_all_crossings_is_searched_and_agrees():
    from weightpath.analysis.stability_radius import _search, border, circular_law

    w, d = ten_units()
    for dynamics in ("flow", "map"):
        exact = wp.analysis.stability_radius(network(w), d, dynamics=dynamics)
        for sign, end in ((1, exact.forward), (-1, -exact.backward)):
            found, reached = _search(w, sign * d, dynamics, circular_law(w, d))
            assert reached and found == pytest.approx(end, abs=1e-12)
            assert border(w + sign * found * d, dynamics) == pytest.approx(1, abs=1e-9)


def test_the_circular_law_meets_random_networks():
    random = np.random.default_rng(6)
    w, d = 0.5 * random.standard_normal((40, 40)) / 40**0.5, 2.5 * random.standard_normal((40, 40)) / 40**0.5
    found = wp.analysis.stability_radius(network(w), d)
    assert not found.exact
    norms = [np.linalg.norm(matrix) / 40**0.5 for matrix in (w, d)]
    assert found.circular_law == pytest.approx(np.sqrt(1 - norms[0] ** 2) / norms[1], rel=1e-12)
    assert found.circular_law == pytest.approx(np.sqrt(0.75) / 2.5, rel=0.1)
    assert found.forward == pytest.approx(found.circular_law, rel=0.3)


def test_a_network_that_is_not_stable_has_no_radius():
    found = wp.analysis.stability_radius(network(1.5 * np.eye(3)), np.eye(3))
    assert (found.backward, found.forward) == (0, 0)
    data = found.to_dataset()
    assert data.attrs["result"] == "unstable_recurrence" and np.isnan(data.attrs["circular_law"])


def test_bad_lines_are_refused():
    w, d = ten_units()
    tanh = wp.RateRNN(w, np.eye(10), np.eye(10), leak=0.1)
    with pytest.raises(ValueError, match="exact for linear networks only; this RateRNN"):
        wp.analysis.poles(tanh, d)
    with pytest.raises(ValueError, match=r"shape of w_rec, \(10, 10\); got \(3, 3\)"):
        wp.analysis.poles(network(w), np.eye(3))
    with pytest.raises(ValueError, match="leads nowhere"):
        wp.analysis.stability_radius(network(w), np.zeros((10, 10)))
    with pytest.raises(ValueError, match="NaN or infinite"):
        wp.analysis.poles(network(w), np.full((10, 10), np.nan))
    with pytest.raises(ValueError, match="must be an array .* or a LinearRNN"):
        wp.analysis.poles(network(w), tanh)
    with pytest.raises(ValueError, match="nothing to follow"):
        wp.analysis.poles(network(w), wp.LinearRNN(np.zeros((10, 10)), np.eye(10), np.eye(10)))
    with pytest.raises(ValueError, match="low <= high"):
        wp.analysis.poles(network(w), d, within=(1, -1))
    with pytest.raises(ValueError, match='"flow" or "map"; got \'both\''):
        wp.analysis.stability_radius(network(w), d, dynamics="both")


def test_a_direction_of_low_rank_has_as_many_eigenvalues_as_its_rank():
    """Those at infinity come out of the pencil as huge numbers, up to rounding, and are no poles."""
    for seed in range(8):
        generator = np.random.default_rng(seed)
        w, left, right = (generator.normal(size=shape) for shape in ((30, 30), (30, 10), (10, 30)))
        a = np.eye(30) - 0.5 * w / np.sqrt(30)
        # a x = t L R x: the finite t are the inverse eigenvalues of R a^-1 L.
        known = 1 / np.linalg.eigvals(right @ np.linalg.solve(a, left))
        found = finite_eigenvalues(a, left @ right)
        assert found.shape == (10,)
        np.testing.assert_allclose(np.sort_complex(np.round(found, 9)), np.sort_complex(np.round(known, 9)), atol=1e-8)
