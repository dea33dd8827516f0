r"""Fixed points along one parameter, joined into branches, and the places where they appear, vanish or change."""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Bool, Complex, Float, Int
from weightpath.analysis.arclength import Turn, around
from weightpath.analysis.bifurcations import Bifurcation, bifurcations
from weightpath.analysis.continuation import Carried, carry
from weightpath.analysis.flow_points import Flow, eigenvalues, merged, nearest, unstable_directions

PASSES = 10
#: Where a way that hops is bisected down to this share; and how far off its end the fold of it may lie.
SHORTEST, APART = 2.0**-12, 0.02


@dataclass(frozen=True, eq=False)
class JoinedBranches:
    """Branches over the places that were looked at, one row a branch; NaN where a branch does not exist."""

    places: Float[np.ndarray, " place"]
    points: Float[np.ndarray, "branch place coord"]
    eigenvalues: Complex[np.ndarray, "branch place eig"]
    """Of f; those of a map F are larger by one."""
    unstable_directions: Int[np.ndarray, "branch place"]
    """Number of growing modes, -1 where there is no point."""
    bifurcations: tuple[Bifurcation, ...]
    """In the order of places."""

    @property
    def exists(self) -> Bool[np.ndarray, "branch place"]:
        """Where each branch has a point."""
        return np.isfinite(self.points[..., 0])


def joined_branches(
    flows: list, places: Float[np.ndarray, " place"], sets: list, *, folds: bool = False
) -> JoinedBranches:
    """Branches of the points `sets` (found, coord) that are known of each of `flows`, at increasing `places`.

    The points of neighbouring places are carried over, forwards and backwards, so that what was missed at a place is
    found from its neighbours. A branch joins what is carried into one another. With `folds`, a point that ends on its
    way is followed around the fold by its arc length: the fold is located, and the partner it meets there is added
    where the search had missed it.
    """
    sets, last, ways_of = [np.asarray(one, dtype=float) for one in sets], len(flows) - 1, _Ways(flows, folds)
    # Partners that are met behind a fold may lead on in both directions: again as long as something new turns up.
    for _ in range(PASSES):
        known = sum(map(len, sets))
        for here in range(last):
            _complete(ways_of, sets, here, here + 1)
        for here in range(last, 0, -1):
            _complete(ways_of, sets, here, here - 1)
        if known == sum(map(len, sets)):
            break
    rows: list[dict[int, int]] = [{0: one} for one in range(len(sets[0]))]
    ways: list[tuple[list[Carried], list[Carried]]] = []
    for here in range(last):
        forth = [ways_of.end(here, here + 1, point) for point in sets[here]]
        back = [ways_of.end(here + 1, here, point) for point in sets[here + 1]]
        ways.append((forth, back))
        free = set(range(len(sets[here + 1])))
        for row in [row for row in rows if here in row]:
            target = nearest(sets[here + 1], forth[row[here]].point) if forth[row[here]].arrived else -1
            if target in free:
                row[here + 1] = target
                free.discard(target)
        rows += [{here + 1: one} for one in sorted(free)]
    rows.sort(key=lambda row: (-len(row), min(row)))
    points, values = _table(flows, sets, rows)
    growing = np.where(np.isfinite(points[..., 0]), unstable_directions(flows[0], values), -1)
    return JoinedBranches(places, points, values, growing, bifurcations(flows, places, rows, sets, ways))


class _Ways:
    """Where points are carried to from one place to its neighbour; each way is gone once."""

    def __init__(self, flows: list, folds: bool):
        self.flows, self.folds, self.kept, self.turns, self.hops = flows, folds, {}, {}, set()

    def carried(self, here: int, there: int, point: np.ndarray) -> Carried:
        """By continuation in the parameter, as far as the way back leads to the same point.

        Where branches meet, a branch that ends may be taken for one that lasts; the way back of that one is another.
        """
        key = here, there, point.tobytes()
        if key not in self.kept:
            begin, end = self.flows[here], self.flows[there]
            found = carry(begin, end, point)
            if not _returns(begin, end, point, found):
                self.hops.add(key)
                found = _until_it_hops(begin, end, point, found)
            self.kept[key] = found
        return self.kept[key]

    def turn(self, here: int, there: int, point: np.ndarray) -> Turn | None:
        """By arc length, where that is asked for and the point comes to an end, and does not meet one that lasts."""
        key = here, there, point.tobytes()
        if key not in self.turns:
            ends = self.folds and not self.carried(here, there, point).arrived and key not in self.hops
            self.turns[key] = around(self.flows[here], self.flows[there], point) if ends else None
        return self.turns[key]

    def end(self, here: int, there: int, point: np.ndarray) -> Carried:
        """The point carried over; where it ends at a fold that was located, the fold."""
        turn, way = self.turn(here, there, point), self.carried(here, there, point)
        # Through a point where branches cross the arc may lead on to another fold.
        if turn is None or turn.share is None or abs(turn.share - way.share) > APART:
            return way
        return Carried(turn.point, turn.share)


def _returns(begin: Flow, end: Flow, point: np.ndarray, way: Carried) -> bool:
    """Whether the way back from where a point came to leads to it again."""
    back = carry(begin.toward(end, way.share), begin, way.point) if way.share > 0 else Carried(point, 1.0)
    return back.arrived and nearest(point[None], back.point) == 0


def _until_it_hops(begin: Flow, end: Flow, point: np.ndarray, way: Carried) -> Carried:
    """The last place from which the way back leads to the point, by bisection."""
    low, high, best = 0.0, way.share, point
    while high - low > SHORTEST:
        middle = (low + high) / 2
        there = carry(begin, begin.toward(end, middle), point)
        good = there.arrived and _returns(begin, end, point, Carried(there.point, middle))
        low, high, best = (middle, high, there.point) if good else (low, middle, best)
    return Carried(best, low)


def _complete(ways: _Ways, sets: list[np.ndarray], here: int, there: int) -> None:
    """Add to the points of two neighbouring places those that the first one's lead to."""
    for point in sets[here]:
        way, turn = ways.carried(here, there, point), ways.turn(here, there, point)
        if way.arrived:
            sets[there] = merged(np.concatenate([sets[there], way.point[None]]))
        elif turn is not None:
            place = there if turn.exit_share == 1 else here
            sets[place] = merged(np.concatenate([sets[place], turn.exit[None]]))


def _table(flows: list, sets: list[np.ndarray], rows: list[dict[int, int]]):
    """Points and eigenvalues of every branch."""
    coords = sets[0].shape[1]
    points = np.full((len(rows), len(flows), coords), np.nan)
    values = np.full(points.shape, np.nan + 0j)
    for here, (flow, found) in enumerate(zip(flows, sets, strict=True)):
        spectrum = eigenvalues(flow, found)
        for row, members in enumerate(rows):
            if here in members:
                points[row, here], values[row, here] = found[members[here]], spectrum[members[here]]
    return points, values
