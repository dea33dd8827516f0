"""Panels of a fit's states, inputs and activity; each takes the dataset of `inference.reading.reading_dataset`.

Colours tell conditions, lines tell epochs (solid: the first, dashed: the second, ...), the same in all panels.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, axis_label, figure, finish, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

#: Lines of the epochs in order; further epochs start again.
LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (4, 1.5, 1, 1.5)))

#: Conditions that panels with data and model show.
FEW = 4


def given(ax: Axes | None, *, width: float = 3.6, height: float = 2.8) -> Axes:
    """`ax`, or the axes of a new figure of one panel."""
    return figure(width=width, height=height)[1] if ax is None else ax


def condition_colours(count: int) -> list:
    """One colour a condition: the fixed ones while they last, else steps through a map from dark to light."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    from matplotlib import colormaps

    return [colormaps["viridis"](share) for share in np.linspace(0, 0.92, count)]


def rates(dataset: Dataset, ax: Axes | None = None) -> Axes:
    """Rates tanh(x) of one trial, (unit, time), units sorted by the time of their peak."""
    ax = given(ax)
    values, time = dataset["rate"].values, dataset["time"].values
    half = (time[1] - time[0]) / 2 if len(time) > 1 else 0.5
    extent = (time[0] - half, time[-1] + half, len(values) + 0.5, 0.5)
    image = ax.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1, extent=extent, interpolation="nearest")
    ax.grid(False)
    bar = ax.figure.colorbar(image, ax=ax, ticks=[-1, 0, 1], fraction=0.06, pad=0.03)
    bar.ax.tick_params(labelsize=FONT_SIZE - 1)
    bar.outline.set_visible(False)
    return finish(ax, x=axis_label(dataset["time"]), y="unit, by peak", title=dataset["rate"].attrs["long_name"])


