r"""How much of the variance of single trials can be explained at all: noise ceilings of held-out R^2.

*Repeats.* Let $y_k = s_k + e_k$ with a signal $s_k$ that the trial's condition, epoch and place in the session
determine, and noise independent between trials (within a trial it may be correlated). The trials of every condition
and epoch are dealt to two halves in turn; $m^A$, $m^B$ are smoothers over the trials of one half each, which follow
slow drift. A trial's own half is never used to predict it, so with all values taken from the mean of the entries
$E\langle y, m^{other}\rangle = \langle s, \hat s\rangle$ and $E\langle m^A, m^B\rangle = \langle\hat s,\hat s\rangle$,
where $\hat s$ is the expected smoother. Hence

$$ R^2_{max} = \frac{\langle s,s\rangle}{\langle y,y\rangle} \ge
   \frac{\langle y, m^{other}\rangle^2}{\langle m^A, m^B\rangle \langle y,y\rangle}, $$

with equality when the smoother has no bias but one of scale. The right side is what is returned: an estimate of a
lower bound, above which a model of condition, epoch and place can go by resolving faster drift. A model that sees part
of the trial can exceed it, so it belongs to held-out whole trials.

*Poisson.* If counts are Poisson given their rates, the noise has the variance of the mean and no prediction of rates
exceeds $1 - \sum y / \sum (y - \bar y)^2$ but by chance.
"""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Bool, Float, Int
from weightpath.inference.plain import Prediction, smoothed, tune
from weightpath.inference.recording import Recording


@dataclass(frozen=True)
class Ceiling:
    """An R^2 and its standard error over trials; NaN where no signal repeats."""

    r2: float
    se: float

    def __str__(self) -> str:
        return f"{self.r2:.4f} +- {self.se:.4f}"


@dataclass(frozen=True, eq=False)
class Halves:
    """Smoothers over the trials of two halves of a recording, at all trials."""

    half: Int[np.ndarray, " trial"]
    first: Prediction
    second: Prediction

    @property
    def other(self) -> Prediction:
        """For every trial the smoother over the half that it is not in."""
        return np.where(self.half[:, None, None] == 0, self.second, self.first)


def split_halves(recording: Recording) -> Halves:
    """Halves by turns within every condition and epoch; the smoother's widths are chosen on all trials, once."""
    half = np.zeros(recording.shape[0], int)
    for condition in range(len(recording.conditions)):
        for epoch in range(len(recording.epochs)):
            cell = np.flatnonzero((recording.condition == condition) & (recording.epoch == epoch))
            # Cells begin in turn with either half, so that cells of one trial do not all fall into the first.
            half[cell] = (np.arange(len(cell)) + condition + epoch) % 2
    widths = tune(recording, recording.observed)
    parts = (smoothed(recording, recording.observed & (half == one)[:, None, None], *widths) for one in (0, 1))
    return Halves(half, *parts)


def repeat_ceiling(
    recording: Recording,
    test: Bool[np.ndarray, "trial time neuron"],
    halves: Halves | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Ceiling:
    """Explainable share of the variance of the `test` entries, from repeated trials (the first equation above).

    `halves` of `split_halves` can be given to save time; the standard error is that of a bootstrap over test trials.
    """
    halves = split_halves(recording) if halves is None else halves
    mean = recording.values[test].mean()
    values, first, second, other = (
        np.where(test, one - mean, 0.0) for one in (recording.values, halves.first, halves.second, halves.other)
    )
    sums = np.stack([(one * two).sum((1, 2)) for one, two in ((values, other), (first, second), (values, values))], 1)
    sums = sums[test.any((1, 2))]
    picked = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    resampled = _share(sums[picked].sum(1))
    spread = float(resampled.std(ddof=1)) if np.isfinite(resampled).all() else float("nan")
    return Ceiling(float(_share(sums.sum(0)[None])[0]), spread)


def poisson_ceiling(
    recording: Recording,
    counts: Float[np.ndarray, "trial time neuron"],
    test: Bool[np.ndarray, "trial time neuron"],
) -> float:
    """Largest R^2 of a prediction of rates, if the counts are Poisson given them (the second equation above).

    `counts` in spikes per bin; the scale that the recording divided each neuron by is taken into account.
    """
    noise = (np.where(test, counts, 0.0) / recording.scale**2).sum()
    values = recording.values[test]
    total = ((values - values.mean()) ** 2).sum()
    return float(1 - noise / total) if total > 0 else float("nan")


def _share(sums: Float[np.ndarray, "draw 3"]) -> Float[np.ndarray, " draw"]:
    """Lower bound of the explainable share; NaN where the halves do not agree in sign."""
    cross, both, total = sums.T
    known = (cross > 0) & (both > 0) & (total > 0)
    return np.where(known, cross**2 / np.where(known, both * total, 1.0), np.nan)
