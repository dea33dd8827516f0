"""Figures of learned responses of a ring: tuning to orientation and size, weights along the ring, learning curves."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.fixed_point_learning import legend_of_rates, rule_look, shades
from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, figure, finish, letter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset
else:
    Axes = Dataset = Figure = Any


def plot_tuning(dataset: Dataset, row: int, *, ax: Axes) -> Axes:
    """Responses to the best size against the difference from the preferred orientation, all units."""
    target = dataset["target"].transpose("orientation", "size", "unit").values
    best = int(np.argmax(target.max(axis=(0, 2))))
    apart = dataset["difference"].transpose("orientation", "unit").values.ravel()
    order = np.argsort(apart)
    learned = dataset["response"].isel(row=row).transpose("orientation", "size", "unit").values[:, best].ravel()
    ax.plot(apart, learned, "o", color=COLOURS[1], markersize=3, alpha=0.6, markeredgewidth=0, label="network")
    ax.plot(apart[order], target[:, best].ravel()[order], color=INK, linewidth=1.4, label="target")
    ax.set_xticks([-90, -45, 0, 45, 90])
    return finish(ax, x="orientation from preferred [degrees]", y="response")


def plot_size_tuning(dataset: Dataset, row: int, *, ax: Axes) -> Axes:
    """Responses near the preferred orientation against the diameter, mean and s.d. over units."""
    units = np.arange(dataset.sizes["unit"])
    nearest = dataset["nearest"].values
    sizes = dataset["diameter"].values
    for values, learned in ((dataset["target"], False), (dataset["response"].isel(row=row), True)):
        at_best = values.transpose("orientation", "size", "unit").values[nearest, :, units]
        mean, spread = at_best.mean(axis=0), at_best.std(axis=0)
        if learned:
            ax.errorbar(sizes, mean, spread, color=COLOURS[1], marker="o", markersize=4, linestyle="none", linewidth=1)
        else:
            ax.plot(sizes, mean, color=INK, linewidth=1.4)
    ax.set_ylim(0, None)
    return finish(ax, x="diameter of the grating [degrees]", y="response")


def plot_ring_weights(dataset: Dataset, row: int, *, ax: Axes) -> Axes:
    """Mean weight between the two halves of the units against the difference of preferred orientations."""
    weights = dataset["w_rec"].isel(row=row).transpose("post", "pre").values
    ring = dataset.sizes["unit"]
    signed = dataset["network"].values[row] == "E-I"
    names = ("E", "I") if signed else ("read", "others")
    offsets = np.arange(-ring // 2, ring // 2 + 1)
    for post in range(2):
        for pre in range(2):
            block = weights[post * ring : (post + 1) * ring, pre * ring : (pre + 1) * ring]
            means = [np.mean([block[i, (i + k) % ring] for i in range(ring)]) for k in offsets]
            ax.plot(
                180 * offsets / ring, means, color=COLOURS[2 * pre], linestyle=("-", "--")[post], linewidth=1.3,
                label=f"{names[post]} ← {names[pre]}",
            )  # fmt: skip
    ax.axhline(0, color=MUTED, linewidth=0.7)
    ax.set_xticks([-90, -45, 0, 45, 90])
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.45 * (high - low))
    ax.legend(frameon=False, fontsize=FONT_SIZE - 1.5, ncols=2, loc="upper center", handlelength=1.6, columnspacing=0.9)
    return finish(ax, x="difference of preferred [degrees]", y="mean weight")


def response_figure(dataset: Dataset, rows: dict[str, int]) -> Figure:
    """One row of panels for each kind of network."""
    drawn, axes = figure(len(rows), 3, width=9.4, height=2.7 * len(rows) + 0.3, squeeze=False)
    for line, (kind, row) in zip(axes, rows.items(), strict=True):
        plot_tuning(dataset, row, ax=line[0])
        plot_size_tuning(dataset, row, ax=line[1])
        plot_ring_weights(dataset, row, ax=line[2])
        label = f"{kind}: {dataset['rule'].values[row]}, rate {dataset['rate'].values[row]:g}"
        line[0].set_title(label, loc="left", fontsize=FONT_SIZE + 1, color=INK)
    axes[0, 0].legend(frameon=False, fontsize=FONT_SIZE - 1, loc="upper right", handlelength=1.2)
    letter(axes)
    return drawn


def learning_figure(dataset: Dataset) -> Figure:
    """One panel a kind of network and rule; the guarded run last."""
    guarded = dataset["guarded"].values.astype(bool)
    pairs = zip(dataset["network"].values[~guarded], dataset["rule"].values[~guarded], strict=True)
    panels = list(dict.fromkeys(pairs))
    columns = min(3 if len(panels) < 6 else 4, len(panels) + 1)
    lines = -(-(len(panels) + 1) // columns)
    drawn, axes = figure(
        lines, columns, width=2.5 * columns + 0.4, height=2.7 * lines + 0.2, squeeze=False, sharey=True
    )
    flat = list(axes.flat)
    silent = float(np.mean(np.sum(dataset["target"].values ** 2, axis=-1)))
    for ax, (kind, rule) in zip(flat, panels, strict=False):
        here = np.flatnonzero((dataset["network"].values == kind) & (dataset["rule"].values == rule) & ~guarded)
        _curves(dataset, here, rule, ax)
        finish(ax, title=f"{kind}: {rule}")
    _curves(dataset, np.flatnonzero(guarded), "dW3K", flat[len(panels)])
    finish(flat[len(panels)], title="tanh: dW3K, guarded")
    for ax in flat[: len(panels) + 1]:
        ax.axhline(silent, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        ax.set_yscale("log")
        ax.set_xlabel("update", fontsize=FONT_SIZE)
        legend_of_rates(ax)
    for line in axes:
        line[0].set_ylabel("loss", fontsize=FONT_SIZE)
    for ax in flat[len(panels) + 1 :]:
        ax.set_visible(False)
    return drawn


def _curves(dataset: Dataset, rows: np.ndarray, rule: str, ax: Axes) -> None:
    rows = rows[np.argsort(dataset["rate"].values[rows])]
    for row, shade in zip(rows, shades(rule_look(rule)[0], rows.size), strict=True):
        label = f"{dataset['rate'].values[row]:g}"
        for path in dataset["loss"].isel(row=row).transpose("seed", "step").values:
            shown = np.isfinite(path)
            if not shown.any():
                continue
            steps = dataset["step"].values[shown]
            ax.plot(steps, path[shown], color=shade, linewidth=1.1, label=label)
            if steps[-1] < dataset["step"].values[-1]:
                ax.plot(steps[-1], path[shown][-1], "x", color=INK, markersize=5)
            label = None
