"""How long learning of one mode takes, and what it conserves on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.modes_phase import LEARNING_TIME
from weightpath.plot.rule_colours import rule_colour, rule_marker
from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, finish, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

LINES = ("-", (0, (5, 1.5)), (0, (1.5, 1)))


def plot_plateau(dataset: Dataset, rule: str, *, ax: Axes) -> Axes:
    """Loss over its start against learning time from three small starts; dots: half of it."""
    one = dataset.sel(plateau_rule=rule)
    for line, scale in zip(LINES, one["scale"].values, strict=False):
        loss = one["plateau_loss"].sel(scale=scale).values
        half = float(one["half_time"].sel(scale=scale))
        label = f"start 10{_power(scale)}"
        ax.plot(one["plateau_time"].values, loss / loss[0], color=rule_colour(rule), linestyle=line, linewidth=1.6,
                label=label)  # fmt: skip
        ax.plot([half], [0.5], rule_marker(rule), color=rule_colour(rule), markersize=5, markeredgecolor="white")
    ax.set_xlim(0, 14)
    ax.set_ylim(0, 1.08)
    return finish(ax, x=LEARNING_TIME, y="loss / first loss", title=rule)


def _power(scale: float) -> str:
    return str(round(np.log10(scale))).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def plot_integrator(dataset: Dataset, *, ax: Axes) -> Axes:
    """Time to 1 % of the first loss as the memory grows: several settings of RFLO beside BPTT."""
    _long_memory(ax, dataset, "integrator_time")
    return finish(ax, x="1 − recurrent weight of the teacher", y="learning time to 1 % loss")


def plot_stiffness(dataset: Dataset, *, ax: Axes) -> Axes:
    """The fastest rate where learning ends, half of which is the inverse of the largest stable learning rate."""
    _long_memory(ax, dataset, "stiffness")
    finish(ax, x="1 − recurrent weight of the teacher", y="fastest rate at the end")
    return ax


def _long_memory(ax: Axes, dataset: Dataset, quantity: str) -> None:
    away = 1 - dataset["integrator_recurrent"].values
    seen: dict[str, int] = {}
    for name in dataset["integrator_rule"].values.tolist():
        kind = name.split("(")[0]
        line = LINES[seen.get(kind, 0)]
        seen[kind] = seen.get(kind, 0) + 1
        ax.plot(away, dataset[quantity].sel(integrator_rule=name).values, color=rule_colour(name), linestyle=line,
                marker=rule_marker(name), markersize=5, linewidth=1.4, label=name)  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.invert_xaxis()
    ax.set_xticks(away, [f"{value:g}" for value in np.round(away, 6)])
    ax.minorticks_off()


def plot_drift(dataset: Dataset, *, ax: Axes) -> Axes:
    """Drift of the conserved number along the flow of every reference case, one line each, over learning time."""
    for case in dataset["case"].values.tolist():
        one = dataset.sel(case=case)
        ax.plot(one["law_time"].values, np.maximum(one["drift"].values, 1e-17),
                color=rule_colour(str(one["case_rule"].values)), linewidth=1.1)  # fmt: skip
    for name in ("BPTT", "TruncatedBPTT", "RFLO", "EProp"):
        ax.plot([], [], color=rule_colour(name), label=name)
    ax.axhline(1e-8, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.annotate("allowed", (0.98, 1e-8), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                ha="right", fontsize=FONT_SIZE - 0.5, color=MUTED)  # fmt: skip
    ax.set_yscale("log")
    ax.set_ylim(1e-17, 1e-6)
    ax.set_xlim(0, dataset["law_time"].values[-1])
    finish(ax, x=LEARNING_TIME, y="drift of the conserved number")
    return legend_below(ax, ncols=2)


def plot_discrete(dataset: Dataset, *, ax: Axes) -> Axes:
    """Drift at time 20 under discrete updates against the learning rate (case R4): in proportion to it."""
    rate, drift = dataset["rate"].values, dataset["discrete_drift"].values
    line = np.geomspace(rate.min() / 1.3, rate.max() * 1.3, 2)
    ax.plot(line, drift[-1] * line / rate[-1], color=INK, linewidth=1.1, label="proportional")
    ax.plot(rate, drift, rule_marker("RFLO"), color=rule_colour("RFLO"), markersize=6, label="discrete updates")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(rate, [f"{value:g}" for value in rate])
    ax.set_yticks([0.01, 0.02, 0.04], ["0.01", "0.02", "0.04"])
    ax.minorticks_off()
    finish(ax, x="learning rate", y="drift at time 20")
    return legend_below(ax, ncols=1)


def plot_sequence(dataset: Dataset, *, ax: Axes) -> Axes:
    """Largest difference of the paths under the two losses, on trials of two lengths, by rule."""
    names, horizons = dataset["sequence_rule"].values.tolist(), dataset["horizon"].values
    place = np.arange(len(names))
    for column, horizon in enumerate(horizons):
        values = dataset["sequence_gap"].sel(horizon=horizon).values
        ax.bar(place + (column - 0.5) * 0.36, values, 0.34, color=(COLOURS[6], "#C4C8CD")[column % 2],
               label=f"trials of {horizon} inputs")  # fmt: skip
    ax.set_xticks(place, [name.split("(")[0] for name in names], rotation=20, ha="right")
    ax.grid(False, axis="x")
    finish(ax, y="difference of the paths")
    return legend_below(ax, ncols=1, points=46.0)
