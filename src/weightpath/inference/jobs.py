"""The fits of a cross-validation: run side by side, each kept on disk when it is finished."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weightpath import __version__
from weightpath._results import outcome_name
from weightpath._types import Bool, Float
from weightpath.inference.batched import Request, batches, fits_of
from weightpath.inference.checkpoint import SCHEMA, fingerprint, read_arrays, write_arrays
from weightpath.inference.fit import fit
from weightpath.inference.meter import Meter
from weightpath.inference.recording import Recording
from weightpath.inference.result import Fit
from weightpath.networks.low_tensor_rank import LowTensorRankRNN


@dataclass(frozen=True, eq=False)
class Job:
    """One fit: a model, a recording, training and test entries, a seed, and the settings of the optimiser."""

    scheme: str
    label: str
    kind: str
    model: LowTensorRankRNN
    recording: Recording
    train: Bool[np.ndarray, "trial time neuron"]
    test: Bool[np.ndarray, "trial time neuron"]
    seed: int
    settings: dict[str, Any]

    @property
    def key(self) -> str:
        """Hash of all that determines the outcome; the name of its file."""
        settings = {"seed": self.seed, "version": __version__, **self.settings}
        return fingerprint(self.model, self.recording, self.train, settings)[:24]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What is kept of a fit: predicted test entries, R^2 of the training entries, how it ended, and what it said."""

    held: Float[np.ndarray, " entry"]
    train_r2: float
    result: str
    reason: str


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int,
    directory: Path | None,
    label: str,
    report: Callable[..., None],
    batched: bool | None = None,
) -> list[Outcome]:
    """Outcomes of all jobs, in their order, on `workers` threads; a finished one is read from `directory`.

    `batched`: jobs that one program can serve run as one (see `inference.batched`); None: on an accelerator. When a job
    raises, or the user interrupts, the others stop at their next 50 iterations, with their state saved.
    """
    outcomes: list[Outcome | None] = [_finished(job, directory) for job in jobs]
    totals = [int(job.settings["iterations"]) for job in jobs]
    meter = Meter(totals, [outcome is not None for outcome in outcomes], label, report)
    waiting = [index for index, outcome in enumerate(outcomes) if outcome is None]
    requests = [_request(jobs[index], directory) for index in waiting]

    def work(places: Sequence[int], progress: Callable[..., None]) -> list[Outcome]:
        fits = fits_of([requests[place] for place in places], progress, fit)
        return [_outcome(jobs[waiting[place]], one, directory) for place, one in zip(places, fits, strict=True)]

    done = meter.run(work, batches(requests, batched), waiting, workers)
    return [done.get(index, outcome) for index, outcome in enumerate(outcomes)]


def _request(job: Job, directory: Path | None) -> Request:
    name = f"{job.label} on scheme {job.scheme!r}"
    part = None if directory is None else _part(job, directory)
    return Request(name, job.model, job.recording, job.train, job.seed, job.settings, part)


def _outcome(job: Job, fitted: Fit, directory: Path | None) -> Outcome:
    held = np.asarray(fitted.predict()[job.test], dtype=np.float64)
    course = fitted.history["r2"]
    # A fit that broke at once has no course.
    last = float(course[-1]) if len(course) else float("nan")
    outcome = Outcome(held, last, outcome_name(fitted.result), fitted.reason)
    if directory is not None:
        header = dict(schema=SCHEMA, kind="outcome", train_r2=outcome.train_r2, result=outcome.result)
        write_arrays(_file(job, directory), header | dict(reason=outcome.reason), {"held": held})
        _part(job, directory).unlink(missing_ok=True)
    return outcome


def _finished(job: Job, directory: Path | None) -> Outcome | None:
    if directory is None or not _file(job, directory).is_file():
        return None
    header, arrays = read_arrays(_file(job, directory))
    return Outcome(arrays["held"], header["train_r2"], header["result"], header["reason"])


def _part(job: Job, directory: Path) -> Path:
    return directory / f"{job.key}.part"


def _file(job: Job, directory: Path) -> Path:
    # The same training entries may be scored on other test entries; the kept predictions are of the test entries.
    tested = hashlib.sha256(np.packbits(job.test).tobytes()).hexdigest()
    return directory / f"{job.key}-{tested[:8]}.npz"
