"""Panels of a fit's weights over learning, of its training, and of what its parts do."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot import recording
from weightpath.plot.fit_states import given
from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

_PARTS = {
    "learning": "factors held",
    "input": "equal inputs",
    "recurrence": "no recurrence",
    "offset": "offset held",
    "remainder": "1 − sum",
}


def trial_factors(dataset: Dataset, ax: Axes | None = None) -> Axes:
    """Trial factors over trials: of each trial (dots), their smooth part (lines) and its sd (bands), epochs shaded."""
    return recording.trial_factors(given(ax, width=6.8), dataset)


def eigenvalues(dataset: Dataset, ax: Axes | None = None) -> Axes:
    """Nonzero eigenvalues of the recurrent weights in the complex plane, coloured by the trial's number.

    To the right of the dashed line a direction grows from rest.
    """
    ax = given(ax)
    values = dataset["eigenvalue"].values
    trial = np.broadcast_to(dataset["trial"].values[:, None], values.shape)
    points = ax.scatter(np.real(values), np.imag(values), c=trial, s=4, cmap="viridis", linewidths=0, rasterized=True)
    ax.axvline(1, color=INK, linewidth=0.9, linestyle="--")
    bar = ax.figure.colorbar(points, ax=ax, fraction=0.06, pad=0.03)
    bar.set_label("trial", fontsize=FONT_SIZE - 1)
    bar.ax.tick_params(labelsize=FONT_SIZE - 1)
    bar.outline.set_visible(False)
    return finish(ax, x="Re eigenvalue of $W^{(k)}$", y="Im eigenvalue")


def training(dataset: Dataset, ax: Axes | None = None) -> Axes:
    """R^2 of the training entries over the iterations of the optimiser."""
    ax = given(ax)
    values = dataset["fit_r2"].values
    ax.plot(np.arange(1, len(values) + 1), values, color=COLOURS[0], linewidth=1.4)
    settled = values[len(values) // 10 :]
    low, high = float(np.nanmin(settled)), float(np.nanmax(settled))
    ax.set_ylim(low - 0.1 * (high - low + 1e-3), high + 0.1 * (high - low + 1e-3))
    return finish(ax, x="iteration", y="training $R^2$")


def counterfactual_shares(dataset: Dataset, ax: Axes | None = None) -> Axes:
    """Share of the model's variance that goes when one part is taken out; parts interact, so the sum need not be 1."""
    ax = given(ax)
    names, values = dataset["part"].values.tolist(), dataset["share"].values
    rows = np.arange(len(names))[::-1]
    ax.barh(rows, values, color=[MUTED if name == "remainder" else COLOURS[0] for name in names], height=0.62)
    ax.axvline(0, color=INK, linewidth=0.9)
    reach = max(1.0, float(values.max())) - min(0.0, float(values.min()))
    for row, value in zip(rows, values, strict=True):
        ax.text(
            max(value, 0) + 0.02 * reach,
            row,
            f"{value:.2f}".replace("-", "\N{MINUS SIGN}"),
            va="center",
            fontsize=FONT_SIZE - 1,
            color=INK,
        )
    ax.set_yticks(rows, [_PARTS[name] for name in names])
    ax.set_xlim(min(0.0, float(values.min())) * 1.08, max(1.0, float(values.max())) * 1.18)
    ax.grid(axis="y", visible=False)
    return finish(ax, x="share of variance lost")


def behaviour_correlations(dataset: Dataset, ax: Axes | None = None) -> Axes:
    """Correlation of every trial factor with behaviour within epochs (open) and without drift (filled).

    A star marks a covariate whose largest correlation without drift is larger than by chance (p < .05 over factors).
    """
    ax = given(ax)
    names = dataset["covariate"].values.tolist()
    ranks = dataset.sizes["component"]
    ax.axvline(0, color=INK, linewidth=0.9)
    for row, name in enumerate(names):
        one = dataset.sel(covariate=name)
        for rank in range(ranks):
            height = -row + 0.5 * (0.5 - (rank + 0.5) / ranks)
            colour = COLOURS[rank % len(COLOURS)]
            within, clean = (float(one[f"behaviour_{kind}"][rank]) for kind in ("within", "detrended"))
            ax.plot([within, clean], [height, height], color=colour, linewidth=0.8)
            ax.plot(within, height, "o", color=colour, markerfacecolor="white", markersize=4)
            label = f"$c_{{{rank + 1}}}$" if row == 0 else None
            ax.plot(clean, height, "o", color=colour, markersize=4, label=label)
    found = dataset["behaviour_family_p"].values < 0.05
    labels = [name.replace("_", " ") + " *" * bool(star) for name, star in zip(names, found, strict=True)]
    ax.set_yticks(-np.arange(len(names)), labels)
    ax.set_ylim(-len(names) + 0.4, 0.6)
    reach = max(
        0.2, 1.15 * float(np.abs(np.stack([dataset["behaviour_within"], dataset["behaviour_detrended"]])).max())
    )
    ax.set_xlim(-reach, reach)
    ax.grid(axis="y", visible=False)
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=0.8)
    return finish(ax, x="correlation with the trial factor")
