"""Held-out scores as the report shows them: models by schemes, whole trials and parts of trials apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies.recorded_reading import reading_tables
from weightpath.studies.tables import Cell, Row, Table

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

GROUPS = {
    "ltr": "Low-tensor-rank networks: weights move over trials",
    "mean": "Mean prediction of several fits",
    "control": "Control networks: nothing, or something else, changes",
    "baseline": "Descriptions of the data without a recurrent network",
    "plain": "Predictors without a network",
}
TITLES = {
    True: ("Held-out trials", "Whole trials are predicted from the others: this tests the course over learning."),
    False: (
        "Held-out parts of trials",
        "The rest of the same trial is seen: this tests the state of the trial, not learning.",
    ),
}
READING = (
    "R², and below it R² of the chosen model minus that of the row with its 95 % interval (paired, over trials). The "
    "chosen model is ▲ ahead or ▼ behind by at least two standard errors, or = level. Bold: the best of a column."
)


def score_tables(dataset: Dataset) -> list[Table]:
    """Tables for the schemes that hold out whole trials and parts of them, then those of the fitted network."""
    tables = []
    for whole, (title, sentence) in TITLES.items():
        schemes = dataset["scheme"].values[dataset["whole_trials"].values == whole].tolist()
        if schemes:
            tables.append(_table(dataset, schemes, title, f"{sentence} {_held_out(dataset, schemes)}"))
    return [*tables, *reading_tables(dataset)]


def _held_out(dataset: Dataset, schemes: list[str]) -> str:
    parts = []
    for name in schemes:
        one = dataset.sel(scheme=name)
        parts.append(f"{name}: {str(one['held_out'].item())} ({float(one['test_share']):.0%} of the entries)")
    return f"{'; '.join(parts)}."


def _table(dataset: Dataset, schemes: list[str], title: str, note: str) -> Table:
    best = {name: dataset["r2_mean"].sel(scheme=name).max().item() for name in schemes}
    order = list(GROUPS)
    kinds = dataset["kind"].values.tolist()
    models = sorted(range(len(kinds)), key=lambda place: order.index(kinds[place]))  # stable: the table's order
    rows = []
    for place in models:
        label, one = str(dataset["model"].values[place]), dataset.isel(model=place)
        chosen = label == dataset.attrs["chosen"]
        shown = str(one["described"].item())
        cells = [_cell(one.sel(scheme=name), best[name], chosen) for name in schemes]
        code = label if kinds[place] in ("control", "baseline", "plain") else ""
        rows.append(Row(shown, cells, GROUPS[kinds[place]], code, chosen))
    return Table(title, note, schemes, [*rows, *_ceilings(dataset, schemes)], READING)


def _ceilings(dataset: Dataset, schemes: list[str]) -> list[Row]:
    """What could be explained at all, where it is known."""
    rows, group = [], "What could be explained of single trials"
    for name, label in (("ceiling", "noise ceiling, from repeats"), ("ceiling_poisson", "noise ceiling, from counts")):
        values = [float(dataset[name].sel(scheme=scheme)) for scheme in schemes]
        if not np.isfinite(values).any():
            continue
        spread = [float(dataset["ceiling_se"].sel(scheme=scheme)) for scheme in schemes]
        known = name == "ceiling"
        cells = [
            Cell(f"{value:.4f}", f"± {se:.3f}, estimated lower bound" if known else "") if np.isfinite(value)
            else Cell("–")
            for value, se in zip(values, spread, strict=True)
        ]  # fmt: skip
        rows.append(Row(label, cells, group))
    return rows


def _cell(one: Dataset, best: float, chosen: bool) -> Cell:
    r2 = float(one["r2_mean"])
    if not np.isfinite(r2):
        return Cell("–")
    text = f"{r2:.4f}"
    if not bool((one["settled"] != 0).all()):
        text += " (not settled)"
    bits = float(one["bits_per_spike"])
    if np.isfinite(bits):
        text += f" · {bits:.3f} bits/spike"
    if chosen:
        return Cell(text, "chosen", best=r2 == best)
    value, se, low, high = (float(one[f"difference{end}"]) for end in ("", "_se", "_low", "_high"))
    if abs(value) < 2 * se:
        mark, tone = "=", "level"
    else:
        mark, tone = ("▲", "ahead") if value > 0 else ("▼", "behind")
    value, low, high = (round(number, 3) + 0.0 for number in (value, low, high))  # no "-0.000"
    detail = f"{mark} {value:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "\N{MINUS SIGN}")
    return Cell(text, detail, tone, best=r2 == best)
