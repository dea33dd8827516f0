"""What the study of reaching measures: losses, terms of the weights, hand paths, and a fit to the activity."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from weightpath.studies.force_field_runs import BASELINE, PERTURBATION, STEPS, Adapted, hands, recording
from weightpath.studies.tables import Cell, Row, Table

if TYPE_CHECKING:
    from xarray import Dataset

    from weightpath.analysis import TensorRank
    from weightpath.studies.force_field_reach import ForceFieldStudy
else:
    Dataset = ForceFieldStudy = TensorRank = Any

#: Ranks of the decomposition, and axes of the unfoldings.
RANKS, MODES = (1, 2, 3, 5, 8, 10), ("trial", "receiving unit", "sending unit")
#: Rank whose terms are compared with the fit, and moments at which the hand is watched.
COMPARED, MOMENTS = 5, (BASELINE - 1, BASELINE, BASELINE + PERTURBATION - 1, BASELINE + PERTURBATION)
#: What an independent program found with 100 units: singular values for 99% of the change at four steps, of the
#: unfoldings (trial, receiving, sending), and R^2 by rank.
REFERENCE = {
    "SGD": ((3, 4, 5, 5), (2, 4, 4), (0.477, 0.878, 0.934, 0.991, 0.998, 0.999)),
    "Adam": ((19, 25, 27, 29), (4, 35, 34), (0.293, 0.482, 0.660, 0.827, 0.884, 0.907)),
}
#: Random subspaces that stand for chance.
CHANCE = 200


def decomposed(run: Adapted, config: ForceFieldStudy) -> TensorRank:
    """Rank-one terms of the change of the weights."""
    from weightpath.analysis import tensor_rank

    return tensor_rank(
        run.weights, RANKS, restarts=config.restarts, seed=config.seed, sweeps=config.sweeps, largest_core=25
    )


def learning(runs: dict[str, Adapted]) -> Dataset:
    """Losses of every step, by way of learning."""
    import numpy as np
    import xarray as xr

    first = next(iter(runs.values()))
    losses = np.stack([run.loss for run in runs.values()])
    return xr.Dataset(
        {"loss": (("way", "step"), losses), "pretraining_loss": first.pretraining_loss},
        {"way": list(runs), "step": np.arange(STEPS), "phase": ("step", [first.task.epoch(k) for k in range(STEPS)])},
    )


def terms(runs: dict[str, Adapted], found: dict[str, TensorRank]) -> Dataset:
    """R^2 by rank, agreement of restarts, spectra of unfoldings and slices."""
    import numpy as np
    import xarray as xr

    from weightpath.analysis.rank import energy_count

    first = next(iter(runs.values()))
    longest = min(min(values.size for values in one.unfolding_values) for one in found.values())
    spectra = [[values[:longest] / values[0] for values in one.unfolding_values] for one in found.values()]
    return xr.Dataset(
        {
            "r2": (("way", "rank"), np.stack([one.r2 for one in found.values()])),
            "congruence": (("way", "rank", "restart"), np.stack([one.congruence for one in found.values()])),
            "unfolding_value": (("way", "mode", "eig"), np.array(spectra)),
            "unfolding_count": (("way", "mode"), np.array([one.unfolding_count for one in found.values()])),
            "slice_count": (("way", "step"), np.stack([one.slice_count for one in found.values()])),
            "start_count": int(energy_count(np.linalg.svd(first.weights[0], compute_uv=False), 0.9)),
        },
        {"rank": list(RANKS), "mode": list(MODES), "eig": np.arange(1, longest + 1)},
    )


def paths(run: Adapted) -> Dataset:
    """Hand paths at four moments of adaptation."""
    import xarray as xr

    found, wanted = hands(run, MOMENTS)
    moments = ["baseline", "first perturbed", "late perturbed", "first of washout"]
    return xr.Dataset(
        {"hand": (("moment", "direction", "bin", "axis"), found), "wanted": (("direction", "bin", "axis"), wanted)},
        {"moment": moments, "axis": ["x", "y"]},
    )


def recovered(run: Adapted, found: TensorRank, config: ForceFieldStudy) -> Dataset:
    """Fits to one reach a step, with its scatter and straight to the target, beside the weights that made them."""
    import numpy as np
    import xarray as xr

    from weightpath.analysis import principal_angles

    change = run.weights - run.weights[0]
    step, post, _ = (np.linalg.svd(_rows(change, mode), full_matrices=False) for mode in range(3))
    moving = post.U[:, : min(config.fit_rank, found.unfolding_count[1])]
    courses = step.U[:, : found.unfolding_count[0]] * step.S[: found.unfolding_count[0]]
    factor = found.factors(COMPARED)[0]
    random = np.random.default_rng(config.seed).standard_normal((CHANCE, config.units, config.fit_rank))
    both = [
        _compared(recording(run, straight), change, moving, courses, factor, run.task.dt, config)
        for straight in (False, True)
    ]
    joined = xr.concat(both, xr.Variable("reaches", ["scattered", "straight"]))
    phases = np.eye(3)[[("baseline", "perturbation", "washout").index(run.task.epoch(k)) for k in range(STEPS)]]
    return joined.assign(
        weights_factor=(("step", "term"), factor),
        angle_chance=("angle_number", np.mean([principal_angles(one, moving) for one in random], axis=0)),
        share_chance=np.sqrt(config.fit_rank / config.units),
        course_phases=_explained(courses, phases),
    )


def _compared(
    recorded: Any, change: Any, moving: Any, courses: Any, factor: Any, dt: float, config: ForceFieldStudy
) -> Dataset:
    """A low-tensor-rank network fitted to a recording, beside the known change of the weights."""
    import numpy as np
    import xarray as xr

    import weightpath as wp
    from weightpath.analysis import matched_correlation, principal_angles
    from weightpath.networks.kernels import RationalQuadratic

    model = wp.LowTensorRankRNN(
        config.fit_rank, decoder="identity", time_constant=1 / dt, trial_offset=None,
        kernel=RationalQuadratic(length=15.0, sd=0.5, noise_sd=0.02),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # whether it settled stands in the dataset
        fit = wp.fit(
            model, recorded, iterations=config.fit_iterations, learning_rate=2e-2, seed=config.seed, progress=False
        )
    canonical, own = fit.canonical(), np.linalg.qr(fit.a.astype(float))[0]
    states = np.arctanh(np.clip(recorded.values, -0.999, 0.999)).reshape(-1, config.units)
    activity = np.linalg.svd(states - states.mean(axis=0), full_matrices=False)[2][: config.fit_rank].T
    return xr.Dataset(
        {
            "angle_fit": ("angle_number", principal_angles(own, moving)),
            "angle_activity": ("angle_number", principal_angles(activity, moving)),
            "share_fit": _share(change, own),
            "share_activity": _share(change, activity),
            "fit_factor": (("step", "component"), canonical.c),
            "factor_correlation": ("pair", matched_correlation(factor, canonical.c)),
            "course_fit": _explained(courses, canonical.c),
            "flow_correlation": _flow_correlation(canonical, change, recorded.values),
            "fit_r2": float(fit.history["r2"][-1]),
            "fit_settled": fit.converged,
        }
    )


def rank_tables(dataset: Dataset) -> list[Table]:
    """The ranks of the change for both ways to learn, each beside what an independent program found."""
    rows = []
    for index, step in enumerate((60, 149, 160, 249)):
        cells = [
            Cell(f"{int(dataset.slice_count.sel(way=way, step=step))}", f"{REFERENCE[way][0][index]}")
            for way in REFERENCE
        ]
        rows.append(Row(f"step {step}", cells, group="singular values for 99% of the change at one step"))
    for index, mode in enumerate(MODES):
        cells = [
            Cell(f"{int(dataset.unfolding_count.sel(way=way, mode=mode))}", f"{REFERENCE[way][1][index]}")
            for way in REFERENCE
        ]
        rows.append(Row(f"{mode}s as rows", cells, group="singular values for 99% of an unfolding"))
    for index, rank in enumerate(RANKS):
        cells = [
            Cell(f"{float(dataset.r2.sel(way=way, rank=rank)):.3f}", f"{REFERENCE[way][2][index]:.3f}")
            for way in REFERENCE
        ]
        rows.append(Row(f"R = {rank}", cells, group="R² of the best R rank-one terms"))
    note = (
        "Change of the recurrent weights since the first step; smaller: an independent program, 100 units, other draws."
    )
    reading = "Other random draws of the same recipe give other numbers; the requirements are bands around these."
    return [Table("Ranks of the change of the weights", note, list(REFERENCE), rows, reading, head="")]


def _rows(tensor: Any, mode: int) -> Any:
    from weightpath.analysis.rank import unfolding

    return unfolding(tensor, mode)


def _share(change: Any, basis: Any) -> float:
    """Norm of the change inside the span of orthonormal columns, as receiving directions, over its norm."""
    import numpy as np

    return float(np.linalg.norm(basis.T @ change) / np.linalg.norm(change))


def _explained(courses: Any, regressors: Any) -> float:
    """R^2 of the courses (step, k), mean over their energy, by linear regression with an offset."""
    import numpy as np

    design = np.concatenate([np.ones((len(courses), 1)), regressors], axis=1)
    centred = courses - courses.mean(axis=0)
    rest = centred - design @ np.linalg.lstsq(design, centred, rcond=None)[0]
    return float(1 - np.sum(rest**2) / np.sum(centred**2))


def _flow_correlation(canonical: Any, change: Any, rates: Any) -> float:
    """Correlation of the fitted and the true change of W phi over the visited rates, all steps together."""
    import numpy as np

    mine = np.stack([canonical.weights(k) for k in range(len(change))])
    mine = mine - mine[0]
    values, vectors = np.linalg.eigh(np.einsum("ktn,ktm->nm", rates, rates))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    one, other = mine @ root, change @ root
    return float(np.sum(one * other) / np.sqrt(np.sum(one**2) * np.sum(other**2)))
