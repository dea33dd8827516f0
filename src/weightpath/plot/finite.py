"""Panels about learning from finite data, drawn from a dataset into given axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.style import COLOURS, FONT_SIZE, MUTED, finish, simulated, theory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

LEARNING_TIME = "learning time [learning rate × steps]"


def plot_sampled_outlier(dataset: Dataset, *, ax: Axes) -> Axes:
    """Outlier eigenvalue of sampled descent at each setting, the theory of its trials and that of endless ones."""
    time = dataset.sgd_time.values
    theory(
        ax, time, dataset.sgd_stationary_outlier.values,
        label="theory, endless trials", linestyle=(0, (1, 1.5)), color=MUTED,
    )  # fmt: skip
    for index, name in enumerate(dataset.sgd_setting.values):
        setting = dataset.sel(sgd_setting=name)
        theory(ax, time, setting.sgd_predicted_outlier.values, label="theory, these trials" if not index else "")
        _descent(ax, time, setting.sgd_outlier.values, index, _length(name))
    finish(ax, x=LEARNING_TIME, y="outlier eigenvalue of W")
    ax.set_ylim(None, 1.4)  # room for the legend above the data
    ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8])
    ax.legend(frameon=False, fontsize=FONT_SIZE - 1, loc="upper left", borderaxespad=0.2, labelspacing=0.3)
    return ax


def plot_sampled_loss(dataset: Dataset, *, ax: Axes) -> Axes:
    """Exact loss of the networks along sampled descent, on a logarithmic axis, with both theories."""
    time = dataset.sgd_time.values
    theory(
        ax, time, dataset.sgd_stationary_loss.values,
        label="theory, endless trials", linestyle=(0, (1, 1.5)), color=MUTED,
    )  # fmt: skip
    for index, name in enumerate(dataset.sgd_setting.values):
        setting = dataset.sel(sgd_setting=name)
        theory(ax, time, setting.sgd_predicted_loss.values, label="theory, these trials" if not index else "")
        logs = np.log(setting.sgd_loss.values)
        middle, spread = logs.mean(0), logs.std(0)
        colour, marker = _look(index)
        simulated(ax, time, np.exp(middle), label=_length(name), color=colour, marker=marker, markersize=4.2)
        ax.fill_between(
            time, np.exp(middle - spread), np.exp(middle + spread), color=colour, alpha=0.2, linewidth=0
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set_ylim(0.1 * float(dataset.sgd_loss.min()), None)  # the theory of endless trials falls on for ever
    return finish(ax, x=LEARNING_TIME, y="loss of the stationary state")


def plot_guards(dataset: Dataset, *, ax: Axes) -> Axes:
    """Loss against steps beyond the edge of stability, with every step taken and with guards."""
    steps, floor = dataset.guard_step.values, 1e-13
    for name, colour, marker in (("every step taken", COLOURS[3], "D"), ("guarded", COLOURS[2], "o")):
        loss = dataset.guard_loss.sel(guard_run=name).values
        ax.plot(steps, loss, color=colour, linewidth=0.8, alpha=0.6)
        simulated(ax, steps, loss, label=name, color=colour, marker=marker, markersize=4.0)
    rates = dataset.guard_rate.sel(guard_run="guarded").values
    halved = steps[1:][np.diff(rates) < 0]
    for step in halved:
        ax.axvline(step, color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=0)
    if halved.size:
        ax.plot([], [], color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), label="rate halved")
    ax.set_yscale("log")
    ax.set_ylim(floor, None)
    finish(ax, x="steps of gradient descent", y="loss")
    ax.legend(frameon=False, fontsize=FONT_SIZE - 1, loc="upper right", bbox_to_anchor=(1.0, 0.85))
    return ax


def _descent(ax: Axes, time: np.ndarray, values: np.ndarray, index: int, label: str) -> None:
    """Mean and spread over seeds of sampled descent at one setting."""
    colour, marker = _look(index)
    simulated(ax, time, values.mean(0), spread=values.std(0), label=label, color=colour, marker=marker, markersize=4.2)


def _look(index: int) -> tuple[str, str]:
    return ((COLOURS[1], "o"), (COLOURS[0], "s"))[index]


def _length(setting: str) -> str:
    """Label of a setting that is named like "bins 0.1, trials of 20, 32 a batch"."""
    bins, trials, _ = setting.split(", ")
    return f"descent, {trials}, {bins}"
