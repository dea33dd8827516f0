r"""Whether the factors return after washout, with a bootstrap interval over trials."""

from dataclasses import dataclass

import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Float
from weightpath.inference.reading.epochs import WeightMetric
from weightpath.inference.result import Fit

#: Share of the draws that the interval leaves out at each side.
TAIL = 0.025


@dataclass(frozen=True, eq=False)
class Savings:
    r"""What is left of learning: $|c_{late\,washout} - c_{baseline}| / |c_{late\,learning} - c_{baseline}|$.

    0: the factors are back; 1: all of the change is kept. Being a ratio of lengths it is never negative, and noise
    alone makes it positive: compare it with `floor`.
    """

    overall: float
    r"""Of the weights, in the metric $\|\Delta W S^{1/2}\|$."""
    interval: tuple[float, float]
    """95% bootstrap interval of `overall`."""
    floor: float
    """Median of the index when the late washout is drawn from the baseline: what a full return looks like."""
    factors: Float[np.ndarray, " rank"]
    """Of every trial factor by itself."""
    factor_interval: Float[np.ndarray, "rank two"]
    result: RESULTS
    """`outside_regime` when learning did not move the factors beyond what resampled trials do: a ratio to nothing."""


def savings(
    fit: Fit,
    *,
    baseline: int = 0,
    learning: int = 1,
    washout: int = 2,
    late: float | int = 0.25,
    draws: int = 1000,
    seed: int = 0,
) -> Savings:
    """Savings of a fit with a baseline, a learning and a washout epoch (their numbers).

    Means over all trials of the baseline and over the last share `late` of the other two; trials without training
    entries do not count. The bootstrap resamples runs of trials (as long as the square root of their number), because
    factors of neighbouring trials are alike by the prior.

    **Raises:** ValueError for epochs that are not there or not three, a share outside (0, 1], or a model with a core.
    """
    windows = _windows(fit, (baseline, learning, washout), late)
    c, metric = fit.c.astype(np.float64), WeightMetric.of(fit)
    rng = np.random.default_rng(seed)
    parts = [c[window] for window in windows]
    means = np.array([[_resampled(part, rng).mean(axis=0) for part in parts] for _ in range(draws)])
    again = np.array([_resampled(parts[0], rng).mean(axis=0) for _ in range(draws)])
    point = np.array([part.mean(axis=0) for part in parts])
    drawn, single = _index(means, metric), _factor_index(means)
    floor = _index(np.stack([means[:, 0], means[:, 1], again], axis=1), metric)
    moved, noise = _length(point[1] - point[0], metric), _lengths(means[:, 0] - again, metric)
    identified = moved > np.quantile(noise, 1 - TAIL)
    return Savings(
        overall=float(_index(point[None], metric)[0]),
        interval=(float(np.quantile(drawn, TAIL)), float(np.quantile(drawn, 1 - TAIL))),
        floor=float(np.median(floor)),
        factors=_factor_index(point[None])[0],
        factor_interval=np.quantile(single, [TAIL, 1 - TAIL], axis=0).T,
        result=RESULTS.successful if identified else RESULTS.outside_regime,
    )


def _windows(fit: Fit, epochs: tuple[int, int, int], late: float | int) -> list[np.ndarray]:
    names = fit.recording.epochs
    if fit.model.core:
        raise ValueError(f"changes={fit.model.changes!r} has a core and no factors; savings are of trial factors.")
    if len(names) < 3 or len(set(epochs)) < 3 or not all(0 <= one < len(names) for one in epochs):
        raise ValueError(
            f"savings need three epochs, baseline, learning and washout; got {epochs} of {len(names)} "
            f"({', '.join(map(str, names))}). Give their numbers."
        )
    if not 0 < late <= 1:
        raise ValueError(f"late must be a share in (0, 1]; got {late}.")
    found = [np.flatnonzero((fit.recording.epoch == one) & fit.training_trials) for one in epochs]
    return [found[0], *(one[-max(1, round(late * len(one))) :] for one in found[1:])]


def _resampled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many rows drawn in runs of neighbours, the end joined to the beginning."""
    count = len(values)
    run = max(1, round(np.sqrt(count)))
    starts = rng.integers(count, size=-(-count // run))
    return values[((starts[:, None] + np.arange(run)) % count).ravel()[:count]]


def _length(change: np.ndarray, metric: WeightMetric) -> float:
    return metric.norm(np.diag(change))


def _lengths(changes: np.ndarray, metric: WeightMetric) -> np.ndarray:
    return np.array([_length(change, metric) for change in changes])


def _index(means: np.ndarray, metric: WeightMetric) -> np.ndarray:
    kept, moved = (_lengths(means[:, one] - means[:, 0], metric) for one in (2, 1))
    return kept / np.maximum(moved, np.finfo(float).tiny)


def _factor_index(means: np.ndarray) -> np.ndarray:
    kept, moved = (np.abs(means[:, one] - means[:, 0]) for one in (2, 1))
    return kept / np.maximum(moved, np.finfo(float).tiny)
