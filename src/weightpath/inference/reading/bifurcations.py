"""What happens to the fixed points between two trials: which kind of bifurcation, where, and to which branches.

Between two neighbouring trials a branch may end or begin, or an eigenvalue of a branch may cross zero. A pair that
ends or begins together is a saddle-node; a pair that does so while a real eigenvalue of a lasting branch crosses zero
is a pitchfork; two lasting branches whose real eigenvalues cross together are a transcritical exchange; a complex pair
that crosses is a Hopf bifurcation. A branch that ends or begins alone is `unpaired`: its partner exists
only between the two trials (as it may on the long way across a jump), or was not found.
"""

from dataclasses import dataclass

import numpy as np

from weightpath.inference.reading.continuation import Carried, carry
from weightpath.inference.reading.fixed_points import eigenvalues
from weightpath.inference.reading.in_span import SpanFlow

KINDS = ("saddle-node", "pitchfork", "transcritical", "zero eigenvalue", "Hopf", "unpaired")
BISECTIONS = 20
#: Ends of branches closer than this, relative to one plus their length, have met.
MEET = 0.1


@dataclass(frozen=True)
class Bifurcation:
    """One event on the way from a trial to the next one that was looked at."""

    kind: str
    """One of `KINDS`."""
    trial: float
    """Index of the trial, with a fraction: the place on the straight way between the two trials."""
    branches: tuple[int, ...]
    """Rows of the branches that take part."""
    jump: bool
    """Whether it lies on the way across the border of two epochs, which no trial went."""


def bifurcations(
    flows: list[SpanFlow],
    trials: np.ndarray,
    epoch: np.ndarray,
    rows: list[dict[int, int]],
    sets: list[np.ndarray],
    ways: list[tuple[list[Carried], list[Carried]]],
) -> tuple[Bifurcation, ...]:
    """All events, in the order of trials. `rows` maps, for each branch, the place of a trial to its point there."""
    events = []
    for here in range(len(flows) - 1):
        begin, end = flows[here], flows[here + 1]
        span, jump = trials[here + 1] - trials[here], bool(epoch[here] != epoch[here + 1])
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
            (kind, share, number)
            for number in lasting
            for kind, share in _crossings(begin, end, sets[here][rows[number][here]])
        ]
        for kind, share, branches in _named(crossings, ended, begun):
            place = float(trials[here] + share * span)
            events.append(Bifurcation(kind, place, tuple(sorted(branches)), jump))
    return tuple(sorted(events, key=lambda event: event.trial))


def _named(crossings, ended: list["_End"], begun: list["_End"]) -> list[tuple[str, float, list[int]]]:
    """Events of one interval from what crosses, ends and begins in it."""
    events = [("Hopf", share, [number]) for kind, share, number in crossings if kind == "pair"]
    real = sorted((share, number) for kind, share, number in crossings if kind == "real")
    groups = [group for side in (ended, begun) for group in _paired(side)]
    pairs = [group for group in groups if len(group) == 2]
    while real and pairs:
        share, number = real.pop(0)
        place = [abs(np.mean([end.share for end in pair]) - share) for pair in pairs]
        pair = pairs.pop(int(np.argmin(place)))
        events.append(("pitchfork", share, [number, *(end.branch for end in pair)]))
    while len(real) >= 2:
        (share, one), (other_share, other) = real.pop(0), real.pop(0)
        events.append(("transcritical", (share + other_share) / 2, [one, other]))
    events += [("zero eigenvalue", share, [number]) for share, number in real]
    for pair in pairs:
        events.append(("saddle-node", float(np.mean([end.share for end in pair])), [end.branch for end in pair]))
    return events + [("unpaired", group[0].share, [group[0].branch]) for group in groups if len(group) == 1]


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


def _crossings(begin: SpanFlow, end: SpanFlow, point: np.ndarray) -> list[tuple[str, float]]:
    """How eigenvalues cross zero along a branch that lasts: "real" or "pair", each with its share of the way."""

    def seen(share: float) -> np.ndarray:
        there = begin.toward(end, share)
        return eigenvalues(there, carry(begin, there, point).point[None])[0]

    def count(share: float) -> int:
        return int(np.sum(np.real(seen(share)) > 0))

    return _between(count, seen, 0.0, 1.0, count(0.0), count(1.0))


def _between(count, seen, low: float, high: float, below: int, above: int) -> list[tuple[str, float]]:
    """Bisection on the number of growing directions; an interval in which it changes by more is split."""
    if below == above:
        return []
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        there = count(middle)
        if there not in (below, above):
            return _between(count, seen, low, middle, below, there) + _between(count, seen, middle, high, there, above)
        low, high, below, above = (middle, high, there, above) if there == below else (low, middle, below, there)
    values = seen(high)
    critical = values[np.argsort(np.abs(values.real))][: abs(above - below)]
    if len(critical) == 2 and np.all(critical.imag != 0):
        return [("pair", (low + high) / 2)]
    return [("real", (low + high) / 2)] * len(critical)
