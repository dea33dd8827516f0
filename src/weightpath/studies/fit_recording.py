"""What `weightpath fit` does: read a recording, say what was understood, compare models on it, fit, draw and store."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from weightpath.studies.base import Study
from weightpath.studies.behaviour import draw_progress, has_progress, progress_dataset
from weightpath.studies.recorded import CONTROLS, FIGURES, PAPER, PLAIN, FitSettings, analysed, common_checks
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


def fit_recording(
    path: str | Path,
    *,
    array: str | None = None,
    dims: tuple[str, ...] | None = None,
    condition: str | None = None,
    epoch: str | None = None,
    bin: float | None = None,
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

    Arguments: `path` and how to read it (`array`, `dims`, `condition`, `epoch`, `bin`: see
    `weightpath.inference.read.read_recording`); `rank`: ranks to compare; `seeds`: fits of each model; `scheme`: what
    is held out; `out`: directory of the results (default `results/fit/<content hash>`); `say` is told first what was
    understood of the file and what will be done; `settings` change those of `FitSettings` (`units`, `iterations`,
    `prior_multiplier`, `trial_offset`, ...). The table of scores is `run.dataset.attrs["table"]`.

    Killed at any moment, the same call goes on from the finished fits and ends bit for bit where an uninterrupted one
    ends.

    **Raises:** ValueError for a file, an array, labels or settings that cannot be used, before anything is fitted.
    """
    config = RecordingSettings(
        data=str(path), array=array, dims=tuple(dims) if dims else None, condition=condition, epoch=epoch, bin=bin,
        ranks=tuple(rank), seeds=seeds, schemes=tuple(scheme), **settings,
    )  # fmt: skip
    reading = _read(config)
    for line in (*reading.understood, *_plan(reading, config)):
        say(line)
    return run_config(_study(reading, config), config, preset="", out=out, force=force, progress=progress)


def _read(config: RecordingSettings):
    from weightpath.inference.read import read_recording

    options = {name: getattr(config, name) for name in ("array", "dims", "condition", "epoch", "bin")}
    return read_recording(config.data, **options)


def _plan(reading, config: RecordingSettings) -> list[str]:
    """What will be done with the recording, and refusals that need not wait for a fit."""
    from weightpath.inference.checks import check_model
    from weightpath.inference.masks import scheme_names
    from weightpath.studies.recorded import model_of

    names = scheme_names(config.schemes)
    for rank in config.ranks:
        check_model(model_of(rank, config), reading.recording)
    how = {"global": "one standard deviation for all neurons", "neuron": "the standard deviation of each neuron"}
    ranks, fits = ", ".join(map(str, config.ranks)), f"{config.seeds} fit{'s' * (config.seeds > 1)}"
    return [
        f"  scaled      centred, divided by {how[reading.scaling]}",
        f"  to do       fit tensor ranks {ranks} ({fits} each) with {', '.join(names)} held out",
        f"  controls    {', '.join(CONTROLS)} at the chosen rank; {len(PLAIN)} predictors without a network",
    ]


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
        figures=FIGURES | ({"progress": draw_progress} if _with_progress(reading, config) else {}),
        tables=score_tables,
        data_files=lambda settings: (Path(settings.data),),
    )


def _with_progress(reading, config: RecordingSettings) -> bool:
    """Whether progress of the cursor can be predicted on held-out trials."""
    from weightpath.inference.masks import WHOLE_TRIALS, scheme_names

    return has_progress(reading) and any(name in WHOLE_TRIALS for name in scheme_names(config.schemes))


def _run(config: RecordingSettings, *, progress: Callable[..., None], workspace: Path | None, reading):
    recording = reading.recording.standardised(reading.scaling)
    scores, dataset = analysed(recording, config, progress=progress, workspace=workspace)
    if _with_progress(reading, config):
        dataset = dataset.merge(progress_dataset(scores, reading), join="exact")
    return dataset.assign_attrs(table=scores.table(), understood="\n".join(reading.understood))
