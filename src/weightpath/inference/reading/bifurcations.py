"""What happens to the fixed points between two trials: which kind of bifurcation, where, and to which branches."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bifurcation:
    """One event on the way from a trial to the next one that was looked at."""

    kind: str
    """One of `weightpath.analysis.bifurcations.KINDS`."""
    trial: float
    """Index of the trial, with a fraction: the place on the straight way between the two trials."""
    branches: tuple[int, ...]
    """Rows of the branches that take part."""
    jump: bool
    """Whether it lies on the way across the border of two epochs, which no trial went."""
