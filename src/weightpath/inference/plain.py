"""Plain predictors of a recording: means and smoothers without any network, computed beside every fit."""

from collections.abc import Callable

import numpy as np

from weightpath._types import Bool, Float, Int
from weightpath.inference.paired import r_squared
from weightpath.inference.recording import Recording

Prediction = Float[np.ndarray, "trial time neuron"]
Train = Bool[np.ndarray, "trial time neuron"]

#: Widths over trials and over bins among which the tuned smoother chooses.
TRIAL_WIDTHS = (50.0, 100.0, 200.0, 400.0)
TIME_WIDTHS = (0.0, 0.7, 1.0)


def condition_mean(recording: Recording, train: Train) -> Prediction:
    """Mean over the training trials of the same condition, at every bin; the overall mean where there are none."""
    overall = recording.values[train].mean() if train.any() else 0.0
    return _cell_mean(recording, train, recording.condition, np.full(recording.shape, overall))


def epoch_mean(recording: Recording, train: Train) -> Prediction:
    """Mean over the training trials of the same condition and epoch; the condition's mean where there are none."""
    cell = recording.condition * (recording.epoch.max() + 1) + recording.epoch
    return _cell_mean(recording, train, cell, condition_mean(recording, train))


def block_mean(recording: Recording, train: Train, *, length: int = 40) -> Prediction:
    """Mean over the training trials of the same condition and block of `length` trials, counted within each epoch."""
    block = _blocks_in_epochs(recording.epoch, length)
    cell = block * len(recording.conditions) + recording.condition
    return _cell_mean(recording, train, cell, condition_mean(recording, train))


def smoother(recording: Recording, train: Train, *, width: float = 100.0, shrinkage: float = 3.0) -> Prediction:
    r"""Condition-and-epoch mean $m$ plus a kernel smoother over the trials of the same condition and epoch.

    $\hat y_k(t) = m(t) + \sum_j w_{kj}(y_j(t) - m(t)) / (\sum_j w_{kj} + \text{shrinkage})$, sums over training
    entries, $w_{kj} = \exp(-(k-j)^2/2\,\text{width}^2)$ with `width` in trials.
    """
    return _smoothed(recording, train, epoch_mean(recording, train), width, shrinkage)


def slow_offset(recording: Recording, train: Train, *, width: float = 20.0, shrinkage: float = 20.0) -> Prediction:
    """Condition-and-epoch mean plus a slow offset per neuron, common to all conditions and bins of an epoch."""
    mean = epoch_mean(recording, train)
    weights = (recording.epoch[:, None] == recording.epoch) * _gaussian(recording.trial_id, width)
    residual = np.where(train, recording.values - mean, 0.0).sum(1)
    offset = weights @ residual / (weights @ train.sum(1) + shrinkage)
    return mean + offset[:, None]


def tuned_smoother(recording: Recording, train: Train) -> Prediction:
    """The smoother, then a Gaussian over the bins of the trial, both widths chosen on the training trials alone."""
    return smoothed(recording, train, *tune(recording, train))


def smoothed(recording: Recording, train: Train, width: float, spread: float) -> Prediction:
    """The smoother over trials of `width`, then a Gaussian over the bins of the trial of width `spread`."""
    return _over_time(smoother(recording, train, width=width), spread)


def tune(recording: Recording, train: Train, *, folds: int = 5) -> tuple[float, float]:
    """Widths over trials and over bins that predict held-out training trials best, in `folds` interleaved folds."""
    trials = np.flatnonzero(train.any((1, 2)))
    gain = np.zeros((len(TRIAL_WIDTHS), len(TIME_WIDTHS)))
    for fold in range(folds):
        held = np.zeros(recording.shape[0], bool)
        held[trials[fold::folds]] = True
        fit, test = train & ~held[:, None, None], train & held[:, None, None]
        if not fit.any() or not test.any():
            continue
        mean = epoch_mean(recording, fit)
        for i, width in enumerate(TRIAL_WIDTHS):
            smooth = _smoothed(recording, fit, mean, width, 3.0)
            gain[i] += [r_squared(recording.values, _over_time(smooth, spread), test) for spread in TIME_WIDTHS]
    best = np.unravel_index(np.argmax(np.nan_to_num(gain, nan=-np.inf)), gain.shape)
    return TRIAL_WIDTHS[best[0]], TIME_WIDTHS[best[1]]


#: Every plain predictor by the name under which it is shown.
PLAIN: dict[str, Callable[[Recording, Train], Prediction]] = {
    "target": condition_mean,
    "target x epoch": epoch_mean,
    "target x block": block_mean,
    "target x epoch + offset": slow_offset,
    "smoother": smoother,
    "tuned smoother": tuned_smoother,
}


def plain_predictions(recording: Recording, train: Train) -> dict[str, Prediction]:
    """Predictions of every plain predictor, by name, at all entries of the recording.

    A cell without training entries falls back to the same cell without the epoch or block, then to the mean.
    """
    return {name: predict(recording, train) for name, predict in PLAIN.items()}


def _cell_mean(recording: Recording, train: Train, cell: Int[np.ndarray, " trial"], fallback: Prediction) -> Prediction:
    _, index = np.unique(cell, return_inverse=True)
    member = (index.reshape(-1) == np.arange(index.max() + 1)[:, None]).astype(float)
    count = _over_trials(member, train.astype(float))
    total = _over_trials(member, np.where(train, recording.values, 0.0))
    mean = (total / np.maximum(count, 1))[index.reshape(-1)]
    return np.where(count[index.reshape(-1)] > 0, mean, fallback)


def _blocks_in_epochs(epoch: Int[np.ndarray, " trial"], length: int) -> Int[np.ndarray, " trial"]:
    """Block number of every trial; blocks start anew where the epoch changes."""
    starts = np.flatnonzero(np.r_[True, np.diff(epoch) != 0])
    within = np.arange(len(epoch)) - np.repeat(starts, np.diff(np.r_[starts, len(epoch)]))
    return np.cumsum(within % length == 0) - 1


def _smoothed(recording: Recording, train: Train, mean: Prediction, width: float, shrinkage: float) -> Prediction:
    same = (recording.condition[:, None] == recording.condition) & (recording.epoch[:, None] == recording.epoch)
    weights = same * _gaussian(recording.trial_id, width)
    residual = np.where(train, recording.values - mean, 0.0)
    return mean + _over_trials(weights, residual) / (_over_trials(weights, train.astype(float)) + shrinkage)


def _over_trials(weights: Float[np.ndarray, "row trial"], values: Prediction) -> Float[np.ndarray, "row time neuron"]:
    return (weights @ values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])


def _over_time(values: Prediction, width: float) -> Prediction:
    if width == 0:
        return values
    weights = _gaussian(np.arange(values.shape[1], dtype=float), width)
    return np.einsum("st,ktn->ksn", weights / weights.sum(1, keepdims=True), values)


def _gaussian(position: Float[np.ndarray, " k"], width: float) -> Float[np.ndarray, "k k"]:
    return np.exp(-((position[:, None] - position) ** 2) / (2 * width**2))
