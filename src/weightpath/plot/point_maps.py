"""Fixed points of a network: where they lie and how they move states nearby, their eigenvalues, and their branches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.plot.fit_states import given
from weightpath.plot.style import COLOURS, INK, MUTED, finish, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from xarray import Dataset
else:
    Axes = Dataset = Any

#: Colour and marker by the number of growing modes; stable points are filled, others open.
LOOKS = ((COLOURS[0], "o"), (COLOURS[1], "s"), (COLOURS[2], "^"), (COLOURS[3], "D"), (COLOURS[4], "v"))
SLOW = {"color": MUTED, "marker": "x", "markersize": 6, "markeredgewidth": 1.6, "linestyle": "none"}
EVENTS = {"saddle-node": "X", "pitchfork": "P", "Hopf": "D", "transcritical": "^", "zero eigenvalue": "v",
          "unpaired": "x", "Neimark-Sacker": "d", "flip": "s", "degenerate": "*"}  # fmt: skip


def principal_plane(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (unit,) and the first two principal axes (unit, 2) of states (state, unit); one axis of one unit."""
    centre = states.mean(axis=0)
    axes = np.linalg.svd(states - centre, full_matrices=False)[2][:2].T
    return centre, axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])


def found_points(
    dataset: Dataset, states: np.ndarray | None = None, ax: Axes | None = None, *, legend: bool = True
) -> Axes:
    """Fixed points in the plane of the principal components of states, with the modes that decide their fate.

    `dataset` is `FixedPoints.to_dataset()`; `states` (..., time, unit): courses of the network, drawn and used for
    the plane (left out, the points make it). Bars: of a stable point its slowest mode (solid); of others
    every growing mode (dashed), along the real part of the right eigenvector, or both parts of a complex one. Colour
    and marker: the number of growing modes; filled: stable; crosses: slow points, which are not fixed.
    """
    ax = given(ax)
    points = dataset["point"].values
    courses = np.zeros((0, 1, points.shape[1])) if states is None else np.reshape(states, (-1, *np.shape(states)[-2:]))
    cloud = courses.reshape(-1, points.shape[1]) if states is not None and courses.size else points
    centre, axes = principal_plane(np.concatenate([cloud, cloud[:1]]))
    plane = np.zeros((points.shape[1], 2))
    plane[:, : axes.shape[1]] = axes
    for course in courses:
        ax.plot(*((course - centre) @ plane).T, color="#C9CDD2", linewidth=0.7, zorder=1)
    flat = (points - centre) @ plane
    everything = np.concatenate([flat, (cloud - centre) @ plane])
    length = 0.05 * float(np.ptp(everything, axis=0).max() or 1.0)
    unstable, fixed = dataset["unstable_dimension"].values, dataset["fixed"].values
    for number in np.flatnonzero(fixed).tolist():
        _bars(ax, dataset, number, flat[number], plane, length)
    for count in np.unique(unstable[fixed]).tolist():
        chosen = fixed & (unstable == count)
        colour, marker = LOOKS[min(count, len(LOOKS) - 1)]
        ax.plot(*flat[chosen].T, marker, color=colour, markerfacecolor=colour if count == 0 else "white",
                markersize=5.5, markeredgewidth=1.3, label=_words(count), zorder=4)  # fmt: skip
    if np.any(~fixed):
        ax.plot(*flat[~fixed].T, label="slow point", zorder=4, **SLOW)
    ax.set_aspect("equal", adjustable="datalim")
    finish(ax, x="first principal component", y="second principal component")
    return legend_below(ax, ncols=3) if legend else ax


def _words(count: int) -> str:
    return "stable" if count == 0 else f"{count} growing mode{'s' if count > 1 else ''}"


def _bars(ax: Axes, dataset: Dataset, number: int, place: np.ndarray, plane: np.ndarray, length: float) -> None:
    """The modes of one point, as bars of the projected eigenvectors' directions and lengths."""
    growing = int(dataset["unstable_dimension"].values[number])
    shown = range(max(growing, 1))
    colour = LOOKS[min(growing, len(LOOKS) - 1)][0]
    for mode in shown:
        for part in ("right_re", "right_im"):
            arrow = length * 1.6 * dataset[part].values[number][:, mode] @ plane
            ends = np.stack([place - arrow, place + arrow])
            ax.plot(*ends.T, color=colour, linewidth=1.4, zorder=3, linestyle="--" if growing else "-")


def eigenvalue_plane(dataset: Dataset, ax: Axes | None = None, *, legend: bool = True) -> Axes:
    """Eigenvalues of all fixed points in the complex plane, with the border of stability.

    The border is the imaginary axis of a flow (eigenvalues per time constant) and the unit circle of a map. Colours and
    markers are those of `found_points`.
    """
    ax = given(ax)
    real, imaginary = dataset["eigenvalue_re"].values, dataset["eigenvalue_im"].values
    if dataset.attrs["dynamics"] == "map":
        angle = np.linspace(0, 2 * np.pi, 200)
        ax.plot(np.cos(angle), np.sin(angle), color=INK, linewidth=1.0, zorder=1)
        ax.set_aspect("equal", adjustable="datalim")
    else:
        ax.axvline(0, color=INK, linewidth=1.0, zorder=1)
    unstable, fixed = dataset["unstable_dimension"].values, dataset["fixed"].values
    for count in np.unique(unstable[fixed]).tolist():
        chosen = fixed & (unstable == count)
        colour, marker = LOOKS[min(count, len(LOOKS) - 1)]
        ax.plot(real[chosen].ravel(), imaginary[chosen].ravel(), marker, color=colour, markersize=4,
                markerfacecolor=colour if count == 0 else "none", label=_words(count), zorder=3)  # fmt: skip
    if np.any(~fixed):
        ax.plot(real[~fixed].ravel(), imaginary[~fixed].ravel(), label="slow point", zorder=2,
                **{**SLOW, "markersize": 4})  # fmt: skip
    extent = 1.25 * max(float(np.abs(imaginary).max(initial=0)), 0.2)
    if dataset.attrs["dynamics"] == "flow":
        ax.set_ylim(-extent, extent)
    unit = "step" if dataset.attrs["dynamics"] == "map" else "$\\tau$"
    finish(ax, x=f"real part [per {unit}]", y="imaginary part")
    return legend_below(ax, ncols=3) if legend else ax


