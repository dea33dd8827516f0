"""Many whole fits side by side, each reduced to the arrays one wants of it and kept on disk when it is finished."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weightpath import __version__
from weightpath._progress import resolve_progress
from weightpath._types import Bool
from weightpath.inference.batched import Request, batches, fits_of
from weightpath.inference.checkpoint import SCHEMA, fingerprint, read_arrays, write_arrays
from weightpath.inference.fit import fit
from weightpath.inference.meter import Cancelled, Meter
from weightpath.inference.recording import Recording
from weightpath.inference.result import Fit
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

__all__ = ["Cancelled", "Reduce", "Task", "run_fits"]

#: Turns a finished fit into the arrays that are kept of it.
Reduce = Callable[[Fit], dict[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Task:
    """One fit: model, recording, training entries (None: all), seed, and the optimiser's iterations, rate and dtype."""

    name: str
    model: LowTensorRankRNN
    recording: Recording
    mask: Bool[np.ndarray, "trial time neuron"] | None
    seed: int
    settings: dict[str, Any]
    reduce: Reduce
    kept: str = ""
    """Word for what `reduce` depends on besides the fit; part of the file's name."""

    def file(self, directory: Path) -> Path:
        """Where the finished fit is kept; its name is a hash of all that determines it."""
        settings = {"seed": self.seed, "version": __version__, **self.settings}
        mask = self.recording.observed if self.mask is None else self.mask
        mark = fingerprint(self.model, self.recording, mask, settings) + self.kept
        return directory / f"{hashlib.sha256(mark.encode()).hexdigest()[:24]}.npz"


def run_fits(
    tasks: Sequence[Task],
    *,
    workers: int = 2,
    directory: str | os.PathLike | None = None,
    label: str,
    progress: Any,
    batched: bool | None = None,
) -> list[dict[str, np.ndarray]]:
    """What the tasks' `reduce` gives, in their order; fits run on `workers` threads.

    `batched`: fits that one program can serve run as one (see `inference.batched`); None: on an accelerator.

    Finished fits are read from `directory`, and those that were under way go on where they were, so that the same call
    after an interrupt ends where an uninterrupted one would. Each result also has the entry `settled`.

    **Raises:** ValueError of the first fit that cannot be made, with the task's name.
    """
    place = None if directory is None else Path(directory)
    results: list[dict[str, np.ndarray] | None] = [_finished(task, place) for task in tasks]
    waiting = [index for index, result in enumerate(results) if result is None]
    with resolve_progress(progress) as report, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # whether a fit settled is kept; the filter is common to threads
        totals = [int(task.settings["iterations"]) for task in tasks]
        meter = Meter(totals, [result is not None for result in results], label, report)
        requests = [_request(tasks[index], place) for index in waiting]

        def work(places: Sequence[int], progress: Callable[..., None]) -> list[dict[str, np.ndarray]]:
            fits = fits_of([requests[one] for one in places], progress, fit)
            return [_reduced(tasks[waiting[one]], fitted, place) for one, fitted in zip(places, fits, strict=True)]

        done = meter.run(work, batches(requests, batched), waiting, workers)
    return [done.get(index, result) for index, result in enumerate(results)]


def _request(task: Task, directory: Path | None) -> Request:
    part = None if directory is None else task.file(directory).with_suffix(".part")
    return Request(task.name, task.model, task.recording, task.mask, task.seed, task.settings, part)


def _reduced(task: Task, fitted: Fit, directory: Path | None) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(array) for name, array in task.reduce(fitted).items()}
    arrays["settled"] = np.asarray(fitted.converged)
    if directory is not None:
        write_arrays(task.file(directory), dict(schema=SCHEMA, kind="reduced fit"), arrays)
        task.file(directory).with_suffix(".part").unlink(missing_ok=True)
    return arrays


def _finished(task: Task, directory: Path | None) -> dict[str, np.ndarray] | None:
    if directory is None or not task.file(directory).is_file():
        return None
    return read_arrays(task.file(directory))[1]


def checked_run(seeds: Sequence[int], workers: int, what: str) -> None:
    """Refuse an empty or doubled list of `what`, and fewer than one worker.

    **Raises:** ValueError naming the number given.
    """
    if not seeds:
        raise ValueError(f"{what} must be at least one; got none.")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{what} must differ from one another; got {tuple(seeds)}.")
    if not isinstance(workers, int | np.integer) or workers < 1:
        raise ValueError(f"workers must be a whole number, at least 1; got {workers!r}.")
