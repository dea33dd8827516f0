"""Stability and speed of learning along the optimal manifold of one mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.rule_colours import rule_colour, rule_marker
from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, finish, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

POSITION = "position s = read-out a"
#: Kinds of points -> words and colour, pale to dark with how unstable they are.
KINDS = {
    "stable_node": ("stable", "#CFE3F2"),
    "stable_focus": ("stable, oscillating", "#5AA5D8"),
    "saddle": ("saddle", "#F6DFA8"),
    "unstable_node": ("unstable", "#E69F00"),
    "unstable_focus": ("unstable, oscillating", "#B3500A"),
    "degenerate": ("on an edge", "#202124"),
}


def plot_eigenvalues(dataset: Dataset, rule: str, *, ax: Axes) -> Axes:
    """Real parts of the two eigenvalues across the manifold against the position; dotted where they are a pair."""
    one = dataset.sel(rule=rule)
    s, values, turning = one["position"].values, one["eigenvalue"].values, one["oscillates"].values
    ax.axhspan(0, 1e4, color="#F3D9CC", linewidth=0, zorder=0)
    ax.axhline(0, color=MUTED, linewidth=0.8, zorder=1)
    for branch in (s < 0, s > 0):
        for column, width in ((0, 2.0), (1, 1.1)):
            label = ("slow", "fast")[column] if s[branch][0] > 0 else "_"
            ax.plot(s[branch], values[branch, column], color=rule_colour(rule), linewidth=width, label=label)
        pair = branch & turning
        ax.plot(s[pair], values[pair, 0], "|", color=INK, markersize=4, label="_")
    ax.set_yscale("symlog", linthresh=1.0, linscale=0.7)
    ax.set_ylim(-3e3, 3e3)
    ax.set_yticks([-1e3, -1e2, -1e1, -1, 0, 1, 1e1, 1e2, 1e3])
    ax.minorticks_off()
    ax.set_xlim(s[0], s[-1])
    return finish(ax, x=POSITION, y="Re λ [1/learning time]", title=rule)


def plot_rates(dataset: Dataset, *, ax: Axes) -> Axes:
    """Rate at which learning ends against the position on the positive branch, one line a rule; markers: the table."""
    s = dataset["position"].values
    for name in dataset["rule"].values.tolist():
        rate = dataset["slow_rate"].sel(rule=name).values
        rate = np.where((s > 0) & (rate > 0), rate, np.nan)
        ax.plot(s, rate, color=rule_colour(name), linewidth=1.7, label=name)
    gain = abs(float(dataset.attrs["gain"]))
    ax.axvline(np.sqrt(gain), color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    ax.annotate("s = √κ", (np.sqrt(gain), 1), (3, -9), xycoords=("data", "axes fraction"),
                textcoords="offset points", fontsize=FONT_SIZE - 0.5, color=MUTED)  # fmt: skip
    if dataset.attrs["gain"] == 1 and dataset.attrs["recurrent"] == 0.8:
        for name in dataset["rule"].values.tolist():
            if name in dataset["table_rule"].values:
                expected = dataset["table_expected"].sel(table_rule=name)
                ax.plot(expected["table_position"], expected, rule_marker(name), color=rule_colour(name), markersize=5)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(0.05, 4.2)
    ax.set_xticks([0.1, 0.25, 0.5, 1, 2, 4], ["0.1", "0.25", "0.5", "1", "2", "4"])
    ax.minorticks_off()
    finish(ax, x=POSITION, y="slow rate [1/learning time]")
    return legend_below(ax, ncols=2)


def plot_ratio(dataset: Dataset, *, ax: Axes) -> Axes:
    """How much faster or slower RFLO ends than BPTT, over random modes with feedback of the right sign."""
    ratio = np.log10(dataset["rate_ratio"].values)
    edges = np.linspace(-4, 3, 71).tolist()
    for part, colour in ((ratio < 0, rule_colour("RFLO")), (ratio >= 0, rule_colour("BPTT"))):
        share = f"{100 * part.mean():.1f} %"
        word = "RFLO slower" if colour == rule_colour("RFLO") else "RFLO faster"
        ax.hist(np.clip(ratio[part], -4, 3), edges, color=colour, alpha=0.85, label=f"{word}: {share}")
    ax.axvline(0, ymax=0.85, color=INK, linewidth=1.0)
    ax.set_xticks([-4, -2, 0, 2], ["10⁻⁴", "0.01", "1", "100"])
    finish(ax, x="slow rate of RFLO over that of BPTT", y=f"of {ratio.size:,} random modes".replace(",", " "))
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="upper right", borderaxespad=0, handlelength=1.0)
    ax.set_ylim(0, 1.12 * ax.get_ylim()[1])
    return ax


def plot_window(dataset: Dataset, diagram: str, *, ax: Axes) -> Axes:
    """Kinds of points over the position and the feedback, and the edges: saddle (dashed) and Hopf (solid)."""
    from matplotlib.colors import ListedColormap

    one = dataset.sel(diagram=diagram)
    s, feedback = one["diagram_position"].values, one["diagram_feedback"].values
    ax.grid(False)
    colours = ListedColormap([colour for _, colour in KINDS.values()])
    kind = one["kind"].values.astype(float)
    gap = int(np.searchsorted(s, 0.0))  # a column without points between the branches
    wide = np.insert(s, gap, 0.0)
    kind = np.insert(kind, gap, np.nan, axis=1)
    ax.pcolormesh(wide, feedback, kind, cmap=colours, vmin=-0.5, vmax=len(KINDS) - 0.5, shading="nearest",
                  rasterized=True)  # fmt: skip
    left = s < 0
    for name, line, label in (("saddle", (0, (4, 2)), "saddle edge, m = 1"), ("hopf", "-", "Hopf edge, m = m_H")):
        edge = one["edge"].sel(edge_kind=name).values[left]
        if name == "hopf":  # an edge of a window only above the saddle's
            edge = np.where(edge > one["edge"].sel(edge_kind="saddle").values[left], edge, np.nan)
        ax.plot(s[left], edge, color=INK, linewidth=1.3, linestyle=line, label=label)
    ax.set_yscale("log")
    ax.set_ylim(feedback[0], feedback[-1])
    ax.set_xlim(s[0], s[-1])
    return finish(ax, x=POSITION, y="feedback", title=str(one["diagram_name"].values))


def kinds_legend(axes: Any) -> None:
    """Names of the colours and of the edges below the first of two panels, shifted to the middle of both."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    first = axes[0]
    marks = [Patch(color=colour, label=word) for kind, (word, colour) in KINDS.items() if kind != "degenerate"]
    lines = [Line2D([], [], color=INK, linestyle=(0, (4, 2)), label="saddle edge"),
             Line2D([], [], color=INK, label="Hopf edge"),
             Line2D([], [], marker="o", linestyle="none", color=COLOURS[5], markeredgecolor=INK,
                    label="reference point")]  # fmt: skip
    first.figure.legend(handles=[*marks, *lines], loc="outside lower center", ncols=4, frameon=False,
                        fontsize=FONT_SIZE - 0.5)  # fmt: skip


def mark_example(dataset: Dataset, *, ax: Axes) -> Axes:
    """The reference point in the window, mirrored to positive feedback: (s, feedback) and (-s, -feedback) are alike."""
    ax.plot([-dataset.attrs["example_position"]], [abs(dataset.attrs["example_feedback"])], "o", color=COLOURS[5],
            markeredgecolor=INK, markersize=6)  # fmt: skip
    return ax
