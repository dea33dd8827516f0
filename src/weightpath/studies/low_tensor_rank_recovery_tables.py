"""The table a lab plans with: detection and recovery by noise, change, neurons and number of trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies.tables import Cell, Row, Table

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

READING = (
    "Sessions in which a network with moving weights predicts held-out trials better than one with fixed weights by "
    "two paired standard errors; below: correlation of fitted and planted trial factors, and R² of the flow field, "
    "medians over sessions."
)


def planning_table(dataset: Dataset) -> Table:
    """Rows: kinds of experiment; columns: numbers of trials."""
    trials = sorted(set(dataset["trials"].values.tolist()))
    names = ("noise", "change", "neurons", "rate")
    kinds = list(dict.fromkeys(zip(*(dataset[name].values.tolist() for name in names), strict=True)))
    kinds = list({str(kind): kind for kind in kinds}.values())  # NaN is not equal to itself
    rows = []
    for kind in kinds:
        cells = [_cell(dataset, dict(zip(names, kind, strict=True)) | {"trials": one}) for one in trials]
        rows.append(Row(_words(*kind), cells, _group(*kind)))
    note = "Every fourth trial is held out; 20 bins in each trial, two factors, four conditions."
    return Table("How many trials", note, [f"{one} trials" for one in trials], rows, READING, head="session")


def _words(noise: float, change: float, neurons: int, rate: float) -> str:
    size = "no change" if change == 0 else f"change {change:g}"
    return f"{size}, {neurons} neurons"


def _group(noise: float, change: float, neurons: int, rate: float) -> str:
    if np.isfinite(rate):
        return f"Spike counts at {rate:g} Hz in bins of 50 ms"
    return f"Noise {noise:g} times the sd of the activity, in every bin"


def _cell(dataset: Dataset, at: dict[str, float]) -> Cell:
    keep = np.ones(dataset.sizes["cell"], bool)
    for name, value in at.items():
        found = dataset[name].values
        keep &= (found == value) | (np.isnan(found) & bool(np.isnan(value)))
    if not keep.any():
        return Cell("–")
    one = dataset.isel(cell=int(np.argmax(keep)))
    detected = one["detected_planning"].values
    factors, flow = float(one["correlation_planning"].median()), float(one["flow_full_planning"].median())
    course = "" if np.isnan(factors) else f"factors {factors:.2f}, "
    return Cell(f"{int(detected.sum())} of {detected.size}", f"{course}flow {flow:.2f}")
