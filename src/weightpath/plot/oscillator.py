"""Panels of the study `damped-oscillator`, drawn from its dataset into given axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FAINT, INK, MUTED, finish, legend_below, simulated, theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

LEARNING_TIME = "learning time [learning rate × steps]"
#: Networks whose whole paths are drawn.
DRAWN = 3


def plot_loss(dataset: Dataset, *, ax: Axes) -> Axes:
    """Loss against learning time: plateau of one exponential, escape, collision, end; networks and predictions."""
    time, plateau = dataset.learning_time.values, float(dataset.plateau_loss)
    floor = 1e-4 * plateau
    ax.axhline(plateau, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    ax.annotate(
        "plateau: best single exponential", (1, plateau), xycoords=("axes fraction", "data"), fontsize=8, color=MUTED,
        xytext=(-2, 4), textcoords="offset points", ha="right",
    )  # fmt: skip
    for index in range(min(DRAWN, dataset.sizes["seed"])):
        one = dataset.isel(seed=index)
        first = index == 0
        theory(ax, time, one.predicted_loss.values, label="theory" if first else "_", linewidth=1.1)
        simulated(
            ax, time, one.loss.where(one.loss > floor).values, color=COLOURS[index % 6], markersize=4,
            label=f"network, start of size {float(one.start_size):g}",
        )  # fmt: skip
        _mark(ax, time, one, "predicted_collision_time", "D", "predicted collision" if first else "_")
        _mark(ax, time, one, "predicted_half_time", "|", "predicted half plateau" if first else "_")
    ax.set_yscale("log")
    ax.set_ylim(floor, 3 * float(dataset.loss[:, 0].max()))
    ax.set_xlim(0, time[-1])
    finish(ax, x=LEARNING_TIME, y="loss")
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda place: "network" not in labels[place])
    ax.legend([handles[i] for i in order], [labels[i] for i in order], frameon=False, fontsize=8.5, loc="lower left")
    return ax


def _mark(ax: Axes, time: np.ndarray, one: Dataset, name: str, marker: str, label: str) -> None:
    at = float(one[name])
    if np.isfinite(at) and at <= time[-1]:
        height = np.exp(np.interp(at, time, np.log(np.maximum(one.predicted_loss.values, 1e-300))))
        ax.plot(
            [at],
            [height],
            marker,
            markersize={"D": 6, "|": 13}[marker],
            markeredgewidth=1.5,
            color=INK,
            label=label,
            zorder=4,
        )


def smallest(dataset: Dataset) -> Dataset:
    """The first network with the smallest start, which comes closest to the plateau."""
    return dataset.isel(seed=int(np.argmin(dataset.start_size.values)))


def plot_plane(dataset: Dataset, *, ax: Axes) -> Axes:
    """The two outliers of one network in the complex plane, with the theory's path and the target."""
    from matplotlib.patches import Circle

    one = smallest(dataset)
    decay, frequency = dataset.attrs["decay"], dataset.attrs["frequency"]
    ax.add_patch(Circle((0, 0), float(one.start_size), facecolor=FAINT, edgecolor=MUTED, linewidth=0.8, zorder=0))
    ax.plot([1 - decay] * 2, [frequency, -frequency], "+", markersize=16, color=MUTED, label="poles of the target")
    for which, colour in enumerate((COLOURS[0], COLOURS[1])):
        path = one.sel(which=which)
        label = "theory" if which == 0 else "_theory"
        theory(ax, path.predicted_eigenvalue_re.values, path.predicted_eigenvalue_im.values, label=label)
        x, y = path.eigenvalue_re.values, path.eigenvalue_im.values
        keep = _spread(x, y, 0.06 * max(1.0, frequency))
        ax.plot(x[keep], y[keep], "o", markersize=4.5, color=colour, label=f"outlier {which + 1} of a network")
    time, at = dataset.learning_time.values, float(one.predicted_collision_time)
    if at <= time[-1]:
        collision = np.interp(at, time, one.predicted_eigenvalue_re.values.mean(-1))
        ax.plot([collision], [0], "D", markersize=6, color=INK, label="predicted collision", zorder=4)
    outlier = 1 - float(dataset.plateau_rate)
    ax.plot([outlier], [0], "s", markersize=8, markerfacecolor="none", color=INK, label="plateau", zorder=4)
    ax.set_aspect("equal", adjustable="datalim")
    finish(ax, x="Re eigenvalue of W", y="Im eigenvalue of W")
    return legend_below(ax, ncols=2)


