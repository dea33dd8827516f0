"""Phase portraits of one mode of learning: paths, flow, and the manifolds on which learning rests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.rule_colours import rule_colour, rule_marker
from weightpath.plot.style import FONT_SIZE, INK, MUTED, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

READ_OUT, READ_IN, RECURRENT = "read-out a", "read-in b", "recurrent weight w"
LEARNING_TIME = "learning time [learning rate × steps]"
STABLE = {"color": INK, "linewidth": 2.0, "linestyle": "-", "zorder": 4}
UNSTABLE = {"color": INK, "linewidth": 1.4, "linestyle": (0, (3, 2)), "zorder": 4}
#: Rules whose feedback follows the read-out rest where read-out and read-in are zero.
RESTING = ("BPTT", "RTRL", "TruncatedBPTT")


def plot_portrait(dataset: Dataset, rule: str, *, ax: Axes) -> Axes:
    """Paths of `rule` seen along the recurrent weight: read-in against read-out, both branches of the manifold."""
    one = dataset.sel(rule=rule)
    side = one["plane_read_out"].values
    ax.grid(False)
    # the plane is stored (read-out, read-in); matplotlib wants rows along the vertical axis
    across, up = one["flow"].values[::2, ::2, 0].T, one["flow"].values[::2, ::2, 1].T
    speed = np.maximum(np.hypot(across, up), 1e-300)
    ax.quiver(side[::2], one["plane_read_in"].values[::2], across / speed, up / speed, color="#C9CDD2", pivot="mid",
              angles="xy", scale=19, width=0.006, headwidth=4, headlength=4.5, headaxislength=4, zorder=1)  # fmt: skip
    gain = float(dataset.attrs["gain"])
    position = one["position"].values
    for stable, look in ((True, STABLE), (False, UNSTABLE)):
        for branch in (position < 0, position > 0):
            s = np.where(one["stable"].values == stable, position, np.nan)[branch]
            ax.plot(s, gain / s, **look)
    if rule.split("(")[0] in RESTING:
        ax.plot([0], [0], "D", color="white", markeredgecolor=INK, markersize=5.5, zorder=6)
    _paths(ax, one, "read_out", "read_in", rule)
    limit = side[-1]
    ax.set_xlim(-limit, limit)
    ax.set_ylim(-limit, limit)
    ax.set_aspect("equal")
    return finish(ax, x=READ_OUT, y=READ_IN, title=rule)


def plot_side(dataset: Dataset, rule: str, *, ax: Axes) -> Axes:
    """The same paths seen along the read-in: recurrent weight against read-out; beyond |w| = 1 no stable network."""
    one = dataset.sel(rule=rule)
    position, target = one["position"].values, float(dataset.attrs["recurrent"])
    for stable, look in ((True, STABLE), (False, UNSTABLE)):
        for branch in (position < 0, position > 0):
            s = np.where(one["stable"].values == stable, position, np.nan)[branch]
            ax.plot(s, np.full(s.size, target), **look)
    if rule.split("(")[0] in RESTING:
        ax.plot([0, 0], [-1, 1], **UNSTABLE)
    for edge in (-1, 1):
        ax.axhspan(edge, 1.15 * edge, color="#F3D9CC", linewidth=0, zorder=0)
    _paths(ax, one, "read_out", "recurrent", rule)
    limit = one["plane_read_out"].values[-1]
    ax.set_xlim(-limit, limit)
    ax.set_ylim(-1.15, 1.15)
    return finish(ax, x=READ_OUT, y=RECURRENT)


def _paths(ax: Axes, one: Dataset, x: str, y: str, rule: str) -> None:
    colour, outcomes = rule_colour(rule), one.attrs["outcomes"].split(", ")
    for number in range(one.sizes["start"]):
        path = one["portrait"].isel(start=number)
        across, up = path.sel(coord=x).values, path.sel(coord=y).values
        ax.plot(across, up, color=colour, linewidth=1.4, zorder=3)
        ax.plot(across[:1], up[:1], "o", color="white", markeredgecolor=colour, markersize=3.6, zorder=5)
        lost = outcomes[int(one["portrait_outcome"].values[number])] == "unstable_recurrence"
        ax.plot(
            across[-1:], up[-1:], "x" if lost else rule_marker(rule), color=colour,
            markersize=6.5 if lost else 4.5, markeredgewidth=2.0 if lost else 0, zorder=6,
        )  # fmt: skip


def tidy(axes: Any) -> None:
    """Labels on the outer panels alone, and one legend below them."""
    for ax in axes[0]:
        ax.set_xlabel("")
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
    from matplotlib.lines import Line2D

    alone = {"linestyle": "none", "markersize": 5}
    marks = [
        Line2D([], [], **STABLE, label="zero loss, stable"),
        Line2D([], [], **UNSTABLE, label="unstable"),
        Line2D([], [], marker="D", color="white", markeredgecolor=INK, label="saddles a = b = 0", **alone),
        Line2D([], [], marker="o", color="white", markeredgecolor=MUTED, label="start", **alone),
        Line2D([], [], marker="o", color=MUTED, label="end", **alone),
        Line2D([], [], marker="x", color=MUTED, markeredgewidth=2, label="stability lost, |w| → 1", **alone),
    ]
    axes[0, 0].figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False,
                             fontsize=FONT_SIZE - 0.5, columnspacing=1.6, handletextpad=0.5)  # fmt: skip


def plot_detour(dataset: Dataset, *, ax: Axes) -> Axes:
    """Paths from one start beside a network of zero loss: with feedback of the wrong sign to the other branch."""
    s = dataset["position"].values
    for branch in (s < 0, s > 0):
        ax.plot(s[branch], 1 / s[branch], color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)), zorder=1,
                label="optimal manifold" if s[branch][0] > 0 else "_")  # fmt: skip
    for name, line in zip(dataset["detour_rule"].values.tolist(), _lines(dataset), strict=True):
        path = dataset["detour"].sel(detour_rule=name)
        colour = rule_colour(name)
        across, up = path.sel(coord="read_out").values, path.sel(coord="read_in").values
        ax.plot(across, up, color=colour, linestyle=line, linewidth=1.8, zorder=3, label=name)
        ax.plot(across[-1:], up[-1:], rule_marker(name), color=colour, markersize=5.5, zorder=4)
        for time in (1, 2, 3, 4) if float(dataset["detour_length"].sel(detour_rule=name)) > 1 else ():
            here = path.sel(detour_time=time, method="nearest").values
            place = float(here[0]), float(here[1])
            ax.plot(*place, ".", color=colour, markersize=5, zorder=4)
            ax.annotate(f"{time}", place, (5, -9), textcoords="offset points", fontsize=FONT_SIZE - 1, color=colour)
    ax.plot([1], [1], "o", color="white", markeredgecolor=INK, markersize=6, zorder=5, label="start, w = 0.6")
    ax.set_xlim(-1.5, 2.0)
    ax.set_ylim(-2.3, 1.7)
    finish(ax, x=READ_OUT, y=READ_IN)
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="lower right")
    return ax


def plot_detour_loss(dataset: Dataset, *, ax: Axes) -> Axes:
    """Loss on these paths against learning time: on the detour it rises to nine times its start."""
    for name, line in zip(dataset["detour_rule"].values.tolist(), _lines(dataset), strict=True):
        loss = dataset["detour_loss"].sel(detour_rule=name).values
        ax.plot(dataset["detour_time"].values, np.maximum(loss, 1e-16), color=rule_colour(name), linestyle=line,
                linewidth=1.6, label=name)  # fmt: skip
    ax.set_yscale("log")
    ax.set_ylim(1e-9, 10)
    ax.set_xlim(0, 7)
    return finish(ax, x=LEARNING_TIME, y="loss")


def plot_detour_recurrent(dataset: Dataset, *, ax: Axes) -> Axes:
    """Recurrent weight on these paths against learning time."""
    for name, line in zip(dataset["detour_rule"].values.tolist(), _lines(dataset), strict=True):
        w = dataset["detour"].sel(detour_rule=name, coord="recurrent").values
        ax.plot(dataset["detour_time"].values, w, color=rule_colour(name), linestyle=line, linewidth=1.6)
    ax.set_xlim(0, 7)
    return finish(ax, x=LEARNING_TIME, y=RECURRENT)


def _lines(dataset: Dataset) -> list[Any]:
    """A line style for each path, so that two of one rule stay apart."""
    return ["-", "-", (0, (4, 2)), (0, (1, 1))][: dataset.sizes["detour_rule"]]
