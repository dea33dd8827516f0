"""`wp.cross_validate`: models over ranks, their controls and plain predictors, scored on the same held-out entries."""

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from weightpath._progress import resolve_progress
from weightpath._types import Bool
from weightpath.inference.checks import check_model, check_training
from weightpath.inference.jobs import Job, Outcome, run_jobs
from weightpath.inference.masks import SCHEMES, Mask, scheme_names
from weightpath.inference.paired import trial_errors
from weightpath.inference.plain import plain_predictions
from weightpath.inference.recording import Recording
from weightpath.inference.scores import CrossValidation, Row
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

#: Models that are fitted beside the low-tensor-rank one at equal rank: what may change over learning.
CONTROLS = ("fixed", "epoch", "inputs_epoch", "readout_epoch")


@dataclass(frozen=True, eq=False)
class _Plan:
    """What all fits of a cross-validation share."""

    recording: Recording
    split: Recording
    """The recording with at least two epochs, for controls and plain predictors."""
    masks: dict[str, Mask]
    scored: dict[str, Bool[np.ndarray, "trial time neuron"]]
    """Test entries of neurons that vary and have training entries."""
    seeds: tuple[int, ...]
    settings: dict[str, Any]

    def jobs(self, label: str, kind: str, model: LowTensorRankRNN) -> list[Job]:
        """Fits of one model on every scheme and from every seed."""
        data = self.split if kind == "control" else self.recording
        return [
            Job(name, label, kind, model, data, mask.train, self.scored[name], seed, self.settings)
            for name, mask in self.masks.items()
            for seed in self.seeds
        ]


def cross_validate(
    models: LowTensorRankRNN | Iterable[LowTensorRankRNN],
    recording: Recording,
    *,
    schemes: str | Mask | Sequence[str | Mask] = ("trials", "blocks"),
    seeds: int | Sequence[int] = 1,
    controls: bool | Sequence[int] = True,
    iterations: int = 800,
    learning_rate: float = 1e-2,
    dtype: str = "float32",
    mask_seed: int = 0,
    workers: int = 2,
    checkpoint_dir: str | os.PathLike | None = None,
    progress: Any = None,
) -> CrossValidation:
    """Score models on held-out entries, beside controls of equal rank and plain predictors on the same entries.

    Arguments: `models`: one or several `LowTensorRankRNN` that differ in rank or in other settings; `schemes`: names of
    `weightpath.inference.masks.SCHEMES`, masks of one's own (`masks.user_mask`), and "trials" for two splits into whole
    trials (every second one, and runs of 20); `seeds`: number of fits of each model, or their seeds; `controls`: True
    fits the controls at the chosen rank, a list of ranks at these too, False none (the plain predictors are always
    there); `mask_seed` draws runs and blocks, alike for all fits; `workers`: fits at the same time; `checkpoint_dir`:
    keeps every finished fit and the state of those under way, so that the same call resumes and ends bit for bit where
    an uninterrupted one ends.

    The rank is chosen on the first scheme that holds out whole trials (else on the first scheme). Where the recording
    has one epoch, controls and plain predictors that change with the epoch see two halves of the session instead.

    **Raises:** ValueError for unknown schemes, doubled models, or what `wp.fit` refuses.
    """
    named = _labelled(models)
    if not isinstance(recording, Recording):
        raise ValueError(f"recording must be a wp.Recording; got {type(recording).__name__}. Make one of the array.")
    further = () if isinstance(controls, bool) else tuple(controls)
    if unknown := set(further) - {model.rank for model in named.values()}:
        raise ValueError(f"controls are asked for at rank {sorted(unknown)}, which is not among the models.")
    seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not seeds:
        raise ValueError("seeds must name at least one fit.")
    settings = dict(iterations=iterations, learning_rate=learning_rate, dtype=dtype)
    directory = None if checkpoint_dir is None else Path(checkpoint_dir)
    split, notes = _with_epochs(recording)
    with resolve_progress(progress) as report, warnings.catch_warnings():
        # What fits and masks say is kept in the result; the filter is set here because it is common to all threads.
        warnings.simplefilter("ignore", UserWarning)
        masks = _masks(recording, schemes, mask_seed)
        scored = {name: mask.test & ~recording.silent & mask.train.any((0, 1)) for name, mask in masks.items()}
        plan = _Plan(recording, split, masks, scored, seeds, settings)
        run = partial(run_jobs, workers=workers, directory=directory, report=report)
        notes += _checked_early(plan, named, controls is not False)
        grid = [job for label, model in named.items() for job in plan.jobs(label, "ltr", model)]
        outcomes = run(grid, label="ranks")
        rows = _rows(grid, outcomes, recording)
        plain = _plain_rows(plan)
        deciding = next((name for name, mask in masks.items() if mask.whole_trials), next(iter(masks)))
        scores = CrossValidation(recording, masks, scored, (*rows, *plain), named, deciding, seeds, notes)
        beside = [
            job
            for model in ([] if controls is False else _with_controls(scores, further))
            for changes in CONTROLS
            for job in plan.jobs(f"{changes}, rank {model.rank}", "control", replace(model, changes=changes))
        ]
        more = run(beside, label="controls")
        rows += _rows(beside, more, recording)
    remarks = _remarks([*grid, *beside], [*outcomes, *more], bool(beside))
    return replace(scores, rows=(*rows, *plain), notes=(*notes, *remarks))


