"""Rows of the table of scores, from the outcomes of fits and from predictions."""

from collections.abc import Mapping, Sequence

import numpy as np

from weightpath._types import Bool, Float
from weightpath.inference.jobs import Job, Outcome
from weightpath.inference.paired import trial_errors
from weightpath.inference.recording import Recording
from weightpath.inference.scores import Row


def fit_rows(jobs: Sequence[Job], outcomes: Sequence[Outcome], recording: Recording) -> list[Row]:
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


def predicted_rows(
    scheme: str,
    kind: str,
    rank: int,
    recording: Recording,
    predictions: Mapping[str, Float[np.ndarray, "trial time neuron"]],
    test: Bool[np.ndarray, "trial time neuron"],
    settled: bool = True,
) -> list[Row]:
    """Rows of predictions of a recording by label, on the test entries of one scheme."""
    return [
        Row(
            scheme, label, kind, rank, trial_errors(recording.values, prediction, test)[None], (settled,),
            prediction[test],
        )
        for label, prediction in predictions.items()
    ]  # fmt: skip


def remarks(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> list[str]:
    """What is to be said about how fits ended."""
    said, ended = [], {result: set() for result in ("not_converged", "nonfinite")}
    for job, outcome in zip(jobs, outcomes, strict=True):
        ended.setdefault(outcome.result, set()).add(job.label)
    if unsettled := sorted(ended["not_converged"]):
        said.append(f"not settled (*), give more iterations: {', '.join(unsettled)}")
    if broken := sorted(ended["nonfinite"]):
        said.append(f"stopped at numbers that are not finite (*), lower the learning rate: {', '.join(broken)}")
    return said


def _errors(recording: Recording, held: np.ndarray, test: np.ndarray) -> np.ndarray:
    prediction = np.zeros(recording.shape)
    prediction[test] = held
    return trial_errors(recording.values, prediction, test)
