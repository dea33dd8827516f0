"""The look of every figure, applied to each by itself: colours, sizes, and how theory and simulation are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Axes = Figure = Any

#: Colours that stay apart for colour-blind readers and in grey print (Okabe and Ito 2008, without the pale yellow).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5F6368")
INK, MUTED, FAINT = "#202124", "#5F6368", "#E3E5E8"
FONT_SIZE = 9.0


def figure(
    rows: int = 1, columns: int = 1, *, width: float = 6.8, height: float | None = None, **subplots: Any
) -> tuple[Figure, Any]:
    """An empty figure and its axes (one `Axes`, or an array of them as `matplotlib` gives it).

    Arguments: `width` and `height` in inches (default height: 0.8 of a column's width for each row, 2.4 to 3.2);
    `subplots` goes to `Figure.subplots` (`sharex`, `width_ratios`, ...).
    """
    from matplotlib.figure import Figure as NewFigure  # not pyplot, which would keep the figure in global state

    height = rows * min(3.2, max(2.4, 0.8 * width / columns)) if height is None else height
    new = NewFigure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = new.subplots(rows, columns, **subplots)
    for ax in np.atleast_1d(axes).flat:
        _dress(ax)
    return new, axes


def _dress(ax: Axes) -> None:
    ax.set_prop_cycle(color=COLOURS)
    ax.set_axisbelow(True)
    ax.grid(color=FAINT, linewidth=0.6)
    ax.tick_params(labelsize=FONT_SIZE, color=MUTED, labelcolor=INK)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(MUTED)
    for text in (ax.xaxis.label, ax.yaxis.label):
        text.set_fontsize(FONT_SIZE)
        text.set_color(INK)


def theory(ax: Axes, x: Any, y: Any, *, label: str = "theory", **line: Any) -> Axes:
    """Draw a prediction: always a line, above the markers of what it predicts."""
    ax.plot(x, y, **{"label": label, "linewidth": 1.4, "color": INK, "zorder": 3, **line})
    return ax


def simulated(ax: Axes, x: Any, y: Any, *, spread: Any = None, label: str = "network", **marks: Any) -> Axes:
    """Draw a measurement: always markers, about 40 at equal steps, with the `spread` (one s.d.) shaded when given."""
    x, y = np.asarray(x), np.asarray(y)
    look = {"marker": "o", "markersize": 5.6, "markeredgewidth": 0.0, "alpha": 0.85}
    style = {"label": label, "linestyle": "none", "color": COLOURS[1], **look, **marks}
    every = slice(None, None, max(1, round(x.size / 40)))
    ax.plot(x[every], y[every], **style)
    if spread is not None:
        ax.fill_between(x, y - np.asarray(spread), y + np.asarray(spread), color=style["color"], alpha=0.2, linewidth=0)
    return ax


def finish(ax: Axes, *, x: str = "", y: str = "", title: str = "", legend: bool = False) -> Axes:
    """Labels of the axes, a title set flush left, and a frameless legend when asked for."""
    ax.set_xlabel(x, fontsize=FONT_SIZE)
    ax.set_ylabel(y, fontsize=FONT_SIZE)
    if title:
        ax.set_title(title, loc="left", fontsize=FONT_SIZE + 1, color=INK)
    if legend:
        ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5)
    return ax


def legend_below(ax: Axes, *, points: float = 34.0, across: float = 0.5, **options: Any) -> Axes:
    """A frameless legend below the axis label: `points` under the axes, centred at the share `across` of their width.

    Each label is named once, also when several lines carry it.
    """
    from matplotlib.transforms import ScaledTranslation

    handles, labels = ax.get_legend_handles_labels()
    known = dict(zip(labels, handles, strict=True))
    below = ax.transAxes + ScaledTranslation(0, -points / 72, ax.figure.dpi_scale_trans)
    ax.legend(
        known.values(), known.keys(), frameon=False, fontsize=FONT_SIZE - 0.5, columnspacing=1.2, handletextpad=0.5,
        loc="upper center", bbox_to_anchor=(across, 0), bbox_transform=below, borderaxespad=0, **options,
    )  # fmt: skip
    return ax


def letter(axes: Any) -> None:
    """Letter the panels a, b, c ... above their upper left corners."""
    for ax, name in zip(np.atleast_1d(axes).flat, "abcdefghijklmnopqrstuvwxyz", strict=False):
        ax.annotate(
            name, (0, 1), (-24, 7), xycoords="axes fraction", textcoords="offset points",
            fontsize=FONT_SIZE + 2, fontweight="bold", color=INK,
        )  # fmt: skip


def axis_label(variable: Any) -> str:
    """Label of an axis from a DataArray: its `long_name` (or name) and, in brackets, its `units`."""
    name = variable.attrs.get("long_name", str(variable.name).replace("_", " "))
    units = variable.attrs.get("units")
    return f"{name} [{units}]" if units else name


def save_figure(drawn: Figure, path: Path) -> Path:
    """Write a figure in the format of the path's ending (svg, pdf, png), with text as shapes: alike on every machine.

    SVG files carry no date and no random identifiers: the same figure gives the same bytes.
    """
    from matplotlib import rc_context

    vector = path.suffix in (".svg", ".svgz")
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "weightpath"}):
        drawn.savefig(path, dpi=200, metadata={"Date": None} if vector else None)
    return path
