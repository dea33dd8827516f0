"""Figures of fits to recordings: trial factors, scores over ranks, the model against its controls, and behaviour."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FAINT, FONT_SIZE, INK, MUTED, finish, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any


def phases(ax: Axes, trial: Any, epoch: Any) -> Axes:
    """Mark the phases of a session: shade every second one and write its name above the axes.

    `trial` (trial,) numbers, `epoch` (trial,) names.
    """
    trial, epoch = np.asarray(trial, float), np.asarray(epoch)
    starts = np.flatnonzero(np.r_[True, epoch[1:] != epoch[:-1]])
    edges = [*(trial[starts] - 0.5), trial[-1] + 0.5]
    for number, start in enumerate(starts):
        left, right = edges[number], edges[number + 1]
        if number % 2:
            ax.axvspan(left, right, color=FAINT, alpha=0.5, linewidth=0, zorder=0)
        if len(starts) > 1:
            ax.annotate(
                str(epoch[start]), ((left + right) / 2, 1), (0, 3), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", va="bottom", fontsize=FONT_SIZE, color=MUTED,
            )  # fmt: skip
    ax.set_xlim(edges[0], edges[-1])
    return ax


def trial_factors(ax: Axes, dataset: Dataset) -> Axes:
    """Trial factors against the trial's number: the factor of each trial, its smooth part, and one sd around it.

    `dataset`: `factor`, `factor_smooth`, `factor_sd` (trial, component), `epoch_name` (trial).
    """
    trial = dataset["trial"].values
    epoch = dataset["epoch_name"].values
    phases(ax, trial, epoch)
    starts = [*np.flatnonzero(np.r_[True, epoch[1:] != epoch[:-1]]), len(trial)]
    for rank in range(dataset.sizes["component"]):
        colour = COLOURS[rank % len(COLOURS)]
        values, smooth, sd = (dataset[name].values[:, rank] for name in ("factor", "factor_smooth", "factor_sd"))
        ax.plot(trial, values, ".", color=colour, markersize=2.5, alpha=0.35, rasterized=True)
        for begin, end in zip(starts[:-1], starts[1:], strict=True):
            # Separate lines, because factors may jump where the epoch changes.
            part = slice(begin, end)
            label = f"$c_{{{rank + 1}}}$" if begin == 0 else None
            ax.plot(trial[part], smooth[part], color=colour, linewidth=1.6, label=label)
            ax.fill_between(
                trial[part], (smooth - sd)[part], (smooth + sd)[part],
                color=colour, alpha=0.25, linewidth=0, rasterized=True,
            )  # fmt: skip
    finish(ax, x="trial", y="trial factor $c_r$")
    _legend_beside(ax)
    return ax


def score_by_rank(ax: Axes, dataset: Dataset, *, reference: str = "tuned smoother") -> Axes:
    """Held-out R^2 against rank, one line per scheme; bars are the paired SE of the difference to the chosen model.

    Open symbols hold out parts of trials; the shade marks the chosen rank. Dashed, in the colour of the scheme: the
    plain predictor `reference` on the same entries. `dataset` is that of a cross-validation.
    """
    models = dataset.sel(model=dataset["kind"] == "ltr").sortby("rank")
    chosen = dataset.attrs["chosen_rank"]
    ax.axvspan(chosen - 0.2, chosen + 0.35, color=FAINT, alpha=0.6, linewidth=0, zorder=0, label="chosen rank")
    for number, scheme in enumerate(dataset["scheme"].values.tolist()):
        one = models.sel(scheme=scheme)
        whole = bool(one["whole_trials"])
        colour = COLOURS[number % len(COLOURS)]
        ax.errorbar(
            one["rank"].values + 0.06 * number, one["r2_mean"].values, yerr=np.nan_to_num(one["difference_se"].values),
            color=colour, marker="o" if whole else "s", markersize=4.5, markerfacecolor=colour if whole else "white",
            linewidth=1.4, capsize=2, label=f"{scheme} ({'whole' if whole else 'parts of'} trials held out)",
        )  # fmt: skip
        if reference in dataset["model"].values:
            level = float(dataset["r2_mean"].sel(scheme=scheme, model=reference))
            ax.axhline(level, color=colour, linestyle="--", linewidth=1.0)
    if reference in dataset["model"].values:
        ax.plot([], [], color=MUTED, linestyle="--", linewidth=1.0, label=f"{reference}, no network")
    ax.set_xticks(sorted(set(models["rank"].values.tolist())))
    finish(ax, x="tensor rank", y="held-out $R^2$")
    _legend_beside(ax)
    return ax


def forest(ax: Axes, dataset: Dataset, scheme: str) -> Axes:
    """The chosen model against every other on one scheme: difference of R^2 with its 95% interval, and the numbers.

    Right of zero the chosen model is ahead. Colour and symbol tell networks from predictors without one. `dataset` is
    that of a cross-validation.
    """
    chosen = dataset.attrs["chosen"]
    one = dataset.sel(scheme=scheme)
    keep = np.isfinite(one["difference"].values) & (one["kind"].values != "ltr")
    one = one.isel(model=np.flatnonzero(keep)).sortby("r2_mean")
    rows = np.arange(one.sizes["model"])
    for row, kind in zip(rows, one["kind"].values.tolist(), strict=True):
        value, low, high = (float(one[name][row]) for name in ("difference", "difference_low", "difference_high"))
        colour, marker, label = _KINDS[kind]
        ax.plot([low, high], [row, row], color=colour, linewidth=1.6)
        ax.plot(value, row, marker, color=colour, markersize=4.5, label=label)
        text = f"{float(one['r2_mean'][row]):.3f}"
        ax.annotate(
            text, (1.02, row), xycoords=("axes fraction", "data"), fontsize=FONT_SIZE - 1, va="center", color=INK
        )
    ax.axvline(0, color=INK, linewidth=0.9)
    own_rank = f", rank {dataset.attrs['chosen_rank']}"
    ax.set_yticks(rows, [name.removesuffix(own_rank) for name in one["described"].values.tolist()])
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.annotate("$R^2$", (1.02, len(rows) - 0.3), xycoords=("axes fraction", "data"), fontsize=FONT_SIZE - 1, color=INK)
    score = float(dataset["r2_mean"].sel(scheme=scheme, model=chosen))
    what = "whole trials" if bool(one["whole_trials"]) else "parts of trials"
    return finish(ax, title=f"{scheme}, {what} held out; chosen: $R^2$ = {score:.3f}")


def forest_labels(ax: Axes, *, across: float = 0.3) -> Axes:
    """Below the last of several forests: what the axis is, which way is better, and what the symbols are."""
    finish(ax, x="$R^2$ of the chosen model minus this one\n← this one ahead        chosen ahead →")
    return legend_below(ax, points=46.0, across=across, ncols=2)


_KINDS = {
    "control": (COLOURS[0], "o", "control network of the same rank"),
    "plain": (COLOURS[1], "s", "predictor without a network"),
    "baseline": (COLOURS[3], "^", "description without a recurrent network"),
    "mean": (COLOURS[2], "D", "mean of several fits"),
}


def behaviour(
    ax: Axes,
    trial: Any,
    measured: Any,
    predicted: dict[str, Any],
    *,
    epoch: Any,
    window: int = 61,
) -> Axes:
    """A measure of behaviour over held-out trials, and what models predict of it; lines are running means.

    `measured` and each of `predicted` (trial,), NaN where not held out; `window` is the number of trials in a mean,
    which does not reach over the border of an epoch (`epoch`: names, (trial,)).
    """
    trial, epoch = np.asarray(trial, float), np.asarray(epoch)
    phases(ax, trial, epoch)
    measured = np.asarray(measured, float)
    ax.plot(trial, measured, ".", color=MUTED, markersize=2.5, alpha=0.5, rasterized=True)
    ax.plot(trial, running_mean(measured, epoch, window), color=INK, linewidth=2.0, label="measured")
    for colour, (label, values) in zip(COLOURS, predicted.items(), strict=False):
        smooth = running_mean(np.asarray(values, float), epoch, window)
        ax.plot(trial, smooth, color=colour, linewidth=1.5, label=label)
    finish(ax, x="trial")
    _legend_beside(ax)
    return ax


def running_mean(values: np.ndarray, epoch: np.ndarray, window: int) -> np.ndarray:
    """Mean of the finite values within `window` trials of the same epoch; NaN between epochs, to break the line."""
    finite = np.isfinite(values)
    distance = np.abs(np.arange(len(values))[:, None] - np.arange(len(values)))
    near = (distance <= window // 2) & (epoch[:, None] == epoch) & finite
    count = near.sum(1)
    mean = np.where(count > 0, near @ np.where(finite, values, 0.0) / np.maximum(count, 1), np.nan)
    return np.where(np.r_[False, epoch[1:] != epoch[:-1]], np.nan, mean)


def _legend_beside(ax: Axes) -> None:
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2)
