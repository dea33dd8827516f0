"""Bifurcations with known names and places: normal forms alone, several at once, and several shortly after another."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import brentq

from weightpath.analysis.branches import joined_branches


class Family:
    """f(x; s) with its Jacobian; of a map F(x; s) - x."""

    def __init__(self, function, slopes, s, discrete=False):
        self.function, self.slopes, self.s, self.discrete = function, slopes, s, discrete

    def __call__(self, points):
        return self.function(points, self.s) - (points if self.discrete else 0.0)

    def jacobian(self, points):
        return self.slopes(points, self.s) - (np.eye(points.shape[-1]) if self.discrete else 0.0)

    def toward(self, other, share):
        return Family(self.function, self.slopes, (1 - share) * self.s + share * other.s, self.discrete)


def followed(function, slopes, places, sets, discrete=False):
    flows = [Family(function, slopes, s, discrete) for s in places]
    return joined_branches(flows, np.array(places), [np.array(one, float) for one in sets], folds=True)


#: One coordinate each: the function, its slope, and its roots in order.
def pitchfork(at=0.0):
    def roots(s):
        return [0.0] if s <= at else [-np.sqrt(s - at), 0.0, np.sqrt(s - at)]

    return lambda x, s: (s - at) * x - x**3, lambda x, s: s - at - 3 * x**2, roots


def subcritical():
    def roots(s):
        return [0.0] if s >= 0 else [-np.sqrt(-s), 0.0, np.sqrt(-s)]

    return lambda x, s: s * x + x**3, lambda x, s: s + 3 * x**2, roots


def fold(at=0.0):
    def roots(s):
        return [] if s < at else [-np.sqrt(s - at), np.sqrt(s - at)]

    return lambda x, s: s - at - x**2, lambda x, s: -2 * x, roots


def exchange():
    return lambda x, s: s * x - x**2, lambda x, s: s - 2 * x, lambda s: sorted([0.0, s])


def imperfect(off):
    def roots(s):
        return sorted(z.real for z in np.roots([-1, 0, s, off]) if abs(z.imag) < 1e-9)

    return lambda x, s: off + s * x - x**3, lambda x, s: s - 3 * x**2, roots


def together(*terms):
    """Coordinates that do not know of each other."""

    def function(points, s):
        return np.stack([term[0](points[..., i], s) for i, term in enumerate(terms)], axis=-1)

    def slopes(points, s):
        found = np.zeros((*points.shape, len(terms)))
        for i, term in enumerate(terms):
            found[..., i, i] = term[1](points[..., i], s)
        return found

    return function, slopes, lambda s: np.array(list(product(*(term[2](s) for term in terms)))).reshape(-1, len(terms))


EVENTS = {
    "saddle-node": ([fold()], [("saddle-node", 0.0, 2, 1)]),
    "pitchfork": ([pitchfork()], [("pitchfork", 0.0, 3, 1)]),
    "subcritical": ([subcritical()], [("pitchfork", 0.0, 3, 1)]),
    "transcritical": ([exchange()], [("transcritical", 0.0, 2, 1)]),
    "imperfect pitchfork": ([imperfect(0.02)], [("saddle-node", 3 * 0.01 ** (2 / 3), 2, 1)]),
    "double pitchfork": ([pitchfork()] * 2, [("degenerate", 0.0, 9, 2)]),
    "triple pitchfork": ([pitchfork()] * 3, [("degenerate", 0.0, 27, 3)]),
    "double saddle-node": ([fold()] * 2, [("degenerate", 0.0, 4, 2)]),
    "pitchfork and saddle-node": ([pitchfork(), fold()], [("degenerate", 0.0, 6, 2)]),
    "pitchfork and transcritical": ([pitchfork(), exchange()], [("degenerate", 0.0, 5, 2)]),
    "pitchforks in turn": (  # branches born at the first divide at the second, all between two places
        [pitchfork(), pitchfork(0.1)],
        [("pitchfork", 0.0, 3, 1)] + [("pitchfork", 0.1, 3, 1)] * 3,
    ),
    "saddle-node after a pitchfork": ([pitchfork(-0.05), fold(0.05)], [("saddle-node", 0.05, 2, 1)] * 3),
}


#: Twins: the double pitchfork, and the saddle-node alone.
SLOW = (
    *("triple pitchfork", "pitchfork and transcritical", "pitchfork and saddle-node"),
    *("pitchforks in turn", "saddle-node after a pitchfork"),
)


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.slow) if one in SLOW else one for one in EVENTS])
def test_names_places_and_branches_of_normal_forms(name):
    terms, expected = EVENTS[name]
    function, slopes, roots = together(*terms)
    places = [-0.43, 0.57]
    found = followed(function, slopes, places, [roots(s) for s in places])
    seen = sorted((one.kind, round(one.place, 4) + 0.0, len(one.branches), one.crossing) for one in found.bifurcations)
    assert seen == sorted((kind, round(place, 4), count, many) for kind, place, count, many in expected)
    for event in found.bifurcations:
        np.testing.assert_allclose(function(event.point[None], event.place), 0, atol=1e-4)
        # as many eigenvalues on the border as are said to cross it
        border = np.abs(np.linalg.eigvals(slopes(event.point[None], event.place)[0])) < 0.02
        assert border.sum() == event.crossing
    assert found.exists.sum(axis=0).tolist() == [len(roots(s)) for s in places]


def test_an_outer_branch_that_ends_is_not_taken_for_the_one_that_lasts():
    """Before a subcritical pitchfork three roots lead to the only one after it; the middle one goes on."""
    function, slopes, roots = together(subcritical())
    found = followed(function, slopes, [-0.43, -0.15, 0.27], [roots(s) for s in (-0.43, -0.15, 0.27)])
    assert found.exists.sum(axis=1).tolist() == [3, 2, 2]
    np.testing.assert_allclose(found.points[0], 0, atol=1e-12)
    assert found.unstable_directions[0].tolist() == [0, 0, 1] and np.all(found.unstable_directions[1:, :2] == 1)


def turning(points, s):
    x, y = points[..., 0], points[..., 1]
    size = x * x + y * y
    return np.stack([s * x - y - x * size, x + s * y - y * size], axis=-1)


def turning_slopes(points, s):
    x, y = points[..., 0], points[..., 1]
    size = x * x + y * y
    rows = [s - size - 2 * x * x, -1 - 2 * x * y], [1 - 2 * x * y, s - size - 2 * y * y]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def test_hopf_alone_and_twice_at_once():
    (alone,) = followed(turning, turning_slopes, [-0.43, 0.57], [[[0, 0]]] * 2).bifurcations
    assert (alone.kind, alone.crossing) == ("Hopf", 1) and abs(alone.place) < 1e-5

    def slopes(points, s):
        found = np.zeros((*points.shape, 4))
        found[..., :2, :2], found[..., 2:, 2:] = (turning_slopes(points[..., i : i + 2], s) for i in (0, 2))
        return found

    def function(points, s):
        return np.concatenate([turning(points[..., :2], s), turning(points[..., 2:], s)], axis=-1)

    (twice,) = followed(function, slopes, [-0.43, 0.57], [[[0] * 4]] * 2).bifurcations
    assert (twice.kind, twice.crossing) == ("degenerate", 2) and abs(twice.place) < 1e-5


@pytest.mark.parametrize(("factor", "kind"), [
    (-np.eye(1), "flip"),
    (np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]]), "Neimark-Sacker"),
    (np.eye(1), "pitchfork"),
    (-np.eye(2), "degenerate"),
])  # fmt: skip
def test_maps(factor, kind):
    """x <- (1 + s) R x (1 - |x|^2), whose multipliers at zero are 1 + s times those of R."""

    def function(points, s):
        return (1 + s) * (points @ factor.T) * (1 - np.sum(points**2, axis=-1, keepdims=True))

    def slopes(points, s):
        rest = 1 - np.sum(points**2, axis=-1)[..., None, None]
        return (1 + s) * (rest * factor - 2 * (points @ factor.T)[..., :, None] * points[..., None, :])

    zero, aside = np.zeros((1, len(factor))), np.sqrt(0.23 / 1.23)
    after = [[-aside], [0.0], [aside]] if kind == "pitchfork" else zero
    (event,) = followed(function, slopes, [-0.3, 0.23], [zero, after], discrete=True).bifurcations
    assert event.kind == kind and abs(event.place) < 1e-5 and event.crossing == (2 if kind == "degenerate" else 1)


@pytest.mark.parametrize("apart", [0.0, pytest.param(0.1, marks=pytest.mark.slow)])
def test_blocks_whose_gains_pass_one_at_once_and_one_after_the_other(apart):
    """r = tanh(W r), two blocks: W has the eigenvalues s and s - apart, which pass 1 together or in turn."""
    block = np.kron(np.eye(2), np.ones((3, 3)) / 3)
    second = np.diag([0.0] * 3 + [1.0] * 3) @ block

    def weights(s):
        return s * block - apart * second

    def function(points, s):
        return np.tanh(points @ weights(s).T) - points

    def slopes(points, s):
        gain = 1 - np.tanh(points @ weights(s).T) ** 2
        return gain[..., :, None] * weights(s) - np.eye(6)

    def level(gain):
        return float(brentq(lambda m: m - np.tanh(gain * m), 1e-3, 1))  # pyright: ignore[reportArgumentType]

    places = [0.83, 1.3]
    after = product(*([-level(gain), 0.0, level(gain)] for gain in (1.3, 1.3 - apart)))
    found = followed(function, slopes, places, [np.zeros((1, 6)), [np.repeat(one, 3) for one in after]])
    if apart == 0:
        (event,) = found.bifurcations
        assert (event.kind, event.crossing, len(event.branches)) == ("degenerate", 2, 9)
        assert event.place == pytest.approx(1, abs=1e-4)
        return
    assert [one.kind for one in found.bifurcations] == ["pitchfork"] * 4
    np.testing.assert_allclose([one.place for one in found.bifurcations], [1, 1.1, 1.1, 1.1], atol=1e-4)
    # The middle ones last; the two born at 1 divide in turn.
    assert found.bifurcations[0].branches[0] == 0
    assert sorted(abs(one.point[0]) > 0.1 for one in found.bifurcations) == [False, False, True, True]
