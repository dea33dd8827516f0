"""Running a study: settings resolved, result computed once, checked, drawn and stored with where it came from."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from weightpath.store.text import read_json
from weightpath.studies import STUDIES
from weightpath.studies.base import Study, nearest
from weightpath.studies.result import CONFIG_FILE, SUMMARY_FILE, StudyRun, is_run, read_run, store_run, write_config


def find_study(name: str) -> Study:
    """The study of this name.

    Raises:
        ValueError: for an unknown name, with close ones.
    """
    if name not in STUDIES:
        raise ValueError(f"unknown study {name!r}{nearest(name, STUDIES)}")
    return STUDIES[name]


def run_study(
    name: str,
    preset: str = "quick",
    *,
    seed: int | None = None,
    out: str | Path | None = None,
    force: bool = False,
    progress: bool | Callable | None = None,
    **settings: Any,
) -> StudyRun:
    """Run a study, or read its result if the same run was finished before.

    Arguments: `preset` "quick" (about a minute) or "full" (larger networks, more seeds and schemes); `seed` and
    `settings` change single settings of it; `out` the directory of the results (default
    `results/<study>/<content hash>`); `force` computes again what is already there; `progress` True, False, None (bars
    when standard error is a terminal) or a callable.

    An interrupted run leaves its checkpoints in the directory; the same call resumes from them.

    Raises:
        ValueError: for an unknown study, preset or setting (naming close ones), or a setting out of range.
    """
    study = find_study(name)
    changes = settings if seed is None else {**settings, "seed": seed}
    config = study.settings(preset, **changes)
    return run_config(study, config, preset=preset, out=out, force=force, progress=progress)


def run_directory(study: Study, config: Any, out: str | Path | None = None) -> tuple[str, Path]:
    """The content hash of a run and the directory of its results."""
    from weightpath.store.provenance import content_hash

    digest = content_hash(study.name, config.model_dump(mode="json"), study.data_files(config))
    return digest, Path(out) if out is not None else Path("results") / study.name / digest


def run_config(
    study: Study,
    config: Any,
    *,
    preset: str = "quick",
    out: str | Path | None = None,
    force: bool = False,
    progress: bool | Callable | None = None,
) -> StudyRun:
    """Run a study with resolved settings; see `run_study`."""
    from weightpath._progress import resolve_progress

    digest, directory = run_directory(study, config, out)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory} is a file; give a directory for the results.")
    workspace = directory / f"unfinished-{digest}"
    if force:
        shutil.rmtree(workspace, ignore_errors=True)
    elif is_finished(directory, digest):
        return read_run(directory)
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    workspace.mkdir(parents=True, exist_ok=True)
    if not is_run(directory):
        write_config(study, config, directory)
    started = time.perf_counter()
    try:
        with resolve_progress(progress) as report:
            dataset = study.run(config, progress=report, workspace=workspace)
    except BaseException:
        _remove_if_empty(directory, workspace, made)
        raise
    run = store_run(study, config, preset, digest, directory, dataset, time.perf_counter() - started)
    shutil.rmtree(workspace, ignore_errors=True)
    return run


def _remove_if_empty(directory: Path, workspace: Path, made: Sequence[Path]) -> None:
    """Leave no trace of a run that failed before it had anything to keep, nor of the directories it `made`."""
    if any(workspace.iterdir()):
        return
    workspace.rmdir()
    if not is_run(directory):
        (directory / CONFIG_FILE).unlink(missing_ok=True)
    for path in made:
        if any(path.iterdir()):
            return
        path.rmdir()


def is_finished(directory: Path, digest: str) -> bool:
    """Whether the directory holds the whole result of the run with this hash."""
    return is_run(directory) and read_json(directory / SUMMARY_FILE).get("hash") == digest
