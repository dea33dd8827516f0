"""Whether any model of a family, chosen on training trials, predicts held-out trials better than the tuned smoother.

The test entries are used once, for the chosen model. Splits into whole trials are of two kinds: trials between
training trials (`even`, `odd`), and runs of trials (`runs`), where prediction must bridge a gap.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weightpath._progress import resolve_progress
from weightpath.inference.bits import spike_counts, trial_bits
from weightpath.inference.ceiling import Ceiling, repeat_ceiling, split_halves
from weightpath.inference.choose import Choice, choose_model
from weightpath.inference.choose_prior import tune_prior
from weightpath.inference.held_out import Mask
from weightpath.inference.jobs import Job, run_jobs
from weightpath.inference.masks import SCHEMES, WHOLE_TRIALS
from weightpath.inference.paired import Paired, entry_sums, paired_difference, paired_ratio, trial_errors
from weightpath.inference.plain import tuned_smoother
from weightpath.inference.recording import Recording
from weightpath.inference.wording import THRESHOLD
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

#: Kind of each split, of which two are needed.
KIND = {"even": "between training trials", "odd": "between training trials", "runs": "across a gap"}
#: Consecutive trials that are dealt to a fold together when the choice is made for held-out runs, where there are many.
RUN = 20


@dataclass(frozen=True)
class Duel:
    """The chosen model, the mean of its fits from all seeds, against the tuned smoother on one split."""

    scheme: str
    first: Choice
    """Among the models."""
    second: Choice | None
    """Among multipliers of the prior of the chosen one."""
    model: LowTensorRankRNN
    measure: str
    score: float
    seeds: tuple[float, ...]
    """Score of each fit alone."""
    smoother: float
    paired: Paired
    """Score of the model minus that of the smoother."""
    ceiling: Ceiling

    @property
    def ahead(self) -> bool:
        """Whether the model is ahead by two paired standard errors."""
        return self.paired.difference > 0 and self.paired.difference >= THRESHOLD * self.paired.se

    def __str__(self) -> str:
        kept = self.second or self.first
        return (
            f"{self.scheme}: {self.first.best.label}, {kept.best.label}: {self.measure} {self.score:.4f} (single fits "
            f"{min(self.seeds):.4f} to {max(self.seeds):.4f}), tuned smoother {self.smoother:.4f}, difference "
            f"{self.paired}; ceiling of R^2 {self.ceiling}"
        )


@dataclass(frozen=True)
class Contest:
    """All duels on one recording; `verdict` says whether the smoother is beaten on two kinds of split."""

    recording: str
    duels: tuple[Duel, ...]

    @property
    def beaten(self) -> bool:
        """Whether the model is ahead on every split, and there are two kinds of them."""
        kinds = {KIND[one.scheme] for one in self.duels}
        return len(kinds) > 1 and all(one.ahead for one in self.duels)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.beaten:
            return f"{self.recording}: a model chosen on training trials beats the tuned smoother on every split."
        ahead = ", ".join(one.scheme for one in self.duels if one.ahead) or "none"
        return (
            f"{self.recording}: no model tried beats the tuned smoother by two paired standard errors on two kinds of "
            f"split (ahead on: {ahead})."
        )

    def __str__(self) -> str:
        return "\n".join([*map(str, self.duels), self.verdict])


def contest(
    models: Mapping[str, LowTensorRankRNN],
    recording: Recording,
    *,
    schemes: Sequence[str] = ("even", "odd", "runs"),
    multipliers: Sequence[float | int] = (1, 3, 8, 30, 100),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    folds: int = 3,
    mask_seed: int = 0,
    iterations: int = 800,
    workers: int = 2,
    checkpoint_dir: str | os.PathLike | None = None,
    progress: Any = None,
) -> Contest:
    """Choose a model and its prior on the training trials of each split, and set it against the tuned smoother once.

    Arguments: `models` by label, chosen among in `folds` folds of the training trials (in runs of 20 where runs are
    held out), then `multipliers` of the prior (none: as it is); the chosen model is fitted from all `seeds` and the
    mean of the predictions is scored: by R^2, or by bits per spike where a model has a likelihood of counts.
    `checkpoint_dir` keeps every finished fit, so that the same call goes on where it was stopped.

    **Raises:** ValueError for a scheme that does not hold out whole trials, or what `choose_model` refuses.
    """
    if wrong := [name for name in schemes if name not in WHOLE_TRIALS]:
        raise ValueError(f"{wrong[0]!r} does not hold out whole trials; expected some of: {', '.join(WHOLE_TRIALS)}.")
    directory = None if checkpoint_dir is None else Path(checkpoint_dir)
    fits: dict[str, Any] = dict(iterations=iterations, workers=workers)
    options: dict[str, Any] = dict(
        folds=folds, seeds=tuple(seeds)[:1], checkpoint_dir=directory, progress=progress, **fits
    )
    halves = split_halves(recording)
    duels = []
    for scheme in schemes:
        mask = SCHEMES[scheme](recording, seed=mask_seed)
        run = _run(scheme, mask, folds)
        first = choose_model(models, recording, mask, run=run, **options)
        prior: dict[str, Any] = dict(multipliers=multipliers, run=run)
        second = tune_prior(first.model, recording, mask, **prior, **options) if len(multipliers) else None
        chosen = (second or first).model
        predictions = _fits(chosen, recording, mask, seeds, directory, progress, **fits)
        counted = any(model.counts for model in models.values())
        test = mask.test & ~recording.silent & mask.train.any((0, 1))
        smoother = tuned_smoother(recording, mask.train)
        measure, scores, paired = _compared(recording, mask, test, [*predictions, smoother], counted)
        ceiling = repeat_ceiling(recording, test, halves)
        duels.append(
            Duel(scheme, first, second, chosen, measure, scores[0], tuple(scores[1:-1]), scores[-1], paired, ceiling)
        )
    return Contest(recording.name, tuple(duels))


def _run(scheme: str, mask: Mask, folds: int) -> int:
    """Length of the runs in which training trials are dealt to folds, so that the choice is made for the same task."""
    if scheme != "runs":
        return 1
    return min(RUN, max(1, int(mask.train.any((1, 2)).sum()) // (2 * folds)))


def _fits(
    model: LowTensorRankRNN, recording: Recording, mask: Mask, seeds, directory, progress, *, iterations, workers
) -> list[np.ndarray]:
    """Mean prediction of the fits, then the prediction of each."""
    settings = dict(iterations=iterations, learning_rate=1e-2, dtype="float32")
    jobs = [Job(mask.name, "chosen", "ltr", model, recording, mask.train, mask.test, seed, settings) for seed in seeds]
    with resolve_progress(progress) as report, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        outcomes = run_jobs(jobs, workers=workers, directory=directory, label="chosen", report=report)
    predictions = np.zeros((len(jobs), *recording.shape))
    for prediction, outcome in zip(predictions, outcomes, strict=True):
        prediction[mask.test] = outcome.held
    return [predictions.mean(0), *predictions]


def _compared(
    recording: Recording, mask: Mask, test: np.ndarray, predictions: list[np.ndarray], counted: bool
) -> tuple[str, list[float], Paired]:
    """Name of the measure, score of each prediction, and the first one's minus the last one's."""
    counts = spike_counts(recording) if counted else None
    if counts is None:
        sums = entry_sums(recording.values, test)
        errors = [trial_errors(recording.values, one, test) for one in predictions]
        spread = sums.spread(np.ones((1, len(test))))[0]
        return "R^2", [float(1 - one.sum() / spread) for one in errors], paired_difference(sums, errors[0], errors[-1])
    found = [trial_bits(counts, recording.restored(one), mask.train, test) for one in predictions]
    spikes = found[0][1]
    inside = spikes > 0
    paired = paired_ratio(found[0][0][inside], found[-1][0][inside], spikes[inside])
    return "bits per spike", [float(gain.sum() / spikes.sum()) for gain, _ in found], paired
