"""Panels of the nonlinear neighbour in the study `integrate-white-noise`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FAINT, FONT_SIZE, INK, MUTED, finish, theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any


def plot_paths(dataset: Dataset, *, ax: Axes) -> Axes:
    """Outlier eigenvalue along learning: linear units (line) and saturating ones at several amplitudes."""
    from matplotlib import colormaps

    time, shown = dataset.nonlinear_time.values, [0.4, 0.8, 1.6, 3.2]
    colours = colormaps["viridis"](np.linspace(0.0, 0.85, len(shown)))
    ax.axhline(1 - dataset.attrs["nonlinear_decay"], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    theory(ax, time, dataset.linear_outlier.values, label="linear units")
    for amplitude, colour in zip(shown, colours, strict=True):
        path = dataset.saturation_outlier.sel(amplitude=amplitude).values
        ax.plot(time[::2], path[::2], "o", markersize=3.6, color=colour, label=f"amplitude {amplitude:g}")
    ax.annotate(
        "pole of the target", (time[0], 1 - dataset.attrs["nonlinear_decay"]), (0, 3), textcoords="offset points",
        ha="left", va="bottom", fontsize=FONT_SIZE - 1, color=MUTED,
    )  # fmt: skip
    return finish(ax, x="learning time [learning rate × steps]", y="outlier eigenvalue of W", legend=True)


def plot_errors(dataset: Dataset, *, ax: Axes) -> Axes:
    """What saturation changes, against the amplitude of the input, with the slope of 2 and the size of the states."""
    amplitude = dataset.amplitude.values
    parts = (("outlier", "outlier's path", "o", 1), ("loss", "loss", "s", 0), ("filter", "learned filter", "^", 2))
    for level, words in ((0.1, "10 %"), (0.01, "1 %")):
        ax.axhline(level, color=FAINT, linewidth=2.5, zorder=0)
        ax.annotate(
            words, (1, level), (-2, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", fontsize=FONT_SIZE - 1, color=MUTED,
        )  # fmt: skip
    for name, label, marker, colour in parts:
        error = dataset[f"saturation_{name}_error"].values
        ax.plot(amplitude, error, marker, markersize=5.5, color=COLOURS[colour], label=label)
    slope = dataset.saturation_outlier_error.values[0] * (amplitude / amplitude[0]) ** 2
    ax.plot(amplitude[:5], slope[:5], color=INK, linewidth=1.1, linestyle=":", label="amplitude squared")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(amplitude, [f"{value:g}" for value in amplitude])
    ax.minorticks_off()
    above = ax.secondary_xaxis("top")
    above.set_xticks(amplitude, [f"{value:.2g}" for value in dataset.saturation_state.values])
    above.minorticks_off()
    above.tick_params(labelsize=FONT_SIZE - 1, color=MUTED, labelcolor=MUTED)
    above.spines["top"].set_visible(False)
    above.set_xlabel("rms state of a unit", fontsize=FONT_SIZE - 0.5, color=MUTED)
    return finish(ax, x="amplitude of the input", y="relative difference from linear units", legend=True)
