"""Panels of the study `lazy-learning`, drawn from its dataset into given axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FAINT, FONT_SIZE, INK, MUTED, finish, simulated, theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

LEARNING_TIME = "learning time [learning rate × steps]"


def plot_map(dataset: Dataset, quantity: str, ratio: float, *, ax: Axes) -> Axes:
    """One quantity over gain and decay at one ratio of rates, with the threshold line decay = 1 - gain."""
    from matplotlib.colors import LogNorm

    layer = dataset[quantity].sel(ratio=ratio)
    gain, decay, values = dataset.gain.values, dataset.decay.values, layer.transpose("decay", "gain").values
    if quantity == "richness":
        look = {"cmap": "viridis", "vmin": 0.0, "vmax": 1.0}
    else:
        low, high = float(dataset[quantity].min()), float(dataset[quantity].max())
        look = {"cmap": "cividis", "norm": LogNorm(low, high)}
    mesh = ax.pcolormesh(gain, decay, np.ma.masked_invalid(values), shading="nearest", rasterized=True, **look)
    ax.grid(False)
    edges = [(axis[0] - (axis[1] - axis[0]) / 2, axis[-1] + (axis[-1] - axis[-2]) / 2) for axis in (gain, decay)]
    line = np.linspace(*edges[0], 50)
    ax.plot(line, 1 - line, color="white", linewidth=3.2)
    ax.plot(line, 1 - line, color=INK, linewidth=1.4)
    ax.set_xlim(*edges[0])
    ax.set_ylim(*edges[1])
    ax.text(edges[0][0] + 0.03, edges[1][0] + 0.04, "target outside\nthe bulk", **_words())
    ax.text(edges[0][1] - 0.03, edges[1][1] - 0.04, "inside", ha="right", va="top", **_words())
    if f"{quantity}_error" in dataset:
        error = dataset[f"{quantity}_error"].sel(ratio=ratio).transpose("decay", "gain").values
        relative = error if quantity == "richness" else error / values
        rows, columns = np.nonzero(relative > 0.05)
        ax.plot(gain[columns], decay[rows], ".", color="white", markersize=2.5)
    words = "equal rates" if ratio == 1 else f"w_rec {1 / ratio:g} times slower"
    finish(ax, x="gain of the initial weights", y="target decay c*", title=words)
    label = "richness R" if quantity == "richness" else "learning time to 1%"
    above = "max" if quantity == "richness" and np.nanmax(values) > 1 else "neither"
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02, extend=above)
    bar.set_label(label, fontsize=FONT_SIZE)
    bar.ax.tick_params(labelsize=FONT_SIZE)
    return ax


def _words() -> dict[str, Any]:
    from matplotlib.patheffects import withStroke

    return {"fontsize": FONT_SIZE - 1, "color": INK, "path_effects": [withStroke(linewidth=2.5, foreground="white")]}


_TARGETS = ((COLOURS[0], "o"), (COLOURS[1], "s"))


def plot_readout(dataset: Dataset, quantity: str, *, ax: Axes) -> Axes:
    """Loss or read-out norm of networks and theory while the read-out learns alone, for two targets."""
    time = dataset.learning_time.values[1:]
    for index, (colour, marker) in enumerate(_TARGETS):
        decay, limit = float(dataset.target_decay[index]), float(dataset.limit_norm[index])
        rows = np.log(np.maximum(dataset[f"readout_{quantity}"].values[index, :, 1:], 1e-300))
        where = "inside" if np.isfinite(limit) else "outside"
        label = f"pole {1 - decay:.2g}, {where} the bulk"
        theory(ax, time, dataset[f"predicted_{quantity}"].values[index, 1:], color=colour, label=label)
        simulated(ax, time, np.exp(rows.mean(0)), color=colour, marker=marker, markersize=4.5, label="")
        low, high = np.exp(rows.mean(0) - rows.std(0)), np.exp(rows.mean(0) + rows.std(0))
        ax.fill_between(time, low, high, color=colour, alpha=0.2, linewidth=0)
        if quantity == "norm" and np.isfinite(limit):
            ax.axhline(limit, color=colour, linewidth=1, linestyle=(0, (4, 3)), label="predicted limit")
    ax.set_xscale("log")
    ax.set_yscale("log")
    return finish(ax, x=LEARNING_TIME, y="loss" if quantity == "loss" else "norm of the read-out", legend=True)


def plot_threshold(dataset: Dataset, *, ax: Axes) -> Axes:
    """Norm of the read-out at three late times against the target's pole: bounded inside the bulk alone."""
    pole = 1 - dataset.check_decay.values
    ax.axvspan(0.5, 0.75, color=FAINT, zorder=0)
    for time, colour in zip((1e3, 1e4, 1e5), COLOURS[2:5], strict=True):
        values = dataset.threshold_norm.sel(check_time=time).values
        label = f"time $10^{{{np.log10(time):.0f}}}$"
        ax.plot(pole, values, "o-", color=colour, markersize=4, linewidth=1, label=label)
    fine = np.linspace(0.05, 0.498, 200)
    theory(ax, fine, 1 / np.sqrt(1 - (fine / 0.5) ** 2), label="limit")
    ax.set_yscale("log")
    ax.set_xlim(0.08, 0.72)
    ax.set_ylim(0.9, 30)
    ax.text(0.61, 1.0, "outside the\nbulk, gain 0.5", fontsize=FONT_SIZE - 1, color=MUTED, ha="center")
    return finish(ax, x="pole of the target, 1 - c*", y="norm of the read-out", legend=True)


