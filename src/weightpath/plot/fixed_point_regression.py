"""Panels of the study `fixed-point-regression`: three rules on one unit, every learning rate, and what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.fixed_point_learning import ticks_at
from weightpath.plot.style import COLOURS, FONT_SIZE, INK, MUTED, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

#: Rule -> its colour and its name in figures.
RULES = {
    "dW1": (COLOURS[0], "gradient ΔW1"),
    "dW2": (COLOURS[1], "exact reparameterised ΔW2"),
    "dW3": (COLOURS[2], "linearised ΔW3"),
}
MARKERS = {"dW1": "o", "dW2": "s", "dW3": "^"}
SIZES = {"dW1": 4.4, "dW2": 6.0, "dW3": 3.4}
#: Losses below this are rounding.
FLOOR = 1e-26


def plot_one_unit(dataset: Dataset, start: float, *, ax: Axes, span: tuple[float, float], updates: int = 12) -> Axes:
    """J(w) of one unit and the first weights of each rule from one start; those outside the axes are left out.

    Where a rule's first step already leaves them, its weight is written into the lower right corner.
    """
    goal = float(dataset.attrs["unit_goal"])
    w = np.linspace(*span, 1202)  # an even number, so that the pole is no point
    loss = float(dataset.attrs["unit_power"]) * (1 / (1 - w) - 1 / (1 - goal)) ** 2
    ax.plot(w, loss, color=MUTED, linewidth=1.2, zorder=1)
    ax.axvline(1, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    for rule, (colour, name) in RULES.items():
        values = dataset["unit_weight"].sel(unit_start=start, rule=rule).values[: updates + 1]
        heights = dataset["unit_loss"].sel(unit_start=start, rule=rule).values[: updates + 1]
        inside = (values >= span[0]) & (values <= span[1])
        look = {"marker": MARKERS[rule], "markersize": SIZES[rule], "linewidth": 0.7, "color": colour, "label": name}
        look["markerfacecolor"] = "white" if rule == "dW2" else colour
        ax.plot(np.where(inside, values, np.nan), np.where(inside, heights, np.nan), alpha=0.85, zorder=3, **look)
        if not inside[1]:
            words = f"{name.split()[-1]}: next w = {values[1]:.4g}".replace("-", "−")
            ax.annotate(
                words, (0.97, 0.05), xycoords="axes fraction", ha="right", fontsize=FONT_SIZE - 1, color=colour,
                zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip
    ax.set_yscale("log")
    ax.set_xlim(*span)
    ax.set_ylim(1e-3, 3e3)
    return finish(ax, x="weight w", title=f"start at w = {start:g}")


def plot_one_unit_losses(dataset: Dataset, start: float, *, ax: Axes, floor: float = 1e-12) -> Axes:
    """Loss of one unit against updates; a cross where a run ended early."""
    update = dataset["unit_update"].values
    for rule, (colour, name) in RULES.items():
        loss = dataset["unit_loss"].sel(unit_start=start, rule=rule)
        ax.plot(update, np.maximum(loss, floor), color=colour, linewidth=1.4, label=name)
        last = int(dataset["unit_last"].sel(unit_start=start, rule=rule))
        if last < update[-1]:
            end = float(loss.sel(unit_update=last))
            ax.plot(last, end, "X", color=colour, markersize=8, markeredgecolor="white", zorder=4)
    ax.set_yscale("log")
    ax.set_ylim(floor, 1e4)
    ax.set_xlim(0, update[-1])
    return finish(ax, x="update")


def plot_learning(dataset: Dataset, rule: str, *, ax: Axes) -> Axes:
    """Loss against updates at every learning rate of one rule; dashed: linear regression, for the exact rule."""
    rates, update = dataset["rate"].values, dataset["update"].values
    shades = np.linspace(0.3, 1.0, rates.size)
    for shade, rate in zip(shades, rates, strict=True):
        loss = dataset["loss"].sel(rule=rule, rate=rate).values
        ax.plot(update, np.maximum(loss, FLOOR), color=_shaded(RULES[rule][0], shade), linewidth=1.5, label=f"{rate:g}")
        if rule == "dW2":
            theory = np.maximum(dataset["closed_form"].sel(rate=rate).values, FLOOR)
            label = "regression" if rate == rates[-1] else "_again"
            ax.plot(update, theory, color=INK, linewidth=0.9, linestyle=(0, (2, 3)), label=label)
    ax.set_yscale("log")
    ax.set_xlim(0, update[-1])
    return finish(ax, x="updates", title=RULES[rule][1])


def legend_of_rates(ax: Axes) -> Axes:
    """Legend of the learning rates, in the lower left corner."""
    small = FONT_SIZE - 1
    ax.legend(frameon=False, fontsize=small, title="learning rate", title_fontsize=small, loc="lower left")
    return ax


def plot_sweep(dataset: Dataset, *, ax: Axes) -> Axes:
    """Last loss of every rule against its learning rate, one line a network."""
    rates = dataset["rate"].values
    for rule, (colour, name) in RULES.items():
        look = {"color": colour, "marker": MARKERS[rule], "markersize": SIZES[rule], "linewidth": 1.1}
        look["markerfacecolor"] = "white" if rule == "dW2" else colour
        for index, network in enumerate(dataset["network"].values):
            last = np.maximum(dataset["loss"].sel(rule=rule, network=network).isel(update=-1).values, FLOOR)
            ax.plot(rates, last, label=name if index == 0 else "_again", **look)
    ticks_at(ax, rates)
    ax.set_yscale("log")
    return finish(ax, x="learning rate", title="after the last update")


def plot_eigenvalues(dataset: Dataset, rule: str, rate: float, *, ax: Axes, half: float = 1.6) -> Axes:
    """Eigenvalues of W before (grey) and after learning, the line Re = 1 and the unit circle; how many lie outside."""
    angle = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(angle), np.sin(angle), color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    ax.axvline(1, color=INK, linewidth=1.0, zorder=1)
    ax.plot(dataset["start_re"], dataset["start_im"], "o", color="#B9BDC3", markersize=2.6, zorder=2)
    re, im = (dataset[f"end_{part}"].sel(rule=rule, rate=rate).values for part in ("re", "im"))
    ax.plot(re, im, "o", color=RULES[rule][0], markersize=3.0, zorder=3)
    outside = (np.abs(re) > half) | (np.abs(im) > half)
    if outside.any():
        furthest = np.abs(re + 1j * im).max()
        ax.annotate(
            f"{int(outside.sum())} outside, up to |λ| = {furthest:.3g}", (0.03, 0.03), xycoords="axes fraction",
            fontsize=FONT_SIZE - 1, color=INK, zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85},
        )  # fmt: skip
    ax.set_aspect("equal")
    ax.set_xlim(-half, half)
    ax.set_ylim(-half, half)
    return finish(ax, x="Re eigenvalue", title=f"{RULES[rule][1]}, rate {rate:g}")


def _shaded(colour: str, strength: float) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return tuple(1 - strength * (1 - part) for part in to_rgb(colour))
