r"""CP decomposition of the activity, $y_{ktn} - \bar y_n = \sum_r u_{kr} v_{tr} w_{nr}$, with missing entries.

It asks no network: the tensor of the data, not of weights, is of low rank. Alternating least squares over the seen
entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weightpath._types import Bool, Float, Int

#: Relative change of the squared error in a sweep below which the decomposition has settled.
SETTLED = 1e-6


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Factors of a CP decomposition; without cells, the factors of an unseen trial are zero."""

    trial: Float[np.ndarray, "trial rank"]
    time: Float[np.ndarray, "time rank"]
    neuron: Float[np.ndarray, "neuron rank"]
    errors: tuple[float, ...]
    """Squared error over the seen entries after each sweep."""
    settled: bool

    def values(self) -> Float[np.ndarray, "trial time neuron"]:
        """The tensor of the factors."""
        return _values([self.trial, self.time, self.neuron])


def decompose(
    values: Float[np.ndarray, "trial time neuron"],
    seen: Bool[np.ndarray, "trial time neuron"],
    rank: int,
    *,
    cells: Sequence[Int[np.ndarray, " trial"]] = (),
    sweeps: int = 300,
    ridge: float = 1e-6,
) -> Decomposition:
    r"""CP factors by alternating least squares over the seen entries, from the principal directions of each axis.

    `ridge`: penalty in units of the mean square of the regressors, which keeps rows with few seen entries finite.
    `cells`: labels of the trials, finest first. Where they are given, the trial factors are normal around the mean of
    the trials alike, $u_{kr} \sim N(\mu_{cell,r}, s_r^2)$, with $s_r^2$ and the variance of the noise found on the way,
    so that factors of trials of which little is seen are drawn to that mean, and those of unseen trials are it.
    """
    data = np.where(seen, values, 0.0)
    factors = [_directions(data, axis, rank) for axis in range(3)]
    prior = None
    errors: list[float] = []
    for _ in range(sweeps):
        doubt, used = np.zeros(rank), 0.0
        for axis in (0, 1, 2, 0):
            around = prior if axis == 0 else None
            factors[axis], doubt, used = _solved(data, seen, factors, axis, ridge, around)
            if axis:  # the trial factors carry the scale, whose variance must not change on the way
                length = np.maximum(np.linalg.norm(factors[axis], axis=0), 1e-300)
                factors[axis], factors[0] = factors[axis] / length, factors[0] * length
        errors.append(float(((data - _values(factors))[seen] ** 2).sum()))
        if cells:
            mean = cell_means(cells, np.asarray(seen.any((1, 2))), factors[0])
            noise = errors[-1] / max(seen.sum() - used, 0.1 * seen.sum())
            spread = ((factors[0] - mean) ** 2).mean(0) + (noise * doubt if prior else 0.0)
            prior = mean, noise / np.maximum(spread, 1e-300)
        if len(errors) > 1 and abs(errors[-2] - errors[-1]) <= SETTLED * errors[-2]:
            return Decomposition(factors[0], factors[1], factors[2], tuple(errors), True)
    return Decomposition(factors[0], factors[1], factors[2], tuple(errors), False)


def cell_means(
    cells: Sequence[Int[np.ndarray, " trial"]],
    seen: Bool[np.ndarray, " trial"],
    factor: Float[np.ndarray, "trial rank"],
) -> Float[np.ndarray, "trial rank"]:
    """Mean factors of the seen trials with the same label, for every trial.

    Where the first labels have no seen trial the next ones are taken, at last all trials.
    """
    mean = np.broadcast_to(factor[seen].mean(0), factor.shape)
    for labels in reversed(cells):
        code = np.unique(labels, return_inverse=True)[1].reshape(-1)
        total, count = np.zeros((code.max() + 1, factor.shape[1])), np.bincount(code[seen], minlength=code.max() + 1)
        np.add.at(total, code[seen], factor[seen])
        each = (total / np.maximum(count, 1)[:, None])[code]
        mean = np.where(count[code, None] > 0, each, mean)
    return mean


def _values(factors: list[np.ndarray]) -> np.ndarray:
    trial, time, neuron = factors
    pairs = (time[:, None] * neuron).reshape(-1, trial.shape[1])
    return (trial @ pairs.T).reshape(len(trial), len(time), len(neuron))


def _directions(data: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """Leading left singular vectors of an unfolding; random further ones where the axis has too few."""
    flat = np.moveaxis(data, axis, 0).reshape(data.shape[axis], -1)
    found = np.linalg.eigh(flat @ flat.T)[1][:, ::-1][:, :rank]
    extra = np.random.default_rng(axis).normal(size=(len(found), rank - found.shape[1])) / np.sqrt(len(found))
    return np.concatenate([found, extra], axis=1)


def _solved(
    data, seen, factors: list[np.ndarray], axis: int, ridge: float, prior
) -> tuple[np.ndarray, np.ndarray, float]:
    """Factors along one axis given the others, row by row over the seen entries.

    `prior`: means and precisions, in units of the noise, around which the rows lie. Also returns, in these units, the
    mean variance of the factors given the data, and how many parameters the data determine.
    """
    first, second = (factors[other] for other in range(3) if other != axis)
    rank = first.shape[1]
    regressors = (first[:, None] * second).reshape(-1, rank)
    rows, weight = (np.moveaxis(one, axis, 0).reshape(one.shape[axis], -1) for one in (data, seen.astype(float)))
    products = (regressors[:, :, None] * regressors[:, None]).reshape(-1, rank * rank)
    gram, moment = (weight @ products).reshape(-1, rank, rank), rows @ regressors
    size = np.trace(gram.sum(0)) / (len(gram) * rank)
    total = gram + max(ridge * size, 1e-300) * np.eye(rank)
    if prior is not None:
        mean, precision = prior
        total, moment = total + np.diag(precision), moment + precision * mean
    inverse = np.linalg.inv(total)
    solved = np.einsum("kab,kb->ka", inverse, moment)
    return solved, np.einsum("kaa->ka", inverse).mean(0), float(np.einsum("kab,kba->", inverse, gram))