def bifurcation_diagram(
    dataset: Dataset, ax: Axes | None = None, *, direction: np.ndarray | int = 0, label: str = "", legend: bool = True
) -> Axes:
    """Branches against the parameter: solid where stable, dashed where not; bifurcations are marked by their kind.

    `dataset` is `FixedPointBranches.to_dataset()`; `direction`: a unit's number or a vector (unit,) that points are
    projected on. Branches that meet in a bifurcation are drawn up to it.
    """
    ax = given(ax)
    parameter, points = dataset["parameter"].values, dataset["point"].values
    units = points.shape[-1]
    along = np.eye(units)[direction] if np.ndim(direction) == 0 else np.asarray(direction, dtype=float)
    axis = f"state of unit {direction}" if np.ndim(direction) == 0 else "projected state"
    height, stable = points @ along, dataset["unstable_dimension"].values == 0
    kinds, names = dataset["event_kind"].values.tolist(), dataset["event_branches"].values.tolist()
    events = list(zip(kinds, dataset["event_place"].values, dataset["event_point"].values @ along, names, strict=True))
    for branch in range(len(points)):
        own = [(place, up) for _, place, up, names in events if str(branch) in names.split()]
        there = np.isfinite(height[branch])
        x = np.concatenate([parameter[there], [place for place, _ in own]])
        y = np.concatenate([height[branch][there], [up for _, up in own]])
        order = np.argsort(x, kind="stable")
        colour = COLOURS[0]
        middle = (x[order][1:] + x[order][:-1]) / 2
        nearest = np.abs(parameter[there][None] - middle[:, None]).argmin(axis=1) if there.any() else []
        for part, state in enumerate(np.asarray(stable[branch][there])[nearest]):
            both = order[part : part + 2]
            ax.plot(x[both], y[both], color=colour if state else COLOURS[1], linewidth=1.6,
                    linestyle="-" if state else (0, (2.5, 1.5)), zorder=2, solid_capstyle="butt")  # fmt: skip
    ax.plot([], [], color=COLOURS[0], linewidth=1.6, label="stable")
    ax.plot([], [], color=COLOURS[1], linewidth=1.6, linestyle=(0, (2.5, 1.5)), label="unstable")
    for kind in dict.fromkeys(one[0] for one in events):
        chosen = np.array([(place, up) for name, place, up, _ in events if name == kind])
        ax.plot(*chosen.T, EVENTS[kind], color=INK, markersize=10 if EVENTS[kind] == "*" else 6, label=kind,
                markeredgecolor="white", markeredgewidth=0.6, zorder=4)  # fmt: skip
    finish(ax, x=str(dataset["parameter"].attrs["long_name"]), y=label or axis)
    return legend_below(ax, ncols=2) if legend else ax


def stability_margins(datasets: dict[str, Dataset], ax: Axes | None = None, *, label: str = "") -> Axes:
    """How far the first branch of each dataset is from losing stability, against the parameter; negative: unstable.

    Of a flow minus the largest real part of an eigenvalue, of a map one minus the largest modulus.
    """
    ax = given(ax)
    for (name, dataset), colour, line in zip(datasets.items(), COLOURS, ("-", (0, (4, 2))), strict=False):
        values = dataset["eigenvalue_re"].values[0] + 1j * dataset["eigenvalue_im"].values[0]
        flow = dataset.attrs["dynamics"] == "flow"
        margin = -values.real.max(axis=1) if flow else 1 - np.abs(values).max(axis=1)
        ax.plot(dataset["parameter"].values, margin, color=colour, linestyle=line, label=f"as a {name}")
        for kind, place in zip(dataset["event_kind"].values.tolist(), dataset["event_place"].values, strict=True):
            ax.plot(place, 0, EVENTS[kind], color=INK, markersize=6, label=kind, zorder=4)
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1)
    finish(ax, x=label or "parameter", y="stability margin")
    return legend_below(ax, ncols=2)


def found_by_starts(dataset: Dataset, names: dict[str, str], ax: Axes | None = None) -> Axes:
    """Points found and stable points found of every draw, by the distribution of the starts."""
    ax = given(ax)
    for shift, kind, marker in ((-0.12, "pure", "o"), (0.12, "perturbed", "s")):
        for words, colour in (("found", COLOURS[0]), ("stable", COLOURS[1])):
            counts = dataset[f"block_{words}"].sel(weights=kind, starts=list(names)).values
            across = np.broadcast_to(np.arange(len(names))[:, None] + shift, counts.shape)
            ax.plot(across.ravel(), counts.ravel(), marker, color=colour, markersize=4.5, alpha=0.8,
                    label=f"{words}, {kind} weights", linestyle="none")  # fmt: skip
    for level in (27, 8):
        ax.axhline(level, color=INK, linewidth=0.8, zorder=1)
    ticks = [words.replace(" ", "\n", 1) if len(words) > 10 else words for words in names.values()]
    ax.set_xticks(range(len(names)), ticks)
    ax.set_ylim(-1, 29)
    finish(ax, x="distribution of the starts", y="fixed points")
    return legend_below(ax, points=48.0, ncols=2)
