"""The flow of the fitted network on a plane through its span, and how it changes from one trial to another."""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Float
from weightpath.inference.reading.in_span import InSpan


@dataclass(frozen=True, eq=False)
class FlowField:
    """Flow on a grid in orthonormal coordinates; `vectors` holds all coordinates, in units of state per tau."""

    plane: tuple[int, int]
    """Which two coordinates span the plane."""
    x: Float[np.ndarray, " column"]
    y: Float[np.ndarray, " row"]
    through: Float[np.ndarray, " coord"]
    """Point the plane goes through; its two entries of `plane` do not matter."""
    vectors: Float[np.ndarray, "row column coord"]

    @property
    def in_plane(self) -> Float[np.ndarray, "row column two"]:
        """The part of the flow along the plane."""
        return self.vectors[..., list(self.plane)]

    @property
    def across(self) -> Float[np.ndarray, "row column"]:
        """Length of the part that leaves the plane; zero for two coordinates."""
        others = [one for one in range(self.vectors.shape[-1]) if one not in self.plane]
        return np.linalg.norm(self.vectors[..., others], axis=-1)

    def __sub__(self, earlier: "FlowField") -> "FlowField":
        """The change of the flow from `earlier` to this one.

        **Raises:** ValueError when the two are not on the same grid.
        """
        same = self.plane == earlier.plane and self.vectors.shape == earlier.vectors.shape
        if not (same and all(np.array_equal(getattr(self, n), getattr(earlier, n)) for n in ("x", "y", "through"))):
            raise ValueError("the two flow fields are on different grids; draw both with the same plane and extent.")
        return FlowField(self.plane, self.x, self.y, self.through, self.vectors - earlier.vectors)


def flow_field(
    system: InSpan,
    trial: int,
    *,
    plane: tuple[int, int] = (0, 1),
    extent: float | int = 1.2,
    points: int = 15,
    drive: Float[np.ndarray, " coord"] | None = None,
    smooth: bool = False,
) -> FlowField:
    """Flow of a trial (index) on a grid of `points` x `points` in the plane of two coordinates of `system`.

    The grid covers the visited states of all trials, widened about their middle by `extent`, so that fields of
    different trials can be compared; the other coordinates are held at the mean of the visited states. `drive`:
    input held (coordinates of the basis), default the mean input over trials and bins. It cancels in differences.
    `smooth` takes the smooth part of the trial factors.

    **Raises:** ValueError for a plane, a trial, an extent or a number of points that cannot be drawn.
    """
    _check(system, trial, plane, extent, points)
    states = system.states.reshape(-1, system.basis.shape[1])
    sides = []
    for one in plane:
        low, high = states[:, one].min(), states[:, one].max()
        middle, half = (high + low) / 2, extent * max((high - low) / 2, 1e-12)
        sides.append(np.linspace(middle - half, middle + half, points))
    through = states.mean(axis=0)
    grid = np.broadcast_to(through, (points, points, len(through))).copy()
    grid[..., plane[0]], grid[..., plane[1]] = np.meshgrid(*sides)
    flow = system.at(trial, system.mean_input if drive is None else drive, smooth=smooth)
    return FlowField((int(plane[0]), int(plane[1])), sides[0], sides[1], through, flow(grid))


def _check(system: InSpan, trial: int, plane: tuple[int, int], extent: float | int, points: int) -> None:
    trials, coords = len(system.mixing), system.basis.shape[1]
    if coords < 2:
        raise ValueError("a flow field needs two coordinates; a fit of rank 1 moves along a line.")
    if len(plane) != 2 or plane[0] == plane[1] or not all(0 <= one < coords for one in plane):
        raise ValueError(f"plane must name two different coordinates below {coords}; got {plane}.")
    if not 0 <= trial < trials:
        raise ValueError(f"trial must be an index from 0 to {trials - 1}; got {trial}.")
    if not (np.isfinite(extent) and extent > 0) or points < 2:
        raise ValueError(f"extent must be positive and points at least 2; got extent={extent}, points={points}.")
