"""What `weightpath fit` does: read a recording, say what was understood, compare models on it, fit, draw and store."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from weightpath.studies.base import Study
from weightpath.studies.behaviour import draw_progress, has_progress, progress_dataset
from weightpath.studies.recorded import CONTROLS, FIGURES, PAPER, PLAIN, FitSettings, analysed, common_checks
from weightpath.studies.recorded_reading import draw_behaviour
from weightpath.studies.recorded_tables import score_tables
from weightpath.studies.running import StudyRun, run_config


class RecordingSettings(FitSettings):
    """A file and how to read it, and the settings of the fits."""

    data: str = Field("", description="file of the recording")
    array: str | None = Field(None, description="name of the activity in the file")
    dims: tuple[str, ...] | None = Field(None, description="order of its axes")
    condition: str | None = Field(None, description="name of the condition labels")
    epoch: str | None = Field(None, description="name of the epoch labels")
    bin: float | None = Field(None, gt=0, description="width of a time bin [s]")
    align: str | None = Field(None, description="column of the trial table with the event that becomes time 0")
    window: tuple[float, float] | None = Field(None, description="seconds around it to take")
    smooth: float | None = Field(None, gt=0, description="standard deviation of a Gaussian along time [s]")
    counts: bool = Field(False, description="keep whole counts")
    clip: bool = Field(False, description="bins outside the start and stop of a trial are missing")
    trials: str | None = Field(None, description="trials to take: a condition on columns, or numbers")
    neurons: str | None = Field(None, description="neurons to take: a condition on columns, or names")
    trial_table: str | None = Field(None, description="table of the trials: its name in the file, or a second file")


#: Settings that say how the file is read.
READING = (
    "array", "dims", "condition", "epoch", "bin", "align", "window", "smooth", "counts", "clip", "trials", "neurons",
    "trial_table",
)  # fmt: skip

#: What is said of a recording of whole, non-negative numbers that is fitted by a Gaussian likelihood.
COUNTED = "all values are whole numbers >= 0, fitted as rates: smooth them, or give likelihood=poisson"


def fit_recording(
    path: str | Path,
    *,
    array: str | None = None,
    dims: tuple[str, ...] | None = None,
    condition: str | None = None,
    epoch: str | None = None,
    bin: float | None = None,
    align: str | None = None,
    window: tuple[float, ...] | None = None,
    smooth: float | None = None,
    counts: bool = False,
    clip: bool = False,
    trials: str | None = None,
    neurons: str | None = None,
    trial_table: str | None = None,
    rank: tuple[int, ...] = (1, 2, 3, 5),
    seeds: int = 1,
    scheme: tuple[str, ...] = ("trials", "blocks"),
    out: str | Path | None = None,
    force: bool = False,
    progress: bool | Callable | None = None,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> StudyRun:
    """Fit low-tensor-rank networks to a recording in a file, with all controls, and store results and figures.

    Arguments: `path` and how to read it (from `array` to `trial_table`: see
    `weightpath.inference.read.read_recording`); `rank`: ranks to compare; `seeds`: fits of each model; `scheme`: what
    is held out; `out`: directory of the results (default `results/fit/<content hash>`); `say` is told first what was
    understood of the file and what will be done; `settings` change those of `FitSettings` (`units`, `iterations`,
    `prior_multiplier`, `trial_offset`, `likelihood`, ...); a likelihood of counts reads counts. The table of scores is
    `run.dataset.attrs["table"]`.

    Killed at any moment, the same call goes on from the finished fits and ends bit for bit where an uninterrupted one
    ends.

    **Raises:** ValueError for a file, an array, labels or settings that cannot be used, before anything is fitted.
    """
    counts = counts or settings.get("likelihood", "gaussian") != "gaussian"
    config = RecordingSettings(
        data=str(path), array=array, dims=tuple(dims) if dims else None, condition=condition, epoch=epoch, bin=bin,
        align=align, window=_pair(window), smooth=smooth, counts=counts, clip=clip, trials=trials, neurons=neurons,
        trial_table=trial_table,
        ranks=tuple(rank), seeds=seeds, schemes=tuple(scheme), **settings,
    )  # fmt: skip
    reading = _read(config)
    for line in (*reading.understood, *_plan(reading, config)):
        say(line)
    return run_config(_study(reading, config), config, preset="", out=out, force=force, progress=progress)


def _read(config: RecordingSettings):
    from weightpath.inference.read import read_recording

    return read_recording(config.data, **{name: getattr(config, name) for name in READING})


def _pair(window: tuple[float, ...] | None) -> Any:
    if window is None or len(window) == 2:
        return window
    raise ValueError(f"--window needs two times in seconds, e.g. --window -0.2,0.8; got {len(window)}.")


def _plan(reading, config: RecordingSettings) -> list[str]:
    """What will be done with the recording, and refusals that need not wait for a fit."""
    from weightpath.inference.checks import check_model
    from weightpath.inference.masks import scheme_names
    from weightpath.studies.recorded import model_of

    names = scheme_names(config.schemes)
    for rank in config.ranks:
        check_model(model_of(rank, config), reading.recording)
    ranks, fits = ", ".join(map(str, config.ranks)), f"{config.seeds} fit{'s' * (config.seeds > 1)}"
    return [
        *_scaling(reading, config),
        f"  to do       fit tensor ranks {ranks} ({fits} each) with {', '.join(names)} held out",
        f"  controls    {', '.join(CONTROLS)} at the chosen rank; {len(PLAIN)} predictors without a network",
    ]


def _scaling(reading, config: RecordingSettings) -> list[str]:
    """What happens to the values before they are fitted."""
    if config.likelihood != "gaussian":
        return [f"  counts      fitted as they are, likelihood {config.likelihood.replace('_', ' ')}"]
    how = {"global": "one standard deviation for all neurons", "neuron": "the standard deviation of each neuron"}
    counted = ["  counts      " + COUNTED] if reading.recording.is_counts else []
    return [*counted, f"  scaled      centred, divided by {how[reading.scaling]}"]


def _study(reading, config: RecordingSettings) -> Study:
    """The run as a study of one recording, so that it is stored, resumed and reported like any other."""
    return Study(
        name="fit",
        title=f"Low-tensor-rank fit of {Path(config.data).name}",
        paper=PAPER,
        claim=(
            "A description of how the activity changes over trials by a recurrent network whose weights move inside "
            "a few fixed directions. Whether it is the weights that change is judged by the controls, which see the "
            "same data: networks in which nothing, the inputs, or the read-out changes, and predictors without a "
            "network."
        ),
        config=RecordingSettings,
        presets={},
        run=partial(_run, reading=reading),
        checks=common_checks(config.schemes),
        figures=FIGURES | _behaviour_figures(reading, config),
        tables=score_tables,
        data_files=_files,
    )


def _files(settings: RecordingSettings) -> tuple[Path, ...]:
    """Files that the results depend on; in an NWB file the trial table is a part of it."""
    second = [Path(settings.trial_table)] if settings.trial_table and Path(settings.trial_table).is_file() else []
    return (Path(settings.data), *second)


def _behaviour_figures(reading, config: RecordingSettings) -> dict[str, Callable]:
    """Figures of behaviour, where the file holds any."""
    from weightpath.inference.reading import behaviour_covariates

    figures = {"behaviour": draw_behaviour} if behaviour_covariates(reading.recording) else {}
    return figures | ({"progress": draw_progress} if _with_progress(reading, config) else {})


def _with_progress(reading, config: RecordingSettings) -> bool:
    """Whether progress of the cursor can be predicted on held-out trials."""
    from weightpath.inference.masks import WHOLE_TRIALS, scheme_names

    return has_progress(reading) and any(name in WHOLE_TRIALS for name in scheme_names(config.schemes))


def _run(config: RecordingSettings, *, progress: Callable[..., None], workspace: Path | None, reading):
    gaussian = config.likelihood == "gaussian"
    recording = reading.recording.standardised(reading.scaling) if gaussian else reading.recording
    freeze = reading.extras.get("freeze_bins")
    start = None if freeze is None else int(freeze)
    scores, dataset = analysed(recording, config, progress=progress, workspace=workspace, start_bin=start)
    if _with_progress(reading, config):
        dataset = dataset.merge(progress_dataset(scores, reading), join="exact")
    return dataset.assign_attrs(table=scores.table(), understood="\n".join(reading.understood))
