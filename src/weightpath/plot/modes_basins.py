"""Where learning of one mode ends: maps over the first weights, and the closed form against what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.rule_colours import rule_colour, rule_marker
from weightpath.plot.style import FONT_SIZE, INK, finish, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

#: What a map shows -> words and colour.
PARTS = {
    "positive": ("optimal, a > 0", "#0072B2"),
    "negative": ("optimal, a < 0", "#9CCBEA"),
    "converged_non_optimal": ("saddle a = b = 0", "#F0C75E"),
    "unstable_recurrence": ("stability lost, |w| → 1", "#D55E00"),
    "not_converged": ("still moving", "#9AA0A6"),
    "nonfinite": ("not finite", "#202124"),
}


def _codes(dataset: Dataset, outcome: np.ndarray, read_out: np.ndarray) -> np.ndarray:
    names = np.array(dataset.attrs["outcomes"].split(", "))[outcome]
    places = {name: place for place, name in enumerate(PARTS)}
    sides = np.where(read_out > 0, places["positive"], places["negative"])
    others = np.array([places.get(name, 0) for name in names.ravel()]).reshape(names.shape)
    return np.where(names == "converged_optimal", sides, others)


def plot_basin(dataset: Dataset, rule: str, first: float, *, ax: Axes) -> Axes:
    """Where learning ends by first read-out and read-in, one cell a start; line: the optimal manifold."""
    from matplotlib.colors import ListedColormap

    one = dataset.sel(basin_rule=rule, first_recurrent=first)
    codes = _codes(dataset, one["basin"].values, one["basin_end"].sel(coord="read_out").values)
    side = one["first_read_out"].values
    ax.grid(False)
    ax.pcolormesh(
        side, one["first_read_in"].values, codes.T, cmap=ListedColormap([colour for _, colour in PARTS.values()]),
        vmin=-0.5, vmax=len(PARTS) - 0.5, shading="nearest", rasterized=True,
    )  # fmt: skip
    s = np.geomspace(side[-1] / 40, side[-1], 60)
    for sign in (-1, 1):
        ax.plot(sign * s, sign / s, color="white", linewidth=1.2)
    ax.set_xlim(side[0], side[-1])
    ax.set_ylim(side[0], side[-1])
    ax.set_aspect("equal")
    ax.set_xticks([-2, 0, 2])
    ax.set_yticks([-2, 0, 2])
    return ax


def parts_legend(figure: Any, dataset: Dataset) -> None:
    """Names of the colours that occur, below the figure."""
    from matplotlib.patches import Patch

    found = np.unique(_codes(dataset, dataset["basin"].values, dataset["basin_end"].sel(coord="read_out").values))
    marks = [Patch(color=colour, label=word) for code, (word, colour) in enumerate(PARTS.values()) if code in found]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, fontsize=FONT_SIZE)


def plot_ends(dataset: Dataset, *, ax: Axes) -> Axes:
    """Read-out at the end of learning against its closed form, for the random modes that converged."""
    found, predicted = (dataset[name].sel(coord="read_out") for name in ("end", "predicted_end"))
    converged = dataset["end_outcome"].values == dataset.attrs["outcomes"].split(", ").index("converged_optimal")
    limit = 3.2
    ax.plot([-limit, limit], [-limit, limit], color=INK, linewidth=0.9, zorder=1)
    for row, name in enumerate(dataset["end_rule"].values.tolist()):
        shown = np.flatnonzero(converged[row])
        ax.plot(predicted.values[row][shown], found.values[row][shown], rule_marker(name), color=rule_colour(name),
                markersize=3.6, alpha=0.75, markeredgewidth=0, linestyle="none", label=name,
                rasterized=True)  # fmt: skip
    ax.set_xlim(-limit, limit)
    ax.set_ylim(-limit, limit)
    ax.set_aspect("equal")
    finish(ax, x="read-out predicted from the start", y="read-out at the end")
    return legend_below(ax, ncols=2)


def plot_outcomes(dataset: Dataset, *, ax: Axes) -> Axes:
    """Shares of the outcomes of random modes, by rule and by the sign of feedback times first read-out."""
    codes = _codes(dataset, dataset["end_outcome"].values, np.ones(dataset["end_outcome"].shape))
    agrees = dataset["feedback_agrees"].values
    words = {"positive": "converged", **{name: word for name, (word, _) in PARTS.items() if name != "negative"}}
    words["positive"] = "converged"
    rows = []
    for row, name in enumerate(dataset["end_rule"].values.tolist()):
        if name in ("RFLO", "EProp"):
            rows += [(f"{name}, âa > 0", codes[row][agrees]), (f"{name}, âa < 0", codes[row][~agrees])]
        else:
            rows.append((name, codes[row]))
    place = np.arange(len(rows))[::-1]
    used = set()
    left = np.zeros(len(rows))
    for code, (name, (_, colour)) in enumerate(PARTS.items()):
        share = np.array([100 * np.mean(row == code) for _, row in rows])
        if share.any():
            ax.barh(place, share, left=left, height=0.62, color=colour, label=words[name])
            used.add(name)
        left += share
    ax.set_yticks(place, [label for label, _ in rows])
    ax.set_xlim(0, 100)
    ax.grid(False, axis="y")
    finish(ax, x="share of the random starts [%]", y=" ")
    return legend_below(ax, ncols=2)
