"""Plain predictors that use the rest of a trial: opponents where only some neurons, or the first bins, are seen.

All add to the tuned smoother a regression of what it leaves: the residuals of the unseen entries on those of the seen
entries of the same trial. Penalties and features are chosen on held-out training trials. Predictions elsewhere are
those of the smoother.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from weightpath._types import Bool, Float, Int
from weightpath.inference.plain import Prediction, Train, tuned_smoother
from weightpath.inference.recording import Recording

#: Ridge penalties among which is chosen, in units of the mean variance of the features.
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
#: Bins to either side (of seen neurons), and bins back (of earlier bins), among which is chosen.
LAGS, BACK = (0, 1), (1, 2, 4)
#: Decay of the last residual from bin to bin, among which is chosen.
DECAYS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
#: With more kinds of partly seen trials the mask is of another scheme.
MOST_PATTERNS = 4


def seen_neurons(recording: Recording, train: Train) -> Prediction:
    """Held-out neurons of a trial by ridge regression on its seen neurons, of the same bin or with its neighbours."""
    base = tuned_smoother(recording, train)
    residual = np.where(train, recording.values - base, 0.0)
    for pattern, trials in _partly_seen(recording, train):
        target = residual[:, :, ~pattern]
        seen = np.asarray(train[:, :, pattern].any((1, 2)))
        rows = np.asarray(train[:, :, ~pattern].all(2)) & seen[:, None]
        features = [_with_neighbours(residual[:, :, pattern], lag) for lag in LAGS]
        found = base[trials]
        found[:, :, ~pattern] += _ridge(features, target, rows, trials)
        base[trials] = found
    return base


def earlier_bins(recording: Recording, train: Train) -> Prediction:
    """Later bins of a trial by ridge regression on its last seen bins, all neurons; one regression for each bin."""
    base = tuned_smoother(recording, train)
    residual = np.where(train, recording.values - base, 0.0)
    for end, trials in _cut_short(recording, train):
        seen = residual[:, :end]
        features = [seen[:, -back:].reshape(len(seen), 1, -1) for back in BACK if back <= end]
        for bin in range(end, recording.shape[1]):
            rows = np.asarray(train[:, bin : bin + 1].all(2))
            base[trials, bin] += _ridge(features, residual[:, bin : bin + 1], rows, trials)[:, 0]
    return base


def persistence(recording: Recording, train: Train) -> Prediction:
    """Later bins of a trial by the last residual that was seen, fading by one factor from bin to bin."""
    base = tuned_smoother(recording, train)
    residual = np.where(train, recording.values - base, 0.0)
    for end, trials in _cut_short(recording, train):
        ahead = np.arange(1, recording.shape[1] - end + 1)[:, None]
        others = train[:, end:].any((1, 2))
        last, later = residual[others, end - 1][:, None], residual[others, end:]
        errors = [(train[others, end:] * (later - decay**ahead * last) ** 2).sum() for decay in DECAYS]
        decay = DECAYS[int(np.argmin(errors))]
        base[trials, end:] += decay**ahead * residual[trials, end - 1][:, None]
    return base


#: The predictors by the name under which they are shown, each with the test of whether a mask is of its kind.
WITHIN: dict[str, tuple[Callable[[Recording, Train], bool], Callable[[Recording, Train], Prediction]]] = {
    "ridge on seen neurons": (lambda recording, train: bool(_partly_seen(recording, train)), seen_neurons),
    "persistence": (lambda recording, train: bool(_cut_short(recording, train)), persistence),
    "ridge on earlier bins": (lambda recording, train: bool(_cut_short(recording, train)), earlier_bins),
}


def within_predictions(recording: Recording, train: Train) -> dict[str, Prediction]:
    """Predictions of those that apply to the mask, by name; none where whole trials or blocks are held out."""
    return {name: predict(recording, train) for name, (applies, predict) in WITHIN.items() if applies(recording, train)}


def _partly_seen(
    recording: Recording, train: Train
) -> list[tuple[Bool[np.ndarray, " neuron"], Int[np.ndarray, " some"]]]:
    """Which neurons are seen, and the trials of which that holds, where some are and some that were recorded are not.

    Empty where single bins are held out too, or no trial has all neurons to learn from.
    """
    seen, missing = np.asarray(train.any(1)), recording.observed & ~train
    partly = np.asarray(seen.any(1)) & missing.any(axis=(1, 2))
    if (missing & seen[:, None]).any():
        return []
    patterns = np.unique(seen[partly], axis=0)
    if not 0 < len(patterns) <= MOST_PATTERNS or not seen.all(1).any():
        return []
    return [(pattern, np.flatnonzero(partly & (seen == pattern).all(1))) for pattern in patterns]


def _cut_short(recording: Recording, train: Train) -> list[tuple[int, Int[np.ndarray, " some"]]]:
    """First bin that is not seen, and the trials whose later bins, and no others, are held out in all neurons."""
    bins = train.shape[1]
    end = bins - np.asarray(train.any(2))[:, ::-1].argmax(1)
    missing = recording.observed & ~train
    cut = np.asarray(train.any((1, 2))) & missing.any(axis=(1, 2))
    if (missing[cut] & (np.arange(bins) < end[cut, None])[..., None]).any():
        return []
    ends = np.unique(end[cut])
    if not 0 < len(ends) <= MOST_PATTERNS or not train[:, ends.max() :].any():
        return []
    return [(int(one), np.flatnonzero(cut & (end == one))) for one in ends]


def _with_neighbours(values: Prediction, lag: int) -> Float[np.ndarray, "trial time feature"]:
    """The values of each bin and of the `lag` bins to either side, zero beyond the ends."""
    padded = np.pad(values, ((0, 0), (lag, lag), (0, 0)))
    bins = values.shape[1]
    return np.concatenate([padded[:, shift : shift + bins] for shift in range(2 * lag + 1)], axis=2)


def _ridge(
    features: Sequence[Float[np.ndarray, "trial time _"]],
    target: Float[np.ndarray, "trial time out"],
    rows: Bool[np.ndarray, "trial time"],
    wanted: Int[np.ndarray, " some"],
) -> Float[np.ndarray, "some time out"]:
    """Prediction of the target on the `wanted` trials, learnt on `rows`; zero where nothing can be learnt."""
    trials = np.flatnonzero(rows.any(1))
    if len(trials) < 2:
        return np.zeros((len(wanted), *target.shape[1:]))
    error = np.zeros((len(features), len(PENALTIES)))
    for fit, held in _folds(trials):
        for i, values in enumerate(features):
            for j, weights in enumerate(_weights(values, target, rows, fit)):
                missed = target[held] - values[held] @ weights
                error[i, j] += (missed[rows[held]] ** 2).sum()
    i, j = (int(one) for one in np.unravel_index(np.argmin(error), error.shape))
    return features[i][wanted] @ list(_weights(features[i], target, rows, trials))[j]


def _weights(values: np.ndarray, target: np.ndarray, rows: np.ndarray, trials: np.ndarray) -> Iterator[np.ndarray]:
    """Ridge weights for every penalty, from one eigendecomposition."""
    kept = rows[trials]
    x, y = values[trials][kept], target[trials][kept]
    power, axes = np.linalg.eigh(x.T @ x)
    power, moment = np.maximum(power, 0), axes.T @ (x.T @ y)
    for penalty in PENALTIES:
        # Without any variance all weights are zero.
        yield axes @ (moment / (power + max(penalty * power.mean(), 1e-300))[:, None])


def _folds(trials: Int[np.ndarray, " some"], folds: int = 5) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    folds = min(folds, len(trials))
    for fold in range(folds):
        held = np.arange(len(trials)) % folds == fold
        yield trials[~held], trials[held]
