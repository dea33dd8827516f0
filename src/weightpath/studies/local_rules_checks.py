"""What is asked of the study of local rules: alignment, ranks, tanh units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightpath.studies.base import Check

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

RULES, FEEDBACK = ("BPTT", "tBPTT(1)", "RFLO", "e-prop"), ("RFLO", "e-prop")
FREE = "RFLO, no slope in the trace"
STATED = "stated finding of Williams et al. 2026, threshold set here"
DERIVED = "derived here"
#: Networks of which medians and means are asked; of fewer they are findings.
MANY = 10


def checks(config: Any) -> tuple[Check, ...]:
    """Medians over networks are required only where there are many, other sizes asked only where they were run."""
    return (
        *_aligned(),
        *_over_networks(config.alignment_runs >= MANY),
        *_ranked(),
        *_saturating(),
        *(_sizes() if config.other_sizes else ()),
    )


def _aligned() -> tuple[Check, ...]:
    return (
        *(Check(f"alignment, {rule}: last over first loss, largest", STATED,
                lambda ds, rule=rule: _loss_share(ds, rule).max(), 1e-4, compare="at_most") for rule in RULES),
        *(Check(f"alignment, {rule}: effective {name} beside the teacher's, largest difference", STATED,
                lambda ds, rule=rule, name=name: abs(_end(ds, name, rule) - ds[f"{name}_star"]).max(), 0.01,
                compare="at_most") for rule in RULES for name in ("kappa", "pole")),
        *(Check(f"alignment, {rule}: recurrent, two strongest modes, least", "finding",
                lambda ds, rule=rule: _end(ds, "recurrent", rule).sel(mode=[1, 2]).min(), required=False)
          for rule in RULES),
        *(Check(f"alignment, {rule}: feedback, least of all", STATED,
                lambda ds, rule=rule: _end(ds, "feedback", rule).min(), 0.6, compare="at_least") for rule in FEEDBACK),
    )  # fmt: skip


def _over_networks(required: bool) -> tuple[Check, ...]:
    return (
        # Single networks may fall short: 3 of 40 starts reached only .8956 to .8997 under RFLO.
        *(Check(f"alignment, {rule}: recurrent, weaker of the two strongest modes, median of networks", STATED,
                lambda ds, rule=rule: _end(ds, "recurrent", rule).sel(mode=[1, 2]).min("mode").median(), 0.9,
                compare="at_least", required=required) for rule in RULES),
        *(Check(f"alignment, {rule}: input-output, least mode, median of networks", STATED,
                lambda ds, rule=rule: _end(ds, "input_output", rule).min("mode").median(), 0.85, compare="at_least",
                required=required) for rule in RULES),
        *(Check(f"alignment, {rule}: feedback, least mode, median of networks", STATED,
                lambda ds, rule=rule: _end(ds, "feedback", rule).min("mode").median(), 0.75, compare="at_least",
                required=required) for rule in FEEDBACK),
        *(Check(f"alignment, {rule}: feedback, mean gain over learning", STATED,
                lambda ds, rule=rule: _gain(ds, rule), 0.5, compare="at_least", required=required)
          for rule in FEEDBACK),
        *(Check(f"alignment, {rule}: feedback it does not use, mean gain", STATED,
                lambda ds, rule=rule: abs(_gain(ds, rule)), 0.2, compare="at_most", required=required)
          for rule in ("BPTT", "tBPTT(1)")),
    )  # fmt: skip


def _ranked() -> tuple[Check, ...]:
    return (
        Check("rank, RFLO: second over first singular value, largest", STATED,
              lambda ds: ds.value.sel(rule="RFLO", eig=2).max(), 1e-10, compare="at_most"),
        Check("rank, RFLO: rank of the path's post unfolding, largest", DERIVED,
              lambda ds: ds.unfolding_rank.sel(rule="RFLO", unfolding="post").max(), 1, compare="at_most"),
        Check("rank, RFLO: share of the change outside the range of the feedback, largest", DERIVED,
              lambda ds: ds.outside_feedback.sel(rule="RFLO").max(), 1e-12, compare="at_most"),
        Check("rank: median effective ranks rise from RFLO over tBPTT(1) and e-prop to BPTT", STATED,
              _ordered, compare="true"),
        *(Check(f"rank, {rule}: median effective rank", "finding", lambda ds, rule=rule: _median(ds, rule),
                required=False, tabled=True) for rule in RULES),
        *(Check(f"rank, {rule}: networks converged to 1e-2 of the first loss", "finding",
                lambda ds, rule=rule: _converged(ds, rule), required=False, tabled=True) for rule in RULES),
    )  # fmt: skip


def _saturating() -> tuple[Check, ...]:
    return (
        Check("tanh, RFLO: energy in the largest o singular values, least", DERIVED,
              lambda ds: _tanh(ds, "top", "RFLO", "usual").min(), 0.92, compare="at_least"),
        Check("tanh, RFLO: energy inside the range of the feedback, least", DERIVED,
              lambda ds: _tanh(ds, "inside", "RFLO", "usual").min(), 0.82, compare="at_least"),
        Check("tanh, RFLO: rank of the change, least: the bound does not hold", DERIVED,
              lambda ds: _tanh(ds, "tanh_rank", "RFLO", "usual").min(), 10, compare="at_least"),
        Check("tanh, RFLO without the slope in its trace: rank is the number of outputs", DERIVED,
              lambda ds: (ds.tanh_rank.sel(tanh_rule=FREE) == ds.taught).all(), compare="true"),
        Check("tanh, RFLO without the slope: energy outside the range of the feedback, largest", DERIVED,
              lambda ds: 1 - ds.inside.sel(tanh_rule=FREE).min(), 1e-12, compare="at_most"),
    )  # fmt: skip


def _sizes() -> tuple[Check, ...]:
    return tuple(
        Check(f"tanh, RFLO, {size} weights: energy {words}, least", "finding",
              lambda ds, size=size, name=name: _tanh(ds, name, "RFLO", size).min(), required=False)
        for size in ("small", "strong")
        for name, words in (("top", "in the largest o singular values"), ("inside", "inside the range of the feedback"))
    )  # fmt: skip


def _end(ds: Dataset, name: str, rule: str) -> Any:
    return ds[name].sel(rule=rule).isel(align_step=-1)


def _loss_share(ds: Dataset, rule: str) -> Any:
    part = ds.align_loss.sel(rule=rule)
    return part.isel(align_step=-1) / part.isel(align_step=0)


def _gain(ds: Dataset, rule: str) -> float:
    """Mean change of the cosine of read-out and feedback over learning."""
    return float((_end(ds, "feedback", rule) - ds.feedback.sel(rule=rule).isel(align_step=0)).mean())


def _median(ds: Dataset, rule: str) -> float:
    return float(ds.effective_rank.sel(rule=rule).median())


def _ordered(ds: Dataset) -> bool:
    rflo, one_step, eprop, whole = (_median(ds, rule) for rule in ("RFLO", "tBPTT(1)", "e-prop", "BPTT"))
    return rflo <= one_step < eprop < whole


def _converged(ds: Dataset, rule: str) -> int:
    loss = ds.rank_loss.sel(rule=rule)
    return int((loss.isel(rank_step=-1) < 1e-2 * loss.isel(rank_step=0)).sum())


def _tanh(ds: Dataset, name: str, rule: str, size: str) -> Any:
    return ds[name].sel(tanh_rule=rule, size=size)
