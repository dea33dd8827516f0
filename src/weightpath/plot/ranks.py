"""Figures of ranks: the bound met, spectra of a change, what leaves the subspace, and errors of sums of terms."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

#: Singular values below this share of the largest are drawn here.
FLOOR = 1e-17


def plot_bounds(dataset: Dataset, *, ax: Axes) -> Axes:
    """Ranks that were measured beside the bound, one row for each network: they meet it, or leave it."""
    names = [*dataset["case"].values.tolist(), *dataset["optimiser"].values.tolist()]
    rows = np.arange(len(names))[::-1]
    cases = dataset.sizes["case"]
    bound = np.r_[dataset["dimension"].values, np.full(dataset.sizes["optimiser"], 3)]
    rank = np.r_[dataset["slice_rank"].max("seed").values, dataset["adaptive_rank"].max("seed").values]
    ax.barh(rows, bound, height=0.62, color="#DCE6F0", label="bound d")
    for part, colour, label in (
        (slice(0, cases), COLOURS[0], "largest rank of the change"),
        (slice(cases, None), COLOURS[1], "the same, scaled entry by entry"),
    ):
        ax.plot(rank[part], rows[part], "o", color=colour, markersize=6, label=label)
    for row, value in zip(rows, rank, strict=True):
        ax.annotate(f"{value:.0f}", (value, row), (7, 0), textcoords="offset points", va="center", fontsize=FONT_SIZE)
    ax.set_xscale("log")
    ax.set_xticks([1, 2, 5, 10, 20, 40], ["1", "2", "5", "10", "20", "40"])
    ax.minorticks_off()
    ax.set_xlim(1, 60)
    ax.set_yticks(rows, names)
    ax.set_ylim(-0.7, len(names) - 0.3)
    ax.grid(False, axis="y")
    finish(ax, x=f"rank of the change of the weights ({dataset.attrs['units']} units)", y=" ")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="center right", bbox_to_anchor=(1.0, 0.36))
    return ax


def plot_spectra(dataset: Dataset, *, ax: Axes, bound: int = 3) -> Axes:
    """Singular values of the last change: a cliff at the bound, or none."""
    for colour, name in zip(COLOURS, dataset["network"].values.tolist(), strict=False):
        values = np.maximum(dataset["value"].sel(network=name).values, FLOOR)
        ax.plot(dataset["eig"].values, values, "o-", color=colour, markersize=3, linewidth=0.9, label=name)
    ax.axvline(bound + 0.5, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.annotate(f"d = {bound}", (bound + 0.8, 1.6), fontsize=FONT_SIZE, color=INK)
    ax.set_yscale("log")
    ax.set_ylim(FLOOR, 12)
    finish(ax, x="number of the singular value", y="singular value over the largest")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="lower left", bbox_to_anchor=(0.1, 0.1))
    return ax


def plot_outside(dataset: Dataset, kind: str, *, ax: Axes) -> Axes:
    """Share of the change outside the subspace, and energy that three directions leave, by what breaks the theorem.

    `kind`: "scale" (size of the inputs of tanh units) or "gain" (of random first weights).
    """
    name = {"scale": "tanh", "gain": "random"}[kind]
    lines = (
        [("", dataset)] if kind == "gain" else [(f", rate {r:g}", dataset.sel(rate=r)) for r in dataset["rate"].values]
    )
    for number, (suffix, part) in enumerate(lines):
        for quantity, style in (("outside", "o-"), ("top", "s--")):
            values = part[f"{name}_{quantity}"].transpose(kind, "seed").values
            if quantity == "top":
                values = np.sqrt(np.maximum(1 - values, 1e-16))
            label = ("norm outside span(B, Cᵀ)" if quantity == "outside" else "norm beyond 3 directions") + suffix
            ax.plot(
                part[kind].values, values.mean(axis=1), style, color=COLOURS[number], markersize=4.5,
                linewidth=1.2, markerfacecolor=COLOURS[number] if quantity == "outside" else "white", label=label,
            )  # fmt: skip
    ax.set_xscale("log")
    ticks = dataset[kind].values
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yscale("log")
    ax.set_ylim(2e-6, 1.5e3)
    ax.set_yticks([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1])
    ax.minorticks_off()
    words = {"scale": "size of the inputs (tanh units, W0 = 0)", "gain": "gain of random W0 (linear units)"}
    finish(ax, x=words[kind], y="share of the change")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 1, loc="upper left")
    return ax


def plot_terms(dataset: Dataset, *, ax: Axes) -> Axes:
    """Relative error of the best sum of R rank-one terms found, and how many the theory needs."""
    for colour, name in zip(COLOURS, dataset["path"].values.tolist(), strict=False):
        part = dataset.sel(path=name)
        d = int(part["term_d"])
        label = f"{name} (d = {d})"
        ax.plot(dataset["rank"].values, part["term_error"].values, "o-", color=colour, markersize=4.5, label=label)
    ax.axvline(9, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.annotate("d² = 9", (8.9, 1e-8), fontsize=FONT_SIZE, color=MUTED, ha="right")
    ax.axvline(3, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    ax.annotate("one input: 3", (3.1, 1e-8), fontsize=FONT_SIZE, color=MUTED)
    ax.set_yscale("log")
    ax.set_ylim(6e-9, 10)
    finish(ax, x="rank-one terms R", y="error of the best sum found")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="upper right", bbox_to_anchor=(0.94, 1.0))
    return ax
