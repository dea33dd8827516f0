"""Figures of learning fixed points: losses by rule and learning rate with their jumps, accuracies over the sweep."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FONT_SIZE, MUTED, figure, finish, legend_below, letter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset
else:
    Axes = Dataset = Figure = Any

#: One look for each rule of fixed points: colour and marker.
RULE_LOOKS = {
    "dW1": (COLOURS[1], "s"),
    "dW3K": (COLOURS[0], "o"),
    "dW4": (COLOURS[2], "^"),
    "phantom": (COLOURS[4], "D"),
    "Adam on dW1": (COLOURS[3], "v"),
    "equilibrium propagation": (COLOURS[5], "P"),
    "mean metric": (COLOURS[6], "X"),
    "dW2K": ("#7A4A21", "h"),
}
JUMP = 0.5
TITLES = {"digits": "digits", "mnist": "MNIST"}


def rule_look(name: str) -> tuple[str, str]:
    """Colour and marker of a rule of fixed points. **Raises:** ValueError for a rule without a look."""
    if name not in RULE_LOOKS:
        raise ValueError(f"no look is kept for the rule {name!r}; expected one of {', '.join(RULE_LOOKS)}.")
    return RULE_LOOKS[name]


def plot_losses(dataset: Dataset, prefix: str, rule: str, *, ax: Axes) -> Axes:
    """Minibatch losses of one rule, a shade of colour for each learning rate (pale: small), triangles at jumps."""
    part = dataset.isel({f"{prefix}_row": np.flatnonzero(dataset[f"{prefix}_rule"].values == rule)})
    part = part.sortby(f"{prefix}_rate")
    rates = part[f"{prefix}_rate"].values
    tones = shades(rule_look(rule)[0], rates.size)
    for index, (rate, shade) in enumerate(zip(rates, tones, strict=True)):
        paths = part[f"{prefix}_loss"].isel({f"{prefix}_row": index}).transpose(f"{prefix}_seed", f"{prefix}_update")
        label = f"{rate:g}"
        for path in paths.values:
            shown = np.isfinite(path)
            if not shown.any():
                continue
            steps = np.flatnonzero(shown)
            ax.plot(steps, path[shown], color=shade, linewidth=0.8, alpha=0.9, label=label)
            jumps = 1 + np.flatnonzero(np.diff(path) > JUMP)
            ax.plot(jumps, path[jumps], "v", color="#202124", markersize=3.5, zorder=4)
            label = None
    return finish(ax)


def shades(colour: str, count: int) -> list[Any]:
    """`count` shades of a colour, pale first, itself last."""
    from matplotlib.colors import to_rgb

    full = np.array(to_rgb(colour))
    return [tuple(1 - share * (1 - full)) for share in np.linspace(0.4 if count > 1 else 1.0, 1.0, count)]


def legend_of_rates(ax: Axes) -> Axes:
    """The learning rates below a panel, where no course can lie under them."""
    small = FONT_SIZE - 1
    return legend_below(ax, ncols=4, title="learning rate", title_fontsize=small, handlelength=1.2)


def ticks_at(ax: Axes, rates: Any) -> Axes:
    """A logarithmic axis of learning rates, with ticks at those that were used."""
    used = np.unique(np.asarray(rates, dtype=float))
    ax.set_xscale("log")
    ax.set_xticks(used, [f"{rate:g}" for rate in used])
    ax.set_xticks([], minor=True)
    return ax


def learning_figure(dataset: Dataset, prefixes: list[str]) -> Figure:
    """One panel a rule of each set of images."""
    panels = [(prefix, rule) for prefix in prefixes for rule in _rules(dataset, prefix)]
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    drawn, axes = figure(rows, columns, width=3.1 * columns + 0.4, height=2.9 * rows + 0.2, squeeze=False)
    flat = list(axes.flat)
    for ax, (prefix, rule) in zip(flat, panels, strict=False):
        plot_losses(dataset, prefix, rule, ax=ax)
        finish(ax, x="update", y="minibatch loss", title=f"{TITLES[prefix]}: {rule}")
        legend_of_rates(ax)
        ax.set_xlim(0, dataset.sizes[f"{prefix}_update"])
        high = np.nanpercentile(dataset[f"{prefix}_loss"].values, 99.5)
        ax.set_ylim(0, max(2.8, 1.15 * float(high)))
    for ax in flat[len(panels) :]:
        ax.set_visible(False)
    letter(flat[: len(panels)])
    return drawn


def plot_accuracies(dataset: Dataset, prefix: str, *, ax: Axes) -> Axes:
    """Test accuracy against the learning rate, one colour a rule, one mark a network; open: unconverged updates."""
    ax.axhline(0.1, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    for rule in _rules(dataset, prefix):
        colour, marker = rule_look(rule)
        part = dataset.isel({f"{prefix}_row": np.flatnonzero(dataset[f"{prefix}_rule"].values == rule)})
        part = part.sortby(f"{prefix}_rate")
        rates = part[f"{prefix}_rate"].values
        reached = part[f"{prefix}_accuracy"].transpose(f"{prefix}_row", f"{prefix}_seed").values
        unsolved = part[f"{prefix}_unconverged"].transpose(f"{prefix}_row", f"{prefix}_seed").values
        means = np.array([np.mean(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in reached])
        ax.plot(rates, means, color=colour, linewidth=1.0, alpha=0.7)
        for (row, seed), value in np.ndenumerate(reached):
            face = "white" if unsolved[row, seed] > 0 else colour
            ax.plot(rates[row], value, marker, color=colour, markerfacecolor=face, markersize=5, linestyle="none")
        ax.plot([], [], marker, color=colour, linestyle="-", linewidth=1.0, markersize=5, label=rule)
    ticks_at(ax, dataset[f"{prefix}_rate"].values)
    ax.set_ylim(0, 1.02)
    return finish(ax, x="learning rate", y="test accuracy", title=TITLES[prefix])


def accuracy_figure(dataset: Dataset, prefixes: list[str]) -> Figure:
    """One panel a set of images, and one legend."""
    drawn, axes = figure(1, len(prefixes), width=3.4 * len(prefixes) + 2.2, height=3.1, squeeze=False)
    for ax, prefix in zip(axes[0], prefixes, strict=True):
        plot_accuracies(dataset, prefix, ax=ax)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside right center", frameon=False, fontsize=FONT_SIZE)
    if len(prefixes) > 1:
        letter(axes[0])
    return drawn


def _rules(dataset: Dataset, prefix: str) -> list[str]:
    """Rules in the order in which they were run."""
    return list(dict.fromkeys(dataset[f"{prefix}_rule"].values.tolist()))
