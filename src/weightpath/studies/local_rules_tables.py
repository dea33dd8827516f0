"""Datasets of the study of local rules, from the runs of its networks, and the table of ranks of its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies import local_rules_runs as linear
from weightpath.studies import local_rules_tanh as tanh
from weightpath.studies.tables import Cell, Row, Table

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: A run counts as converged below this share of its first loss.
CONVERGED = 1e-2
UNFOLDINGS = ("step", "post", "pre")


def emerging(seeds: range) -> Dataset:
    """Alignment of networks that start without any, along learning."""
    import jax
    import xarray as xr

    from weightpath.analysis.alignment import alignment, teacher_modes

    runs = linear.alignment_runs(seeds)
    networks, losses = linear.learned(runs)
    names = ("input_output", "recurrent", "feedback", "kappa", "pole")
    measured: dict[str, list] = {name: [] for name in names}
    stars = []
    for index in range(len(seeds)):
        teacher = jax.tree.map(lambda leaf, index=index: leaf[index], runs.teachers)
        modes = teacher_modes(teacher)
        of_seed = jax.tree.map(lambda leaf, index=index: leaf[:, index], networks)
        found = alignment(of_seed, modes, runs.feedback[index])
        for name in names:
            measured[name].append(np.asarray(getattr(found, name)))
        exact = alignment(teacher, modes)
        stars.append((np.asarray(exact.kappa), np.asarray(exact.pole)))
    dims = ("align_seed", "rule", "align_step", "mode")
    data: dict[str, Any] = {name: (dims, np.stack(parts)) for name, parts in measured.items()}
    data["align_loss"] = (("rule", "align_seed", "align_step"), losses)
    data["kappa_star"] = ("mode", stars[0][0])
    data["pole_star"] = ("mode", stars[0][1])
    coords = {
        "rule": list(linear.RULES),
        "align_seed": list(seeds),
        "align_step": np.arange(losses.shape[-1]) * runs.every,
        "mode": np.arange(1, 5),
    }
    return xr.Dataset(data, coords, {"align_rate": runs.rate})


def ranks(seeds: range) -> Dataset:
    """Ranks of the change of the recurrent weights, of its last value and of its whole path, one output."""
    import xarray as xr

    from weightpath.analysis import effective_rank
    from weightpath.analysis.rank import higher_order_svd, numerical_rank

    runs = linear.rank_runs(seeds)
    networks, losses = linear.learned(runs)
    path = np.asarray(networks.w_rec)
    path = path - path[:, :, :1]
    change = path[:, :, -1]
    values = np.linalg.svd(change, compute_uv=False)
    shape = path.shape[:2]
    tensor = np.array([[numerical_rank(v) for v in higher_order_svd(path[i])[1]] for i in np.ndindex(*shape)])
    basis = np.linalg.qr(np.swapaxes(runs.feedback, 1, 2))[0]
    outside = change - basis @ (np.swapaxes(basis, 1, 2) @ change)
    data = {
        "rank_loss": (("rule", "rank_seed", "rank_step"), losses),
        "value": (("rule", "rank_seed", "eig"), values / values[..., :1]),
        "effective_rank": (("rule", "rank_seed"), effective_rank(change)),
        "numerical_rank": (("rule", "rank_seed"), np.sum(values > 1e-10 * values[..., :1], axis=-1)),
        "outside_feedback": (
            ("rule", "rank_seed"),
            np.linalg.norm(outside, axis=(2, 3)) / np.linalg.norm(change, axis=(2, 3)),
        ),
        "unfolding_rank": (("rule", "rank_seed", "unfolding"), tensor.reshape(*shape, 3)),
    }
    coords = {
        "rule": list(linear.RULES),
        "rank_seed": list(seeds),
        "rank_step": np.arange(losses.shape[-1]) * runs.every,
        "eig": np.arange(1, values.shape[-1] + 1),
        "unfolding": list(UNFOLDINGS),
    }
    return xr.Dataset(data, coords)


def saturating(seeds: range, sizes: tuple[str, ...]) -> Dataset:
    """The same question for tanh units, where the bound does not hold: energies in o directions."""
    import xarray as xr

    change, loss, feedback = tanh.changes(seeds, sizes)
    top, inside, rank = tanh.energies(change, feedback)
    dims = ("tanh_rule", "size", "taught", "tanh_seed")
    data = {"top": (dims, top), "inside": (dims, inside), "tanh_rank": (dims, rank), "tanh_loss": (dims, loss)}
    coords = {
        "tanh_rule": list(tanh.RULES),
        "size": list(sizes),
        "taught": list(tanh.TAUGHT),
        "tanh_seed": list(seeds),
    }
    return xr.Dataset(data, coords, {"tanh_units": tanh.UNITS})


def rank_table(dataset: Dataset) -> Table:
    """Ranks of each rule's path of weights, medians over networks."""
    rows = []
    runs = dataset.sizes["rank_seed"]
    for rule in dataset["rule"].values.tolist():
        part = dataset.sel(rule=rule)
        share = (part["rank_loss"].isel(rank_step=-1) / part["rank_loss"].isel(rank_step=0)).values
        ratio = part["value"].sel(eig=2).values
        unfolded = part["unfolding_rank"].median("rank_seed").values
        cells = [
            Cell(f"{np.sum(share < CONVERGED)} of {runs}"),
            Cell(f"{np.median(share):.2g}"),
            Cell(f"{float(part['effective_rank'].median()):.2f}"),
            Cell(f"{np.median(ratio):.2g}"),
            Cell(f"{float(part['numerical_rank'].median()):.0f}"),
            Cell(", ".join(f"{value:.0f}" for value in unfolded)),
        ]
        rows.append(Row(rule, cells))
    return Table(
        title="Ranks of the change of the recurrent weights, one output",
        note=f"Linear networks of 8 units, {runs} random starts for each rule; medians over them.",
        columns=(
            "converged",
            "last over first loss",
            "effective rank",
            "σ₂/σ₁",
            "rank",
            "unfoldings (step, post, pre)",
        ),
        rows=rows,
        reading=(
            f"Converged: below {CONVERGED:g} of the first loss after at most 8000 steps; counts depend on learning "
            "rate, teacher and stopping rule. Rank: singular values above 1e-10 of the largest. Unfoldings: "
            "multilinear rank of the path of the change, singular values above 1e-8 of the largest."
        ),
        head="Rule",
    )
