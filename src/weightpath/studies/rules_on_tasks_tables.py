"""What the study of rules on tasks reads off its runs: the best rate of each rule, and the tables of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightpath.studies.tables import Cell, Row, Table

if TYPE_CHECKING:
    from xarray import DataArray, Dataset
else:
    DataArray = Dataset = Any

#: Records at the end of a run over which performance is averaged.
LAST = 3
COLUMNS = ("us/update", "kB/trial", "cosine", "spread", "eff. rank", "max. rate")


def summarised(dataset: Dataset) -> Dataset:
    """The dataset with the best rate of every rule on every task, and what is read off the runs at that rate.

    The best rate has the highest performance, mean over seeds and the last records, of those at which no seed failed.
    """
    import numpy as np

    from weightpath.analysis.effective_rank import effective_count

    late = dataset.performance.isel(step=slice(-LAST, None)).mean(["step", "seed"], skipna=False)
    index = late.fillna(-np.inf).argmax("rate")
    worked = np.isfinite(late).any("rate")
    failed = (dataset.outcome != "successful").any("seed")
    stable = (~failed).all("task") * dataset.learning_rate
    rank = effective_count(np.asarray(dataset.change_value.isel(rate=index).transpose("task", "rule", "seed", "eig")))
    return dataset.assign(
        best=index,
        best_performance=late.isel(rate=index).where(worked),
        curve=dataset.performance.isel(rate=index).mean("seed"),
        best_cosine=dataset.cosine.isel(rate=index).sel(weight="all", drop=True).mean("seed"),
        recurrent_cosine=dataset.cosine.isel(rate=index).sel(weight="w_rec").mean(["seed", "step", "task"]),
        best_inside=dataset.inside_feedback.isel(rate=index).sel(weight="w_rec").mean(["seed", "step", "task"]),
        spectrum=_over_first(dataset.change_value.isel(rate=index)).mean("seed"),
        effective_rank=(("task", "rule"), rank.mean(axis=-1)),
        stable_rate=stable.max("rate"),
    )


def _over_first(values: DataArray) -> DataArray:
    return values / values.isel(eig=0)


def numbers(dataset: Dataset, rule: str) -> tuple[float, ...]:
    """The columns of the table of costs and biases."""
    here = dataset.sel(rule=rule)
    spreads = dict(zip(dataset.estimator.values.tolist(), dataset.spread.values.tolist(), strict=True))
    return (
        1e6 * float(here.seconds.median("task")), float(here.memory.max("task")) / 1e3,
        float(here.recurrent_cosine), spreads.get(rule, 0.0), float(here.effective_rank.mean("task")),
        float(here.stable_rate),
    )  # fmt: skip


def text(dataset: Dataset) -> str:
    """The results as a text of at most 80 columns."""
    lines = ["rule         " + "".join(f"{name:>11}" for name in COLUMNS)]
    for rule in dataset.rule.values.tolist():
        time, memory, cosine, spread, rank, rate = numbers(dataset, rule)
        lines.append(f"{rule:<13}{time:>11.0f}{memory:>11.1f}{cosine:>11.2f}{spread:>11.2g}{rank:>11.1f}{rate:>11.2g}")
    lines += ["", "performance  " + "".join(f"{task:>11}" for task in dataset.task.values.tolist())]
    for rule in dataset.rule.values.tolist():
        values = dataset.best_performance.sel(rule=rule).values
        lines.append(f"{rule:<13}" + "".join(f"{value:>11.3f}" for value in values))
    return "\n".join(lines)


def rule_tables(dataset: Dataset) -> list[Table]:
    """The same for the report."""
    costs, scores = [], []
    for rule in dataset.rule.values.tolist():
        costs.append(Row(rule, [Cell(f"{value:.3g}") for value in numbers(dataset, rule)]))
        values = dataset.best_performance.sel(rule=rule)
        top = dataset.best_performance.max("rule")
        rates = dataset.learning_rate.sel(rule=rule).values[dataset.best.sel(rule=rule).values]
        scores.append(
            Row(rule, [Cell(f"{value:.3f}", f"rate {rate:g}", best=bool(value == best))
                       for value, rate, best in zip(values.values, rates, top.values, strict=True)])
        )  # fmt: skip
    return [
        Table(
            "What a rule costs, and how it errs",
            "Microseconds per update and kilobytes that one trial needs online; cosine of the update of w_rec with the "
            "gradient, mean over learning; spread of one update over the rule's own draws, over the gradient's norm; "
            "effective rank of the change of w_rec; largest learning rate of the sweep at which no run failed.",
            list(COLUMNS), costs, head="Rule",
        ),
        Table(
            "What is learned",
            "Performance at the end, each rule at its best learning rate: share of right answers, or R² (sine).",
            dataset.task.values.tolist(), scores, head="Rule",
        ),
    ]  # fmt: skip
