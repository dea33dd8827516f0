"""Panels of the study `pole-by-pole`, drawn from its dataset into given axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, finish, legend_below, simulated, theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

LEARNING_TIME = "learning time [learning rate × steps]"
#: Losses are drawn down to this fraction of the first one; below, only the end of learning is left to see.
FLOOR = 3e-4


def plot_staircase(dataset: Dataset, *, ax: Axes) -> Axes:
    """Loss of several networks against learning time and the predicted plateaus, on a logarithmic axis."""
    time, loss = dataset.learning_time.values, dataset.loss.values
    floor = FLOOR * float(dataset.attrs["start_loss"])
    end = time[min(time.size - 1, int(np.max(np.argmax(loss < floor, axis=1))) or time.size - 1)]
    for row, path in enumerate(loss):
        colour = COLOURS[1:][row % (len(COLOURS) - 1)]
        ax.plot(time, path, color=colour, linewidth=1.3, alpha=0.9, label="networks" if row == 0 else None)
        marks = {"marker": "o", "markerfacecolor": "white", "markersize": 5, "linestyle": "none", "zorder": 4}
        label = "where they are slowest" if row == 0 else None
        ax.plot(dataset.slowest_time[row], dataset.slowest_loss[row], color=colour, label=label, **marks)
    _levels(ax, dataset.plateau_loss.values, dataset.plateau_order.values, end)
    ax.set_yscale("log")
    ax.set_ylim(floor, 2.2 * loss.max())
    ax.set_xlim(0, end)
    finish(ax, x=LEARNING_TIME, y="loss", title=f"networks of {dataset.attrs['units']} units")
    return legend_below(ax, ncols=3)


def _levels(ax: Axes, losses: np.ndarray, orders: np.ndarray, end: float) -> None:
    for loss, order in zip(losses, orders, strict=True):
        if loss > 0:
            theory(ax, [0, end], [loss, loss], label="predicted plateaus", linewidth=1.1, zorder=2)
            name = _count(order)
            ax.annotate(
                name, (0.985, loss), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                ha="right", fontsize=FONT_SIZE - 1, color=INK,
            )  # fmt: skip


def _count(order: Any) -> str:
    return "1 pole" if order == 1 else f"{order} poles"


def plot_other_networks(dataset: Dataset, *, ax: Axes) -> Axes:
    """Loss over its start for the networks with several channels and in discrete time, with their plateaus."""
    for index, case in enumerate(dataset.case.values):
        loss, levels = dataset.other_loss.sel(case=case).values, dataset.other_levels.sel(case=case).values
        colour, share = COLOURS[index], np.linspace(0, 1, loss.size)
        seen = np.argmax(loss < FLOOR * loss[0]) or loss.size - 1
        ax.plot(share / share[seen], loss / loss[0], color=colour, linewidth=1.5, label=str(case))
        for level in levels[np.isfinite(levels) & (levels > 0)]:
            ax.axhline(level / loss[0], color=colour, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
    ax.plot([], [], color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), label="predicted plateaus")
    ax.set_yscale("log")
    ax.set_ylim(FLOOR, 2.2)
    ax.set_xlim(0, 1)
    finish(ax, x="share of the time shown", y="loss / loss at the start", title="other networks")
    return legend_below(ax, ncols=2)


def plot_plane(dataset: Dataset, *, ax: Axes) -> Axes:
    """Poles of one network in the complex plane along learning, and the predicted chain of paths."""
    time = dataset.learning_time.values
    shade = np.log1p(time / time[-1] * 20)
    theory(ax, dataset.path_re, dataset.path_im, label="predicted paths", linewidth=1.1, zorder=2)
    for pole in range(dataset.sizes["pole"]):
        values = dataset.isel(pole=pole)
        _scatter(ax, values.pole_re, values.pole_im, shade)
    middle = dataset.plateau_loss.values > 0
    ax.plot(
        dataset.plateau_pole_re.values[middle].ravel(), dataset.plateau_pole_im.values[middle].ravel(), "s",
        markersize=7, markerfacecolor="white", markeredgecolor=COLOURS[0], markeredgewidth=1.4, zorder=4,
        label="poles on predicted plateaus",
    )  # fmt: skip
    last = dataset.isel(plateau=-1)
    ax.plot(
        last.plateau_pole_re,
        last.plateau_pole_im,
        "x",
        color=INK,
        markersize=9,
        markeredgewidth=1.8,
        zorder=5,
        label="poles of the target",
    )
    ax.plot([], [], "o", color=COLOURS[1], markersize=4, label="network (dark: late)")
    ax.margins(0.08)
    finish(ax, x="Re eigenvalue of W", y="Im eigenvalue of W")
    return legend_below(ax, ncols=2)


def _scatter(ax: Axes, x: Any, y: Any, shade: np.ndarray) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    pale_to_dark = LinearSegmentedColormap.from_list("late", ["#F9DCC4", COLOURS[1], "#6B2C00"])
    ax.scatter(x, y, c=shade, cmap=pale_to_dark, s=9, linewidths=0, zorder=3)


def plot_pole_times(dataset: Dataset, *, ax: Axes) -> Axes:
    """Real parts of the poles of one network against learning time, and those of the predicted plateaus."""
    time, left = dataset.learning_time.values, dataset.leaving_times_own.values
    end = min(time[-1], 1.6 * left[-1])
    bounds = [0.0, *left, end]
    for index in range(dataset.sizes["plateau"]):
        values = np.unique(np.round(dataset.plateau_pole_re.values[index], 9))
        for value in values[np.isfinite(values)]:
            theory(ax, bounds[index : index + 2], [value] * 2, label="predicted plateaus", linewidth=1.4)
    for edge in left:
        ax.axvline(edge, color=MUTED, linewidth=0.8, linestyle=":", zorder=1)
    shown = time <= end
    for pole in range(dataset.sizes["pole"]):
        label = "network" if pole == 0 else "_again"  # matplotlib leaves names with an underscore out of legends
        simulated(ax, time[shown], dataset.pole_re.values[shown, pole], label=label, color=COLOURS[1], markersize=3.6)
    ax.set_xlim(0, end)
    finish(ax, x=LEARNING_TIME, y="Re eigenvalue of W")
    return legend_below(ax, ncols=2)


def plot_filters(dataset: Dataset, *, axes: Any) -> Any:
    """Responses of one network on its plateaus and at the end: one panel each."""
    time = dataset.time.values
    for index, ax in enumerate(axes):
        order = int(dataset.plateau_order[index])
        ax.plot(time, dataset.target_filter, color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)), label="target")
        theory(ax, time, dataset.predicted_filter[index].values, label="best filter")
        simulated(ax, time, dataset["filter"][index].values, label="network", markersize=3.8)
        last = index == len(axes) - 1
        title = "after learning" if last else f"plateau with {_count(order)}"
        finish(ax, x="time after pulse", y="response" if index == 0 else "", title=title)
    legend_below(axes[len(axes) // 2], ncols=3)
    return axes


def plot_delays(dataset: Dataset, *, ax: Axes) -> Axes:
    """Time at which each plateau is left against the size of the start, and the predicted slopes."""
    sizes, times = dataset["size"].values, dataset.leaving_time.values
    for index in range(dataset.sizes["visited"]):
        slope = float(dataset.predicted_delay[index])
        line = times[-1, index] - slope * np.log10(sizes / sizes[-1])
        order = int(dataset.plateau_order[index])
        theory(ax, sizes, line, label="predicted slope" if index == 0 else "_again")
        name = f"plateau with {_count(order)}"
        simulated(ax, sizes, times[:, index], label=name, color=COLOURS[index + 1])
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set_ylim(0, None)
    return finish(ax, x="size of the start", y="time at which the plateau is left", legend=True)
