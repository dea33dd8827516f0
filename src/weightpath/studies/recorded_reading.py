"""Figures and tables of what the fitted network does: states, weights, flow, fixed points, parts, behaviour."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies.tables import Cell, Row, Table

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

NOTE = "The fitted network's account of the recording. It describes the model and is no evidence that weights changed."


def draw_summary(dataset: Dataset):
    """The fitted network in panels. Colours are conditions, lines are epochs (solid: the first; dashed, dotted: later
    ones). Trial factors; eigenvalues of the recurrent weights (right of the dashed line a direction grows from rest);
    rates of one trial; two neurons and principal components of the data (dots: means of the data, open after the
    first epoch; lines: the model; at most four conditions); states and inputs along the directions of the two largest
    factors; states at one time, joined in the order of conditions; the course of the optimisation; and how much of
    the model's variance is lost when one part is taken out: factors held at their mean over the first epoch, the same
    inputs for all conditions, no recurrence, the slow offset held. Parts interact, so the shares need not add up to
    one. All of it describes the model; whether weights changed is for the controls to say.
    """
    from weightpath.plot.fit_summary import summary

    return summary(dataset)


def draw_flow(dataset: Dataset):
    """Flow of the fitted network at the middle trial of each epoch, under the input averaged over conditions and
    time, on the plane of the two largest principal axes of the visited states (percentages: share of their variance;
    the other axes are held at their mean). Arrows: direction; shade: speed, in units of state per time constant;
    lines: mean course of each condition, from the dot on. Change: the last epoch less the first, arrows as long as
    the change is large. It is the change that the model gives to its weights; models with changing inputs or read-out
    have another account.
    """
    from weightpath.plot.fit_flow import flow_panels

    return flow_panels(dataset)


def draw_fixed_points(dataset: Dataset):
    """Fixed points of the fitted network over trials, along the largest principal axis, without input and under the
    input averaged over conditions and time. Filled: stable; open: unstable. Symbols at the bottom: bifurcations within
    epochs, along the smooth part of the factors. A search from many starts found these points; it cannot show that
    there are no others. They are those of the model, which the data determine only where states were visited.
    """
    from weightpath.plot.fit_flow import fixed_point_panels

    return fixed_point_panels(dataset)


def draw_behaviour(dataset: Dataset):
    """Correlation of each trial factor of the model with measures of behaviour (means of trials): within epochs
    (open), and with a straight line in each epoch taken out as well (filled), which leaves what is not shared drift.
    A star marks a measure whose largest filled correlation is larger than shifts of the behaviour within epochs give
    (p < .05 over factors).
    """
    from weightpath.plot.fit_weights import behaviour_correlations
    from weightpath.plot.style import figure

    drawn, ax = figure(width=7.2, height=0.9 + 0.35 * dataset.sizes["covariate"] + 0.4)
    behaviour_correlations(dataset, ax)
    return drawn


FIGURES = {"fit-summary": draw_summary, "flow": draw_flow, "fixed-points": draw_fixed_points}


def reading_tables(dataset: Dataset) -> list[Table]:
    """A table of numbers of the fitted network, and one of its factors against behaviour where that was measured."""
    rows = [*_parts(dataset), *_epochs(dataset), *_points(dataset)]
    tables = [Table("What the fitted network does", NOTE, ["value"], rows, head="")]
    return [*tables, _behaviour(dataset)] if "covariate" in dataset.dims else tables


def _parts(dataset: Dataset) -> list[Row]:
    first = str(dataset["epoch"].values[0])
    labels = {
        "learning": (f"factors held at their mean over {first}", "change of the weights"),
        "input": ("the same inputs for all conditions", "condition inputs"),
        "recurrence": ("no recurrence", "recurrent weights"),
        "offset": (f"slow offset held at its mean over {first}", "slow offset"),
        "remainder": ("one less the sum of these", "parts interact"),
    }
    group = "Share of the model's variance that is lost"
    rows = [
        Row(labels[name][0], [Cell(_number(value), labels[name][1])], group)
        for name, value in zip(dataset["part"].values.tolist(), dataset["share"].values.tolist(), strict=True)
    ]
    if "swap_flow_share" in dataset:
        at = float(dataset["time"][dataset.attrs["reading_bin"]])
        group = f"Share of the change of states after {at:.3g} {dataset['time'].attrs['units']}, first to last epoch"
        flow, start = (float(dataset[f"swap_{name}_share"]) for name in ("flow", "start"))
        rows += [
            Row("by the later flow from the earlier states", [Cell(_number(flow))], group),
            Row("by the later states under the earlier flow", [Cell(_number(start))], group),
        ]
    return rows


def _epochs(dataset: Dataset) -> list[Row]:
    names = dataset["epoch"].values.tolist()
    rows = []
    group = "Mean weights of epochs, as the rates visit them (all epochs share their column and row spaces)"
    distance, output, read = (
        dataset[name].values for name in ("weight_distance", "weight_output_angle", "weight_input_angle")
    )
    for i in range(len(names)):
        for j in range(i):
            spread = max(distance[i, i], distance[j, j])
            angles = f"leading directions: output {output[i, j]:.0f}°, input {read[i, j]:.0f}°"
            cell = Cell(_number(distance[i, j]), f"{angles}; within an epoch {_number(spread)}")
            rows.append(Row(f"relative distance, {names[j]} – {names[i]}", [cell], group))
    if "savings" in dataset:
        low, high = dataset["savings_interval"].values
        text = f"95 % interval {low:.2f} to {high:.2f}; full return {float(dataset['savings_floor']):.2f}"
        shown = dataset["savings_outcome"].item() == "successful"
        value = _number(float(dataset["savings"])) if shown else "–"
        rows.append(Row("kept after washout", [Cell(value, text if shown else "factors did not move")], group))
    group = "Time constant of an exponential course of the factor [trials]"
    for i, name in enumerate(names):
        one = dataset.isel(epoch=i)
        cells = [
            f"c{number}: {_number(tau, 0)} ± {_number(se, 0)}" if outcome == "successful" else f"c{number}: none"
            for number, tau, se, outcome in zip(
                dataset["component"].values.tolist(), one["learning_trials"].values.tolist(),
                one["learning_trials_se"].values.tolist(), one["learning_outcome"].values.tolist(), strict=True,
            )
        ]  # fmt: skip
        rows.append(Row(str(name), [Cell("; ".join(cells))], group))
    return rows


def _points(dataset: Dataset) -> list[Row]:
    """How many fixed points there are in the middle of each epoch, and how many bifurcations of each kind."""
    rows, events = [], json.loads(dataset.attrs["bifurcations"])
    number = dict(zip(dataset["trial"].values.tolist(), dataset["epoch_number"].values.tolist(), strict=True))
    epoch = np.array([number[trial] for trial in dataset["followed"].values.tolist()])
    for drive, one in enumerate(dataset["drive"].values.tolist()):
        growing, counts = dataset["fixed_point_unstable"].values[drive], []
        for place, name in enumerate(dataset["epoch"].values.tolist()):
            middle = np.flatnonzero(epoch == place)[np.sum(epoch == place) // 2]
            found = growing[:, middle]
            counts.append(f"{name}: {np.sum(found >= 0)} ({np.sum(found == 0)} stable)")
        kinds = Counter(event["kind"] for event in events if event["drive"] == one and not event["jump"])
        happened = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none"
        cell = Cell("; ".join(counts), f"bifurcations within epochs: {happened}")
        rows.append(Row(one, [cell], "Fixed points found in the middle of each epoch"))
    return rows


def _behaviour(dataset: Dataset) -> Table:
    columns = [f"c{number}" for number in dataset["component"].values.tolist()]
    rows = []
    for name in dataset["covariate"].values.tolist():
        one = dataset.sel(covariate=name)
        cells = [
            Cell(
                _signed(one["behaviour_detrended"][rank]),
                f"p = {float(one['behaviour_detrended_p'][rank]):.3f}; within epochs "
                f"{_signed(one['behaviour_within'][rank])}, p = {float(one['behaviour_within_p'][rank]):.3f}",
            )
            for rank in range(len(columns))
        ]
        rows.append(Row(name.replace("_", " "), cells, "", f"any factor: p = {float(one['behaviour_family_p']):.3f}"))
    reading = (
        "Correlation within epochs with a straight line in each taken out of both, and below it with the line left in. "
        "p: share of 999 circular shifts of the behaviour within epochs with a correlation at least as large. Two slow "
        "drifts are correlated without having to do with one another: believe the upper number."
    )
    return Table("Trial factors and behaviour", NOTE, columns, rows, reading, head="measure")


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _signed(value: Any) -> str:
    return f"{float(value):+.2f}".replace("-", "\N{MINUS SIGN}")