def _checked_early(plan: _Plan, models: dict[str, LowTensorRankRNN], controls: bool) -> tuple[str, ...]:
    """What would stop a fit or a control stops the call, before the first fit; returns what the fits will say.

    **Raises:** ValueError that names model and scheme.
    """
    said: dict[str, None] = {}
    asked = [(label, model, plan.recording) for label, model in models.items()]
    first = next(iter(models.values()))
    if controls:
        asked += [(f"control {changes}", replace(first, changes=changes), plan.split) for changes in CONTROLS]
    for label, model, recording in asked:
        for name, mask in plan.masks.items():
            try:
                check_model(model, recording)
                found = check_training(model, recording, mask.train)
            except ValueError as error:
                raise ValueError(f"{label} on scheme {name!r}: {error}") from error
            said |= {f"scheme {name}: {note}": None for note in found if label in models}
    return tuple(said)


def _masks(recording: Recording, schemes: str | Mask | Sequence[str | Mask], seed: int) -> dict[str, Mask]:
    """Masks by name, in the order given."""
    every = (schemes,) if isinstance(schemes, str | Mask) else tuple(schemes)
    masks: dict[str, Mask] = {}
    for scheme in every or scheme_names(()):
        if isinstance(scheme, Mask):
            masks[scheme.name] = scheme
        else:
            masks |= {name: SCHEMES[name](recording, seed=seed) for name in scheme_names((scheme,))}
    return masks


def _remarks(jobs: Sequence[Job], outcomes: Sequence[Outcome], controls: bool) -> list[str]:
    remarks, ended = [], {result: set() for result in ("not_converged", "nonfinite")}
    for job, outcome in zip(jobs, outcomes, strict=True):
        ended.setdefault(outcome.result, set()).add(job.label)
    if unsettled := sorted(ended["not_converged"]):
        remarks.append(f"not settled (*), give more iterations: {', '.join(unsettled)}")
    if broken := sorted(ended["nonfinite"]):
        remarks.append(f"stopped at numbers that are not finite (*), lower the learning rate: {', '.join(broken)}")
    if not controls:
        remarks.append("the controls were left out: without them nothing can be said about what changed")
    return remarks


def _with_controls(scores: CrossValidation, further: tuple[int, ...]) -> list[LowTensorRankRNN]:
    """The chosen model, and the first model of each further rank."""
    models = {scores.chosen_rank: scores.best}
    for model in scores.models.values():
        if model.rank in further:
            models.setdefault(model.rank, model)
    return list(models.values())


def _labelled(models: LowTensorRankRNN | Iterable[LowTensorRankRNN]) -> dict[str, LowTensorRankRNN]:
    """Models by label: the rank, and whatever else tells them apart.

    **Raises:** ValueError when two are alike, or one is not a low-tensor-rank model with smooth factors.
    """
    every = tuple(models) if isinstance(models, Iterable) else (models,)
    if not every or not all(isinstance(model, LowTensorRankRNN) for model in every):
        raise ValueError("models must be one or several wp.LowTensorRankRNN.")
    wrong = [model.changes for model in every if model.changes in CONTROLS]
    if wrong:
        raise ValueError(f"models hold the control {wrong[0]!r}, which is fitted beside them by controls=True.")
    described = [model.describe() for model in every]
    first = described[0]
    differing = [key for key in first if key != "rank" and any(one[key] != first[key] for one in described)]
    labels = [_label(one, differing) for one in described]
    if len(set(labels)) < len(labels):
        raise ValueError("two models are alike; give each model once.")
    return dict(zip(labels, every, strict=True))


def _label(described: dict[str, Any], differing: list[str]) -> str:
    return ", ".join([f"ltr, rank {described['rank']}", *(f"{key} {_short(described[key])}" for key in differing)])


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={item:g}" if isinstance(item, float) else f"{item}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_epochs(recording: Recording) -> tuple[Recording, tuple[str, ...]]:
    """The recording with at least two epochs for the controls, and what is to be said about it."""
    if len(recording.epochs) > 1:
        return recording, ()
    half = recording.shape[0] // 2
    halves = np.where(np.arange(recording.shape[0]) < half, "first half", "second half")
    return recording.with_epoch(halves), (
        f"the recording has one epoch: for the controls it was split at the middle trial ({half})",
    )


def _rows(jobs: Sequence[Job], outcomes: Sequence[Outcome], recording: Recording) -> list[Row]:
    """Rows of the fits, seeds together; with several seeds also the score of their mean prediction."""
    together: dict[tuple[str, str], list[tuple[Job, Outcome]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        together.setdefault((job.label, job.scheme), []).append((job, outcome))
    rows, means = [], []
    for (label, scheme), group in together.items():
        job, rank = group[0][0], group[0][0].model.rank
        settled = tuple(outcome.result == "successful" for _, outcome in group)
        held = np.mean([outcome.held for _, outcome in group], axis=0)
        errors = np.array([_errors(recording, outcome.held, job.test) for _, outcome in group])
        rows.append(Row(scheme, label, job.kind, rank, errors, settled, held))
        if len(group) > 1 and job.kind == "ltr":
            error = _errors(recording, held, job.test)[None]
            means.append(Row(scheme, f"{label}, mean of {len(group)} fits", "mean", rank, error, (all(settled),), held))
    return rows + means


def _plain_rows(plan: _Plan) -> list[Row]:
    rows = []
    for name, mask in plan.masks.items():
        test = plan.scored[name]
        for label, prediction in plain_predictions(plan.split, mask.train).items():
            errors = trial_errors(plan.split.values, prediction, test)[None]
            rows.append(Row(name, label, "plain", 0, errors, (True,), prediction[test]))
    return rows


def _errors(recording: Recording, held: np.ndarray, test: np.ndarray) -> np.ndarray:
    prediction = np.zeros(recording.shape)
    prediction[test] = held
    return trial_errors(recording.values, prediction, test)