def few_conditions(dataset: Dataset) -> np.ndarray:
    """Indices of at most four conditions at equal steps, for panels that show data beside the model."""
    count = dataset.sizes["condition"]
    return np.unique(np.arange(min(count, FEW)) * count // min(count, FEW))


def neuron(dataset: Dataset, ax: Axes | None = None, *, which: int = 0) -> Axes:
    """One neuron over time: mean activity by condition and epoch (dots) and the model's (lines), at most four
    conditions.
    """
    ax = given(ax)
    one, some = dataset.isel(shown=which), few_conditions(dataset)
    _by_condition(ax, dataset, one["neuron_model"].values, some)
    time, colours = dataset["time"].values, condition_colours(dataset.sizes["condition"])
    for epoch, courses in enumerate(one["neuron_data"].values):
        for index in some:
            face = colours[index] if epoch == 0 else "white"
            ax.plot(time, courses[index], "o", color=colours[index], markersize=2.4, markerfacecolor=face,
                    markeredgewidth=0.7)  # fmt: skip
    return finish(ax, x=axis_label(dataset["time"]), y="activity", title=f"neuron {one['shown'].item()}")


def projection(dataset: Dataset, ax: Axes | None = None, *, component: int = 1) -> Axes:
    """States along the direction a_r of one component over time: mean of each condition and epoch."""
    ax = given(ax)
    _by_condition(ax, dataset, dataset["projection"].sel(component=component).values)
    return finish(ax, x=axis_label(dataset["time"]), y=f"$a_{{{component}}}^\\top x$")


def inputs(dataset: Dataset, ax: Axes | None = None, *, component: int = 1) -> Axes:
    """Input along the direction a_r of one component over time, for each condition and epoch."""
    ax = given(ax)
    _by_condition(ax, dataset, dataset["input"].sel(component=component).values)
    return finish(ax, x=axis_label(dataset["time"]), y=f"input along $a_{{{component}}}$")


def data_components(dataset: Dataset, ax: Axes | None = None, *, plane: tuple[int, int] = (0, 1)) -> Axes:
    """Mean activity in principal components of the data: data (dots) and model (lines), at most four conditions."""
    ax = given(ax)
    if dataset.sizes["principal"] <= max(plane):
        return _empty(ax, "a single component", x="PC 1")
    data, model = (dataset[name].values[..., list(plane)] for name in ("data_component", "model_component"))
    colours = condition_colours(data.shape[1])
    for epoch in range(len(data)):
        for index in few_conditions(dataset):
            colour, line = colours[index], LINES[epoch % len(LINES)]
            ax.plot(*model[epoch, index].T, color=colour, linestyle=line, linewidth=1.2)
            face = colour if epoch == 0 else "white"
            ax.plot(*data[epoch, index].T, "o", color=colour, markersize=2.2, markerfacecolor=face, markeredgewidth=0.6)
    share = dataset["component_share"].values
    names = [f"PC {one + 1} of the data ({share[one]:.0%})" for one in plane]
    return finish(ax, x=names[0], y=names[1])


def start_states(dataset: Dataset, ax: Axes | None = None) -> Axes:
    """States in one bin (`reading_bin`), one ring of condition means an epoch: open after the first epoch."""
    ax = given(ax)
    if dataset.sizes["axis"] < 2:
        return _empty(ax, "a single axis", x=str(dataset["axis"].values[0]))
    at, epoch = int(dataset.attrs["reading_bin"]), dataset["epoch_number"].values
    every = dataset["state_at"].values[:, :2]
    for number, means in enumerate(dataset["state"].isel(time=at).values[..., :2]):
        ax.plot(*every[epoch == number].T, ".", color=COLOURS[number % len(COLOURS)], markersize=1.2, alpha=0.25,
                rasterized=True)  # fmt: skip
        seen = means[np.isfinite(means).all(axis=1)]
        ring = np.concatenate([seen, seen[:1]])
        ax.plot(*ring.T, "o", color=COLOURS[number % len(COLOURS)], linestyle=LINES[number % len(LINES)],
                markersize=4, markerfacecolor=COLOURS[number % len(COLOURS)] if number == 0 else "white",
                linewidth=1.0, label=str(dataset["epoch"].values[number]))  # fmt: skip
    time, unit = dataset["time"].values[at], dataset["time"].attrs.get("units", "")
    names = dataset["axis"].values
    finish(ax, x=str(names[0]), y=str(names[1]), title=f"states at {time:g} {unit}")
    return legend_below(ax, ncols=1 if dataset.sizes["epoch"] < 3 else 2) if dataset.sizes["epoch"] > 1 else ax


def epoch_lines(dataset: Dataset, ax: Axes) -> Axes:
    """A legend of the lines of the epochs, above the axes."""
    for number, name in enumerate(dataset["epoch"].values.tolist()):
        ax.plot([], [], color=INK, linestyle=LINES[number % len(LINES)], linewidth=1.2, label=name)
    legend = ax.legend(
        frameon=False, fontsize=FONT_SIZE - 0.5, handlelength=1.8, ncols=4, columnspacing=0.9, borderaxespad=0.2,
        loc="lower left", bbox_to_anchor=(0, 1),
    )  # fmt: skip
    legend.set_in_layout(False)  # it may reach over the gap to the next panel
    return ax


def _by_condition(ax: Axes, dataset: Dataset, values: np.ndarray, some: np.ndarray | None = None) -> None:
    """Lines of `values` (epoch, condition, time), all conditions or `some`."""
    time, colours = dataset["time"].values, condition_colours(values.shape[1])
    for epoch, courses in enumerate(values):
        for index in range(len(courses)) if some is None else some:
            line = LINES[epoch % len(LINES)]
            ax.plot(time, courses[index], color=colours[index], linestyle=line, linewidth=1.2)


def _empty(ax: Axes, why: str, x: str) -> Axes:
    """A panel that has nothing to show says why."""
    ax.text(0.5, 0.5, why, ha="center", va="center", color=MUTED, fontsize=FONT_SIZE, transform=ax.transAxes)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    return finish(ax, x=x, y="–")
