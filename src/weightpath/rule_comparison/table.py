"""What the runs of all rules found, as one dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from weightpath._results import RESULTS, outcome_name
from weightpath.tasks.base import AbstractTask

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Axis labels of what is recorded.
LABELS = {
    "loss": "loss on held-out batches",
    "performance": "performance on held-out batches",
    "cosine": "cosine with the gradient",
    "sign_agreement": "share of entries with the gradient's sign",
    "along": "component along the gradient",
    "inside_feedback": "share inside the range of the feedback",
}


@dataclass(frozen=True)
class Found:
    """What the runs of one rule found; arrays begin with (rate, seed)."""

    moments: list[int]
    weights: tuple[str, ...]
    records: dict[str, np.ndarray]
    """(rate, seed, step) or (rate, seed, step, weight)."""
    result: RESULTS
    last_step: np.ndarray
    change: np.ndarray | None
    """Change of the recurrent weights (rate, seed, post, pre)."""
    seconds: float
    cost: tuple[float, float]


def as_dataset(found: dict[str, Found], rates: dict[str, np.ndarray], sweep: bool, task: AbstractTask) -> Dataset:
    """All rules in one dataset; the dim `rate` is kept when rates are swept."""
    import xarray as xr

    some = next(iter(found.values()))
    run, members = ("rule", "rate", "seed"), list(found.values())
    data: dict[str, Any] = {}
    for name, value in some.records.items():
        dims = (*run, "step", "weight")[: value.ndim + 1]
        data[name] = (dims, np.stack([one.records[name] for one in members]), {"long_name": LABELS[name]})
    data["outcome"] = (run, np.stack([_names(one.result) for one in members]))
    data["last_step"] = (run, np.stack([one.last_step for one in members]))
    if some.change is not None:
        finite = [np.nan_to_num(one.change) for one in members if one.change is not None]
        values = np.stack([np.linalg.svd(change, compute_uv=False) for change in finite])
        data["singular_value"] = ((*run, "eig"), values, {"long_name": "singular value of the change of w_rec"})
    costs = np.array([one.cost for one in members])
    data["seconds"] = (
        "rule",
        np.array([one.seconds for one in members]),
        {"units": "s", "long_name": "time per update"},
    )
    data["operations"] = ("rule", costs[:, 0], {"long_name": "operations per time step of a trial"})
    data["memory"] = ("rule", costs[:, 1], {"units": "byte", "long_name": "memory per trial"})
    measure = type(task).__name__ + ".performance" if hasattr(task, "performance") else "1 - loss / loss of silence"
    coords = {
        "rule": list(found), "step": some.moments, "weight": list(some.weights),
        "learning_rate": (("rule", "rate"), np.stack([rates[name] for name in found])),
    }  # fmt: skip
    dataset = xr.Dataset(data, coords, {"task": type(task).__name__, "performance": measure})
    return dataset if sweep else dataset.isel(rate=0)


def _names(result: RESULTS) -> np.ndarray:
    """Names of the outcomes of an array of runs."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(result)]
    shape = leaves[0].shape
    names = [outcome_name(jax.tree.map(lambda leaf, at=at: leaf[at], result)) for at in np.ndindex(shape)]
    return np.array(names).reshape(shape)
