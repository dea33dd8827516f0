"""What the study of ranks measures on its networks, as datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from weightpath.studies.rank_bounds_runs import (
    ADAPTIVE,
    BOUNDED,
    DIMENSIONS,
    GAINS,
    RATES,
    SCALES,
    STEPS,
    UNITS,
    Learned,
    adjoint_error,
    learn,
    random_start,
    saturating,
)  # fmt: skip

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Errors below this cannot be told from rounding in R^2.
ROUNDING = 3e-8
#: Ranks at which terms are sought, up to d^2 of the network with two inputs and one error.
RANKS = (1, 2, 3, 5, 8, 9)


def identities(seeds: Sequence[int]) -> Dataset:
    """Gradients as products of adjoints and rates; slices of rank one whose tensor has high rank."""
    import numpy as np
    import xarray as xr

    from weightpath.analysis.rank import higher_order_svd, numerical_rank

    random = np.random.default_rng(0)
    tensor = random.standard_normal((30, 30, 1)) * random.standard_normal((30, 1, 30))
    ranks = [int(numerical_rank(values)) for values in higher_order_svd(tensor)[1]]
    errors = [[adjoint_error(kind, seed) for seed in seeds] for kind in ("linear", "tanh")]
    return xr.Dataset(
        {"adjoint_error": (("units_kind", "seed"), np.array(errors)), "random_slices_rank": ("mode", np.array(ranks))},
        {"units_kind": ["linear", "tanh"], "mode": ["step", "post", "pre"]},
    )


def bounded(seeds: Sequence[int]) -> tuple[Dataset, dict[str, Learned]]:
    """Every case in which the bound holds, over seeds; and the runs of the first seed by name."""
    import numpy as np
    import xarray as xr

    from weightpath.analysis import share_outside
    from weightpath.analysis.rank import higher_order_svd, numerical_rank

    runs = [[learn(case, seed) for seed in seeds] for case in BOUNDED]
    rows = []
    for per_case in runs:
        columns = []
        for run in per_case:
            spectra = higher_order_svd(run.change)[1]
            slices = np.linalg.svd(run.change[1:], compute_uv=False)
            columns.append(
                [run.bounds.d, int(numerical_rank(slices).max()), *(int(numerical_rank(v)) for v in spectra),
                 share_outside(run.change, run.bounds.basis), float(run.path.loss[-1]), run.regime.inside]
            )  # fmt: skip
        rows.append(columns)
    names = ("bound", "slice_rank", "rank_step", "rank_post", "rank_pre", "outside", "last_loss", "inside_regime")
    table = np.array(rows, dtype=float)
    data: dict[str, Any] = {name: (("case", "seed"), table[:, :, index]) for index, name in enumerate(names)}
    data["dimension"] = ("case", np.array(DIMENSIONS))
    found = xr.Dataset(data, {"case": [case.name for case in BOUNDED]}, {"units": UNITS, "steps": STEPS})
    return found, {case.name: per_case[0] for case, per_case in zip(BOUNDED, runs, strict=True)}


def failures(seeds: Sequence[int]) -> tuple[Dataset, dict[str, Learned]]:
    """Where the bound does not hold: adaptive optimisers, tanh units, random first weights."""
    import numpy as np
    import xarray as xr

    runs = [[learn(case, seed) for seed in seeds] for case in ADAPTIVE]
    tanh = [[[learn(saturating(s, r), seed) for seed in seeds] for s in SCALES] for r in RATES]
    start = [[learn(random_start(gain), seed) for seed in seeds] for gain in GAINS]

    def table(quantity, nested):
        return np.array([[quantity(run) for run in row] for row in nested])

    data = {
        "adaptive_rank": (("optimiser", "seed"), table(_slice_rank, runs)),
        "adaptive_outside": (("optimiser", "seed"), table(_outside, runs)),
        "adaptive_refused": (("optimiser", "seed"), table(lambda run: not run.regime.inside, runs)),
        "tanh_outside": (("rate", "scale", "seed"), np.stack([table(_outside, row) for row in tanh])),
        "tanh_top": (("rate", "scale", "seed"), np.stack([table(_top, row) for row in tanh])),
        "random_outside": (("gain", "seed"), table(_outside, start)),
        "random_top": (("gain", "seed"), table(_top, start)),
        "random_refused": (("gain", "seed"), table(lambda run: not run.regime.inside, start)),
    }
    coords = {
        "optimiser": [case.name for case in ADAPTIVE],
        "rate": list(RATES),
        "scale": list(SCALES),
        "gain": list(GAINS),
    }
    shown = {"Adam": runs[0][0], "tanh units, inputs x 0.3": tanh[0][1][0], "random W0, gain 0.3": start[2][0]}
    return xr.Dataset(data, coords), shown


def terms(runs: dict[str, Learned]) -> Dataset:
    """Relative error of the best sums of rank-one terms, and of the constructions that the theory gives."""
    import numpy as np
    import xarray as xr

    from weightpath.analysis import tensor_rank
    from weightpath.theory import shared_terms

    kinds = {
        "2 inputs, constant": "2 inputs, 1 error",
        "2 inputs, changing": "2, 1, inputs change in time",
        "1 input": "1 input, 1 error",
    }
    found = [tensor_rank(runs[name].change, RANKS, restarts=4, tolerance=1e-13) for name in kinds.values()]
    errors = np.sqrt(np.maximum(1 - np.stack([one.r2 for one in found]), ROUNDING**2))
    single = runs["1 input, 1 error"]
    network = single.path.network(0)
    post, pre = shared_terms(np.asarray(network.w_in)[:, :1], np.asarray(network.w_out)[:1])
    basis = np.einsum("it,jt->tij", post, pre).reshape(3, -1)
    change = single.change.reshape(len(single.change), -1)
    rest = change - change @ np.linalg.pinv(basis) @ basis
    direction = (pre[:, 0] - post[:, 0]) / np.linalg.norm(pre[:, 0] - post[:, 0])
    flip = np.eye(UNITS) - 2 * np.outer(direction, direction)
    turned = flip @ np.swapaxes(single.change, 1, 2) @ flip
    return xr.Dataset(
        {
            "term_error": (("path", "rank"), errors),
            "term_d": ("path", np.array([runs[name].bounds.d for name in kinds.values()])),
            "three_terms_error": np.linalg.norm(rest) / np.linalg.norm(change),
            "reflection_error": np.linalg.norm(single.change - turned) / np.linalg.norm(single.change),
        },
        {"path": list(kinds), "rank": list(RANKS)},
    )


def spectra(runs: dict[str, Learned]) -> Dataset:
    """Singular values of the last change of a few networks, over the largest."""
    import numpy as np
    import xarray as xr

    values = np.stack([np.linalg.svd(run.change[-1], compute_uv=False) for run in runs.values()])
    return xr.Dataset(
        {"value": (("network", "eig"), values / values[:, :1])}, {"network": list(runs), "eig": np.arange(1, UNITS + 1)}
    )


def _slice_rank(run: Learned) -> int:
    import numpy as np

    from weightpath.analysis.rank import numerical_rank

    return int(numerical_rank(np.linalg.svd(run.change[1:], compute_uv=False)).max())


def _outside(run: Learned) -> float:
    """Share of the last change outside the span of read-in and read-out."""
    from weightpath.analysis import share_outside
    from weightpath.theory import rank_bound

    network = run.path.network(0)
    return share_outside(run.change[-1], rank_bound(network.w_in, network.w_out).basis)


def _top(run: Learned) -> float:
    """Energy of the last change in its three largest singular values."""
    import numpy as np

    energy = np.linalg.svd(run.change[-1], compute_uv=False) ** 2
    return float(energy[:3].sum() / energy.sum())
