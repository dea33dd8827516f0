"""Descriptions of a recording without a recurrent network, at the rank of a model and on the same held-out entries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from weightpath._types import Float
from weightpath.inference.cp_data import decompose
from weightpath.inference.lds import fit_system, predicted_values, smooth
from weightpath.inference.plain import Train, tuned_smoother
from weightpath.inference.recording import Recording


@dataclass(frozen=True, eq=False)
class Baseline:
    """Predictions at all entries, and whether the iterations behind them settled."""

    prediction: Float[np.ndarray, "trial time neuron"]
    settled: bool


def linear_system(recording: Recording, train: Train, rank: int) -> Baseline:
    """Linear dynamical system of `rank` states, the same on all trials; a condition has its own start and inputs.

    A partly seen trial is predicted by the smoothed states given what is seen of it; a held-out one by its condition.
    Source: expectation maximisation after Shumway & Stoffer 1982.
    """
    known = dict(size=rank, conditions=len(recording.conditions))
    system, _, settled = fit_system(recording.values, train, recording.condition, **known)
    states = smooth(system, recording.values, train, recording.condition)
    return Baseline(predicted_values(system, states), settled)


def smoother_and_system(recording: Recording, train: Train, rank: int) -> Baseline:
    """Tuned smoother over trials plus a linear dynamical system of what it leaves: slow change and the trial's state.

    The strongest of the baselines where parts of trials are seen; on held-out trials it is the smoother.
    """
    base = tuned_smoother(recording, train)
    residual, alike = np.where(train, recording.values - base, 0.0), np.zeros_like(recording.condition)
    system, _, settled = fit_system(residual, train, alike, size=rank, conditions=1)
    seen = np.asarray(train.any((1, 2)))
    added = predicted_values(system, smooth(system, residual, train, alike))
    return Baseline(np.where(seen[:, None, None], base + added, base), settled)


def data_tensor(recording: Recording, train: Train, rank: int) -> Baseline:
    """CP decomposition of the activity into `rank` terms; trial factors are normal around the mean of their cell.

    A cell is a condition in an epoch; held-out trials have its mean.
    """
    centre = np.where(train, recording.values, 0.0).sum((0, 1)) / np.maximum(train.sum((0, 1)), 1)
    cells = (recording.condition * len(recording.epochs) + recording.epoch, recording.condition)
    found = decompose(np.where(train, recording.values - centre, 0.0), train, rank, cells=cells)
    return Baseline(found.values() + centre, found.settled)


#: Every baseline by the name under which it is shown.
BASELINES: dict[str, Callable[[Recording, Train, int], Baseline]] = {
    "lds": linear_system,
    "smoother + lds": smoother_and_system,
    "cp": data_tensor,
}


def baseline_names(baselines: bool | str | Sequence[str]) -> tuple[str, ...]:
    """The baselines that are asked for: True all, False none, or names.

    **Raises:** ValueError for other names, listing the known ones.
    """
    if isinstance(baselines, bool):
        return tuple(BASELINES) if baselines else ()
    names = (baselines,) if isinstance(baselines, str) else tuple(baselines)
    if unknown := [name for name in names if name not in BASELINES]:
        known = ", ".join(BASELINES)
        raise ValueError(f"unknown baseline {', '.join(map(repr, unknown))}; expected some of: {known}, or True.")
    return tuple(dict.fromkeys(names))
