"""Figures of one path of weights: eigenvalues, singular values of the change, and the laws of learning rules."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, figure, finish, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset
else:
    Axes = Figure = Dataset = Any

#: Shares below this are drawn here.
FLOOR = 1e-6


def weight_path(dataset: Dataset) -> Figure:
    """Eigenvalues, the singular values of the change, and its effective rank along learning.

    Left: eigenvalues of the first and the last weights, the disk of the bulk (dashed) and the paths of the outliers.
    Middle: singular values of the change from first to last; those below the dashed line are rounding. Right: effective
    rank of the change since the first weights.
    """
    drawn, axes = figure(1, 3, width=9.2, height=3.0, width_ratios=(1.05, 1, 1))
    plot_eigenvalues(dataset, ax=axes[0])
    plot_change(dataset, ax=axes[1])
    plot_effective_rank(dataset, ax=axes[2])
    return drawn


def plot_eigenvalues(dataset: Dataset, *, ax: Axes) -> Axes:
    """Eigenvalues at the first and the last record, and the paths of those that end outside the bulk."""
    values = dataset["eigenvalue"].values
    angle = np.linspace(0, 2 * np.pi, 200)
    radius = dataset.attrs["bulk_radius"]
    ax.plot(radius * np.cos(angle), radius * np.sin(angle), color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    for path in values[:, dataset["outlier"].values[-1]].T:
        ax.plot(path.real, path.imag, color=COLOURS[1], linewidth=0.9, alpha=0.6)
    for at, label, colour in ((0, "first", MUTED), (-1, "last", COLOURS[1])):
        ax.plot(values[at].real, values[at].imag, "o", color=colour, markersize=3.4, markeredgewidth=0, label=label)
    reach = 1.1 * max(float(np.abs(values).max()), radius)
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_aspect("equal", adjustable="box")
    finish(ax, x="real part", y="imaginary part", title="eigenvalues")
    legend_below(ax, ncols=2)
    return ax


def plot_change(dataset: Dataset, *, ax: Axes) -> Axes:
    """Singular values of the last change over the largest, with what counts as rounding."""
    values = dataset["change_value"].values[-1]
    largest = values.max()
    floor = max(dataset.attrs["threshold"] / largest, 1e-17)
    number = np.arange(1, values.size + 1)
    ax.plot(number, np.maximum(values / largest, 1e-17), "o-", color=COLOURS[0], markersize=3.2, linewidth=0.9)
    ax.axhline(floor, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.set_yscale("log")
    low = min(float(np.maximum(values / largest, 1e-17).min()), floor)
    ax.set_ylim(0.3 * low, 4)
    ax.set_xticks(np.unique(np.linspace(1, values.size, min(values.size, 6)).round()))
    words = f"rank {dataset.attrs['numerical_rank']}, effective {dataset['effective_rank'].values[-1]:.2f}"
    finish(ax, x="number", y="singular value / largest", title=f"change: {words}")
    return ax


def plot_effective_rank(dataset: Dataset, *, ax: Axes) -> Axes:
    """Effective rank of the change since the first weights, along learning."""
    time, rank = dataset["learning_time"].values[1:], dataset["effective_rank"].values[1:]
    ax.plot(time, rank, color=COLOURS[0], linewidth=1.4)
    outputs = int(dataset.attrs["outputs"])
    if outputs:
        ax.axhline(outputs, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
        ax.annotate(
            f"{outputs} output{'s' * (outputs > 1)}", (1, outputs), (-2, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", fontsize=FONT_SIZE - 0.5, color=MUTED,
        )  # fmt: skip
    ax.set_ylim(0, 1.18 * max(float(rank.max()), outputs, 1.0))
    return finish(ax, x="learning time", y="effective rank", title="effective rank of the change")


def rule_laws(dataset: Dataset) -> Figure:
    """What the law of each learning rule leaves of the movement unexplained.

    A law that holds leaves less than 5 % (left of the shaded band); one above 15 % (right of it) does not hold. Open
    marks: what observation noise alone would leave.
    """
    names = [str(name).replace("TruncatedBPTT", "truncated BPTT ") for name in dataset["law"].values]
    names = [name.replace("EProp", "e-prop").replace(", symmetric", ", through the read-out") for name in names]
    drawn, ax = figure(1, 1, width=6.0, height=0.9 + 0.27 * max(len(names), 3))
    rows = np.arange(len(names))[::-1]
    ax.axvspan(0.05, 0.15, color="#E8ECF1", zorder=0)
    shares = np.maximum(dataset["unexplained"].values, FLOOR)
    noise = dataset["noise"].values
    ax.hlines(rows, FLOOR, shares, color="#C9D3DE", linewidth=1.2)
    ax.plot(shares, rows, "o", color=COLOURS[0], markersize=6, label="left unexplained")
    seen = noise > FLOOR
    if np.any(seen):
        ax.plot(noise[seen], rows[seen], "o", color=COLOURS[1], markersize=5, markerfacecolor="white", label="by noise")
        legend_below(ax, points=32.0, ncols=2)
    ax.set_xscale("log")
    ax.minorticks_off()
    ax.set_xlim(FLOOR / 1.5, max(4.0, 1.5 * float(shares.max(initial=1.0))))
    ax.set_yticks(rows, names)
    ax.set_ylim(-0.7, len(names) - 0.3)
    ax.grid(False, axis="y")
    confident = f" (confidence {dataset.attrs['confidence']:.2f})" if len(names) else ""
    finish(ax, x="share of the movement", title=f"{dataset.attrs['verdict']}{confident}")
    return drawn
