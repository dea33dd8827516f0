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
from weightpath.inference.baselines import BASELINES, baseline_names
from weightpath.inference.checks import check_model, check_training
from weightpath.inference.controls import CONTROLS, allowed, asked, compared_models, ridge_controls, with_epochs
from weightpath.inference.held_out import Mask
from weightpath.inference.jobs import Job, run_jobs
from weightpath.inference.masks import SCHEMES, scheme_names
from weightpath.inference.plain import plain_predictions
from weightpath.inference.recording import Recording
from weightpath.inference.rows import fit_rows, predicted_rows, remarks
from weightpath.inference.scores import CrossValidation, Row
from weightpath.inference.within import within_predictions
from weightpath.networks.low_tensor_rank import LowTensorRankRNN


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
    controls: bool | str | Sequence[int | str] = True,
    baselines: bool | str | Sequence[str] = False,
    iterations: int = 800,
    learning_rate: float = 1e-2,
    dtype: str = "float32",
    mask_seed: int = 0,
    workers: int = 2,
    batched: bool | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
    progress: Any = None,
) -> CrossValidation:
    """Score models on held-out entries, beside controls of equal rank and plain predictors on the same entries.

    Arguments: `models`: one or several `LowTensorRankRNN` that differ in rank or in other settings; `schemes`: names of
    `weightpath.inference.masks.SCHEMES`, masks of one's own (`user_mask`), and "trials" for two splits into whole
    trials (every second one, and runs of 20); `seeds`: number of fits of each model, or their seeds; `controls`: True
    fits `controls.CONTROLS` at the chosen rank, "all" every one of `controls.COMPARISONS`, a list of ranks and of names
    adds these, False none (the plain predictors are always there); `baselines`: True, or names of
    `baselines.BASELINES`, adds descriptions of the data of equal rank without a network; `mask_seed` draws runs and
    blocks, alike for all fits; `workers`: fits at the same time; `batched`: as in
    `inference.fit_many` (fits on one mask share a program); `checkpoint_dir`: keeps every finished fit and the state of
    those under way, so that the same call resumes and ends bit for bit where an uninterrupted one ends.

    The rank is chosen on the first scheme that holds out whole trials (else on the first scheme). Where the recording
    has one epoch, controls and plain predictors that change with the epoch see two halves of the session instead.

    **Raises:** ValueError for unknown schemes, doubled models, or what `wp.fit` refuses.
    """
    named = _labelled(models)
    if not isinstance(recording, Recording):
        raise ValueError(f"recording must be a wp.Recording; got {type(recording).__name__}. Make one of the array.")
    wanted, described = asked(controls), baseline_names(baselines)
    if unknown := set(wanted.ranks) - {model.rank for model in named.values()}:
        raise ValueError(f"controls are asked for at rank {sorted(unknown)}, which is not among the models.")
    seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not seeds:
        raise ValueError("seeds must name at least one fit.")
    settings = dict(iterations=iterations, learning_rate=learning_rate, dtype=dtype)
    directory = None if checkpoint_dir is None else Path(checkpoint_dir)
    split, notes = with_epochs(recording)
    with resolve_progress(progress) as report, warnings.catch_warnings():
        # What fits and masks say is kept in the result; the filter is set here because it is common to all threads.
        warnings.simplefilter("ignore", UserWarning)
        masks = _masks(recording, schemes, mask_seed)
        scored = {name: mask.test & ~recording.silent & mask.train.any((0, 1)) for name, mask in masks.items()}
        plan = _Plan(recording, split, masks, scored, seeds, settings)
        run = partial(run_jobs, workers=workers, directory=directory, report=report, batched=batched)
        notes += tuple(mask.remark() for mask in masks.values() if mask.thin)
        notes += _checked_early(plan, named)
        wanted, left_out = allowed(wanted, partial(_check_control, plan, next(iter(named.values()))))
        notes += left_out
        grid = [job for label, model in named.items() for job in plan.jobs(label, "ltr", model)]
        outcomes = run(grid, label="ranks")
        rows = fit_rows(grid, outcomes, recording)
        plain = _plain_rows(plan, named)
        deciding = next((name for name, mask in masks.items() if mask.whole_trials), next(iter(masks)))
        scores = CrossValidation(recording, masks, scored, (*rows, *plain), named, deciding, seeds, notes)
        compared = compared_models(scores, wanted.ranks)
        beside = [
            job
            for model in compared
            for changes in wanted.names
            for job in plan.jobs(f"{changes}, rank {model.rank}", "control", replace(model, changes=changes))
        ]
        more = run(beside, label="controls")
        rows += fit_rows(beside, more, recording)
        rows += [row for model in compared for row in _baseline_rows(plan, described, model.rank)]
    notes += tuple(remarks([*grid, *beside], [*outcomes, *more]))
    if any(model.known for model in named.values()):
        notes += ("measured inputs are used: where they are behaviour made by the activity, this uses past activity",)
    if not beside:
        notes += ("the controls were left out: without them nothing can be said about what changed",)
    return replace(scores, rows=(*rows, *plain), notes=notes)


def _checked_early(plan: _Plan, models: dict[str, LowTensorRankRNN]) -> tuple[str, ...]:
    """What would stop a fit stops the call, before the first fit; returns what the fits will say.

    **Raises:** ValueError that names model and scheme.
    """
    said: dict[str, None] = {}
    for label, model in models.items():
        said |= _check(plan, label, model, plan.recording)
    return tuple(said)


def _check_control(plan: _Plan, model: LowTensorRankRNN, changes: str) -> None:
    _check(plan, f"control {changes}", replace(model, changes=changes), plan.split)


def _check(plan: _Plan, label: str, model: LowTensorRankRNN, recording: Recording) -> dict[str, None]:
    said: dict[str, None] = {}
    for name, mask in plan.masks.items():
        try:
            check_model(model, recording)
            found = check_training(model, recording, mask.train)
        except ValueError as error:
            raise ValueError(f"{label} on scheme {name!r}: {error}") from error
        said |= {f"scheme {name}: {note}": None for note in found}
    return said


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


def _plain_rows(plan: _Plan, models: dict[str, LowTensorRankRNN]) -> list[Row]:
    rows = []
    for name, mask in plan.masks.items():
        found = plain_predictions(plan.split, mask.train) | within_predictions(plan.split, mask.train)
        found |= ridge_controls(models.values(), plan.split, mask.train)
        rows += predicted_rows(name, "plain", 0, plan.split, found, plan.scored[name])
    return rows


def _baseline_rows(plan: _Plan, names: tuple[str, ...], rank: int) -> list[Row]:
    rows = []
    for name in names:
        for scheme, mask in plan.masks.items():
            found = BASELINES[name](plan.split, mask.train, rank)
            label = {f"{name}, rank {rank}": found.prediction}
            rows += predicted_rows(
                scheme, "baseline", rank, plan.split, label, plan.scored[scheme], settled=found.settled
            )
    return rows