def _spread(x: np.ndarray, y: np.ndarray, gap: float) -> list[int]:
    """Indices of points at least `gap` apart along a path, so that markers stay apart where it is slow."""
    kept = [0]
    for index in range(1, x.size):
        if np.hypot(x[index] - x[kept[-1]], y[index] - y[kept[-1]]) >= gap:
            kept.append(index)
    return kept


def plot_part(dataset: Dataset, *, ax: Axes, part: str) -> Axes:
    """Real ("re") or imaginary ("im") parts of one network's two outliers against learning time."""
    one, time = smallest(dataset), dataset.learning_time.values
    decay, frequency = dataset.attrs["decay"], dataset.attrs["frequency"]
    for level in [1 - decay] if part == "re" else [frequency, -frequency]:
        ax.axhline(level, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for which, colour in enumerate((COLOURS[0], COLOURS[1])):
        path = one.sel(which=which)
        theory(ax, time, path[f"predicted_eigenvalue_{part}"].values)
        simulated(ax, time, path[f"eigenvalue_{part}"].values, color=colour, markersize=4)
    if np.isfinite(float(one.predicted_collision_time)):
        ax.axvline(float(one.predicted_collision_time), color=INK, linewidth=0.9, linestyle=":")
        if part == "im":
            ax.annotate(
                "collision ", (float(one.predicted_collision_time), 0.12), xycoords=("data", "axes fraction"),
                fontsize=8, color=INK, ha="right",
            )  # fmt: skip
    ax.set_xlim(0, time[-1])
    return finish(ax, x=LEARNING_TIME if part == "im" else "", y=f"{part.capitalize()} eigenvalue")


def plot_escape_times(dataset: Dataset, *, ax: Axes) -> Axes:
    """Measured against predicted time to half the plateau's loss, one point a start."""
    own, checks = _pairs(dataset)
    both = np.concatenate([*own, *checks])
    both = both[np.isfinite(both)]
    if both.size:
        room = 0.08 * (both.max() - both.min()) + 0.02 * both.max()
        line = np.array([both.min() - room, both.max() + room])
        theory(ax, line, line, label="equal", linewidth=1.0)
        ax.set_xlim(*line)
        ax.set_ylim(*line)
    _scatter(ax, *own, *checks, dataset.attrs)
    ax.set_aspect("equal", adjustable="box")
    finish(ax, x="predicted time to half plateau", y="measured time")
    return legend_below(ax, ncols=1)


def plot_escape_errors(dataset: Dataset, *, ax: Axes) -> Axes:
    """Relative difference of measured and predicted times, in per cent, against the size of the start."""
    own, checks = _pairs(dataset)
    errors = [100 * (measured / predicted - 1) for predicted, measured in (own, checks)]
    _scatter(ax, dataset.start_size.values, errors[0], np.full(errors[1].size, 0.01), errors[1], dataset.attrs)
    ax.axhline(0, color=MUTED, linewidth=1)
    ax.set_xscale("log")
    ax.margins(x=0.15, y=0.3)
    return finish(ax, x="size of the start", y="measured minus predicted [%]")


def _pairs(dataset: Dataset) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    own = dataset.predicted_half_time.values, dataset.half_time.values
    return own, (dataset.check_predicted.values, dataset.check_measured.values)


def _scatter(ax: Axes, own_x, own_y, check_x, check_y, attrs) -> None:
    settings = f"these settings, N={attrs['units']}, decay {attrs['decay']:g}, frequency {attrs['frequency']:g}"
    ax.plot(own_x, own_y, "o", markersize=5.5, color=COLOURS[1], label=settings)
    reference = "reference starts: decay 0.2, frequency 1"
    ax.plot(check_x, check_y, "s", markersize=7, markerfacecolor="none", color=COLOURS[0], label=reference)


def plot_filters(dataset: Dataset, *, ax: Axes) -> Axes:
    """Responses to a unit pulse at three stages of learning, the best single exponential and the target filter."""
    time = dataset.time.values
    theory(ax, time, dataset.target_filter.values, label="target")
    theory(ax, time, dataset.best_exponential.values, label="best single exponential", color=MUTED, linestyle="--")
    for stage, colour, marker in zip(dataset.stage.values, (COLOURS[0], COLOURS[2], COLOURS[1]), "s^o", strict=True):
        at = float(dataset.stage_time.sel(stage=stage))
        simulated(
            ax, time, dataset["filter"].sel(stage=stage).values,
            label=f"{stage} (learning time {at:.3g})", color=colour, marker=marker, markersize=4.5,
        )  # fmt: skip
    return finish(ax, x="time after pulse [membrane time constants]", y="response to a unit pulse", legend=True)
