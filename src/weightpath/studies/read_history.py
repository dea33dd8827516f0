"""Workflow `weightpath read FILE`: what a weight history saved elsewhere shows, in words, numbers and figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field

from weightpath.studies.base import Check, Settings, Study
from weightpath.studies.result import StudyRun, store_run
from weightpath.studies.tables import Cell, Row, Table

LAWS_SOURCE = "conservation laws of the learning rules, derived here"


class HistorySettings(Settings):
    """Which file was read, and how."""

    data: str = Field(description="file with the weight history")
    w_rec: str | None = Field(None, description="array with the recurrent weights (default: a usual name)")
    w_in: str | None = Field(None, description="array with the read-in (default: a usual name)")
    w_out: str | None = Field(None, description="array with the read-out (default: a usual name)")
    time: str | None = Field(None, description="array with the learning time (default: a usual name)")
    trace_decay: float | None = Field(None, description="trace decay of RFLO (default: fitted)")
    leak: float = Field(1.0, gt=0, le=1, description="leak of the units, time step over time constant")


def draw_path(dataset):
    """Eigenvalues, the singular values of the change, and its effective rank along learning.

    Left: eigenvalues of the first and the last weights, the disk of the bulk (dashed) and the paths of the outliers.
    Middle: singular values of the change from first to last; those below the dashed line are rounding. Right: effective
    rank of the change since the first weights.
    """
    from weightpath.plot.weight_path import weight_path

    return weight_path(dataset)


def draw_laws(dataset):
    """What the law of each learning rule leaves of the movement unexplained.

    A law that holds leaves less than 5 % (left of the shaded band); one above 15 % (right of it) does not hold. Open
    marks: what observation noise alone would leave.
    """
    from weightpath.plot.weight_path import rule_laws

    return rule_laws(dataset)


def read_history(
    path: str | Path,
    *,
    out: str | Path | None = None,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> tuple[Any, StudyRun | None]:
    """Read a weight history; with `out`, store its numbers and figures there.

    Gives the `weightpath.analysis.PathReading` and the stored run, or None. `settings`: those of `HistorySettings`.

    **Raises:** ValueError for a file that cannot be used, saying what it holds, before anything is computed.
    """
    from weightpath.analysis import read_path
    from weightpath.store.weight_history import read_weight_history

    started = time.perf_counter()
    config = HistorySettings(data=str(path), **{name: value for name, value in settings.items() if value is not None})
    if out is not None and Path(out).is_file():
        raise ValueError(f"{out} is a file; give a directory.")
    names = {name: getattr(config, name) for name in ("w_rec", "w_in", "w_out", "time")}
    history = read_weight_history(path, **names)
    for line in history.understood:
        say(line)
    reading = read_path(history.trajectory, trace_decay=config.trace_decay, leak=config.leak, seed=config.seed)
    if out is None:
        return reading, None
    dataset = reading.to_dataset().assign_attrs(understood="\n".join(history.understood))
    seconds = time.perf_counter() - started
    study = _study(Path(path).name, reading)
    return reading, store_run(study, config, "", "", Path(out), dataset, seconds)


def _study(name: str, reading: Any) -> Study:
    """The reading as a study of one file, so that it is stored and reported like any other."""
    laws = {"laws": draw_laws} if reading.rule.laws else {}
    return Study(
        name="read",
        title=f"The path of the weights in {name}",
        paper="weightpath: ranks of the change and conservation laws of learning rules, derived here",
        claim=(
            "What a history of weights shows without knowledge of the task: where eigenvalues went, in how many "
            "directions the weights changed, and which learning rule's conservation law the movements of read-in, "
            "recurrent weights and read-out obey. The laws are those of linear networks with equal learning rates."
        ),
        config=HistorySettings,
        presets={},
        run=lambda config, **_: reading.to_dataset(),
        checks=_checks(reading),
        figures={"path": draw_path, **laws},
        tables=lambda dataset: _tables(reading),
    )


def _checks(reading: Any) -> list[Check]:
    """Findings of the reading; nothing is required of other people's weights."""
    rule, change = reading.rule, reading.change
    found = {
        "learning rule": rule.verdict,
        "confidence in it": rule.confidence,
        "why": rule.reason,
        "numerical rank of the change": change.numerical_rank,
        "effective rank of the change": change.effective_rank,
        "spectral radius at the end": float(abs(reading.spectrum.eigenvalues[-1]).max()),
    }
    return [
        Check(name, LAWS_SOURCE if name in ("learning rule", "confidence in it", "why") else "measured",
              lambda dataset, value=value: value, required=False)
        for name, value in found.items()
    ]  # fmt: skip


def _tables(reading: Any) -> list[Table]:
    laws = reading.rule.laws
    if not laws:
        return []
    rows = [
        Row(name, [Cell(_percent(s.unexplained), best=name == reading.rule.nearest), Cell(_percent(s.noise)),
                   Cell("" if s.drift is None else _percent(s.drift))])
        for name, s in laws.items()
    ]  # fmt: skip
    return [
        Table(
            title="Laws of the learning rules",
            note="What each law leaves of the movement, and the drift of what it conserves.",
            columns=["unexplained", "by noise", "drift"],
            rows=rows,
            reading=(
                "A law that holds leaves less than 5 %; what obeys BPTT's obeys those of truncation beyond 1 too. "
                "Drift: change of what the law conserves, over its path."
            ),
        )
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= 1e-5 else f"{share:.0e}"
