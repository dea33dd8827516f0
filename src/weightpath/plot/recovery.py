"""Figures of planted networks and what a fit finds of them, and of how large an experiment must be."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FAINT, FONT_SIZE, INK, MUTED, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

#: Quantities of the planning figures: their axis.
LABELS = {
    "detected": "fraction of sessions with\nthe change detected",
    "correlation": "correlation of trial factors",
    "flow_full": "flow field $R^2$",
}


def case_ranks(ax: Axes, dataset: Dataset) -> Axes:
    """Held-out R^2 of one reference case against the fitted rank, with the planted rank and the ceiling.

    `dataset`: `rank_r2` (offset), `true_rank`, `ceiling`.
    """
    rank = dataset["offset"].values + int(dataset["true_rank"])
    true = int(dataset["true_rank"])
    ax.axvspan(true - 0.2, true + 0.2, color=FAINT, linewidth=0, zorder=0)
    ax.axhline(float(dataset["ceiling"]), color=MUTED, linestyle="--", linewidth=1.0)
    values = dataset["rank_r2"].values
    ax.plot(rank, values, "o-", color=COLOURS[0], markersize=4.5, linewidth=1.4)
    ax.set_xticks(rank)
    ax.set_xlim(rank[0] - 0.4, rank[-1] + 0.4)
    ax.set_ylim(min(0.9 * values.min(), 0.5), 1.03)
    return finish(ax, x="tensor rank of the fit", y="held-out $R^2$", title=str(dataset["case"].item()))


def case_factors(ax: Axes, dataset: Dataset) -> Axes:
    """Trial factors of one reference case, planted (lines) and fitted (dots), in canonical scale.

    `dataset`: `factor_true`, `factor` (case_trial, component).
    """
    trial = dataset["case_trial"].values
    for one in range(int(dataset["true_rank"])):
        colour = COLOURS[one]
        planted, found = (dataset[name].values[:, one] for name in ("factor_true", "factor"))
        ax.plot(trial, found, "o", color=colour, markersize=3.4, markeredgewidth=0, alpha=0.75)
        ax.plot(trial, planted, color=colour, linewidth=1.3, label=f"$c_{one + 1}$")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2)
    seen = np.isfinite(dataset["factor_true"].values[:, 0])
    ax.set_xlim(trial[seen].min() - 1, trial[seen].max() + 1)
    return finish(ax, x="trial", y="trial factor")


def against_trials(ax: Axes, dataset: Dataset, name: str, *, only_largest: bool = True) -> Axes:
    """A planning quantity against the number of trials: one colour a noise, one line style and symbol a change.

    `dataset`: cells with the coordinates trials, noise and change, and `<name>_planning` (cell, run). `only_largest`
    leaves the smaller changes out.
    """
    changes = sorted(set(dataset["change"].values.tolist()))
    shown = changes[-1:] if only_largest else changes
    noises = sorted(set(dataset["noise"].values.tolist()))
    for number, (colour, noise) in enumerate(zip(COLOURS, noises, strict=False)):
        for change in shown:
            look = _look(change, changes)
            keep = (dataset["noise"].values == noise) & (dataset["change"].values == change)
            _line(ax, dataset.isel(cell=np.flatnonzero(keep)), name, number, color=colour, label="", **look)
        ax.plot([], [], color=colour, linewidth=1.6, label=f"noise {noise:g}")
    for change in changes:
        ax.plot([], [], color=INK, **_look(change, changes), label="no change" if change == 0 else f"change {change:g}")
    return _dressed(ax, dataset, name)


def against_trials_by_neurons(ax: Axes, dataset: Dataset, name: str) -> Axes:
    """A planning quantity at the largest change: one colour a number of neurons; spike counts black and dashed."""
    change, rate, noise = (dataset[name].values for name in ("change", "rate", "noise"))
    others = dataset["neurons"].values != dataset["neurons"].values[0]
    # Further numbers of neurons are simulated at one noise; without them, the least one is shown.
    middle = noise[others][0] if others.any() else np.nanmin(noise)
    largest = (change == change.max()) & ~np.isfinite(rate) & (noise == middle)
    sizes = sorted(set(dataset["neurons"].values.tolist()))
    for number, (colour, neurons) in enumerate(zip(COLOURS, sizes, strict=False)):
        keep = largest & (dataset["neurons"].values == neurons)
        one = dataset.isel(cell=np.flatnonzero(keep))
        _line(ax, one, name, number, color=colour, marker="o", linestyle="-", label=f"{neurons} neurons")
    for number, hertz in enumerate(sorted({one for one in rate.tolist() if one == one})):
        keep = (change == change.max()) & (rate == hertz)
        marker = "s^D"[number % 3]
        one = dataset.isel(cell=np.flatnonzero(keep))
        _line(
            ax, one, name, len(sizes) + number, color=INK, marker=marker, linestyle="--", label=f"counts, {hertz:g} Hz"
        )
    return _dressed(ax, dataset, name)


def key_below(ax: Axes, *, columns: int = 6) -> None:
    """One legend for a row of panels, below all of them, from the lines of one."""
    handles, labels = ax.get_legend_handles_labels()
    known = dict(zip(labels, handles, strict=True))
    ax.figure.legend(
        known.values(), known.keys(), loc="outside lower center", ncols=columns, frameon=False,
        fontsize=FONT_SIZE - 0.5, columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip


def _look(change: float, changes: list[float]) -> dict[str, Any]:
    if change == 0:
        return dict(marker="o", markerfacecolor="white", linestyle=":")
    solid = change == changes[-1]
    return dict(marker="o" if solid else "s", linestyle="-" if solid else "--")


def _line(ax: Axes, one: Dataset, name: str, number: int, **look: Any) -> None:
    """Medians and quartiles over sessions, or the fraction; the lines of a panel stand a little beside one another."""
    one = one.sortby("trials")
    values = one[f"{name}_planning"].values
    finite = np.isfinite(values).sum(axis=1)
    if not one.sizes["cell"] or not finite.all():
        return
    place = one["trials"].values * 1.03 ** (number - 1)
    middle, spread = values.mean(axis=1), None
    if name != "detected":
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=1)
        spread = np.stack([middle - low, high - middle])
    ax.errorbar(place, middle, yerr=spread, markersize=4.5, linewidth=1.4, elinewidth=1.0, capsize=2, **look)


def _dressed(ax: Axes, dataset: Dataset, name: str) -> Axes:
    from matplotlib.ticker import NullLocator

    trials = sorted(set(dataset["trials"].values.tolist()))
    ax.set_xscale("log", base=2)
    ax.set_xticks(trials, [str(one) for one in trials])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(trials[0] / 1.2, trials[-1] * 1.2)
    if name == "detected":
        ax.set_ylim(-0.05, 1.05)
    else:
        ax.set_ylim(top=1.01)
    return finish(ax, x="trials", y=LABELS[name])
