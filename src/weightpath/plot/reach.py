"""Figures of reaching in a force field: loss, hand paths, ranks of the change, and what a fit to activity finds."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.recording import phases
from weightpath.plot.style import COLOURS, FONT_SIZE, MUTED, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

#: Colour and symbol of each way to learn.
WAYS = {"SGD": (COLOURS[0], "o"), "Adam": (COLOURS[1], "s")}


def plot_loss(dataset: Dataset, *, ax: Axes) -> Axes:
    """Loss of every step's batch, by way of learning."""
    phases(ax, dataset["step"].values, dataset["phase"].values)
    for way in dataset["way"].values.tolist():
        ax.plot(dataset["step"], dataset["loss"].sel(way=way), color=WAYS[way][0], linewidth=1.3, label=way)
    ax.set_yscale("log")
    return finish(ax, x="learning step", y="loss: squared distance of the hand", legend=True)


def plot_hands(dataset: Dataset, *, ax: Axes) -> Axes:
    """Paths of the hand at a few moments."""
    looks = ((MUTED, ":", 1.4), (COLOURS[1], "-", 1.4), (COLOURS[0], "-", 1.4), (COLOURS[2], "--", 1.4))
    for (colour, line, width), moment in zip(looks, dataset["moment"].values.tolist(), strict=True):
        for number, path in enumerate(dataset["hand"].sel(moment=moment).values):
            ax.plot(*path.T, color=colour, linestyle=line, linewidth=width, label=None if number else moment)
    ax.plot(*dataset["wanted"].values[:, -1].T, "x", color="black", markersize=5)
    ax.set_aspect("equal", adjustable="datalim")
    finish(ax, x="hand, x", y="hand, y")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 1, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.6)
    return ax


def plot_r2(dataset: Dataset, *, ax: Axes) -> Axes:
    """R^2 of the best sum of rank-one terms, by way of learning, and what is required of five terms."""
    for way in dataset["way"].values.tolist():
        colour, marker = WAYS[way]
        ax.plot(dataset["rank"], dataset["r2"].sel(way=way), marker + "-", color=colour, markersize=5, label=way)
    for level, colour, words in ((0.97, COLOURS[0], "≥ 0.97"), (0.90, COLOURS[1], "≤ 0.90")):
        ax.hlines(level, 4.4, 5.6, color=colour, linewidth=2.2, alpha=0.5)
        ax.text(5.75, level - 0.022, words, fontsize=FONT_SIZE - 1, color=colour, va="center")
    ax.set_xticks(dataset["rank"].values)
    ax.set_ylim(0, 1.03)
    finish(ax, x="rank-one terms R", y="$R^2$ of the change of the weights")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="lower right")
    return ax


def plot_unfoldings(dataset: Dataset, *, ax: Axes, shown: int = 40) -> Axes:
    """Singular values of the three unfoldings, by way of learning."""
    lines = ("-", "--", ":")
    for way in dataset["way"].values.tolist():
        for line, mode in zip(lines, dataset["mode"].values.tolist(), strict=True):
            values = dataset["unfolding_value"].sel(way=way, mode=mode).values[:shown]
            ax.plot(np.arange(1, len(values) + 1), values, line, color=WAYS[way][0], linewidth=1.4)
    for way in dataset["way"].values.tolist():
        ax.plot([], [], color=WAYS[way][0], label=way)
    for line, mode in zip(lines, dataset["mode"].values.tolist(), strict=True):
        ax.plot([], [], line, color=MUTED, label=f"rows: {mode}s")
    ax.set_yscale("log")
    ax.set_ylim(1e-7, 1.5)
    finish(ax, x="number of the singular value", y="singular value over the largest")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 1.5, loc="lower left", handlelength=1.6)
    return ax


def plot_slices(dataset: Dataset, *, ax: Axes) -> Axes:
    """Singular values that hold 99% of the change at every step."""
    phases(ax, dataset["step"].values, dataset["phase"].values)
    for way in dataset["way"].values.tolist():
        ax.plot(dataset["step"], dataset["slice_count"].sel(way=way), color=WAYS[way][0], linewidth=1.4, label=way)
    ax.set_ylim(0, None)
    finish(ax, x="learning step", y="directions for 99% of the change")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="center right")
    return ax


def plot_angles(dataset: Dataset, *, ax: Axes) -> Axes:
    """Principal angles to the directions of the change: of the fits, of the activity, of random directions."""
    straight = dataset.sel(reaches="straight")
    lines = (
        (dataset["angle_fit"].sel(reaches="scattered"), COLOURS[0], "o-", "fit, scattered reaches"),
        (straight["angle_fit"], COLOURS[1], "s-", "fit, straight reaches"),
        (straight["angle_activity"], COLOURS[2], "D--", "principal directions of the activity"),
        (dataset["angle_chance"], MUTED, ":", "random directions"),
    )
    for values, colour, style, label in lines:
        ax.plot(np.arange(1, values.size + 1), values.values, style, color=colour, markersize=5, label=label)
    ax.set_xticks(np.arange(1, dataset.sizes["angle_number"] + 1))
    ax.set_ylim(0, 145)
    ax.set_yticks([0, 30, 60, 90])
    finish(ax, x="principal angle", y="angle to the change [deg]")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 1, loc="upper left")
    return ax


def plot_factors(dataset: Dataset, kind: str, *, ax: Axes) -> Axes:
    """Trial factors, each over its largest magnitude: of the "weights", or of the fit to "scattered" or "straight"."""
    if kind == "weights":
        factors = dataset["weights_factor"].values
    else:
        factors = dataset["fit_factor"].sel(reaches=kind).transpose("step", "component").values
        before = dataset["phase"].values == dataset["phase"].values[0]
        factors = factors - factors[before].mean(axis=0)
    phases(ax, dataset["step"].values, dataset["phase"].values)
    for colour, column in zip(COLOURS, factors.T, strict=False):
        sign = 1.0 if abs(column.max()) >= abs(column.min()) else -1.0
        ax.plot(column * sign / np.abs(column).max(), color=colour, linewidth=1.2)
    words = {"weights": "of the weights", "scattered": "of the fit\n(scattered)", "straight": "of the fit\n(straight)"}
    ax.set_ylim(-1.05, 1.1)
    return finish(ax, x="learning step", y=f"trial factors {words[kind]}")
