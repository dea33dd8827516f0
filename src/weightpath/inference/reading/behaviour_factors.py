"""Correlation of trial factors with behaviour, judged against drift.

Factors are smooth over trials by the prior and behaviour drifts, so that any two of them are correlated over a session.
Two things are done about it: means of epochs (and, for the second number, a straight line in each epoch) are taken out
first, and probabilities come from shifting the behaviour in a circle within each epoch, which keeps its drift and its
dependence between neighbouring trials, and breaks only its alignment with the factors.

False alarms at p <= .05 for independent pairs of first-order autoregressions (epochs of 100 and 200 trials, 300
pairs): coefficient .9: .06, .98: .08, random walks: .22 within epochs, against .07, .07 and .08 with lines taken out.
So it is the second number that may be believed where things drift.
"""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Bool, Float, Int
from weightpath.inference.recording import Recording

#: Fewest trials of an epoch that take part.
FEWEST = 4


@dataclass(frozen=True, eq=False)
class BehaviourCorrelation:
    """One covariate against every trial factor. Probabilities are two-sided and uncorrected, unless said otherwise."""

    overall: Float[np.ndarray, " rank"]
    """Over all trials, steps between epochs included."""
    within: Float[np.ndarray, " rank"]
    """Means of the epochs taken out of both."""
    within_p: Float[np.ndarray, " rank"]
    detrended: Float[np.ndarray, " rank"]
    """Straight lines of the epochs taken out of both: what is not shared drift."""
    detrended_p: Float[np.ndarray, " rank"]
    family_p: float
    """Probability of a detrended correlation as large as the largest one in any factor."""
    trials: int
    """Number of trials that took part."""


def correlate_behaviour(
    factors: Float[np.ndarray, "trial rank"],
    covariate: Float[np.ndarray, " covariate"],
    epoch: Int[np.ndarray, " label"],
    *,
    draws: int = 999,
    seed: int = 0,
) -> BehaviourCorrelation:
    """Correlation of each factor with a covariate (one number a trial, NaN where missing), within epochs.

    Every epoch's covariate is shifted in a circle by a random number of trials, `draws` times; p is the share of draws
    with a correlation at least as large, the data counted as one. A constant factor or covariate has correlation 0.

    **Raises:** ValueError when lengths differ or no epoch has four trials with a covariate.
    """
    if not len(factors) == len(covariate) == len(epoch):
        raise ValueError(
            f"factors, covariate and epoch must have one entry a trial; got {len(factors)}, {len(covariate)} and "
            f"{len(epoch)}."
        )
    kept = _usable(covariate, epoch)
    factors, covariate, epoch = factors[kept], covariate[kept], epoch[kept]
    rng = np.random.default_rng(seed)
    places = [np.flatnonzero(epoch == number) for number in np.unique(epoch)]
    shifted = np.stack([covariate[_turned(places, rng)] for _ in range(draws)])
    results = []
    for lines in (False, True):
        taken = [_residual(one, epoch, lines) for one in (factors.T, covariate[None], shifted)]
        observed, null = _correlation(taken[0], taken[1])[:, 0], _correlation(taken[0], taken[2])
        # Rounding must not tell a shift by a whole turn from none.
        results.append((observed, np.abs(null) >= np.abs(observed)[:, None] - 1e-12, null))
    (within, within_over, _), (detrended, detrended_over, null) = results
    family = int(np.sum(np.abs(null).max(axis=0) >= np.abs(detrended).max() - 1e-12))
    centred = [one - one.mean(axis=1, keepdims=True) for one in (factors.T, covariate[None])]
    return BehaviourCorrelation(
        overall=_correlation(*centred)[:, 0], within=within, within_p=(1 + within_over.sum(axis=1)) / (1 + draws),
        detrended=detrended, detrended_p=(1 + detrended_over.sum(axis=1)) / (1 + draws),
        family_p=(1 + family) / (1 + draws), trials=int(kept.sum()),
    )  # fmt: skip


def behaviour_covariates(recording: Recording) -> dict[str, Float[np.ndarray, " trial"]]:
    """Covariates of a recording with one number a trial: means over the bins of those with a time axis.

    Left out: words, arrays with more axes, what is constant, what the condition determines (a target's angle), and what
    only ever rises or falls with the trial (a clock).
    """
    trials, bins, _ = recording.shape
    found = {}
    for name, values in recording.covariates.items():
        if values.dtype.kind not in "fiub" or values.shape not in ((trials,), (trials, bins)):
            continue
        values = values.astype(float).reshape(trials, -1)
        finite = np.isfinite(values)
        count = finite.sum(axis=1)
        mean = np.where(count > 0, np.where(finite, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)
        if not _determined(mean, recording):
            found[name] = mean
    return found


def _determined(mean: np.ndarray, recording: Recording) -> bool:
    seen = np.isfinite(mean)
    steps = np.diff(mean[seen])
    if seen.sum() < FEWEST or np.all(steps >= 0) or np.all(steps <= 0):
        return True
    by_condition = [mean[seen & (recording.condition == one)] for one in range(len(recording.conditions))]
    return all(np.ptp(one) == 0 for one in by_condition if len(one))


def _usable(covariate: np.ndarray, epoch: np.ndarray) -> Bool[np.ndarray, " trial"]:
    seen = np.isfinite(covariate)
    enough = [number for number in np.unique(epoch) if np.sum(seen & (epoch == number)) >= FEWEST]
    if not enough:
        raise ValueError(f"no epoch has {FEWEST} trials with a finite covariate; nothing can be correlated.")
    return seen & np.isin(epoch, enough)


def _turned(places: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Order of the trials after a turn of each epoch by a random number of trials."""
    order = np.empty(sum(map(len, places)), int)
    for place in places:
        order[place] = np.roll(place, rng.integers(1, len(place)))
    return order


def _residual(values: np.ndarray, epoch: np.ndarray, lines: bool) -> np.ndarray:
    """Rows (row, trial) without the mean, or the straight line over trials, of each epoch."""
    result = np.empty(values.shape)
    for number in np.unique(epoch):
        part = values[:, epoch == number]
        part = part - part.mean(axis=1, keepdims=True)
        if lines:
            slope = np.linspace(-1, 1, part.shape[1])
            part = part - np.outer(part @ slope / (slope @ slope), slope)
        result[:, epoch == number] = part
    return result


def _correlation(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Correlations of centred rows, (row, other); 0 where one of them is constant."""
    lengths = np.outer(np.linalg.norm(rows, axis=1), np.linalg.norm(others, axis=1))
    tiny = 1e-12 * np.maximum(lengths.max(), np.finfo(float).tiny)
    return np.where(lengths > tiny, rows @ others.T / np.maximum(lengths, tiny), 0.0)
