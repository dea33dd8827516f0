"""Study `recorded-bci-learning`: what a low-tensor-rank network tells about a real session of learning."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies.base import Check, Study
from weightpath.studies.behaviour import draw_progress, identity_error, progress_dataset
from weightpath.studies.recorded import FIGURES, PAPER, FitSettings, analysed, common_checks
from weightpath.studies.recorded_reading import draw_behaviour
from weightpath.studies.recorded_tables import score_tables

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

#: Held-out R^2 of predictors without randomness, computed by an independent program (docs/studies.md).
STATED = {
    "target": {"even": 0.5645, "odd": 0.5645, "runs": 0.5659, "blocks": 0.5483},
    "target x epoch": {"even": 0.6013, "odd": 0.6031, "runs": 0.6294, "blocks": 0.5907},
    "target x block": {"even": 0.4763, "odd": 0.4395, "runs": 0.5030, "blocks": 0.4583},
    "target x epoch + offset": {"even": 0.6081, "odd": 0.6075, "runs": 0.6320, "blocks": 0.5974},
    "smoother": {"even": 0.6211, "odd": 0.6169, "runs": 0.6385, "blocks": 0.6074},
    "tuned smoother": {"odd": 0.6235, "runs": 0.6420},
}

STATED_SCHEMES = ("even", "odd", "runs", "blocks")


def run(config: FitSettings, *, progress: Callable[..., None], workspace: Path | None) -> Dataset:
    """Cross-validate on the shipped session, fit the chosen rank to all of it, and predict progress of the cursor."""
    from weightpath.inference.read import read_recording, sample_path

    reading = read_recording(sample_path())
    recording = reading.recording.standardised("global")
    start_bin = int(reading.extras["freeze_bins"])  # until then the cursor stands still
    scores, dataset = analysed(recording, config, progress=progress, workspace=workspace, start_bin=start_bin)
    dataset = dataset.merge(progress_dataset(scores, reading), join="exact")
    errors = {f"identity_error_{name}": ((), identity_error(reading, name)) for name in ("intuitive", "perturbed")}
    return dataset.assign(errors | plain_scores(recording)).assign_attrs(
        table=scores.table(), understood="\n".join(reading.understood)
    )


def plain_scores(recording) -> dict[str, tuple]:
    """R^2 of the plain predictors on every scheme with a stated value, whichever schemes the networks see."""
    from weightpath.inference.masks import SCHEMES
    from weightpath.inference.paired import r_squared
    from weightpath.inference.plain import PLAIN

    scores = np.full((len(STATED_SCHEMES), len(STATED)), np.nan)
    for i, scheme in enumerate(STATED_SCHEMES):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the stated blocks leave less than half to train on
            mask = SCHEMES[scheme](recording)
        for j, name in enumerate(STATED):
            scores[i, j] = r_squared(recording.values, PLAIN[name](recording, mask.train), mask.test)
    dims = ("plain_scheme", "plain_model")
    coords = {name: (name, list(values)) for name, values in zip(dims, (STATED_SCHEMES, STATED), strict=True)}
    stated = [[STATED[name].get(scheme, np.nan) for name in STATED] for scheme in STATED_SCHEMES]
    return {**coords, "plain_r2": (dims, scores), "plain_r2_stated": (dims, stated)}


def stated_difference(dataset: Dataset, predictor: str) -> float:
    """Largest difference of a plain predictor's R^2 to the stated ones, over the schemes with a stated one."""
    one = dataset.sel(plain_model=predictor)
    return float(np.abs(one["plain_r2"] - one["plain_r2_stated"]).max())


def gap_of_epochs(dataset: Dataset) -> float:
    """R^2 of `epoch` minus that of `fixed`, rank 5, even trials held out."""
    one = dataset["r2_mean"].sel(scheme="even")
    return float(one.sel(model="epoch, rank 5") - one.sel(model="fixed, rank 5"))


def progress_number(dataset: Dataset, name: str, predictor: str) -> float:
    """Agreement of predicted and measured progress on the first scheme of whole trials; NaN where there is none."""
    if not dataset.sizes["trial_scheme"]:
        return float("nan")
    return float(dataset[name].isel(trial_scheme=0).sel(predictor=predictor))


