"""A recording from end to end: cross-validation with controls, a fit of the chosen rank to all data, one dataset."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies import recorded_reading
from weightpath.studies.base import Check
from weightpath.studies.recorded_settings import FitSettings, fit_options, model_of, with_multiplier

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

#: Names of the controls and of the plain predictors that every result must hold, at the rank of the chosen model.
CONTROLS = ("fixed", "epoch", "inputs_epoch", "readout_epoch")
PLAIN = ("target", "target x epoch", "target x block", "target x epoch + offset", "smoother", "tuned smoother")

CHOICE = "smallest rank within max(paired SE, .002) of the best held-out R^2 (counts: the paired SE, bits per spike)"

PAPER = "Pellegrino, Cayco-Gajic, Chadwick 2023, Low tensor rank learning of neural dynamics (arXiv 2308.11567)"


def analysed(
    recording,
    config: FitSettings,
    *,
    progress: Callable[..., None],
    workspace: Path | None,
    start_bin: int | None = None,
):
    """Scores of all models, and their dataset with what is read from a fit of the chosen rank to all data.

    `start_bin`: bin whose states are compared between epochs (see `inference.reading.reading_dataset`). The kept fits
    in `workspace` make a second call with the same arguments go on where the first one ended.
    """
    import xarray as xr

    from weightpath.inference.crossval import cross_validate
    from weightpath.inference.reading import reading_dataset

    config = with_multiplier(recording, config, progress=progress, workspace=workspace)
    scores = cross_validate(
        [model_of(rank, config) for rank in dict.fromkeys(config.ranks)],
        recording,
        schemes=config.schemes,
        seeds=range(config.seed, config.seed + config.seeds),
        controls="all" if "all" in config.comparisons else ((*config.control_ranks, *config.comparisons) or True),
        baselines=config.baselines,
        iterations=config.iterations,
        learning_rate=config.learning_rate,
        workers=max(1, min(4, os.cpu_count() or 1)),
        checkpoint_dir=None if workspace is None else workspace / "fits",
        progress=progress,
    )
    fitted = _final_fit(scores.best, recording, config, progress, workspace)
    dataset = xr.merge(
        [scores.to_dataset(), reading_dataset(fitted, at=start_bin)], combine_attrs="no_conflicts", join="exact"
    )
    dataset = dataset.assign_attrs(prior_multiplier_used=config.prior_multiplier)
    return scores, dataset.assign(overlap=("scheme", _overlaps(scores)), scored=(("scheme", "model"), _counts(scores)))


def _final_fit(model, recording, config: FitSettings, progress: Callable[..., None], workspace: Path | None):
    from weightpath.inference.fit import fit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # whether it settled is in the dataset and among the findings
        return fit(
            model,
            recording,
            progress=progress,
            **fit_options(config),
            checkpoint=None if workspace is None else workspace / "final.npz",
        )


def _overlaps(scores) -> list[int]:
    return [int((mask.train & mask.test).sum()) for mask in scores.masks.values()]


def _counts(scores) -> np.ndarray:
    """Number of test entries that each model predicted with a finite number."""
    counts = np.zeros((len(scores.schemes), len(scores.labels)))
    for i, scheme in enumerate(scores.schemes):
        for j, label in enumerate(scores.labels):
            if scores.has(scheme, label):
                counts[i, j] = np.isfinite(scores.row(scheme, label).held).sum()
    return counts


def score_of(dataset: Dataset, scheme: str, model: str) -> float:
    """Mean held-out R^2, NaN where there is none; "ltr" is the chosen model, controls are those of its rank."""
    label = label_of(dataset, model)
    if scheme not in dataset["scheme"].values or label not in dataset["model"].values:
        return float("nan")
    return float(dataset["r2_mean"].sel(scheme=scheme, model=label))


def label_of(dataset: Dataset, model: str) -> str:
    """Label in the dataset of a model named without its rank."""
    if model == "ltr":
        return dataset.attrs["chosen"]
    return f"{model}, rank {dataset.attrs['chosen_rank']}" if model in CONTROLS else model


def controls_complete(dataset: Dataset) -> bool:
    """Every control and plain predictor has a score on every scheme, at the rank of the chosen model."""
    return all(
        np.isfinite(score_of(dataset, scheme, model))
        for scheme in dataset["scheme"].values.tolist()
        for model in (*CONTROLS, *PLAIN)
    )


def same_entries(dataset: Dataset) -> bool:
    """All models of a scheme are scored on all of its test entries, and none of these is a training entry."""
    expected = dataset["entries"].sum("trial")
    present = np.isfinite(dataset["r2_mean"])
    equal = (dataset["scored"] == expected).where(present, True).all()
    return bool(equal) and int(dataset["overlap"].sum()) == 0


def common_checks(schemes: tuple[str, ...]) -> list[Check]:
    """Requirements and findings of every analysed recording."""
    from weightpath.inference.masks import scheme_names

    checks = [
        Check("all controls are there", "docs/studies.md", controls_complete, compare="true"),
        Check("all models are scored on the same entries", "docs/studies.md", same_entries, compare="true"),
        Check("chosen rank", CHOICE, lambda ds: int(ds.attrs["chosen_rank"]), required=False),
        Check(
            "multiplier of the prior weight",
            "settings, or trials held out of the training trials",
            lambda ds: float(ds.attrs["prior_multiplier_used"]),
            required=False,
        ),
    ]
    for scheme in scheme_names(schemes):
        for model in ("ltr", *CONTROLS, *PLAIN):
            checks.append(
                Check(
                    f"R^2, {scheme}: {'low-tensor-rank' if model == 'ltr' else model}",
                    "held-out entries",
                    lambda ds, scheme=scheme, model=model: score_of(ds, scheme, model),
                    required=False,
                    tabled=True,
                )
            )
    checks.append(Check("verdict", "wording rule", lambda ds: str(ds.attrs["verdict"]), required=False, tabled=True))
    return checks


def draw_factors(dataset: Dataset):
    """Trial factors of the chosen rank fitted to all data, against the number of the trial, with the phases of the
    session shaded. Dots: the factor of each trial; lines and bands: their smooth part given the factors, +- one sd.
    The factors describe how the model's weights move; whether weights moved is for the controls to say.
    """
    from weightpath.plot.recording import trial_factors
    from weightpath.plot.style import figure

    drawn, ax = figure(width=7.2, height=3.0)
    trial_factors(ax, dataset)
    return drawn


def draw_ranks(dataset: Dataset):
    """Cross-validation: held-out R^2 against tensor rank. Filled: whole trials held out; open: parts of trials, which
    test prediction within partly seen trials and not learning. Bars: standard error over trials, paired, of the
    difference to the chosen rank (shaded). Dashed, in the colour of the scheme: the tuned smoother, a predictor without
    a network, on the same entries.
    """
    from weightpath.plot.recording import score_by_rank
    from weightpath.plot.style import figure

    drawn, ax = figure(width=7.2, height=3.2)
    score_by_rank(ax, dataset)
    return drawn


def draw_controls(dataset: Dataset):
    """The chosen model against control networks of equal rank (blue discs: networks in which something else, or
    nothing, changes), predictors without a network (orange squares) and descriptions of the data without a recurrent
    network (triangles), on the same held-out entries. Points: difference of R^2; lines: 95% intervals of a paired
    bootstrap over trials; right of zero the low-tensor-rank model is ahead. Numbers on the right: R^2.
    """
    from weightpath.plot.recording import forest, forest_labels
    from weightpath.plot.style import figure

    schemes = dataset["scheme"].values.tolist()
    compared = np.isfinite(dataset["difference"].transpose("scheme", ...).values).any(axis=0)
    models = int((compared & (dataset["kind"].values != "ltr")).sum())
    height = 0.6 + len(schemes) * (0.45 + 0.19 * models)
    drawn, axes = figure(len(schemes), 1, width=7.2, height=height, sharex=True)
    for ax, scheme in zip(np.atleast_1d(axes), schemes, strict=True):
        forest(ax, dataset, scheme)
    forest_labels(np.atleast_1d(axes)[-1])
    return drawn


FIGURES = {
    "trial-factors": draw_factors,
    "cross-validation": draw_ranks,
    "controls": draw_controls,
    **recorded_reading.FIGURES,
}
