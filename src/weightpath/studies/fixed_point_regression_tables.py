"""Tables of the study of fixed-point regression: the whole sweep of every rule, and what holds beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies.fixed_point_regression_checks import best, spectrum
from weightpath.studies.tables import Cell, Row, Table

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


def text(ds: Dataset) -> str:
    """Last losses of all rules and rates, networks under each other, in at most 80 columns."""
    rates = ds["rate"].values
    lines = [f"loss after {int(ds['update'][-1])} updates at each learning rate (best of a rule: *)"]
    lines.append(f"{'network':10}{'rule':6}" + "".join(f"{f'{rate:g}':>12}" for rate in rates))
    for network in ds["network"].values:
        for rule in ds["rule"].values:
            values = [_last(ds, network, rule, rate) for rate in rates]
            lines.append(
                f"{str(network):10}{rule:6}" + "".join(f"{value:>12}" for value in _starred(ds, network, rule, values))
            )
    lines.append("one unit from w = 0, 0.9 and beyond the pole (1.5), loss after 200 updates:")
    for rule in ds["rule"].values:
        cells = [_unit_end(ds, start, rule) for start in ds["unit_start"].values]
        lines.append(f"{rule:16}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)


def report_tables(ds: Dataset) -> list[Table]:
    """Losses by rule and rate, and what is left in the weights."""
    return [_losses(ds), _spectra(ds), _ranks(ds)]


def _losses(ds: Dataset) -> Table:
    rates, rows = ds["rate"].values, []
    for network in ds["network"].values:
        for rule in ds["rule"].values:
            least = float(best(ds, rule).sel(network=network))
            cells = [
                Cell(_last(ds, network, rule, rate), best=_value(ds, network, rule, rate) == least) for rate in rates
            ]
            rows.append(Row(str(rule), cells, group=f"network {network}"))
    return Table(
        title=f"Loss after {int(ds['update'][-1])} updates",
        note="Every rule at every learning rate. dW1: gradient; dW2: exact reparameterised step; dW3: its linear form.",
        columns=[f"rate {rate:g}" for rate in rates],
        rows=rows,
        reading=(
            "Rules have different natural scales: compare them at each one's best rate, not at one shared rate. "
            "Losses below about 1e-26 are rounding. A run that ended early shows why."
        ),
        head="Rule",
    )


def _spectra(ds: Dataset) -> Table:
    rows = []
    for network in ds["network"].values:
        part = ds.sel(network=network)
        keys = [None, *((rule, rate) for rule in ds["rule"].values for rate in (1.0, 3.0))]
        for key in keys:
            abscissa, radius = spectrum(part, key)
            label = "start" if key is None else f"{key[0]}, rate {key[1]:g}"
            stable = "yes" if abscissa < 1 else "no"
            rows.append(
                Row(label, [Cell(f"{abscissa:.3f}"), Cell(f"{radius:.3f}"), Cell(stable)], f"network {network}")
            )
    return Table(
        title="Eigenvalues of the recurrent weights after learning",
        note="Largest real part (the flow is stable below 1) and largest modulus (iteration needs it below 1).",
        columns=("spectral abscissa", "spectral radius", "stable flow"),
        rows=rows,
        reading="No rule asks for stability; it is looked at here and not enforced.",
        head="Run",
    )


def _ranks(ds: Dataset) -> Table:
    rows = []
    for rule in ds["rule"].values:
        ranks = ds["unfolding_rank"].sel(rule=rule).values
        outside = ds["outside"].sel(rule=rule).values
        rows.append(Row(str(rule), [*(Cell(str(rank)) for rank in ranks), *(Cell(f"{x:.1e}") for x in outside)]))
    return Table(
        title=f"Rank of the path of weights, {int(ds['few_samples'])} samples",
        note=f"{int(ds['few_updates'])} updates at rate 1; multilinear rank of the change (update, post, pre), and the "
        "share of the last change outside the column and row space of the rule's first update.",
        columns=("update", "post", "pre", "outside columns", "outside rows"),
        rows=rows,
        reading="dW2 and dW3 stay in the spaces of M(AX - T) and of Mᵀ X, M = 1 - W, for the whole path; dW1 does not.",
        head="Rule",
    )


def _value(ds: Dataset, network: Any, rule: Any, rate: float) -> float:
    return float(ds["loss"].sel(network=network, rule=rule, rate=rate).isel(update=-1))


def _last(ds: Dataset, network: Any, rule: Any, rate: float) -> str:
    value = _value(ds, network, rule, rate)
    return (
        f"{value:.3g}" if np.isfinite(value) else str(ds["outcome"].sel(network=network, rule=rule, rate=rate).item())
    )


def _starred(ds: Dataset, network: Any, rule: Any, cells: list[str]) -> list[str]:
    values = np.array([_value(ds, network, rule, rate) for rate in ds["rate"].values])
    if not np.isfinite(values).any():
        return cells
    chosen = int(np.nanargmin(values))
    return [f"{cell}*" if index == chosen else f"{cell} " for index, cell in enumerate(cells)]


def _unit_end(ds: Dataset, start: float, rule: Any) -> str:
    here = {"unit_start": start, "rule": rule}
    outcome, last = str(ds["unit_outcome"].sel(here).item()), int(ds["unit_last"].sel(here))
    if outcome != "successful":
        return f"{outcome} ({last})"
    return f"{float(ds['unit_loss'].sel(here)[-1]):.3g}"