def plot_spectrum(dataset: Dataset, regime: str, *, ax: Axes) -> Axes:
    """Eigenvalues of one network before learning and when the loss has fallen to 1%."""
    from matplotlib.patches import Circle

    part = dataset.sel(regime=regime)
    gain, target, ratio = (float(part[f"spectrum_{name}"]) for name in ("gain", "target", "ratio"))
    small = min(1.0, (100 / part.sizes["eig"]) ** 0.5)
    disk = Circle((0, 0), gain, facecolor=FAINT, edgecolor=MUTED, linewidth=0.8, zorder=0, label="disk of the gain")
    ax.add_patch(disk)
    for phase, style in (
        ("before", {"markersize": 6.5 * small, "markerfacecolor": "none", "color": COLOURS[0], "markeredgewidth": 0.7}),
        ("after", {"markersize": max(3.4 * small, 1.6), "color": COLOURS[1], "markeredgewidth": 0.0}),
    ):
        values = part.sel(phase=phase)
        ax.plot(values.eigenvalue_re, values.eigenvalue_im, "o", label=f"{phase} learning", **style)
    far = part.sel(phase="after")
    out = np.hypot(far.eigenvalue_re, far.eigenvalue_im) > gain * (1 + 3 / np.sqrt(part.sizes["eig"]))
    if out.any():
        ax.plot(far.eigenvalue_re[out], far.eigenvalue_im[out], "o", color=COLOURS[1], markersize=7, markeredgewidth=0)
    ax.plot([target], [0], "+", markersize=13, color=INK, linestyle="none", label="pole of the target")
    ax.set_aspect("equal", adjustable="box")
    ax.set_xlim(-0.72, 0.95)
    ax.set_ylim(-0.72, 0.72)
    words = "equal rates" if ratio == 1 else f"w_rec {1 / ratio:g} times slower"
    return finish(ax, x="Re eigenvalue of W", y="Im eigenvalue of W", title=f"{regime}: gain {gain:g}, {words}")


def plot_sizes(dataset: Dataset, *, ax: Axes) -> Axes:
    """Loss of networks of 100 units (mean and s.d.), of infinitely many, and of the theory of small gain."""
    time, rows = dataset.size_time.values, dataset.finite_loss.values
    theory(ax, time, dataset.limit_loss.values, label="infinitely many units (words up to 4)")
    ax.plot(
        time, dataset.small_gain_loss.values, color=MUTED, linewidth=1.2, linestyle=":", label="gain 0: single outlier"
    )
    simulated(ax, time, rows.mean(0), spread=rows.std(0), label=f"{rows.shape[0]} networks, N=100")
    finish(ax, x=LEARNING_TIME, y="loss")
    ax.set_ylim(-0.05, 1.75)  # room for the legend above the data
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="upper right")
    return ax


def plot_spread(dataset: Dataset, *, ax: Axes) -> Axes:
    """Scatter of the loss at learning time 1 over random starts against the number of units."""
    sizes, spread = dataset["size"].values.astype(float), dataset.size_spread.values
    line = np.geomspace(sizes[0] / 1.3, sizes[-1] * 1.3, 30)
    scale = np.exp(np.mean(np.log(spread) + 0.5 * np.log(sizes)))
    ax.plot(line, scale / np.sqrt(line), color=MUTED, linewidth=1.2, linestyle=":", label="slope of $N^{-1/2}$")
    doubt = spread / np.sqrt(2 * (dataset.size_count.values - 1))
    ax.errorbar(sizes, spread, doubt, fmt="o", color=COLOURS[1], markersize=5.6, label="s.d. over networks")
    gap = np.abs(dataset.size_mean.values - float(dataset.limit_loss[10]))
    error = spread / np.sqrt(dataset.size_count.values)
    ax.errorbar(sizes * 1.06, gap, error, fmt="s", color=COLOURS[0], markersize=5, label="|mean − limit|")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
    ax.xaxis.minorticks_off()
    ax.set_ylim(1e-3, 4.0)  # room for the legend above the data
    finish(ax, x="units N", y="loss at learning time 1")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 0.5, loc="upper right")
    return ax
