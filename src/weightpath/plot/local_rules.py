"""Figures of local rules: alignment along learning, spectra of the change by rule, energies of tanh networks."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.rule_colours import rule_colour
from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

#: Learning time up to which alignment is drawn; nothing turns later.
SHOWN = 15.0
#: Singular values below this share of the largest are drawn here.
FLOOR = 1e-17
MEASURES = {
    "input_output": "read-out and read-in\ncos(Aᵀu, Bv)",
    "recurrent": "recurrent\ncos(Bv, WBv)",
    "feedback": "read-out and feedback\ncos(Aᵀu, Rᵀu)",
}


def plot_alignment(dataset: Dataset, measure: str, rule: str, *, ax: Axes) -> Axes:
    """One measure of the four modes along learning for one rule: the mean over networks, and their range."""
    part = dataset[measure].sel(rule=rule).transpose("mode", "align_step", "align_seed")
    time = dataset["align_step"].values * dataset.attrs["align_rate"]
    for colour, mode in zip(COLOURS, dataset["mode"].values.tolist(), strict=False):
        values = part.sel(mode=mode).values
        ax.fill_between(time, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.13, linewidth=0)
        ax.plot(time, values.mean(axis=1), color=colour, linewidth=1.4, label=f"mode {mode}")
    ax.axhline(0, color=MUTED, linewidth=0.7)
    ax.set_ylim(-0.75, 1.05)
    ax.set_xlim(time[0], min(SHOWN, time[-1]))
    return finish(ax)


def plot_rule_spectra(dataset: Dataset, *, ax: Axes) -> Axes:
    """Singular values of the last change over the largest, every network, one colour a rule."""
    for offset, rule in zip((-0.24, -0.08, 0.08, 0.24), dataset["rule"].values.tolist(), strict=True):
        part = dataset.sel(rule=rule)
        values = np.maximum(part["value"].transpose("eig", "rank_seed").values, FLOOR)
        places = np.repeat(dataset["eig"].values[:, None] + offset, values.shape[1], axis=1)
        rank = float(part["effective_rank"].median())
        label = f"{rule}: effective rank {rank:.2f}"
        ax.plot(places.ravel(), values.ravel(), "o", color=rule_colour(rule), markersize=3, alpha=0.55, linewidth=0)
        ax.plot(places[:, 0], np.median(values, axis=1), "_", color=rule_colour(rule), markersize=9, label=label)
    ax.set_yscale("log")
    ax.set_ylim(FLOOR / 3, 10)
    ax.set_xticks(dataset["eig"].values)
    finish(ax, x="number of the singular value", y="singular value over the largest")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="center", bbox_to_anchor=(0.66, 0.42))
    return ax


def plot_effective_rank(dataset: Dataset, *, ax: Axes) -> Axes:
    """Effective rank of the last change, a dot for each network and a bar for the median."""
    rules = dataset["rule"].values.tolist()
    for place, rule in enumerate(rules):
        values = np.sort(dataset["effective_rank"].sel(rule=rule).values)
        spread = np.linspace(-0.22, 0.22, values.size) if values.size > 1 else np.zeros(1)
        ax.plot(place + spread, values, "o", color=rule_colour(rule), markersize=4, alpha=0.7)
        ax.plot([place - 0.32, place + 0.32], [np.median(values)] * 2, color=INK, linewidth=1.4)
    ax.set_xticks(range(len(rules)), rules)
    ax.set_xlim(-0.6, len(rules) - 0.4)
    ax.set_ylim(0.8, None)
    ax.grid(False, axis="x")
    return finish(ax, y="effective rank of the change")


def plot_energy(dataset: Dataset, quantity: str, size: str, *, ax: Axes) -> Axes:
    """Energy of the change in o directions, one row a rule: dots for networks, filled for one output, open for two.

    `quantity`: "top" (the o largest singular values) or "inside" (the range of the transposed feedback).
    """
    rules = dataset["tanh_rule"].values.tolist()
    rows = np.arange(len(rules))[::-1]
    for row, rule in zip(rows, rules, strict=True):
        colour = rule_colour(rule.split(",")[0])
        for shift, taught in zip((0.14, -0.14), dataset["taught"].values.tolist(), strict=True):
            values = dataset[quantity].sel(tanh_rule=rule, size=size, taught=taught).values
            face = colour if taught == 1 else "white"
            ax.plot(values, np.full(values.size, row + shift), "o", color=colour, markerfacecolor=face, markersize=5)
    for taught, line in zip(dataset["taught"].values.tolist(), ("-", (0, (4, 3))), strict=True):
        if quantity == "inside":
            ax.axvline(taught / dataset.attrs["tanh_units"], color=MUTED, linewidth=0.9, linestyle=line)
    ax.set_yticks(rows, [rule.replace(", ", ",\n") for rule in rules])
    ax.set_ylim(-0.6, len(rules) - 0.4)
    ax.set_xlim(-0.03, 1.03)
    ax.grid(False, axis="y")
    words = {"top": "energy in the o largest singular values", "inside": "energy inside the range of the feedback"}
    return finish(ax, x=words[quantity])
