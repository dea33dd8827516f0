"""Fixed points followed over trials: branches, and the trials at which they appear, vanish or change stability."""

from dataclasses import dataclass

import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Bool, Complex, Float, Int
from weightpath.analysis.branches import joined_branches
from weightpath.inference.reading.bifurcations import Bifurcation
from weightpath.inference.reading.fixed_points import fixed_points, starting_points
from weightpath.inference.reading.in_span import InSpan
from weightpath.inference.result import Fit

#: Trials at which fixed points are searched for, unless told otherwise.
FOLLOWED = 50


@dataclass(frozen=True, eq=False)
class Branches:
    """Fixed points over trials, one row a branch; NaN where a branch does not exist."""

    trials: Int[np.ndarray, " followed"]
    """Indices of the trials at which points were searched for."""
    epoch: Int[np.ndarray, " followed"]
    points: Float[np.ndarray, "branch followed coord"]
    eigenvalues: Complex[np.ndarray, "branch followed eig"]
    bifurcations: tuple[Bifurcation, ...]
    """In the order of trials."""
    result: RESULTS
    """`no_fixed_point` when some trial has none that was found."""

    @property
    def exists(self) -> Bool[np.ndarray, "branch followed"]:
        """Where each branch has a point."""
        return np.isfinite(self.points[..., 0])

    @property
    def unstable_directions(self) -> Int[np.ndarray, "branch followed"]:
        """Number of growing directions, -1 where there is no point."""
        count = np.sum(np.real(self.eigenvalues) > 0, axis=-1)
        return np.where(self.exists, count, -1)


def followed_trials(fit: Fit, count: int = FOLLOWED) -> Int[np.ndarray, " followed"]:
    """About `count` trials at equal distances, with the first and the last one of every epoch."""
    epoch = fit.recording.epoch
    starts = np.flatnonzero(np.r_[True, np.diff(epoch) != 0])
    ends = np.r_[starts[1:], len(epoch)] - 1
    parts = [
        np.linspace(start, end, max(2, round(count * (end - start + 1) / len(epoch)))).round().astype(int)
        for start, end in zip(starts, ends, strict=True)
    ]
    return np.unique(np.concatenate(parts))


def follow(
    system: InSpan,
    epoch: Int[np.ndarray, " trial"],
    trials: Int[np.ndarray, " followed"],
    *,
    drive: Float[np.ndarray, " coord"] | None = None,
    starts: Float[np.ndarray, "start coord"] | None = None,
    seed: int = 0,
) -> Branches:
    """Fixed points along the smooth part of the factors, joined into branches.

    At each of `trials` (increasing indices) fixed points are searched for from `starts` (default `starting_points`),
    and those of the neighbouring trials are carried over, forwards and backwards, while the factors move straight
    from one trial to the next. A branch joins what is carried into one another. Where a factor jumps at the border of
    an epoch, the straight way across the jump gives a point its name; no trial has the factors in between, and events
    there are marked `jump`.

    **Raises:** ValueError when the trials are not increasing indices.
    """
    trials = np.asarray(trials)
    if not len(trials) or np.any(np.diff(trials) <= 0) or trials[0] < 0 or trials[-1] >= len(system.mixing):
        raise ValueError(f"trials must be increasing indices from 0 to {len(system.mixing) - 1}; got {trials}.")
    starts = starting_points(system, seed=seed) if starts is None else starts
    flows = [system.at(int(trial), drive, smooth=True) for trial in trials]
    sets = [fixed_points(flow, starts).points for flow in flows]
    found = joined_branches(flows, trials.astype(float), sets)
    numbers = np.asarray(epoch)[trials]
    events = tuple(
        Bifurcation(one.kind, one.place, one.branches, bool(numbers[one.interval] != numbers[one.interval + 1]))
        for one in found.bifurcations
    )
    result = RESULTS.successful if found.exists.any(axis=0).all() else RESULTS.no_fixed_point
    return Branches(trials, numbers, found.points, found.eigenvalues, events, result)
