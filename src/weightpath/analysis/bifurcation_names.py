"""Which bifurcation it is: names for what crosses, ends and begins at one place and one point.

The kinds are those of `bifurcations`; what is none of the simple ones is called degenerate.
"""

from dataclasses import dataclass

import numpy as np

#: Crossings within this share of the way, and this distance (relative as `MEET`), are at one place and one point.
TOGETHER, CLOSE = 1e-3, 0.02
#: The same for ends of branches, whose places are less sharp.
NEARBY = 0.02
#: Ends of branches closer than this, relative to one plus their length, have met.
MEET = 0.1


@dataclass(frozen=True, eq=False)
class Crossing:
    """An eigenvalue, or a pair, of a branch that becomes unstable or stable."""

    kind: str
    share: float
    branch: int
    point: np.ndarray


@dataclass(frozen=True, eq=False)
class End:
    """The end (or beginning) of a branch: its share of the way, the branch, and the point there."""

    share: float
    branch: int
    point: np.ndarray


def named(
    crossings: list[Crossing], ended: list[End], begun: list[End]
) -> list[tuple[str, float, list[int], np.ndarray, int]]:
    """Events of one interval from what crosses, ends and begins in it."""
    groups = _meeting(crossings)
    sides: list[list[list[End]]] = [[[] for _ in groups] for _ in (ended, begun)]
    alone: list[list[End]] = [[], []]
    for number, side in enumerate((ended, begun)):
        for one in side:
            gap = [max(abs(one.share - group[0].share) / NEARBY, _apart(one, group[0]) / MEET) for group in groups]
            close = bool(gap) and min(gap) <= 1
            (sides[number][int(np.argmin(gap))] if close else alone[number]).append(one)
    events = []
    for group, gone, new in zip(groups, *sides, strict=True):
        # One branch that ends or begins at a crossing, and no other, is no pitchfork.
        for number, side in enumerate((gone, new)):
            if len(side) == 1:
                alone[number] += side
                side.clear()
        count = max(sum(one.branch == branch for one in group) for branch in {one.branch for one in group})
        taking = [one.branch for one in (*group, *gone, *new)]
        share, point = float(np.mean([one.share for one in group])), np.mean([one.point for one in group], axis=0)
        events.append((_kind(group, gone, new, count), share, taking, point, count))
    for side in alone:
        events += _folds(side)
    return events


def _kind(group: list[Crossing], gone: list[End], new: list[End], count: int) -> str:
    """The name of what crosses at one place, with the branches that end and begin there."""
    kinds, ends = {one.kind for one in group}, (len(gone), len(new))
    if count > 1 or len(kinds) > 1:
        return "degenerate"
    if ends == (0, 0) and kinds != {"real"}:
        return group[0].kind if len(group) == 1 else "degenerate"
    if len(group) == 1 and ends in ((2, 0), (0, 2)):
        return "pitchfork" if kinds == {"real"} else "degenerate"
    if ends == (0, 0) and len(group) <= 2:
        return "transcritical" if len(group) == 2 else "zero eigenvalue"
    return "degenerate"


def _meeting(crossings: list[Crossing]) -> list[list[Crossing]]:
    """Crossings at one place and one point together."""
    groups: list[list[Crossing]] = []
    for one in sorted(crossings, key=lambda one: (one.share, one.branch)):
        near = (g for g in groups if abs(g[0].share - one.share) <= TOGETHER and _apart(g[0], one) <= CLOSE)
        group = next(near, None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return groups


def _apart(one, other) -> float:
    """Distance of two points, relative to one plus their length."""
    return float(np.linalg.norm(one.point - other.point)) / (1 + float(np.linalg.norm(one.point)))


def _folds(side: list[End]) -> list[tuple[str, float, list[int], np.ndarray, int]]:
    """Events of branches that end (or begin) where no eigenvalue of another crosses."""
    pairs: list[list[End]] = []
    for group in _paired(side):
        # Pairs that meet at the same point are one event: several folds at once.
        same = (p for p in pairs if abs(p[0].share - group[0].share) <= TOGETHER and _apart(p[0], group[0]) <= TOGETHER)
        found = next(same, None) if len(group) == 2 else None
        if found is None:
            pairs.append(group)
        else:
            found += group
    events = []
    for group in pairs:
        kind = {1: "unpaired", 2: "saddle-node"}.get(len(group), "degenerate")
        share, point = float(np.mean([end.share for end in group])), np.mean([end.point for end in group], axis=0)
        count = max(1, int(np.log2(len(group))))  # n folds at once join 2^n branches
        events.append((kind, share, [end.branch for end in group], point, count))
    return events


def _paired(side: list[End]) -> list[list[End]]:
    """Ends that meet, in pairs, nearest first; those that meet no other alone."""
    left, groups = list(side), []
    while len(left) > 1:
        gap = {
            (i, j): max(_apart(left[i], left[j]) / MEET, abs(left[i].share - left[j].share) / NEARBY)
            for i in range(len(left))
            for j in range(i)
        }
        i, j = min(gap, key=lambda pair: gap[pair])
        if gap[i, j] > 1:
            break
        groups.append([left[i], left[j]])
        left = [end for place, end in enumerate(left) if place not in (i, j)]
    return groups + [[end] for end in left]
