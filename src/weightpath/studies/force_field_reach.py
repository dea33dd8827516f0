"""Study: a network that reaches adapts to a force field: how many rank-one terms does its learning need?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from weightpath.studies.base import Check, Settings, Study

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

PAPER = "Pellegrino, Cayco-Gajic, Chadwick 2023 (arXiv 2308.11567)"


class ForceFieldStudy(Settings):
    """Settings of the study."""

    units: int = Field(100, ge=20, le=400, description="units of the network")
    pretraining: int = Field(400, ge=50, description="steps of Adam that teach reaching without a field")
    trials: int = Field(50, ge=8, description="reaches of each step's batch")
    field: float = Field(1.5, gt=0, description="strength of the force field [1/time constant]")
    restarts: int = Field(6, ge=1, description="random starts of the decomposition of the weights, for each rank")
    sweeps: int = Field(600, ge=50, description="most sweeps of each start")
    fit_rank: int = Field(5, ge=1, le=20, description="rank of the networks that are fitted to the activity")
    fit_iterations: int = Field(800, ge=50, description="iterations of these fits")


def run(config: ForceFieldStudy, *, progress=None, workspace=None) -> Dataset:
    """Pretraining, adaptation by SGD and Adam, terms of the weights, and what the activity alone tells of them."""
    import xarray as xr

    from weightpath._precision import require_x64
    from weightpath.studies import force_field_runs as runs
    from weightpath.studies import force_field_tables as tables

    require_x64("the study force-field-reach")
    done, parts = 0, 3 + 2 * len(runs.WAYS)

    def told(label):
        nonlocal done
        if progress is not None:
            progress(f"force-field-reach: {label}", done, parts)
        done += 1

    told("pretraining")
    network, loss = runs.pretrained(config)
    adapted, ranks = {}, {}
    for way in runs.WAYS:
        told(f"adaptation, {way}")
        adapted[way] = runs.adapted(config, network, loss, way)
    for way, one in adapted.items():
        told(f"terms, {way}")
        ranks[way] = tables.decomposed(one, config)
    told("fits to the activity")
    fitted = tables.recovered(adapted["SGD"], ranks["SGD"], config)
    told("hand paths")
    pieces = [tables.learning(adapted), tables.terms(adapted, ranks), fitted, tables.paths(adapted["SGD"])]
    told("done")
    merged = xr.merge(pieces, combine_attrs="no_conflicts")
    assert isinstance(merged, xr.Dataset)
    return merged


def _r2(ds: Dataset, way: str, rank: int) -> float:
    return float(ds.r2.sel(way=way, rank=rank))


def _mean_loss(ds: Dataset, way: str, first: int, last: int) -> float:
    return float(ds.loss.sel(way=way, step=slice(first, last)).mean())


MEASURED = "reference run of an independent program"
LOW = "low tensor rank under gradient descent"
CHECKS = (
    Check("pretraining ends with a small loss", MEASURED, lambda ds: ds.pretraining_loss, 0.002, compare="at_most"),
    *(Check(f"{way}: loss in the first perturbed step over baseline", MEASURED,
            lambda ds, way=way: ds.loss.sel(way=way, step=50) / _mean_loss(ds, way, 40, 49), 20.0, compare="at_least")
      for way in ("SGD", "Adam")),
    *(Check(f"{way}: loss late in the perturbation over its first step", MEASURED,
            lambda ds, way=way: _mean_loss(ds, way, 140, 149) / ds.loss.sel(way=way, step=50), 0.1, compare="at_most")
      for way in ("SGD", "Adam")),
    *(Check(f"{way}: loss in the first step of washout over baseline: an after-effect", MEASURED,
            lambda ds, way=way: ds.loss.sel(way=way, step=150) / _mean_loss(ds, way, 40, 49), 20.0, compare="at_least")
      for way in ("SGD", "Adam")),
    Check("R3 SGD: R^2 of five rank-one terms of the change", f"{MEASURED}: .991",
          lambda ds: _r2(ds, "SGD", 5), 0.97, compare="at_least"),
    Check("R3 Adam: R^2 of five rank-one terms of the change", f"{MEASURED}: .827",
          lambda ds: _r2(ds, "Adam", 5), 0.90, compare="at_most"),
    Check("R3 SGD: singular values for 99% of a step's change, most over learning", f"{MEASURED}: 5",
          lambda ds: ds.slice_count.sel(way="SGD").max(), 8, compare="at_most"),
    Check("R3 Adam needs more singular values than SGD at the end of the perturbation", f"{MEASURED}: 25 and 4",
          lambda ds: int(ds.slice_count.sel(way="Adam", step=149)) > int(ds.slice_count.sel(way="SGD", step=149)),
          compare="true"),
    *(Check(f"{way}: R^2 of {rank} terms", "finding", lambda ds, way=way, rank=rank: _r2(ds, way, rank), required=False)
      for way in ("SGD", "Adam") for rank in (1, 2, 3, 8, 10)),
    Check("first weights: singular values for 90% of the energy", "finding", lambda ds: ds.start_count, required=False),
    Check("restarts agree on the five terms of SGD, mean congruence", "finding",
          lambda ds: ds.congruence.sel(way="SGD", rank=5).mean(), required=False),
    *(Check(f"{what}, fit to {kind} reaches", "finding",
            lambda ds, name=name, kind=kind: ds[name].sel(reaches=kind).mean(), required=False)
      for kind in ("scattered", "straight") for name, what in (
          ("fit_r2", "R^2 of the rates"),
          ("share_fit", "share of the change (norm) inside the fitted directions"),
          ("share_activity", "share inside as many principal directions of the activity"),
          ("angle_fit", "mean principal angle to the directions of the change [deg]"),
          ("angle_activity", "mean such angle of the activity's principal directions [deg]"),
          ("factor_correlation", "mean correlation of matched trial factors, fit and weights"),
          ("course_fit", "R^2 of the weights' course by the fit's trial factors"),
          ("flow_correlation", "correlation of fitted and true change of the recurrent input"))),
    Check("share of the change inside random directions, expected", "finding", lambda ds: ds.share_chance,
          required=False),
    Check("R^2 of the weights' course by the three phases alone", "finding", lambda ds: ds.course_phases,
          required=False),
)  # fmt: skip


def learning(dataset: Dataset) -> Figure:
    """Adaptation. Left: loss on the batch of every step, before learning from it: the force field is switched on after
    50 steps and off after 150, when an after-effect shows what had been learned. Right: paths of the hand to the eight
    targets (SGD), at four moments; crosses mark the targets.
    """
    from weightpath.plot import reach, style

    drawn, axes = style.figure(1, 2, width=9.0, height=3.6, width_ratios=[1.5, 1])
    reach.plot_loss(dataset, ax=axes[0])
    reach.plot_hands(dataset, ax=axes[1])
    style.letter(axes)
    return drawn


def ranks(dataset: Dataset) -> Figure:
    """How many rank-one terms the change of the recurrent weights over learning needs. Left: R² of the best sum of R
    terms; short lines: what is required of five. Middle: singular values of the unfoldings of the change with trials,
    receiving and sending units as rows. Right: number of singular values that hold 99% of the change at every step.
    """
    from weightpath.plot import reach, style

    drawn, axes = style.figure(1, 3, width=10.2, height=3.3)
    reach.plot_r2(dataset, ax=axes[0])
    reach.plot_unfoldings(dataset, ax=axes[1])
    reach.plot_slices(dataset, ax=axes[2])
    style.letter(axes)
    return drawn


def recovery(dataset: Dataset) -> Figure:
    """What a low-tensor-rank network, fitted to the activity of one reach a step alone, tells of the known change of
    the weights (SGD). a: principal angles between its directions and those of the change (0°: found, 90°: missed); it
    finds no more than the principal directions of the activity do. b: trial factors of the weights' own decomposition.
    c: trial factors of a fit to reaches that scatter around their targets, as in training; d: of a fit to reaches
    straight to them. Each is drawn over its largest magnitude; terms of weights and fits are in no common order.
    """
    from weightpath.plot import reach, style

    drawn, axes = style.figure(2, 2, width=8.6, height=6.0)
    reach.plot_angles(dataset, ax=axes[0, 0])
    reach.plot_factors(dataset, "weights", ax=axes[0, 1])
    reach.plot_factors(dataset, "scattered", ax=axes[1, 0])
    reach.plot_factors(dataset, "straight", ax=axes[1, 1])
    style.letter(axes)
    return drawn


def tables(dataset: Dataset) -> Any:
    """The ranks of the change beside the reference."""
    from weightpath.studies.force_field_tables import rank_tables

    return rank_tables(dataset)


STUDY = Study(
    name="force-field-reach",
    title="Adapting to a force field: low tensor rank under gradient descent, and what activity tells of it",
    paper=PAPER,
    claim=(
        "A recurrent network that was trained to reach adapts to a force field in a change of its weights that a few "
        "rank-one terms, fixed over learning, hold nearly whole when it learns by gradient descent, and clearly less "
        "so with Adam. Reproduces the stated finding of the paper on a network of our own making. How much of the "
        "known change a fit to the activity recovers is a finding, with controls that see the same activity."
    ),
    config=ForceFieldStudy,
    presets={
        "quick": {
            "units": 60, "pretraining": 300, "trials": 32, "restarts": 2, "sweeps": 100, "fit_iterations": 100,
        },
        "full": {},
    },
    run=run,
    checks=CHECKS,
    figures={"learning": learning, "ranks": ranks, "recovery": recovery},
    tables=tables,
    units={},
)  # fmt: skip
