"""Choice among models on the training trials alone: every fold of them is predicted by fits to the others."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weightpath._progress import resolve_progress
from weightpath._types import Bool, Float
from weightpath.inference.bits import spike_counts, trial_bits
from weightpath.inference.checks import check_model, check_training, training_mask
from weightpath.inference.held_out import Mask
from weightpath.inference.jobs import Job, Outcome, run_jobs
from weightpath.inference.paired import Paired, entry_sums, paired_difference, paired_ratio, trial_errors
from weightpath.inference.recording import Recording
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

Prediction = Float[np.ndarray, "trial time neuron"]


@dataclass(frozen=True)
class Candidate:
    """One model and its score on held-out training trials."""

    label: str
    model: LowTensorRankRNN
    score: float
    behind: Paired
    """The best score minus this one, paired over trials."""
    settled: bool


@dataclass(frozen=True)
class Choice:
    """Candidates in the order in which they were given; `best` is the chosen one, `str` gives the table."""

    candidates: tuple[Candidate, ...]
    measure: str
    """What the scores are: "R^2", or "bits per spike" where a model has a likelihood of counts."""
    folds: int

    @property
    def best(self) -> Candidate:
        """The candidate with the highest score, the first one of equals."""
        return max(self.candidates, key=lambda one: one.score)

    @property
    def model(self) -> LowTensorRankRNN:
        """The chosen model, to be fitted to all training trials."""
        return self.best.model

    def __str__(self) -> str:
        width = max(len(one.label) for one in self.candidates)
        lines = [f"{self.measure} on training trials held out in {self.folds} folds"]
        for one in self.candidates:
            mark = " " if one.settled else "*"
            difference = "chosen" if one is self.best else f"{-one.behind.difference:+.4f} +- {one.behind.se:.4f}"
            lines.append(f"  {one.label:{width}}  {one.score:7.4f}{mark}  {difference}")
        return "\n".join(lines)


def choose_model(
    models: Mapping[str, LowTensorRankRNN],
    recording: Recording,
    mask: Mask | np.ndarray | None = None,
    *,
    folds: int = 3,
    run: int = 1,
    seeds: Sequence[int] = (0,),
    iterations: int = 800,
    learning_rate: float = 1e-2,
    dtype: str = "float32",
    workers: int = 2,
    checkpoint_dir: str | os.PathLike | None = None,
    progress: Any = None,
) -> Choice:
    """Score models on training trials that they did not see; test entries cannot have a say.

    Arguments: `models` by label; `mask`: training entries (trial, time, neuron), or a `Mask`; `folds`: the trials with
    training entries are dealt in turns, runs of `run` consecutive ones together, and each fold is predicted by fits to
    the others; `run=1` asks for prediction between neighbours, 20 for prediction across a gap. The mean prediction of
    the fits from all `seeds` is scored: by R^2, or, where a model has a likelihood of counts, by bits per spike.
    `iterations`, `learning_rate`, `dtype` are those of the fits, `workers` of them at the same time; `checkpoint_dir`
    keeps finished ones, so that the same call goes on where it was stopped.

    **Raises:** ValueError for no models or seeds, too few trials, or what `wp.fit` refuses.
    """
    if not models or not len(seeds):
        raise ValueError("models and seeds must hold at least one each.")
    for model in models.values():
        check_model(model, recording)
    train = training_mask(recording, mask.train if isinstance(mask, Mask) else mask)
    parts = _parts(train, folds, run)
    # Entries that are not trained on are taken away, so that no score can depend on them.
    own = recording._with(values=np.where(train, recording.values, np.nan))
    settings = dict(iterations=iterations, learning_rate=learning_rate, dtype=dtype)
    jobs = {
        label: [
            Job(f"fold {number}", label, "ltr", model, own, *_entries(train, held, recording), int(seed), settings)
            for number, held in enumerate(parts, 1)
            for seed in seeds
        ]
        for label, model in models.items()
    }
    directory = None if checkpoint_dir is None else Path(checkpoint_dir)
    with resolve_progress(progress) as report, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # common to all threads; how fits ended is in the table
        _check_folds(jobs)
        every = [job for group in jobs.values() for job in group]
        outcomes = iter(run_jobs(every, workers=workers, directory=directory, label="choice", report=report))
    ended = {label: [next(outcomes) for _ in group] for label, group in jobs.items()}
    predictions = [_joined(group, ended[label], len(seeds)) for label, group in jobs.items()]
    counted = any(model.counts for model in models.values())
    measure, scores, behind = _scored(own, train & ~recording.silent, parts, predictions, counted)
    candidates = [
        Candidate(label, model, score, difference, all(one.result == "successful" for one in ended[label]))
        for (label, model), score, difference in zip(models.items(), scores, behind, strict=True)
    ]
    return Choice(tuple(candidates), measure, len(parts))


def _parts(train: Bool[np.ndarray, "trial time neuron"], folds: int, run: int) -> list[Bool[np.ndarray, " trial"]]:
    """Trials of each fold, dealt in runs.

    **Raises:** ValueError when there are not enough runs.
    """
    if run < 1 or folds < 2:
        raise ValueError(f"folds must be at least 2 and run at least 1; got {folds} and {run}.")
    trials = np.flatnonzero(train.any((1, 2)))
    fold = np.arange(len(trials)) // run % folds
    if len(np.unique(fold)) < folds:
        raise ValueError(f"{len(trials)} training trials do not fill {folds} folds of runs of {run}; take fewer.")
    return [np.isin(np.arange(len(train)), trials[fold == one]) for one in range(folds)]


def _entries(train: np.ndarray, held: np.ndarray, recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Entries to fit and entries to score of a fold."""
    inside = held[:, None, None]
    return train & ~inside, train & inside & ~recording.silent


