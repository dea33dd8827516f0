"""Panels of the study `integrate-white-noise`, drawn from its dataset into given axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FAINT, INK, MUTED, finish, legend_below, simulated, theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

LEARNING_TIME = "learning time [learning rate × steps]"


def plot_outlier(dataset: Dataset, *, ax: Axes) -> Axes:
    """Outlier eigenvalue against learning time: networks (mean and s.d.) and theory, with the bulk and the target."""
    time, outlier = dataset.learning_time.values, dataset.outlier.values
    gain, target = dataset.attrs["gain"], 1 - dataset.attrs["decay"]
    if gain > 0:
        ax.axhspan(-gain, gain, color=FAINT, zorder=0, label="initial bulk")
    ax.axhline(target, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="pole of the target")
    theory(ax, time, dataset.predicted_outlier.values, label="theory" if _holds(dataset) else "theory (outside regime)")
    label = f"{outlier.shape[0]} networks, N={dataset.attrs['units']}"
    simulated(ax, time, outlier.mean(0), spread=outlier.std(0), label=label)
    finish(ax, x=LEARNING_TIME, y="outlier eigenvalue of W")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.3 * (high - low))  # room for the legend above the data
    ax.legend(frameon=False, fontsize=8, loc="upper left", ncols=2, columnspacing=1.0, borderaxespad=0.2)
    return ax


def plot_loss(dataset: Dataset, *, ax: Axes) -> Axes:
    """Loss against learning time on a logarithmic axis."""
    time, loss = dataset.learning_time.values, dataset.loss.values
    floor = 1e-9 * loss[:, 0].mean()
    theory(ax, time, np.maximum(dataset.predicted_loss.values, floor))
    logs = np.log(np.maximum(loss, floor))
    middle = np.exp(logs.mean(0))
    simulated(ax, time, middle, label="networks")
    ax.fill_between(
        time, np.exp(logs.mean(0) - logs.std(0)), np.exp(logs.mean(0) + logs.std(0)),
        color=COLOURS[1], alpha=0.2, linewidth=0,
    )  # fmt: skip
    ax.set_yscale("log")
    return finish(ax, x=LEARNING_TIME, y="loss", legend=True)


def _holds(dataset: Dataset) -> bool:
    """Whether the theory is inside its regime at the settings of the dataset."""
    return str(dataset.attrs["regime"]).startswith("inside")


def plot_spectrum(dataset: Dataset, *, ax: Axes, whole: bool, pace: float = 0.1) -> Axes:
    """Eigenvalues of one network before and after learning: the `whole` plane with the outlier, or the bulk alone.

    The outlier's path: ticks of the network at steps of `pace` of learning time while it is between the bulk and the
    target, and the theory's line where the theory is inside its regime.
    """
    gain, target = dataset.attrs["gain"], 1 - dataset.attrs["decay"]
    whole_bulk = bool(dataset.bulk_drawn)
    small = min(1.0, (150 / dataset.attrs["units"]) ** 0.25) if whole_bulk else 1.0
    _disk(ax, gain)
    if whole:
        path, time = dataset.predicted_outlier.values, dataset.learning_time.values
        if _holds(dataset):
            theory(ax, path, np.zeros(path.size), label="path of the outlier, theory", zorder=1.5)
        seen = dataset.outlier.values[0, np.searchsorted(time, np.arange(0.0, time[-1], pace))]
        seen = seen[(np.abs(seen) > 1.05 * gain) & (np.abs(seen - target) > 0.05)]
        label = f"outlier, every {pace:g} of learning time"
        ax.plot(seen, 0 * seen, "|", markersize=9, markeredgewidth=1.3, color=COLOURS[1], label=label)
        ax.plot([target], [0], marker="+", markersize=15, color=MUTED, linestyle="none", label="pole of the target")
    for phase, style in (
        ("before", {"markersize": 5.5 * small, "markerfacecolor": "none", "color": COLOURS[0]}),
        ("after", {"markersize": 3.2 * small, "color": COLOURS[1]}),
    ):
        values = dataset.sel(phase=phase)
        ax.plot(values.eigenvalue_re, values.eigenvalue_im, "o", label=f"{phase} learning", **style)
    ax.set_aspect("equal", adjustable="box", anchor="N")
    if whole:
        low, high, tall = min(-gain, target) - 0.08, max(gain, target) + 0.08, max(1.15 * gain, 0.22)
        ax.set_xlim(low, high)
        ax.set_ylim(-tall, tall)
    else:
        edge = 1.25 * max(gain, 1e-3)
        ax.set_xlim(-edge, edge)
        ax.set_ylim(-edge, edge)
        ax.set_xticks([-gain, 0, gain])
        ax.set_yticks([-gain, 0, gain])
    title = f"the whole plane, N={dataset.attrs['units']}" if whole else "the bulk, enlarged"
    title = title if whole_bulk or whole else "the bulk: its disk"
    finish(ax, x="Re eigenvalue of W", y="Im eigenvalue of W", title=title)
    if whole:
        legend_below(ax, ncols=2)
    return ax


def _disk(ax: Axes, radius: float) -> None:
    from matplotlib.patches import Circle

    label = f"disk of radius {radius:g}"
    ax.add_patch(Circle((0, 0), radius, facecolor=FAINT, edgecolor=MUTED, linewidth=0.8, label=label, zorder=0))


def plot_filters(dataset: Dataset, *, ax: Axes) -> Axes:
    """Responses to a unit pulse at three stages of learning, and the target filter."""
    time = dataset.time.values
    theory(ax, time, dataset.target_filter.values, label="target")
    for stage, colour, marker in zip(dataset.stage.values, (COLOURS[0], COLOURS[2], COLOURS[1]), "s^o", strict=True):
        at = float(dataset.stage_time.sel(stage=stage))
        simulated(
            ax, time, dataset["filter"].sel(stage=stage).values,
            label=f"{stage} (learning time {at:.3g})", color=colour, marker=marker,
        )  # fmt: skip
    return finish(ax, x="time after pulse [membrane time constants]", y="response to a unit pulse", legend=True)


def plot_filter_error(dataset: Dataset, *, ax: Axes) -> Axes:
    """Difference of the learned filter from the target."""
    difference = dataset["filter"].sel(stage="after").values - dataset.target_filter.values
    ax.axhline(0, color=MUTED, linewidth=1)
    simulated(ax, dataset.time.values, difference, label="network after learning")
    ax.ticklabel_format(axis="y", style="sci", scilimits=(0, 0), useMathText=True)
    return finish(ax, x="time after pulse [membrane time constants]", y="response minus target")


def plot_learning_time(dataset: Dataset, *, ax: Axes) -> Axes:
    """Learning time to 1% of the initial loss against the decay of the target."""
    ax.axhline(float(dataset.collapse_time), color=MUTED, linewidth=1.2, linestyle=":", label="limit of slow targets")
    theory(ax, dataset.decay.values, dataset.predicted_time.values)
    simulated(ax, dataset.network_decay.values, dataset.measured_time.values, label="networks")
    ax.set_xscale("log")
    ax.set_ylim(0, None)
    return finish(ax, x=_DECAY, y="time to 1% loss [rate × steps]", legend=True)


def plot_steps(dataset: Dataset, *, ax: Axes) -> Axes:
    """Steps of gradient descent to 1% of the initial loss, at half the largest stable learning rate."""
    decay, steps = dataset.decay.values, 2 * dataset.predicted_time.values / dataset.largest_rate.values
    power = 0.4 * steps[0] * (decay / decay[0]) ** -3  # beside the curve, where the two slopes can be compared
    slow = decay < 0.12
    ax.plot(decay[slow], power[slow], color=MUTED, linewidth=1.2, linestyle=":", label="slope of decay$^{-3}$")
    theory(ax, dataset.decay.values, steps, label="theory: time / learning rate")
    simulated(ax, dataset.descent_decay.values, dataset.descent.values, label="gradient descent")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.margins(y=0.12)
    return finish(ax, x=_DECAY, y="steps to 1% loss", legend=True)


def plot_projection(dataset: Dataset, *, ax: Axes) -> Axes:
    """Error of the projection against the length of its longest word, with the stated ranges as bars."""
    depth, error = dataset.word_depth.values, dataset.depth_error.values
    low, high = dataset.depth_range.values.T
    ax.bar(
        dataset.stated_depth.values, high - low, 0.5, low, color=FAINT, edgecolor=MUTED, linewidth=0.6, zorder=1,
        label="stated range",
    )  # fmt: skip
    ax.plot(depth, np.exp(np.log(error).mean(0)), color=INK, linewidth=1.2, label="geometric mean", zorder=2)
    for index, row in enumerate(error):
        label = f"{len(error)} random start{'s' * (len(error) > 1)}" if index == 0 else None
        ax.plot(depth, row, "o", markersize=4.5, alpha=0.8, color=COLOURS[1], label=label, zorder=3)
    ax.set_yscale("log")
    ax.set_xticks(depth)
    return finish(ax, x="letters of the longest word", y="largest error of the loss", legend=True)


def plot_deviation(dataset: Dataset, *, ax: Axes) -> Axes:
    """Deviation of the outlier from the theory against the gain, by size: measured (markers) and stated (lines)."""
    gain = dataset.deviation_gain.values
    for colour, marker, units in zip((COLOURS[0], COLOURS[2], COLOURS[1]), "s^o", (25, 50, 100), strict=True):
        if units not in dataset.deviation_units.values:
            continue
        cell = {"deviation_of": "outlier", "deviation_units": units}
        ax.plot(gain, dataset.stated_deviation.sel(cell), color=colour, linewidth=1.2, label=f"stated, N={units}")
        measured = dataset.deviation.sel(cell).values
        label = f"{dataset.attrs['deviation_networks']} networks, N={units}"
        simulated(ax, gain, measured, label=label, color=colour, marker=marker)
    ax.set_xscale("log")
    ax.set_yscale("log")
    return finish(ax, x="gain of the initial weights", y="rms deviation of the outlier", legend=True)


_DECAY = "target decay c* [1/membrane time constant]"
