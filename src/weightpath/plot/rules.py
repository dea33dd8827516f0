"""Figures of learning rules on tasks: learning curves, alignment with the gradient, spectra of the change."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.rule_colours import rule_colour
from weightpath.plot.style import FONT_SIZE, MUTED, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset
else:
    Axes = Dataset = Figure = Any

#: Lines: full ones feed errors back through the read-out, broken ones through random feedback, dotted ones draw signs.
LINES = {"tBPTT-5": "-.", "UORO": ":", "KF-RTRL": ":"}


def look(rule: str) -> dict[str, Any]:
    """Colour and line of a rule."""
    line = "--" if rule.endswith("-R") else LINES.get(rule, "-")
    return {"color": rule_colour(rule), "linestyle": line, "linewidth": 1.4, "label": rule}


def plot_curves(dataset: Dataset, name: str, task: str, *, ax: Axes, y: str, level: float | None = None) -> Axes:
    """One quantity along learning on one task, a line for each rule; `level` is drawn for comparison."""
    if level is not None:
        ax.axhline(level, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    for rule in dataset["rule"].values.tolist():
        ax.plot(dataset["step"], dataset[name].sel(task=task, rule=rule), **look(rule))
    return finish(ax, x="learning step", y=y, title=task)


def plot_change_spectra(dataset: Dataset, task: str, *, ax: Axes, shown: int = 12) -> Axes:
    """Singular values of the change of the recurrent weights on one task, over the largest."""
    for rule in dataset["rule"].values.tolist():
        values = dataset["spectrum"].sel(task=task, rule=rule).values[:shown]
        ax.plot(np.arange(1, values.size + 1), values, marker="o", markersize=3, **look(rule))
    ax.set_yscale("log")
    ax.set_ylim(1e-4, 1.5)
    return finish(ax, x="number of the singular value", y="singular value over the largest", title=task)


def legend_beside(drawn: Figure, ax: Axes) -> None:
    """One legend for all panels, to their right."""
    handles, labels = ax.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside right center", frameon=False, fontsize=FONT_SIZE, handlelength=2.6)
