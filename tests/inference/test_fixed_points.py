"""Fixed points and bifurcations of systems for which they are known in closed form."""

import numpy as np
import pytest
from planted import planted
from scipy.optimize import brentq

from weightpath._results import RESULTS
from weightpath.inference.reading.branches import follow
from weightpath.inference.reading.continuation import carry
from weightpath.inference.reading.fixed_points import fixed_points, starting_points

RNG = np.random.default_rng(0)
A = RNG.standard_normal((30, 1))
B = A + 0.3 * RNG.standard_normal((30, 1))
UNIT_A, UNIT_B = A / np.linalg.norm(A), B / np.linalg.norm(B)
OVERLAP = float(np.sum(UNIT_A * UNIT_B))


def line(values):
    """Rank 1 with trial factors such that c b.a = `values`."""
    return planted(A, B, np.asarray(values)[:, None] / OVERLAP)


def followed(system, epoch=None, **options):
    trials = np.arange(len(system.mixing))
    return follow(system, np.zeros_like(trials) if epoch is None else epoch, trials, **options)


def test_below_one_only_rest_and_above_it_a_pair():
    """f(w) = -w + c b.tanh(a w): the root away from rest by bracketing, stability by the sign of the slope."""
    system = line([0.9, 1.5])
    found = fixed_points(system.at(0), starting_points(system))
    np.testing.assert_allclose(found.points, 0, atol=1e-8)
    assert found.stable.all() and found.points.shape == (1, 1) and bool(found.result == RESULTS.successful)
    np.testing.assert_allclose(found.eigenvalues, -0.1, atol=1e-12)

    def flow(w):
        return -w + 1.5 / OVERLAP * float(UNIT_B[:, 0] @ np.tanh(UNIT_A[:, 0] * w))

    root = brentq(flow, 0.5, 50, xtol=1e-12)
    found = fixed_points(system.at(1), starting_points(system))
    np.testing.assert_allclose(np.sort(found.points[:, 0]), [-root, 0, root], atol=1e-7)
    assert found.unstable_directions.tolist() == [int(abs(point) < 1) for point in found.points[:, 0]]
    assert (found.residual < 1e-8).all()


def test_fixed_points_of_a_plane_are_found_all_nine():
    """Two units that do not see one another, each with three fixed points: their products, w = c tanh w."""
    system = planted(np.eye(2), np.eye(2), np.full((1, 2), 2.0), start=np.full((1, 2), 2.0))
    root = brentq(lambda w: -w + 2 * np.tanh(w), 0.5, 3)
    found = fixed_points(system.at(0), starting_points(system))
    expected = {(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    assert {tuple(np.rint(point / root).astype(int).tolist()) for point in found.points} == expected
    np.testing.assert_allclose(np.abs(found.points / root - np.rint(found.points / root)), 0, atol=1e-9)
    assert sorted(found.unstable_directions.tolist()) == [0] * 4 + [1] * 4 + [2]


def test_no_start_no_point():
    flow = line([0.9]).at(0, np.array([1.0]))
    found = fixed_points(flow, np.zeros((0, 1)))
    assert bool(found.result == RESULTS.no_fixed_point) and found.points.shape == (0, 1)


def test_pitchfork_where_the_overlap_passes_one():
    values = np.linspace(0.7, 1.6, 28)
    found = followed(line(values))
    (event,) = found.bifurcations
    assert event.kind == "pitchfork" and event.branches == (0, 1, 2) and not event.jump
    assert np.interp(event.trial, np.arange(28), values) == pytest.approx(1.0, abs=1e-6)
    exists = found.exists
    assert exists[0].all() and (exists[1:] == (values > 1)).all()
    assert found.unstable_directions[0].tolist() == (values > 1).astype(int).tolist()
    assert set(found.unstable_directions[1:][exists[1:]].tolist()) == {0}


def test_saddle_node_where_the_root_is_double():
    """N = 1: -w + c tanh(w) + v touches zero at c sech^2 w = 1."""
    drive, values = 0.4, np.linspace(1.2, 2.4, 13)

    def touching(c):
        w = -np.arccosh(np.sqrt(c))
        return -w + c * np.tanh(w) + drive

    expected = brentq(touching, 1.01, 2.4)
    found = followed(planted([[1.0]], [[1.0]], values[:, None]), drive=np.array([drive]))
    (event,) = found.bifurcations
    assert event.kind == "saddle-node" and event.branches == (1, 2)
    assert np.interp(event.trial, np.arange(13), values) == pytest.approx(expected, abs=1e-4)
    assert found.exists.sum(axis=1).tolist() == [13, *[int(np.sum(values > expected))] * 2]


@pytest.mark.parametrize("backwards", [False, True])
def test_hopf_where_the_pair_crosses(backwards):
    """W restricted to the plane is c (cos + sin J) / |b|: its pair crosses when c times the real part is one."""
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((40, 2)))[0]
    b = basis @ np.array([[0.8, -0.75], [0.75, 0.8]]).T
    values = np.linspace(0.8, 2.0, 9)[:: -1 if backwards else 1]
    found = followed(planted(basis, b, values[:, None] * np.ones(2)))
    (event,) = found.bifurcations
    crossing = np.hypot(0.8, 0.75) / 0.8
    assert event.kind == "Hopf" and event.branches == (0,)
    place = np.interp(crossing, np.sort(values), np.arange(9))
    assert event.trial == pytest.approx(8 - place if backwards else place, abs=1e-5)
    assert found.exists.all() and len(found.points) == 1


def test_a_jump_between_epochs_is_marked():
    """Across the border the factor goes from 0.8 to 1.6 at once: the pitchfork lies on a way that no trial went."""
    found = followed(line([0.8, 0.8, 1.6, 1.6]), epoch=np.array([0, 0, 1, 1]))
    (event,) = found.bifurcations
    assert event.kind == "pitchfork" and event.jump and event.trial == pytest.approx(1.25, abs=1e-5)


def test_points_missed_by_the_search_are_carried_over():
    """With rest as the only start nothing else is found at first; a point at the last trial is carried back."""
    system = line(np.linspace(1.5, 2.0, 6))
    root = fixed_points(system.at(5), np.array([[4.0]])).points[0]
    way = carry(system.at(5), system.at(0), root)
    assert way.arrived
    np.testing.assert_allclose(system.at(0)(way.point), 0, atol=1e-8)
    gone = carry(system.at(5), line([0.5]).at(0), root)
    passed = 2.0 + (0.5 - 2.0) * gone.share
    assert not gone.arrived and passed == pytest.approx(1.0, abs=1e-3)


def test_trials_out_of_order_are_refused():
    with pytest.raises(ValueError, match="trials must be increasing indices from 0 to 2; got"):
        follow(line([1, 2, 3]), np.zeros(3, int), np.array([2, 1]))
