r"""What happens to fixed points along one parameter: which kind of bifurcation, where, and to which branches.

Between two neighbouring places branches may end or begin, and eigenvalues of a branch may cross the border of
stability. What happens at one place and one point is one event, and it is named when it is one of those that a single
parameter meets:

- saddle-node: two branches end or begin together;
- pitchfork: the same, where a real eigenvalue of a branch that goes on crosses zero;
- transcritical: a real eigenvalue of two branches that go on crosses zero, and they exchange their stability;
- Hopf: a complex pair of one branch crosses; of a map (stable inside the unit circle) it is a Neimark-Sacker
  bifurcation, and a single eigenvalue that crosses -1 a flip.

"zero eigenvalue" is a real one that crosses where no other branch was found; a branch that ends or begins alone is
"unpaired": its partner exists only between the two places (as it may on the long way across a jump), or was not found.
Anything else is "degenerate": several eigenvalues cross at once, as symmetry or a special choice of weights makes them,
and no simple name would be right; `crossing` says how many.
"""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Float
from weightpath.analysis.bifurcation_names import TOGETHER, Crossing, End, named
from weightpath.analysis.continuation import Carried, carry
from weightpath.analysis.flow_points import Flow, eigenvalues, growth, unstable_directions

KINDS = (
    "saddle-node", "pitchfork", "transcritical", "zero eigenvalue", "Hopf", "unpaired", "Neimark-Sacker", "flip",
    "degenerate",
)  # fmt: skip
BISECTIONS = 20
#: A smaller imaginary part may be rounding of two real eigenvalues that are equal.
COMPLEX = 1e-5


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
    crossing: int = 1
    """How many eigenvalues cross the border of stability there; a complex pair counts as one."""


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
        forth, back = ways[here]
        ended, begun, crossings = [], [], []
        for number, row in enumerate(rows):
            if here in row:
                point, last = sets[here][row[here]], here + 1 in row
                if not last:
                    ended.append(End(forth[row[here]].share, number, forth[row[here]].point))
                until = 1.0 if last else min(forth[row[here]].share, carry(begin, end, point).share)
                crossings += [
                    Crossing(kind, share, number, where) for kind, share, where in _crossings(begin, end, point, until)
                ]
            elif here + 1 in row:
                point, way = sets[here + 1][row[here + 1]], back[row[here + 1]]
                begun.append(End(1 - way.share, number, way.point))
                until = min(way.share, carry(end, begin, point).share)
                crossings += [
                    Crossing(kind, 1 - share, number, where)
                    for kind, share, where in _crossings(end, begin, point, until)
                ]
        for kind, share, branches, point, count in named(crossings, ended, begun):
            place = float(places[here] + share * span)
            events.append(Bifurcation(kind, place, tuple(sorted(set(branches))), here, point, count))
    return tuple(sorted(events, key=lambda event: event.place))


def _crossings(begin: Flow, end: Flow, point: np.ndarray, until: float) -> list[tuple[str, float, np.ndarray]]:
    """How modes become unstable or stable along a branch up to a share: the kind, its share of the way, and the point.

    A branch that ends is looked at up to shortly before that: at its very end an eigenvalue is zero.
    """

    def there(share: float) -> np.ndarray:
        return carry(begin, begin.toward(end, share), point).point

    def seen(share: float) -> np.ndarray:
        return eigenvalues(begin.toward(end, share), there(share)[None])[0]

    def count(share: float) -> int:
        return int(unstable_directions(begin, seen(share)))

    last = until if until >= 1 else until - TOGETHER
    if last <= 0:
        return []
    found = _between(begin, count, seen, 0.0, last, count(0.0), count(last))
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
    pairs = int(np.sum(np.abs(critical.imag) > COMPLEX * (1 + np.abs(critical)))) // 2
    alone = sorted(critical, key=lambda value: abs(value.imag))[: len(critical) - 2 * pairs]
    found = [("Neimark-Sacker" if discrete else "Hopf", place)] * pairs
    return found + [("flip" if discrete and value.real < -1 else "real", place) for value in alone]
