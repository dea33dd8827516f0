r"""What happens to fixed points along one parameter: which kind of bifurcation, where, and to which branches.

Between two neighbouring places a branch may end or begin, or an eigenvalue of a branch may cross zero. A pair that
ends or begins together is a saddle-node; a pair that does so while a real eigenvalue of a lasting branch crosses zero
is a pitchfork; two lasting branches whose real eigenvalues cross together are a transcritical exchange; a complex pair
that crosses is a Hopf bifurcation. Of a map, which is stable inside the unit circle, a pair that crosses it is a
Neimark-Sacker bifurcation, and an eigenvalue that crosses -1 a flip. A branch that ends or begins alone is `unpaired`:
its partner exists only between the two places (as it may on the long way across a jump), or was not found.
"""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Float
from weightpath.analysis.continuation import Carried, carry
from weightpath.analysis.flow_points import Flow, eigenvalues, growth, unstable_directions

KINDS = ("saddle-node", "pitchfork", "transcritical", "zero eigenvalue", "Hopf", "unpaired", "Neimark-Sacker", "flip")
BISECTIONS = 20
#: Ends of branches closer than this, relative to one plus their length, have met.
MEET = 0.1


@dataclass(frozen=True, eq=False)
class Bifurcation:
    """One event on the way from a place to the next one that was looked at."""

    kind: str
    """One of `KINDS`."""
    place: float
    """Value of the parameter."""
    branches: tuple[int, ...]
    """Rows of the branches that take part."""
    interval: int
    """Number of the place before it."""
    point: Float[np.ndarray, " coord"]
    """The fixed point there."""


def bifurcations(
    flows: list[Flow],
    places: np.ndarray,
    rows: list[dict[int, int]],
    sets: list[np.ndarray],
    ways: list[tuple[list[Carried], list[Carried]]],
) -> tuple[Bifurcation, ...]:
    """All events, in the order of places. `rows` maps, for each branch, the number of a place to its point there."""
    events = []
    for here in range(len(flows) - 1):
        begin, end = flows[here], flows[here + 1]
        span = places[here + 1] - places[here]
        lasting = [number for number, row in enumerate(rows) if here in row and here + 1 in row]
        forth, back = ways[here]
        ended = [
            _End(forth[row[here]].share, number, forth[row[here]].point)
            for number, row in enumerate(rows)
            if here in row and here + 1 not in row
        ]
        begun = [
            _End(1 - back[row[here + 1]].share, number, back[row[here + 1]].point)
            for number, row in enumerate(rows)
            if here + 1 in row and here not in row
        ]
        crossings = [
            _Crossing(kind, share, number, point)
            for number in lasting
            for kind, share, point in _crossings(begin, end, sets[here][rows[number][here]])
        ]
        for kind, share, branches, point in _named(crossings, ended, begun):
            place = float(places[here] + share * span)
            events.append(Bifurcation(kind, place, tuple(sorted(branches)), here, point))
    return tuple(sorted(events, key=lambda event: event.place))


@dataclass(frozen=True, eq=False)
class _Crossing:
    """An eigenvalue, or a pair, of a branch that becomes unstable or stable."""

    kind: str
    share: float
    branch: int
    point: np.ndarray


def _named(
    crossings: list[_Crossing], ended: list["_End"], begun: list["_End"]
) -> list[tuple[str, float, list[int], np.ndarray]]:
    """Events of one interval from what crosses, ends and begins in it."""
    events = [(one.kind, one.share, [one.branch], one.point) for one in crossings if one.kind != "real"]
    real = sorted((one for one in crossings if one.kind == "real"), key=lambda one: (one.share, one.branch))
    groups = [group for side in (ended, begun) for group in _paired(side)]
    pairs = [group for group in groups if len(group) == 2]
    while real and pairs:
        one = real.pop(0)
        place = [abs(np.mean([end.share for end in pair]) - one.share) for pair in pairs]
        pair = pairs.pop(int(np.argmin(place)))
        events.append(("pitchfork", one.share, [one.branch, *(end.branch for end in pair)], one.point))
    while len(real) >= 2:
        one, other = real.pop(0), real.pop(0)
        middle = (one.share + other.share) / 2
        events.append(("transcritical", middle, [one.branch, other.branch], (one.point + other.point) / 2))
    events += [("zero eigenvalue", one.share, [one.branch], one.point) for one in real]
    for pair in pairs:
        share, point = np.mean([end.share for end in pair]), np.mean([end.point for end in pair], axis=0)
        events.append(("saddle-node", float(share), [end.branch for end in pair], point))
    alone = [group[0] for group in groups if len(group) == 1]
    return events + [("unpaired", end.share, [end.branch], end.point) for end in alone]


@dataclass(frozen=True, eq=False)
class _End:
    """The end (or beginning) of a branch: its share of the way, the branch, and the point there."""

    share: float
    branch: int
    point: np.ndarray


def _paired(side: list[_End]) -> list[list[_End]]:
    """Ends that meet, in pairs, nearest first; those that meet no other alone."""
    left, groups = list(side), []
    while len(left) > 1:
        gap = {
            (i, j): float(np.linalg.norm(left[i].point - left[j].point)) / (1 + float(np.linalg.norm(left[i].point)))
            for i in range(len(left))
            for j in range(i)
        }
        i, j = min(gap, key=lambda pair: gap[pair])
        if gap[i, j] > MEET:
            break
        groups.append([left[i], left[j]])
        left = [end for place, end in enumerate(left) if place not in (i, j)]
    return groups + [[end] for end in left]


def _crossings(begin: Flow, end: Flow, point: np.ndarray) -> list[tuple[str, float, np.ndarray]]:
    """How modes become unstable or stable along a branch that lasts: the kind, its share of the way, and the point."""

    def there(share: float) -> np.ndarray:
        return carry(begin, begin.toward(end, share), point).point

    def seen(share: float) -> np.ndarray:
        return eigenvalues(begin.toward(end, share), there(share)[None])[0]

    def count(share: float) -> int:
        return int(unstable_directions(begin, seen(share)))

    found = _between(begin, count, seen, 0.0, 1.0, count(0.0), count(1.0))
    return [(kind, share, there(share)) for kind, share in found]


def _between(flow: Flow, count, seen, low: float, high: float, below: int, above: int) -> list[tuple[str, float]]:
    """Bisection on the number of growing directions; an interval in which it changes by more is split."""
    if below == above:
        return []
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        there = count(middle)
        if there not in (below, above):
            halves = (low, middle, below, there), (middle, high, there, above)
            return [event for half in halves for event in _between(flow, count, seen, *half)]
        low, high, below, above = (middle, high, there, above) if there == below else (low, middle, below, there)
    values = seen(high)
    critical = values[np.argsort(np.abs(growth(flow, values)))][: abs(above - below)]
    place, discrete = (low + high) / 2, getattr(flow, "discrete", False)
    if len(critical) == 2 and np.all(critical.imag != 0):
        return [("Neimark-Sacker" if discrete else "Hopf", place)]
    return [("flip" if discrete and value.real < -1 else "real", place) for value in critical]
