"""Scores on held-out entries and paired differences of scores, with intervals over trials."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weightpath._types import Bool, Float


def r_squared(
    values: Float[np.ndarray, "trial time neuron"],
    prediction: Float[np.ndarray, "trial time neuron"],
    test: Bool[np.ndarray, "trial time neuron"],
) -> float:
    r"""Fraction of variance of the test entries that is predicted, $1 - \sum(y - \hat y)^2 / \sum(y - \bar y)^2$.

    $\bar y$ is one number, the mean of all test entries. NaN when they do not vary.
    """
    y = values[test]
    spread = ((y - y.mean()) ** 2).sum()
    return float(1 - ((y - prediction[test]) ** 2).sum() / spread) if spread > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class EntrySums:
    """Sums over the test entries of each trial, from which every score and its bootstrap follow."""

    count: Float[np.ndarray, " trial"]
    total: Float[np.ndarray, " trial"]
    square: Float[np.ndarray, " trial"]

    def spread(self, weights: Float[np.ndarray, "draw trial"]) -> Float[np.ndarray, " draw"]:
        """Sum of squares around the mean, each trial counted `weights` times."""
        return weights @ self.square - (weights @ self.total) ** 2 / (weights @ self.count)


def entry_sums(
    values: Float[np.ndarray, "trial time neuron"], test: Bool[np.ndarray, "trial time neuron"]
) -> EntrySums:
    """Number, sum and sum of squares of the test entries of each trial."""
    kept = np.where(test, values, 0.0)
    return EntrySums(test.sum((1, 2)).astype(float), kept.sum((1, 2)), (kept**2).sum((1, 2)))


def trial_errors(
    values: Float[np.ndarray, "trial time neuron"],
    prediction: Float[np.ndarray, "trial time neuron"],
    test: Bool[np.ndarray, "trial time neuron"],
) -> Float[np.ndarray, " trial"]:
    """Sum of squared errors over the test entries of each trial; NaN where a prediction is not finite."""
    return np.where(test, np.where(test, values - prediction, 0.0) ** 2, 0.0).sum((1, 2))


@dataclass(frozen=True)
class Paired:
    """A difference of two scores on the same trials: its value, standard error and interval."""

    difference: float
    se: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.difference:+.4f} +- {self.se:.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def paired_difference(
    sums: EntrySums,
    first: Float[np.ndarray, " trial"],
    second: Float[np.ndarray, " trial"],
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Paired:
    """R^2 of the first model minus R^2 of the second, with a paired bootstrap over the test trials.

    `first`, `second` (trial,): errors of `trial_errors`. Each of the `draws` takes the test trials with replacement,
    the same trials for both models; `se` is the standard deviation of the differences and the interval holds the
    share `level` of them. Trials are taken as independent, which makes intervals too narrow if they are not.
    """
    tested = np.flatnonzero(sums.count > 0)
    sums = EntrySums(sums.count[tested], sums.total[tested], sums.square[tested])
    return _bootstrap((second - first)[tested], sums.spread, draws, level, seed)


def paired_ratio(
    first: Float[np.ndarray, " trial"],
    second: Float[np.ndarray, " trial"],
    size: Float[np.ndarray, " trial"],
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Paired:
    """Sum of the first over the sum of `size`, minus the same of the second, with a paired bootstrap over trials.

    With gains in bits and numbers of spikes this is a difference of bits per spike.
    """
    return _bootstrap(first - second, lambda weights: weights @ size, draws, level, seed)


def _bootstrap(gain: np.ndarray, size: Callable, draws: int, level: float, seed: int) -> Paired:
    """Spread of sum(gain) / size when the trials are drawn with replacement; `size` takes weights (draw, trial)."""
    every = np.ones((1, len(gain)))
    value = float((every @ gain / size(every))[0])
    # How often each trial occurs when as many as there are are drawn with replacement.
    picked = np.random.default_rng(seed).integers(0, len(gain), (draws, len(gain)))
    cell = np.arange(draws)[:, None] * len(gain) + picked
    weights = np.bincount(cell.ravel(), minlength=draws * len(gain)).reshape(draws, -1).astype(float)
    resampled = weights @ gain / size(weights)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Paired(value, float(resampled.std(ddof=1)), float(low), float(high))
