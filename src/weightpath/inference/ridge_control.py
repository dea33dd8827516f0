"""The control of a model with measured inputs: a plain predictor and a ridge regression on the same inputs."""

from collections.abc import Sequence

import numpy as np

from weightpath._types import Bool, Float
from weightpath.inference.known import check_known, known_regressors
from weightpath.inference.plain import PLAIN, smoother, tune
from weightpath.inference.recording import Recording
from weightpath.networks.fit_parts import KnownInput

Prediction = Float[np.ndarray, "trial time neuron"]
Train = Bool[np.ndarray, "trial time neuron"]

#: Penalties among which the ridge chooses, per training entry, for regressors of unit variance.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


def ridge_control(
    recording: Recording,
    train: Train,
    known: Sequence[KnownInput | str],
    *,
    base: str = "smoother",
    by_condition: bool = False,
    folds: int = 5,
) -> Prediction:
    r"""A plain predictor plus a ridge regression of what it leaves on the lagged inputs that a model is given.

    $\hat y_k(t) = m_k(t) + W^\top (v_k(t - \mathrm{lag}) - \bar v_{ce}(t))$, with $\bar v_{ce}$ the mean over the
    training trials of the same condition and epoch. `base`: the predictor m, by its name in `plain.PLAIN`; the smoother
    with its width over trials tuned on the training trials. The residuals that the ridge sees are those of training
    trials left out of the predictor, in `folds` interleaved folds; the penalty is the one that predicts them best
    across folds. Held-out trials contribute their inputs and nothing else. `by_condition`: one regression per
    condition.

    **Raises:** ValueError for inputs that the recording does not have, or an unknown predictor.
    """
    check_known(recording, known)
    if not known:
        raise ValueError("known names no measured input; give the inputs of the model, e.g. known=model.known.")
    if base not in PLAIN:
        raise ValueError(f"base must be one of {', '.join(map(repr, PLAIN))}; got {base!r}.")
    training = np.asarray(train.any(axis=(1, 2)))
    given = known_regressors(recording, known, training, ahead=0, filled=False)
    predict = _predictor(recording, train, base)
    fold = np.full(len(training), -1)
    fold[training] = np.arange(training.sum()) % folds
    residual, regressors = np.zeros(recording.shape), np.zeros_like(given)
    for one in range(folds):
        left_out = (fold == one)[:, None, None]
        residual = np.where(left_out & train, recording.values - predict(train & ~left_out), residual)
        regressors = np.where(left_out, _deviations(recording, given, training & (fold != one)), regressors)
    deviation = _deviations(recording, given, training)
    groups = recording.condition if by_condition else np.zeros_like(recording.condition)
    added = np.zeros(recording.shape)
    for group in np.unique(groups):
        member = groups == group
        penalty = _best_penalty(regressors[member], residual[member], train[member], fold[member])
        weights = _ridge(regressors[member], residual[member], train[member], penalty)
        added[member] = deviation[member] @ weights
    return predict(train) + added


def _predictor(recording: Recording, train: Train, base: str):
    if base != "smoother":
        return lambda entries: PLAIN[base](recording, entries)
    width, _ = tune(recording, train)
    return lambda entries: smoother(recording, entries, width=width)


def _deviations(recording: Recording, regressors: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Regressors about their mean over the training trials of the same condition and epoch (else of the condition).

    Zero where nothing is known, and where no training trial is alike.
    """
    known, centred = np.isfinite(regressors), np.zeros_like(regressors)
    values = np.where(known, regressors, 0.0)
    for trial in range(len(regressors)):
        same = training & (recording.condition == recording.condition[trial])
        both = same & (recording.epoch == recording.epoch[trial])
        like = both if both.any() else same
        if like.any():
            mean = values[like].sum(axis=0) / np.maximum(known[like].sum(axis=0), 1)
            centred[trial] = np.where(known[trial], values[trial] - mean, 0.0)
    return centred


def _best_penalty(regressors: np.ndarray, residual: np.ndarray, train: np.ndarray, fold: np.ndarray) -> float:
    error = np.zeros(len(PENALTIES))
    for one in np.unique(fold[fold >= 0]):
        held = fold == one
        entries = train & ~held[:, None, None]
        for index, penalty in enumerate(PENALTIES):
            predicted = regressors[held] @ _ridge(regressors, residual, entries, penalty)
            error[index] += np.sum(np.where(train[held], residual[held] - predicted, 0.0) ** 2)
    return PENALTIES[int(np.argmin(error))]


def _ridge(regressors: np.ndarray, target: np.ndarray, train: np.ndarray, penalty: float) -> np.ndarray:
    """Weights (channel, neuron) of a ridge regression on the training entries of each neuron."""
    weight = train.astype(float)
    gram = np.einsum("ktn,ktc,ktd->ncd", weight, regressors, regressors, optimize=True)
    moment = np.einsum("ktn,ktc->nc", np.where(train, target, 0.0), regressors, optimize=True)
    ridge = (penalty * np.maximum(weight.sum(axis=(0, 1)), 1))[:, None, None] * np.eye(regressors.shape[2])
    return np.linalg.solve(gram + ridge, moment[..., None])[..., 0].T
