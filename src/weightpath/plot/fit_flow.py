"""Panels of the flow of a fitted network: fields by epoch, their change, and fixed points over trials."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.fit_states import condition_colours, given
from weightpath.plot.recording import phases
from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, figure, finish, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset
else:
    Axes = Dataset = Figure = Any

#: How a fixed point is drawn by its number of growing directions.
STABILITY = ("stable", "one growing direction", "two growing directions", "three or more")
_MARKS = {"saddle-node": "X", "pitchfork": "P", "Hopf": "D", "transcritical": "^", "zero eigenvalue": "v",
          "unpaired": "x", "degenerate": "*"}  # fmt: skip


def flow_field(dataset: Dataset, ax: Axes | None = None, *, epoch: int = 0, bar: bool = True) -> Axes:
    """Flow of an epoch's middle trial: direction (arrows), speed (shade), and the mean courses of conditions.

    Of a fit of rank 1: the flow along its line. `bar` adds the bar of the shades.
    """
    ax = given(ax)
    name = str(dataset["epoch"].values[epoch])
    if "flow" not in dataset:
        ax.plot(dataset["line"].values, dataset["line_flow"].values[epoch], color=COLOURS[epoch % len(COLOURS)])
        ax.axhline(0, color=INK, linewidth=0.8)
        return finish(ax, x=str(dataset["axis"].values[0]), y="flow [state per $\\tau$]", title=name)
    vectors = dataset["flow"].values[epoch]
    speed = np.linalg.norm(vectors, axis=-1)
    _arrows(ax, dataset, vectors / np.maximum(speed, np.finfo(float).tiny)[..., None], speed, bar)
    courses = dataset["state"].isel(epoch=epoch).values[..., :2]
    for colour, course in zip(condition_colours(len(courses)), courses, strict=True):
        ax.plot(*course.T, color=colour, linewidth=1.3)
        ax.plot(*course[0], "o", color=colour, markersize=3.5)
    return _plane(ax, dataset, f"{name}, trial {float(dataset['flow_trial'][epoch]):g}")


def flow_change(dataset: Dataset, ax: Axes | None = None, *, early: int = 0, late: int = -1, bar: bool = True) -> Axes:
    """Flow of a later epoch minus that of an earlier one at the same states: the change that the factors make.

    Arrows are as long as the change is large, relative to its largest; the shade is on the scale of the fields.
    """
    ax = given(ax)
    if "flow" not in dataset:
        change = dataset["line_flow"].values[late] - dataset["line_flow"].values[early]
        ax.plot(dataset["line"].values, change, color=INK)
        ax.axhline(0, color=INK, linewidth=0.8)
        return finish(ax, x=str(dataset["axis"].values[0]), y="change of flow", title="change")
    change = dataset["flow"].values[late] - dataset["flow"].values[early]
    speed = np.linalg.norm(change, axis=-1)
    _arrows(ax, dataset, 1.3 * change / max(float(speed.max()), np.finfo(float).tiny), speed, bar)
    return _plane(ax, dataset, "change")


def flow_panels(dataset: Dataset) -> Figure:
    """The flow fields of all epochs and the change from the first to the last one, with one bar of shades."""
    epochs = dataset.sizes["epoch"]
    count = epochs + (epochs > 1)
    columns = min(3, count)
    rows = -(-count // columns)
    drawn, axes = figure(rows, columns, width=7.2, height=2.25 * rows)
    panels = list(np.atleast_1d(axes).flat)
    for ax in panels[count:]:
        ax.set_visible(False)
    for epoch in range(epochs):
        flow_field(dataset, panels[epoch], epoch=epoch, bar=False)
    if epochs > 1:
        flow_change(dataset, panels[epochs], bar=False)
    if "flow" in dataset:
        _bar(drawn, panels[0].collections[0], panels[:count], float(np.linalg.norm(dataset["flow"], axis=-1).max()))
    return drawn


def fixed_points(dataset: Dataset, ax: Axes | None = None, *, drive: int = 0, axis: int = 0) -> Axes:
    """Fixed points over trials along one axis, by stability; symbols at the bottom: bifurcations within epochs.

    `drive`: 0 without input, 1 under the mean input.
    """
    ax = given(ax, width=6.8)
    trial = dataset["followed"].values
    phases(ax, dataset["trial"].values, dataset["epoch"].values[dataset["epoch_number"].values])
    points = dataset["fixed_point"].values[drive, ..., axis]
    unstable = dataset["fixed_point_unstable"].values[drive]
    border = np.interp(trial, dataset["trial"].values, dataset["epoch_number"].values).round()
    for row, growing in zip(points, unstable, strict=True):
        shown = np.where(growing >= 0, row, np.nan)
        for part in np.split(np.arange(len(trial)), np.flatnonzero(np.diff(border)) + 1):
            ax.plot(trial[part], shown[part], color=MUTED, linewidth=0.8, zorder=1)
    for number, label in enumerate(STABILITY):
        where = np.minimum(unstable, 3) == number
        if where.any():
            face = COLOURS[number] if number == 0 else "white"
            ax.plot(np.broadcast_to(trial, where.shape)[where], points[where], "o", color=COLOURS[number], label=label,
                    markersize=3.6, markerfacecolor=face, markeredgewidth=0.9)  # fmt: skip
    for event in _events(dataset):
        if event["drive"] == dataset["drive"].values[drive]:
            ax.plot(event["trial"], 0.04, _MARKS[event["kind"]], color=INK, markersize=5,
                    transform=ax.get_xaxis_transform(), clip_on=False, zorder=4)  # fmt: skip
    return finish(ax, x="trial", y=f"{dataset['drive'].values[drive]}\n{dataset['axis'].values[axis]}")


def fixed_point_panels(dataset: Dataset) -> Figure:
    """Fixed points over trials without input and under the mean input, with one legend."""
    drives = dataset.sizes["drive"]
    drawn, axes = figure(drives, 1, width=7.2, height=0.6 + 1.9 * drives, sharex=True)
    panels = list(np.atleast_1d(axes))
    for drive, ax in enumerate(panels):
        fixed_points(dataset, ax, drive=drive)
    for ax in panels[:-1]:
        ax.set_xlabel("")
    shown = dataset["fixed_point_unstable"].values
    for number, label in enumerate(STABILITY):
        if np.any(np.minimum(shown, 3) == number):
            face = COLOURS[number] if number == 0 else "white"
            panels[-1].plot([], [], "o", color=COLOURS[number], markerfacecolor=face, markersize=3.6, label=label)
    for kind in dict.fromkeys(event["kind"] for event in _events(dataset)):
        panels[-1].plot([], [], _MARKS[kind], color=INK, markersize=5, linestyle="none", label=kind)
    legend_below(panels[-1], ncols=3)
    return drawn


def _events(dataset: Dataset) -> list[dict[str, Any]]:
    """Bifurcations within epochs; the way across a border is one that no trial went."""
    return [event for event in json.loads(dataset.attrs["bifurcations"]) if not event["jump"]]


def _arrows(ax: Axes, dataset: Dataset, arrows: np.ndarray, speed: np.ndarray, with_bar: bool) -> None:
    """Arrows (length 1: most of a grid step) over a shade for the speed, on the scale of the fields of all epochs."""
    x, y = dataset["flow_x"].values, dataset["flow_y"].values
    largest = max(float(np.linalg.norm(dataset["flow"].values, axis=-1).max()), np.finfo(float).tiny)
    shade = ax.pcolormesh(x, y, speed, cmap="Greys", vmin=0, vmax=1.6 * largest, shading="nearest", rasterized=True)
    if with_bar:
        _bar(ax.figure, shade, ax, largest)
    length = 0.75 * min(x[1] - x[0], y[1] - y[0])
    ax.quiver(x, y, *np.moveaxis(length * arrows, -1, 0), angles="xy", scale_units="xy", scale=1, pivot="mid",
              color=INK, width=0.005, headwidth=4, headlength=4.5)  # fmt: skip


def _bar(drawn: Any, shade: Any, axes: Any, largest: float) -> None:
    bar = drawn.colorbar(shade, ax=axes, fraction=0.05, pad=0.02, shrink=0.7, boundaries=np.linspace(0, largest, 40))
    bar.set_ticks([0, float(f"{largest / 2:.1g}")])
    bar.set_label("speed [per $\\tau$]", fontsize=FONT_SIZE - 1)
    bar.ax.tick_params(labelsize=FONT_SIZE - 1)
    bar.outline.set_visible(False)


def _plane(ax: Axes, dataset: Dataset, title: str) -> Axes:
    names = dataset["axis"].values
    ax.set_aspect("equal")
    ax.grid(False)
    return finish(ax, x=str(names[0]), y=str(names[1]), title=title)
