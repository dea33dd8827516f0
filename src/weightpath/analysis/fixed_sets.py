r"""From the ends of many searches to points: equal ends joined, singular ones clustered, starts counted."""

from typing import NamedTuple

import numpy as np

from weightpath._types import Bool, Float, Int

#: Ends closer than this times the square root of the number of units are one point.
EQUAL = 1e-5
#: The same for points with a singular Jacobian, where the ends of searches scatter: the cube root of the residual.
SCATTER = 2e-3
#: A smallest singular value of the Jacobian below this makes a point singular.
SINGULAR = 1e-3
#: A point is an outlier beyond this many times the mean distance of the starts from their centre.
FAR = 10.0


class Groups(NamedTuple):
    """Points, lowest q of each, and which end belongs to which."""

    leader: Int[np.ndarray, " found"]
    """The end that stands for the point: the one with the lowest q."""
    member: Int[np.ndarray, " end"]
    """Number of the point of each end."""
    spread: Float[np.ndarray, " found"]
    """Largest distance of an end from its point."""


def joined(
    points: Float[np.ndarray, "end unit"], q: Float[np.ndarray, " end"], radius: float | Float[np.ndarray, " end"]
) -> Groups:
    """Greedy, in order of increasing q: each end joins the first point within `radius`, or becomes one.

    Ties go by the coordinates and then by the number of the start, so that the order of starts does not matter.
    `radius` may differ from end to end; the smaller of the two counts.
    """
    reach = np.broadcast_to(np.asarray(radius, dtype=float), q.shape)
    order = np.lexsort((*points.T[::-1], q)) if len(q) else np.zeros(0, int)
    member, leaders = np.full(len(q), -1), []
    for one in order:
        if member[one] >= 0:
            continue
        distance = np.linalg.norm(points - points[one], axis=1)
        near = (member < 0) & (distance <= np.minimum(reach, reach[one]))
        near[one] = True
        member[near] = len(leaders)
        leaders.append(one)
    leader = np.array(leaders, dtype=int)
    gap = np.linalg.norm(points - points[leader[member]], axis=1) if len(q) else np.zeros(0)
    spread = np.array([gap[member == number].max() for number in range(len(leader))])
    return Groups(leader, member, spread)


def smallest_singular_value(jacobian: Float[np.ndarray, "end unit unit"]) -> Float[np.ndarray, " end"]:
    """Of each Jacobian of h."""
    if not len(jacobian):
        return np.zeros(0)
    return np.linalg.svd(jacobian, compute_uv=False)[:, -1]


def arranged(
    points: Float[np.ndarray, "found unit"], fixed: Bool[np.ndarray, " found"], unstable: Int[np.ndarray, " found"]
) -> Int[np.ndarray, " found"]:
    """Order in which points are reported: fixed before slow, by unstable dimension, then by their coordinates."""
    coarse = np.round(points, 6) + 0.0  # no negative zeros
    return np.lexsort((*(-coarse.T[::-1]), unstable, ~fixed)) if len(points) else np.zeros(0, int)


def outliers(
    points: Float[np.ndarray, "found unit"], starts: Float[np.ndarray, "start unit"]
) -> Bool[np.ndarray, " found"]:
    """Points much further from the centre of the starts than the starts themselves."""
    centre = starts.mean(axis=0)
    usual = np.mean(np.linalg.norm(starts - centre, axis=1))
    # Starts that all coincide have no distance of their own to compare with.
    scale = usual if usual > 0 else np.sqrt(starts.shape[1])
    return np.linalg.norm(points - centre, axis=1) > FAR * scale
