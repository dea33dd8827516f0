"""Planted recordings whose answer is known: the right rank must be chosen and the network recovered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Ranks that are compared, from the planted one.
OFFSETS = (-1, 0, 1)
#: Networks fitted beside the low-tensor-rank one: nothing changes; a full core changes freely from trial to trial.
COMPARED = ("fixed", "per_trial")
NUMBERS = (
    "ceiling", "test", "denoised", "flow_recurrent", "flow_full", "weight_error", "canonical_error",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A planted recording, how it is fitted, and what the fit must reach."""

    rank: int
    noise: float
    seed: int
    trials: int = 60
    neurons: int = 40
    bins: int = 40
    iterations: int = 2500
    source: str = "reference case; an independent implementation reaches more"
    bands: dict[str, float] = field(default_factory=dict)

    def simulated(self):
        """The recording and its truth."""
        from weightpath.inference.simulate import simulate_recording

        size: dict[str, Any] = dict(trials=self.trials, neurons=self.neurons, bins=self.bins)
        return simulate_recording(rank=self.rank, noise=self.noise, seed=self.seed, **size)

    def model(self, rank: int):
        """The model of the reference fits: unit i is neuron i, no inputs, a fixed prior weight."""
        from weightpath.networks.kernels import RationalQuadratic
        from weightpath.networks.low_tensor_rank import LowTensorRankRNN

        kernel = RationalQuadratic(length=8.0, sd=0.5, noise_sd=0.02, by_epoch=False)
        return LowTensorRankRNN(
            rank=rank, decoder="identity", inputs="none", kernel=kernel, prior_weight=1e-4, time_constant=10.0
        )


CASES = {
    "R1": Case(
        rank=2, noise=0.1, seed=0,
        bands=dict(test=0.985, denoised=0.998, flow=0.995, angle=2.0, correlation=0.99, weight_error=0.03,
                   canonical_error=0.05, fixed=0.02, per_trial=0.003),
    ),
    "R1b": Case(
        rank=3, noise=0.2, seed=1,
        bands=dict(test=0.955, denoised=0.997, flow=0.99, angle=3.0, correlation=0.985, weight_error=0.04,
                   canonical_error=0.05),
    ),
    "small": Case(
        rank=2, noise=0.1, seed=0, trials=40, neurons=20, bins=20, iterations=800,
        source="reference case at a smaller size; about twice the error of one fit",
        bands=dict(test=0.98, denoised=0.998, flow=0.99, angle=2.0, correlation=0.96, weight_error=0.08,
                   canonical_error=0.08, fixed=0.02, per_trial=0.003),
    ),
}  # fmt: skip


def computed(names: tuple[str, ...], *, progress: Callable[..., None], workspace: Path | None) -> Dataset:
    """Choice of the rank and recovery of every named case, dims case, offset, compared, trial, component, angle."""
    import xarray as xr

    pieces = []
    for name in names:
        case = CASES[name]
        pieces.append(_one(name, case, progress, None if workspace is None else workspace / "cases"))
    # Cases differ in trials and rank; what one has not is NaN.
    merged = xr.concat(pieces, "case", join="outer", combine_attrs="drop")
    assert isinstance(merged, xr.Dataset)
    return merged


def _one(name: str, case: Case, progress: Callable[..., None], directory: Path | None) -> Dataset:
    import warnings

    import xarray as xr

    from weightpath.inference.crossval import cross_validate
    from weightpath.inference.masks import blocks
    from weightpath.inference.recovered import recovery
    from weightpath.inference.side_by_side import Task, run_fits

    recording, truth = case.simulated()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the blocks leave less than half to train on
        mask = blocks(recording, seed=100 + case.seed)
    settings: dict[str, Any] = dict(iterations=case.iterations, learning_rate=2e-2, dtype="float32")
    ranks = [case.rank + offset for offset in OFFSETS]
    scores = cross_validate(
        [case.model(rank) for rank in ranks], recording, schemes=[mask], controls=False, workers=2,
        checkpoint_dir=directory, progress=_named(progress, f"{name}: ranks"), **settings,
    )  # fmt: skip

    def reduce(fit):
        if fit.model.changes != "trial":
            return dict(test=np.asarray(fit.score(mask.test)))
        found = recovery(fit, truth, mask.test)
        numbers = {key: np.asarray(getattr(found, key)) for key in (*NUMBERS, "angles", "correlations")}
        true, ours = _courses(fit, truth, found.matched)
        return numbers | dict(factor_true=true, factor=ours)

    model = case.model(case.rank)
    tasks = [
        Task(f"{name}, {changes}", replace(model, changes=changes), recording, mask.train, 0, settings, reduce, name)
        for changes in ("trial", *COMPARED)
    ]
    found, *others = run_fits(
        tasks, workers=2, directory=directory, label=f"{name}: recovery", progress=progress
    )  # fmt: skip
    component = np.arange(case.rank)
    return xr.Dataset(
        {key: ((), float(found[key])) for key in NUMBERS}
        | {
            "chosen_rank": ((), scores.chosen_rank),
            "true_rank": ((), case.rank),
            "rank_r2": ("offset", [scores.r2(mask.name, label) for label in scores.models]),
            "settled": ((), int(all(bool(one["settled"]) for one in (found, *others)))),
            "compared_r2": ("compared", [float(one["test"]) for one in others]),
            "angle": ("component", found["angles"]),
            "correlation": ("component", found["correlations"]),
            "factor_true": (("trial", "component"), found["factor_true"]),
            "factor": (("trial", "component"), found["factor"]),
        },
        coords={"offset": list(OFFSETS), "compared": list(COMPARED), "component": component,
                "trial": np.arange(case.trials), "case": name},
    )  # fmt: skip


def _courses(fit, truth, matched: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Planted and fitted trial factors on one scale: each b_r of unit length within the directions that rates visit."""
    from weightpath.inference.canonical import visited_directions

    rate = truth.rate.reshape(-1, truth.rate.shape[-1])
    visited = visited_directions(rate)
    lengths = [np.linalg.norm(visited.T @ one.astype(np.float64), axis=0) for one in (truth.b, fit.b)]
    ours = (fit.c * lengths[1])[:, list(matched)].astype(np.float64)
    true = truth.c * lengths[0]
    return true, ours * np.sign(np.sum(true * ours, axis=0))


def _named(progress: Callable[..., None], label: str) -> Callable[..., None]:
    def report(_: str, done: int, total: int, **numbers: float) -> None:
        progress(label, done, total, **numbers)

    return report
