"""Sections of a loss through weight space: lines and planes, with poles and the border of stability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FONT_SIZE, INK, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

STABLE, POLE = "#D6EADF", COLOURS[1]


def loss_section(dataset: Dataset, *, ax: Axes, radius: tuple[float, float] | None = None, legend: bool = True) -> Axes:
    """Loss along a line on a logarithmic axis; vertical lines at poles, the stable range shaded.

    `dataset`: of an `analysis.Landscape` on a line; `radius`: ends of the stable range, if they are known better than
    from the points.
    """
    t, loss = dataset["t"].values, dataset["loss"].values
    if radius is None:
        joined = _around_zero(t, dataset["stable"].values)
        radius = (float(t[joined][0]), float(t[joined][-1])) if joined.any() else None
    if radius is not None:
        low, high = np.clip(radius, t[0], t[-1])
        ax.axvspan(low, high, color=STABLE, linewidth=0, zorder=0, label="stable")
    for index, pole in enumerate(np.atleast_1d(dataset["pole"].values) if "pole" in dataset else []):
        ax.axvline(pole, color=POLE, linewidth=0.9, linestyle=(0, (3, 2)), label="poles" if index == 0 else "_again")
    ax.plot(t, loss, color=COLOURS[0], linewidth=1.4, label="loss")
    ax.set_yscale("log")
    ax.set_xlim(t[0], t[-1])
    return finish(ax, x="distance t along the direction", y="loss", legend=legend)


def loss_plane(dataset: Dataset, *, ax: Axes, bar: bool = True) -> Axes:
    """Loss on a plane as a logarithmic map, points of the pole curves, and the border of the stable region.

    `dataset`: of an `analysis.Landscape` on a plane; `bar`: also a colour bar beside the axes.
    """
    from matplotlib.colors import LogNorm

    first, second, loss = dataset["t"].values, dataset["other_t"].values, dataset["loss"].values
    usable = loss[np.isfinite(loss) & (loss > 0)]
    # The few points next to a pole would take the whole scale.
    low, high = np.quantile(usable, [0.0, 0.98])
    norm = LogNorm(max(low, 1e-6 * high), high)
    shown = ax.pcolormesh(first, second, np.clip(loss, norm.vmin, norm.vmax).T, norm=norm, cmap="Blues", zorder=0)
    ax.grid(False)
    if "pole_point" in dataset:
        points = dataset["pole_point"].values
        ax.plot(points[:, 0], points[:, 1], ".", color=POLE, markersize=2.2, label="poles")
    margin = dataset["margin"].values
    if np.nanmin(margin) < 0 < np.nanmax(margin):
        ax.contour(first, second, margin.T, levels=[0], colors=[INK], linewidths=1.4)
        ax.plot([], [], color=INK, linewidth=1.4, label="border of stability")
    ax.plot(0, 0, "+", color=INK, markersize=8, markeredgewidth=1.4)
    if bar:
        scale = ax.figure.colorbar(shown, ax=ax, extend="max", pad=0.02)
        scale.set_label("loss", fontsize=FONT_SIZE)
        scale.ax.tick_params(labelsize=FONT_SIZE - 1)
    return finish(ax, x="along the first direction", y="along the second")


def _around_zero(t: np.ndarray, stable: np.ndarray) -> np.ndarray:
    """Stable points that are joined to t = 0 by stable points."""
    start = int(np.argmin(np.abs(t)))
    left = np.cumprod(stable[: start + 1][::-1])[::-1]
    return np.concatenate([left[:-1], np.cumprod(stable[start:])]).astype(bool)