def factor_correlation(dataset: Dataset, epoch: str | None = None) -> float:
    """Largest |correlation| over factors of the smooth trial factor with the trial's mean progress."""
    keep = np.isfinite(dataset["progress"].values)
    if epoch is not None:
        keep &= dataset["epoch_name"].values == epoch
    progress = dataset["progress"].values[keep]
    return max(abs(np.corrcoef(one[keep], progress)[0, 1]) for one in dataset["factor_smooth"].values.T)


def _checks() -> list[Check]:
    section = "reference scores, docs/studies.md"
    checks = [
        Check(
            f"v = M0 + M2 z, {name} mapping: largest error of progress [mm/s]",
            "exact relation of the recording",
            lambda ds, name=name: float(ds[f"identity_error_{name}"]),
            expected=6e-5,
            compare="at_most",
        )
        for name in ("intuitive", "perturbed")
    ]
    checks += [
        Check(
            f"{name}: largest difference of R^2 to the stated one",
            section,
            lambda ds, name=name: stated_difference(ds, name),
            expected=1e-3,
            compare="at_most",
        )
        for name in STATED
    ]
    return checks


def _reference_checks(config: FitSettings) -> list[Check]:
    """What an independent program found at rank 5 on even trials, where that is fitted at a comparable size."""
    from weightpath.inference.masks import scheme_names

    fitted = 5 in config.ranks and 5 in config.control_ranks and "even" in scheme_names(config.schemes)
    if not fitted or config.units < 30 or config.iterations < 300:
        return []
    section = "docs/studies.md"
    return [
        Check("epoch - fixed, rank 5, even trials", section, gap_of_epochs, expected=0.025, compare="at_least"),
        Check(
            "R^2 of low-tensor-rank, rank 5, even trials",
            section,
            lambda ds: float(ds["r2_mean"].sel(scheme="even", model="ltr, rank 5")),
            expected=0.607,
            tolerance=0.015,
        ),
    ]


def _findings() -> list[Check]:
    findings = [
        Check(
            f"progress on held-out trials, {predictor}: {word}",
            "README of the recording",
            lambda ds, name=name, predictor=predictor: progress_number(ds, name, predictor),
            required=False,
        )
        for predictor in ("low-tensor-rank", "target x epoch", "tuned smoother")
        for name, word in (("progress_r2", "R^2"), ("progress_correlation", "correlation"))
    ]
    for words, epoch in (("all trials", None), ("perturbation alone", "perturbation")):
        findings.append(
            Check(
                f"largest |correlation| of a factor with progress, {words}",
                "docs/studies.md",
                lambda ds, epoch=epoch: factor_correlation(ds, epoch),
                required=False,
            )
        )
    return findings


SCHEMES = ("even", "odd", "runs", "blocks", "bin_blocks")

STUDY = Study(
    name="recorded-bci-learning",
    title="Learning of a brain-computer interface: low-tensor-rank fit with controls",
    paper=f"{PAPER}; recording: Hennig et al. 2021, Nature Neuroscience 24, 727-736",
    claim=(
        "A monkey learns a perturbed mapping from the activity of its motor cortex to a cursor (794 trials). A "
        "recurrent network whose weights move over trials inside a few fixed directions is fitted to the population's "
        "latents and tested on held-out trials and on held-out parts of trials, beside networks of equal rank in which "
        "nothing, the inputs, or the read-out changes, and beside predictors without a network. The study requires the "
        "identities of the recording and the stated scores of the plain predictors; how the models compare is reported "
        "as found."
    ),
    config=FitSettings,
    presets={
        "quick": {
            "ranks": (1, 3, 5),
            "control_ranks": (5,),
            "schemes": ("even", "blocks"),
            "units": 30,
            "iterations": 300,
        },
        "full": {"ranks": (1, 2, 3, 5, 8), "schemes": SCHEMES, "seeds": 3, "control_ranks": (5,)},
    },
    run=run,
    checks=lambda config: [*_checks(), *_reference_checks(config), *common_checks(config.schemes), *_findings()],
    figures=FIGURES | {"behaviour": draw_behaviour, "progress": draw_progress},
    tables=score_tables,
    data_files=lambda config: (_sample(),),
)


def _sample() -> Path:
    from weightpath.inference.read import sample_path

    return sample_path()
