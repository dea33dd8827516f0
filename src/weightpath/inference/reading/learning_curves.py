r"""Speed of the change of each trial factor in each epoch: $c(k) = c_\infty + (c_0 - c_\infty) e^{-(k - k_0)/\tau}$."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from weightpath._results import RESULTS, outcome_name
from weightpath._types import Float
from weightpath.inference.result import Fit

#: Fewest trials of an epoch to which three numbers are fitted.
FEWEST = 8
#: Longest time constant, in lengths of the epoch; a slower course is a straight line.
LONGEST = 3.0


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """Exponential courses by epoch and factor; NaN where `outcome` is not "successful"."""

    start: Float[np.ndarray, "epoch rank"]
    end: Float[np.ndarray, "epoch rank"]
    """Value approached; it can lie beyond the epoch's last trials."""
    trials: Float[np.ndarray, "epoch rank"]
    """Time constant in trials."""
    trials_se: Float[np.ndarray, "epoch rank"]
    """Its standard error as if residuals were independent; those of a smooth factor are not, so it is too small."""
    r2: Float[np.ndarray, "epoch rank"]
    """Share of the variance within the epoch that the curve explains."""
    outcome: np.ndarray
    """Name of the outcome, (epoch, rank): `not_converged` where there is no time constant to be had: too few trials, a
    course that is straight or flat, or a fit that failed."""


def learning_curves(fit: Fit) -> LearningCurves:
    """Fit an exponential course to every factor of a fit in every epoch (least squares over training trials).

    **Raises:** ValueError for a model with a core, which has no factors.
    """
    if fit.model.core:
        raise ValueError(f"changes={fit.model.changes!r} has a core and no factors; there is no course to fit.")
    c, recording = fit.c.astype(np.float64), fit.recording
    shape = (len(recording.epochs), c.shape[1])
    table = np.full((5, *shape), np.nan)
    outcome = np.full(shape, outcome_name(RESULTS.not_converged), dtype=object)
    for epoch in range(shape[0]):
        used = np.flatnonzero((recording.epoch == epoch) & fit.training_trials)
        for factor in range(shape[1]):
            found = exponential(recording.trial_id[used], c[used, factor])
            if found is not None:
                table[:, epoch, factor], outcome[epoch, factor] = found, outcome_name(RESULTS.successful)
    return LearningCurves(*table, outcome=outcome.astype(str))


def exponential(
    trial: Float[np.ndarray, " trial"], values: Float[np.ndarray, " trial"]
) -> tuple[float, float, float, float, float] | None:
    """Start, end, time constant, its standard error and R^2 of an exponential course; None where there is none."""
    if len(values) < FEWEST or np.ptp(values) <= 1e-9 * max(1.0, float(np.abs(values).max())):
        return None
    since, length = trial - trial[0], float(trial[-1] - trial[0])
    shortest, longest = 0.5, LONGEST * length

    def course(k, start, end, tau):
        return end + (start - end) * np.exp(-k / tau)

    guesses = [_with_best_ends(since, values, tau) for tau in np.geomspace(shortest, longest, 12)[1:-1]]
    guess = min(guesses, key=lambda one: float(np.sum((values - course(since, *one)) ** 2)))
    bounds = ([-np.inf, -np.inf, shortest], [np.inf, np.inf, longest])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            found, covariance = curve_fit(course, since, values, p0=guess, bounds=bounds)
    except (RuntimeError, OptimizeWarning):  # no minimum, or one without curvature: said by the outcome
        return None
    start, end, tau = (float(one) for one in found)
    if not shortest * 1.001 < tau < longest * 0.999:
        return None
    r2 = 1 - float(np.sum((values - course(since, *found)) ** 2) / np.sum((values - values.mean()) ** 2))
    return start, end, tau, float(np.sqrt(covariance[2, 2])), r2


def _with_best_ends(since: np.ndarray, values: np.ndarray, tau: float) -> tuple[float, float, float]:
    """Start and end by linear least squares for a given time constant."""
    decay = np.exp(-since / tau)
    start, end = np.linalg.lstsq(np.stack([decay, 1 - decay], axis=1), values, rcond=None)[0]
    return float(start), float(end), tau
