"""Everything that is read from a fit, as one labelled dataset: what figures and reports are made of."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath._results import outcome_name
from weightpath.inference.reading.behaviour_factors import behaviour_covariates, correlate_behaviour
from weightpath.inference.reading.branches import follow, followed_trials
from weightpath.inference.reading.counterfactual import counterfactuals, swap_starts
from weightpath.inference.reading.epochs import compare_epochs
from weightpath.inference.reading.factors import factor_variables
from weightpath.inference.reading.flow_field import flow_field
from weightpath.inference.reading.in_span import InSpan, in_span
from weightpath.inference.reading.learning_curves import learning_curves
from weightpath.inference.reading.savings import savings
from weightpath.inference.reading.views import Views, axis_names
from weightpath.inference.result import Fit

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Held inputs under which fixed points are followed.
DRIVES = ("no input", "mean input")


def reading_dataset(fit: Fit, *, at: int | None = None, points: int = 15) -> Dataset:
    """States, weights, flow fields, fixed points, counterfactuals, epochs and behaviour of a fit, labelled.

    Components are numbered and signed as in `Fit.canonical`; states are in the principal axes of the visited states.
    `at`: bin whose states are compared between epochs, default the first bin at or after time zero where times begin
    before it, else a quarter into the trial. Flow fields (`points` x `points`) are those of the middle trial of each
    epoch under the mean input.

    **Raises:** ValueError for a model with a core, which has no trial factors, and a bin that is not there.
    """
    import xarray as xr

    if fit.model.core:
        raise ValueError(f"changes={fit.model.changes!r} has a core and no trial factors to be read.")
    recording = fit.recording
    at = _start_bin(recording.time) if at is None else at
    if not 0 <= at < recording.shape[1]:
        raise ValueError(f"at must be a bin from 0 to {recording.shape[1] - 1}; got {at}.")
    system = in_span(fit).principal()
    views = Views(fit, system, at)
    variables = {
        **views.variables(), **_flows(fit, system, points), **_branches(fit, system), **_shares(fit, at),
        **_epochs(fit), **_behaviour(fit, views.order), **factor_variables(fit, views.canonical),
    }  # fmt: skip
    events = variables.pop("bifurcations")
    epochs, conditions = (tuple(map(str, one)) for one in (recording.epochs, recording.conditions))
    axes = axis_names(system)
    coords: dict[str, Any] = {
        "trial": recording.trial_id,
        **{name: variables.pop(name) for name in ("epoch_name", "condition_name")},
        "time": ("time", recording.time, {"units": recording.time_unit}),
        "epoch": list(epochs),
        "condition": list(conditions),
        "component": np.arange(1, len(axes) + 1),
        "axis": list(axes),
    }
    about = {"reading_bin": at, "solver_gap": float(np.abs(system.to_factors(system.states) - fit.z).max())}
    return xr.Dataset(variables, coords=coords, attrs=about | {"bifurcations": events})


def _start_bin(time: np.ndarray) -> int:
    return int(np.argmax(time >= 0)) if time[0] < 0 <= time[-1] else len(time) // 4


def _middle_trials(fit: Fit) -> list[int]:
    """Index of the middle trial of every epoch."""
    found = [np.flatnonzero(fit.recording.epoch == epoch) for epoch in range(len(fit.recording.epochs))]
    return [int(one[len(one) // 2]) for one in found]


def _flows(fit: Fit, system: InSpan, points: int) -> dict[str, Any]:
    """Flow on the plane of the first two axes; along the line for rank 1."""
    trials = _middle_trials(fit)
    shown = {"flow_trial": ("epoch", fit.recording.trial_id[trials])}
    if system.basis.shape[1] == 1:
        reach = 1.2 * np.abs(system.states).max()
        line = np.linspace(-reach, reach, 8 * points + 1)
        flow = [system.at(trial, system.mean_input, smooth=True)(line[:, None])[:, 0] for trial in trials]
        return shown | {"line_flow": (("epoch", "line"), np.array(flow)), "line": ("line", line)}
    fields = [flow_field(system, trial, points=points, smooth=True) for trial in trials]
    return shown | {
        "flow": (("epoch", "row", "column", "direction"), np.array([one.in_plane for one in fields])),
        "flow_across": (("epoch", "row", "column"), np.array([one.across for one in fields])),
        "flow_x": ("column", fields[0].x),
        "flow_y": ("row", fields[0].y),
    }


def _branches(fit: Fit, system: InSpan) -> dict[str, Any]:
    """Fixed points over trials without input and under the mean input."""
    trials = followed_trials(fit)
    drives = (np.zeros_like(system.mean_input), system.mean_input)
    found = [follow(system, fit.recording.epoch, trials, drive=drive) for drive in drives]
    rows = max(len(one.points) for one in found)
    points = np.full((len(found), rows, len(trials), system.basis.shape[1]), np.nan)
    unstable = np.full(points.shape[:3], -1)
    for number, one in enumerate(found):
        points[number, : len(one.points)] = one.points
        unstable[number, : len(one.points)] = one.unstable_directions
    events = [
        {"drive": drive, "kind": event.kind, "trial": _between(fit.recording.trial_id, event.trial), "jump": event.jump}
        for drive, one in zip(DRIVES, found, strict=True)
        for event in one.bifurcations
    ]
    dims = ("drive", "branch", "followed")
    return {
        "fixed_point": ((*dims, "axis"), points),
        "fixed_point_unstable": (dims, unstable, {"long_name": "growing directions; -1 where there is no point"}),
        "followed": ("followed", fit.recording.trial_id[trials]),
        "drive": ("drive", list(DRIVES)),
        "fixed_points_outcome": ("drive", [outcome_name(one.result) for one in found]),
        "bifurcations": json.dumps(events),
    }


def _between(trial_id: np.ndarray, place: float) -> float:
    return float(np.interp(place, np.arange(len(trial_id)), trial_id))


def _shares(fit: Fit, at: int) -> dict[str, Any]:
    removed = counterfactuals(fit)
    names = (*removed.shares, "remainder")
    result: dict[str, Any] = {
        "share": (
            "part",
            [*removed.shares.values(), removed.remainder],
            {"long_name": "share of the model's variance"},
        ),
        "part": ("part", list(names)),
    }
    epochs, recording = len(fit.recording.epochs), fit.recording
    both = np.intersect1d(recording.condition[recording.epoch == 0], recording.condition[recording.epoch == epochs - 1])
    if epochs > 1 and len(both) and at < recording.shape[1] - 1:
        swap = swap_starts(fit, 0, epochs - 1, at=at)
        result |= {"swap_start_share": ((), swap.start_share), "swap_flow_share": ((), swap.flow_share)}
    return result


def _epochs(fit: Fit) -> dict[str, Any]:
    compared, curves = compare_epochs(fit), learning_curves(fit)
    order, pair = list(fit.canonical().order), ("epoch", "other_epoch")
    result: dict[str, Any] = {
        "other_epoch": ("other_epoch", list(compared.epochs)),
        "weight_distance": (
            pair,
            compared.weighted,
            {"long_name": "distance of the mean weights, as rates visit them"},
        ),
        "weight_output_angle": (pair, compared.output_angle, {"units": "degrees"}),
        "weight_input_angle": (pair, compared.input_angle, {"units": "degrees"}),
        "learning_trials": (("epoch", "component"), curves.trials[:, order], {"units": "trials"}),
        "learning_trials_se": (("epoch", "component"), curves.trials_se[:, order], {"units": "trials"}),
        "learning_outcome": (("epoch", "component"), curves.outcome[:, order]),
    }
    if len(compared.epochs) >= 3 and fit.model.changes == "trial":
        kept = savings(fit)
        result |= {
            "savings": ((), kept.overall),
            "savings_interval": ("end", np.array(kept.interval)),
            "savings_floor": ((), kept.floor),
            "savings_outcome": ((), outcome_name(kept.result)),
        }
    return result


def _behaviour(fit: Fit, order: list[int]) -> dict[str, Any]:
    measures = behaviour_covariates(fit.recording)
    if not measures:
        return {}
    factors, epoch = fit.c.astype(np.float64)[:, order], fit.recording.epoch
    found = [correlate_behaviour(factors, values, epoch) for values in measures.values()]
    dims = ("covariate", "component")
    names = ("overall", "within", "within_p", "detrended", "detrended_p")
    return {
        "covariate": ("covariate", list(measures)),
        **{f"behaviour_{name}": (dims, np.array([getattr(one, name) for one in found])) for name in names},
        "behaviour_family_p": ("covariate", np.array([one.family_p for one in found])),
    }