def _check_folds(jobs: Mapping[str, Sequence[Job]]) -> None:
    for label, group in jobs.items():
        for job in group:
            try:
                check_training(job.model, job.recording, job.train)
            except ValueError as error:
                raise ValueError(f"{label}, {job.scheme} of the training trials: {error}") from error


def _joined(jobs: Sequence[Job], outcomes: Sequence[Outcome], seeds: int) -> Prediction:
    """Every training trial as predicted by the fits that did not see it, in the mean; zero elsewhere."""
    prediction = np.zeros(jobs[0].recording.shape)
    for job, outcome in zip(jobs, outcomes, strict=True):
        prediction[job.test] += outcome.held / seeds
    return prediction


def _scored(
    recording: Recording, test: np.ndarray, parts: list[np.ndarray], predictions: list[Prediction], counted: bool
) -> tuple[str, list[float], list[Paired]]:
    """Name of the measure, the score of each prediction, and how far it is behind the best one."""
    counts = spike_counts(recording) if counted else None
    if counts is None:
        sums = entry_sums(recording.values, test)
        errors = [trial_errors(recording.values, one, test) for one in predictions]
        scores = [float(1 - error.sum() / sums.spread(np.ones((1, len(test))))[0]) for error in errors]
        best = errors[int(np.argmax(scores))]
        return "R^2", scores, [paired_difference(sums, best, error) for error in errors]
    gains, spikes = [], np.zeros(len(test))
    for one in predictions:
        gain = np.zeros(len(test))
        for held in parts:  # the mean rates are those of the other folds
            inside = held[:, None, None]
            more, number = trial_bits(counts, recording.restored(one), test & ~inside, test & inside)
            gain, spikes = gain + more, np.where(held, number, spikes)
        gains.append(gain)
    scores = [float(gain.sum() / spikes.sum()) for gain in gains]
    best = gains[int(np.argmax(scores))]
    return "bits per spike", scores, [paired_ratio(best, gain, spikes) for gain in gains]
