"""`inference.ensemble`: the same model fitted from several starts; mean prediction, and what the starts agree on."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightpath._types import Bool, Complex, Float
from weightpath.inference.align import Terms, terms
from weightpath.inference.checks import check_model, training_mask
from weightpath.inference.recording import Recording
from weightpath.inference.result import Fit
from weightpath.inference.side_by_side import Task, checked_run, run_fits
from weightpath.networks.low_tensor_rank import LowTensorRankRNN


@dataclass(frozen=True, eq=False, repr=False)
class Ensemble:
    """Fits of one model to one recording from several starts; units are those of the recording."""

    model: LowTensorRankRNN
    recording: Recording
    mask: Bool[np.ndarray, "trial time neuron"]
    seeds: tuple[int, ...]
    predictions: Float[np.ndarray, "seed trial time neuron"]
    c: Float[np.ndarray, "seed step rank"]
    """Trial factors in canonical form, each fit in the order of the best one."""
    directions: Float[np.ndarray, "seed neuron rank"]
    """Unit vectors along decoder times a_r, in the same order, signs as in the best fit."""
    eigenvalues: Complex[np.ndarray, "seed step eig"]
    """Nonzero eigenvalues of the weights, largest modulus first."""
    loss: Float[np.ndarray, " seed"]
    """Last training loss, with its penalties."""
    settled: Bool[np.ndarray, " seed"]

    @property
    def best(self) -> int:
        """Position of the fit with the smallest training loss."""
        return int(np.argmin(self.loss))

    def predict(self) -> Float[np.ndarray, "trial time neuron"]:
        """Mean prediction."""
        return self.predictions.mean(axis=0)

    def spread(self) -> Float[np.ndarray, "trial time neuron"]:
        """Standard deviation of the predictions over the starts (n - 1); NaN for one start."""
        if len(self.seeds) < 2:
            return np.full(self.recording.shape, np.nan)
        return self.predictions.std(axis=0, ddof=1)

    def score(self, mask: Bool[np.ndarray, "trial time neuron"] | None = None) -> float:
        """R^2 of the mean prediction, over the entries of `mask` as in `Fit.score`."""
        return self._score(self.predict(), mask)

    def scores(self, mask: Bool[np.ndarray, "trial time neuron"] | None = None) -> Float[np.ndarray, " seed"]:
        """R^2 of each fit."""
        return np.array([self._score(one, mask) for one in self.predictions])

    def agreement(self) -> Float[np.ndarray, "seed rank"]:
        """Correlation of each fit's trial factors with those of the best fit; NaN for factors that do not vary."""
        centred = self.c - self.c.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centred, axis=1)
        size = np.linalg.norm(self.c, axis=1)
        product = np.einsum("skr,kr->sr", centred, centred[self.best])
        varies = (length > 1e-6 * size) & (length[self.best] > 1e-6 * size[self.best])
        return np.where(varies, product / np.where(varies, length * length[self.best], 1.0), np.nan)

    def _score(self, prediction: np.ndarray, mask: np.ndarray | None) -> float:
        held = self.recording.observed & ~self.mask
        if mask is None:
            mask = held if held.any() else self.mask
        scored = self.recording.observed & ~self.recording.silent & self.mask.any(axis=(0, 1))
        mask = np.asarray(mask, dtype=bool) & scored
        if not mask.any():
            raise ValueError("no observed entry is left to score; give a mask with True where to score.")
        values = self.recording.values[mask]
        return float(1 - np.sum((values - prediction[mask]) ** 2) / np.sum((values - values.mean()) ** 2))

    def __repr__(self) -> str:
        return f"Ensemble({len(self.seeds)} fits of rank {self.model.rank}, {int(self.settled.sum())} settled)"


def ensemble(
    model: LowTensorRankRNN,
    recording: Recording,
    seeds: int | Sequence[int] = 3,
    *,
    mask=None,
    iterations: int = 1000,
    learning_rate: float | int = 1e-2,
    dtype: str = "float32",
    workers: int = 2,
    batched: bool | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
    progress: Any = None,
) -> Ensemble:
    """Fit a model from several random starts.

    Arguments: `seeds`: number of starts, or their seeds; `mask`, `iterations`, `learning_rate`, `dtype`: as in
    `wp.fit`; `workers`: fits at the same time; `batched`: as in `inference.fit_many`;
    `checkpoint_dir`: keeps every finished fit and the state of those under way, so that the same call resumes;
    `progress`: True, False, None or a callable.

    The mean of a few fits usually predicts better than each of them, because their errors differ. Spread over starts is
    the uncertainty of the optimisation, not that of the data: `inference.bootstrap` gives the latter.

    **Raises:** ValueError for an empty or doubled list of seeds, a model with a full core, or what `wp.fit` refuses.
    """
    check_model(model, recording)
    _refuse_core(model)
    seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    checked_run(seeds, workers, "seeds")
    mask = training_mask(recording, mask)
    settings = dict(iterations=iterations, learning_rate=learning_rate, dtype=dtype)
    tasks = [Task(f"seed {seed}", model, recording, mask, seed, settings, _reduce, "ensemble") for seed in seeds]
    found = run_fits(
        tasks, workers=workers, directory=checkpoint_dir, label="ensemble", progress=progress, batched=batched
    )
    loss = np.array([float(one["loss"]) for one in found])
    every = [Terms(one["c"], one["direction"]) for one in found]
    ordered = [one.ordered_as(every[int(np.argmin(loss))]) for one in every]
    return Ensemble(
        model=model, recording=recording, mask=mask, seeds=seeds,
        predictions=np.stack([one["prediction"] for one in found]), c=np.stack([one.c for one in ordered]),
        directions=np.stack([one.direction for one in ordered]),
        eigenvalues=np.stack([one["eigenvalues"] for one in found]), loss=loss,
        settled=np.array([bool(one["settled"]) for one in found]),
    )  # fmt: skip


def _reduce(fit: Fit) -> dict[str, np.ndarray]:
    found = terms(fit)
    return dict(
        prediction=np.asarray(fit.predict(), np.float64), c=found.c, direction=found.direction,
        eigenvalues=by_modulus(fit.eigenvalues()), loss=last_loss(fit),
    )  # fmt: skip


def last_loss(fit: Fit) -> Float[np.ndarray, ""]:
    """Training loss before the last iteration; infinite for a fit that broke at once."""
    loss = fit.history["loss"]
    return np.asarray(loss[-1] if len(loss) else np.inf, np.float64)


def by_modulus(eigenvalues: Complex[np.ndarray, "step eig"]) -> Complex[np.ndarray, "step eig"]:
    """Eigenvalues of each step by decreasing modulus; of a conjugate pair the one above the real axis first."""
    # Rounded, so that the two moduli of a pair are equal.
    order = np.lexsort((-np.imag(eigenvalues), -np.round(np.abs(eigenvalues), 9)), axis=-1)
    return np.take_along_axis(eigenvalues, order, axis=-1)


def _refuse_core(model: LowTensorRankRNN) -> None:
    if model.core:
        raise ValueError(
            f"changes={model.changes!r} has a full core, whose factors cannot be compared between fits; compare the "
            "predictions of single fits, or take changes='trial'."
        )
