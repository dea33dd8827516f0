"""Study `low-tensor-rank-recovery`: planted learning is found again, and how large an experiment must be for that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, field_validator

from weightpath.studies.base import Check, Settings, Study
from weightpath.studies.low_tensor_rank_recovery_cases import CASES
from weightpath.studies.low_tensor_rank_recovery_tables import planning_table
from weightpath.studies.recorded import PAPER

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib


class RecoverPlantedLearning(Settings):
    """Settings of the study: the reference cases, and the experiments among which a lab may choose."""

    cases: tuple[str, ...] = Field(("small",), min_length=1, description="reference cases: small, R1, R1b")
    trials: tuple[int, ...] = Field((32, 96), min_length=1, description="trials of a simulated session")
    noise: tuple[float, ...] = Field((1.0,), min_length=1, description="sd of the noise of a bin over that of activity")
    change: tuple[float, ...] = Field((0.0, 1.0), min_length=1, description="size of the planted change, 0 for none")
    neurons: tuple[int, ...] = Field((40,), min_length=1, description="recorded neurons; the first for all, others too")
    rates: tuple[float, ...] = Field((), description="mean firing rates of sessions with spike counts [Hz]")
    runs: int = Field(2, ge=1, description="simulated sessions of each kind")
    units: int = Field(40, ge=3, description="model units of the planning fits")
    planning_iterations: int = Field(500, ge=50, description="iterations of each planning fit")

    @field_validator("cases")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in CASES]:
            raise ValueError(f"unknown case {unknown[0]!r}; known: {', '.join(CASES)}")
        return tuple(dict.fromkeys(names))

    @field_validator("trials")
    @classmethod
    def _enough(cls, trials: tuple[int, ...]) -> tuple[int, ...]:
        if min(trials) < 12:
            raise ValueError(f"trials must be at least 12 (a quarter is held out); got {min(trials)}")
        return trials


def run(config: RecoverPlantedLearning, *, progress: Callable[..., None], workspace: Path | None) -> Dataset:
    """Recover the reference cases, then simulate and fit the experiments of every size."""
    from weightpath.studies import low_tensor_rank_recovery_cases, low_tensor_rank_recovery_planning

    cases = low_tensor_rank_recovery_cases.computed(config.cases, progress=progress, workspace=workspace)
    planning = low_tensor_rank_recovery_planning.computed(config, progress=progress, workspace=workspace)
    return cases.rename(trial="case_trial").merge(planning, join="exact")


def checks_of(config: RecoverPlantedLearning) -> list[Check]:
    """Requirements of each reference case, of the two ends of the planning grid, and findings between them."""
    checks = [check for name in config.cases for check in _case_checks(name)]
    if 0.0 in config.change:
        checks.append(
            Check("no planted change: fraction of sessions in which one is detected", "derived: 2.3% at two paired SE",
                  lambda ds: fraction(ds, change=0.0), 0.15, compare="at_most")
        )  # fmt: skip
    easiest = dict(trials=max(config.trials), noise=min(config.noise), change=max(config.change))
    if max(config.trials) >= 96 and min(config.noise) <= 1 and max(config.change) >= 1:
        name = f"{easiest['trials']} trials, noise {easiest['noise']:g}, change {easiest['change']:g}"
        checks += [
            Check(f"{name}: fraction detected", "finding of this library, with a margin",
                  lambda ds: fraction(ds, **easiest), 0.8, compare="at_least"),
            Check(f"{name}: flow R², median", "finding of this library, with a margin",
                  lambda ds: median(ds, "flow_full", **easiest), 0.95, compare="at_least"),
        ]  # fmt: skip
    checks.append(
        Check("planning fits that settled, fraction", "finding", lambda ds: ds["settled_planning"].mean(),
              required=False)
    )  # fmt: skip
    return checks


def _case_checks(name: str) -> list[Check]:
    case = CASES[name]
    bands, source = case.bands, case.source

    def one(key: str, pick=lambda values: values):
        return lambda ds: float(pick(ds[key].sel(case=name)))

    def gap(compared: str):
        return lambda ds: float(ds["test"].sel(case=name) - ds["compared_r2"].sel(case=name, compared=compared))

    checks = [
        Check(f"{name}: chosen rank", "planted rank", lambda ds: int(ds["chosen_rank"].sel(case=name)), case.rank),
        Check(f"{name}: held-out R²", source, one("test"), bands["test"], compare="at_least"),
        Check(f"{name}: R² against the activity without noise", source, one("denoised"), bands["denoised"],
              compare="at_least"),
        Check(f"{name}: R² of the recurrent flow", source, one("flow_recurrent"), bands["flow"], compare="at_least"),
        Check(f"{name}: R² of the whole flow", source, one("flow_full"), bands["flow"], compare="at_least"),
        Check(f"{name}: error of the weights, weighted by rates", source, one("weight_error"), bands["weight_error"],
              compare="at_most"),
        Check(f"{name}: error of the canonical weights", source, one("canonical_error"), bands["canonical_error"],
              compare="at_most"),
        Check(f"{name}: largest principal angle of span(a) [degrees]", source, one("angle", lambda v: v.max()),
              bands["angle"], compare="at_most"),
        Check(f"{name}: smallest correlation of trial factors", source, one("correlation", lambda v: v.min()),
              bands["correlation"], compare="at_least"),
        Check(f"{name}: all fits settled", "loss falls by less than 1% over the last tenth",
              lambda ds: bool(ds["settled"].sel(case=name) == 1), compare="true"),
    ]  # fmt: skip
    fixed, per_trial = bands.get("fixed"), bands.get("per_trial")
    return checks + [
        Check(f"{name}: held-out R² minus that of fixed weights", source, gap("fixed"), fixed, compare="at_least",
              required=fixed is not None),
        Check(f"{name}: held-out R² minus that of a free core a trial", source, gap("per_trial"),
              None if per_trial is None else -per_trial, compare="at_least", required=per_trial is not None),
    ]  # fmt: skip


def gaussian(dataset: Dataset, **at: float | int) -> Dataset:
    """The planning cells without spike counts, of the first number of neurons, at the given coordinates."""
    keep = ~np.isfinite(dataset["rate"]) & (dataset["neurons"] == dataset["neurons"][0])
    for name, value in at.items():
        keep &= dataset[name] == value
    return dataset.isel(cell=np.flatnonzero(keep))


def fraction(dataset: Dataset, **at: float | int) -> float:
    """Fraction of sessions in which a change is detected."""
    return float(gaussian(dataset, **at)["detected_planning"].mean())


def median(dataset: Dataset, name: str, **at: float | int) -> float:
    """Median over sessions of a planning quantity."""
    return float(gaussian(dataset, **at)[f"{name}_planning"].median())


def draw_cases(dataset: Dataset) -> Figure:
    """Reference cases. Left: held-out R² against the rank that was fitted, with the planted rank shaded; dashed: the
    ceiling set by the noise. Right: trial factors, planted (lines) and fitted with parts of every trial held out
    (dots), on one scale.
    """
    from weightpath.plot.recovery import case_factors, case_ranks
    from weightpath.plot.style import figure, letter

    names = dataset["case"].values.tolist()
    drawn, axes = figure(len(names), 2, width=7.2, height=2.6 * len(names), width_ratios=[1, 1.7], squeeze=False)
    for row, name in zip(axes, names, strict=True):
        case_ranks(row[0], dataset.sel(case=name))
        case_factors(row[1], dataset.sel(case=name))
    letter(axes)
    return drawn


def draw_trials(dataset: Dataset) -> Figure:
    """How many trials. Left: fraction of simulated sessions in which the network with moving weights predicts held-out
    trials better than one with fixed weights by two paired standard errors; with no planted change (open symbols) that
    should hardly ever happen. Middle: correlation of fitted and planted trial factors. Right: R² of the flow field.
    Colours: sd of the noise in a bin over that of the activity; middle and right: the largest change. Points:
    medians over sessions, each fitted from one start; bars: quartiles.
    """
    from weightpath.plot.recovery import against_trials, key_below
    from weightpath.plot.style import figure, letter

    drawn, axes = figure(1, 3, width=7.2, height=3.1)
    shown = gaussian(dataset)
    for ax, name in zip(axes, ("detected", "correlation", "flow_full"), strict=True):
        against_trials(ax, shown, name, only_largest=name != "detected")
    key_below(axes[1])
    letter(axes)
    return drawn


def draw_neurons(dataset: Dataset) -> Figure:
    """How many neurons, and spike counts: the largest change at the middle noise for each number of neurons (colours),
    and Poisson counts in bins of 50 ms (black, dashed). Left: fraction of sessions in which the change is detected;
    middle: correlation of trial factors; right: R² of the flow field. Points: medians over sessions; bars: quartiles.
    """
    from weightpath.plot.recovery import against_trials_by_neurons, key_below
    from weightpath.plot.style import figure, letter

    drawn, axes = figure(1, 3, width=7.2, height=3.1)
    for ax, name in zip(axes, ("detected", "correlation", "flow_full"), strict=True):
        against_trials_by_neurons(ax, dataset, name)
    key_below(axes[1])
    letter(axes)
    return drawn


STUDY = Study(
    name="low-tensor-rank-recovery",
    title="Planted low-tensor-rank learning is found again; how many trials that takes",
    paper=PAPER,
    claim=(
        "Networks whose weights move inside a few fixed directions are simulated, fitted from noisy activity with "
        "parts held out, and compared with the truth: the planted rank is chosen, and activity, flow field, "
        "directions and trial factors are recovered; a network with fixed weights predicts worse, a free core on "
        "every trial no better. Then sessions of many sizes are simulated and fitted, which gives the trials, noise "
        "and neurons at which planted learning is detected on held-out trials and its course recovered. "
        "The fits know the class of the model, its rank, its time constant and that there are no inputs: a recording "
        "needs at least as much. Bands and design are this library's own (derived); no number of the paper is claimed."
    ),
    config=RecoverPlantedLearning,
    presets={
        "quick": {},
        "full": {
            "cases": ("R1", "R1b"), "trials": (32, 64, 128, 256), "noise": (0.5, 1.0, 2.0), "change": (0.0, 0.5, 1.0),
            "neurons": (40, 10, 20, 80), "rates": (20.0,), "runs": 6,
        },
    },
    run=run,
    checks=checks_of,
    figures={"reference-cases": draw_cases, "how-many-trials": draw_trials, "how-many-neurons": draw_neurons},
    tables=lambda dataset: [planning_table(dataset)],
)  # fmt: skip
