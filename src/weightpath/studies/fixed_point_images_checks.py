"""What is required of the study of images, what it reports, and its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightpath.studies import fixed_point_images_runs as runs
from weightpath.studies.base import Check
from weightpath.studies.tables import Cell, Row, Table

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Networks on which something is required; those of further seeds are findings.
REQUIRED_SEEDS = 3
ACCURACY = 0.84
#: A seed at which gradient descent jumps within its first 60 updates, before rounding has changed its path.
EARLY = 2
SMOOTH, JUMPY = runs.row_name(*runs.SMOOTH), runs.row_name(*runs.JUMPY)


def values(dataset: Dataset, name: str, row: str, prefix: str = "digits") -> Any:
    """One quantity of one row, over seeds."""
    return dataset[f"{prefix}_{name}"].sel({f"{prefix}_row": row}).values


def _complete(dataset: Dataset) -> bool:
    """Every run has as many finite losses as updates before its first failure, and an accuracy unless it failed."""
    import numpy as np

    whole = True
    for prefix in ("digits", "mnist"):
        if f"{prefix}_loss" not in dataset:
            continue
        loss = dataset[f"{prefix}_loss"].values
        ran = np.isfinite(dataset[f"{prefix}_abscissa"].values)
        finite = np.isfinite(loss)
        # Once a run has ended, by a failure or its last update, nothing follows.
        ordered = np.all(finite[..., :-1] | ~finite[..., 1:])
        whole &= bool(ordered and np.all(finite[..., 0] == ran))
    return whole


def _long(config: Any) -> bool:
    """Whether gradient descent runs long enough to be asked for a jump."""
    updates = min(config.updates, config.gradient_updates)
    return updates >= 300 or (updates >= 100 and config.seed == EARLY and config.seeds == 1)


def checks(config: Any) -> list[Check]:
    """The two stated criteria on the first three networks; everything else is a finding."""
    source = "criterion of this study"
    asked = [Check("every run is reported up to its end or failure", "completeness", _complete, compare="true")]
    required = min(config.seeds, REQUIRED_SEEDS)
    words = {1: "one network", 2: "two networks"}.get(required, "three networks")
    asked += [
        Check(f"{SMOOTH}: least test accuracy of {words}", source,
              lambda ds: values(ds, "accuracy", SMOOTH)[:required].min(), ACCURACY, compare="at_least",
              required=config.updates >= 300),
        Check(f"{SMOOTH}: jumps of the loss, most of {words}", source,
              lambda ds: values(ds, "jumps", SMOOTH)[:required].max(), 0, compare="at_most"),
        Check(f"{JUMPY}: jumps of the loss, least of {words}", source,
              lambda ds: values(ds, "jumps", JUMPY)[:required].min(), 1, compare="at_least",
              required=_long(config)),
    ]  # fmt: skip
    if config.seeds > REQUIRED_SEEDS:
        asked += [
            Check(f"{row}: {text}, further networks", "finding",
                  lambda ds, row=row, name=name, worst=worst: getattr(values(ds, name, row)[REQUIRED_SEEDS:], worst)(),
                  required=False)
            for row, name, text, worst in (
                (SMOOTH, "accuracy", "least test accuracy", "min"),
                (SMOOTH, "jumps", "most jumps", "max"),
                (JUMPY, "jumps", "fewest jumps", "min"),
            )
        ]  # fmt: skip
    asked += [
        Check(f"{row}: {text}, all networks", "finding",
              lambda ds, row=row, name=name, part=part: getattr(values(ds, name, row), part)(),
              required=False, tabled=True)
        for row in (SMOOTH, JUMPY)
        for name, text, part in (
            ("accuracy", "mean test accuracy", "mean"),
            ("unconverged", "unconverged updates", "sum"),
        )
    ]  # fmt: skip
    return asked


def text(dataset: Dataset) -> str:
    """Every rule at every rate for the terminal, over the networks that ran: at most 80 columns."""
    lines = []
    for prefix, title in (("digits", "digits"), ("mnist", "MNIST")):
        if f"{prefix}_loss" not in dataset:
            continue
        lines.append(f"{title:24}{'rate':>7}{'networks':>10}{'test accuracy':>15}{'jumps':>7}{'unconverged':>13}")
        for row in dataset[f"{prefix}_row"].values.tolist():
            one = dataset.sel({f"{prefix}_row": row})
            ran = int(one[f"{prefix}_abscissa"].notnull().sum())
            accuracy, jumps, left = (one[f"{prefix}_{name}"] for name in ("accuracy", "jumps", "unconverged"))
            lines.append(
                f"{str(one[f'{prefix}_rule'].values):24}{float(one[f'{prefix}_rate']):>7g}{ran:>10}"
                f"{float(accuracy.mean()):>15.3f}{float(jumps.sum()):>7.0f}{float(left.sum()):>13.0f}"
            )
    return "\n".join([*lines, "test accuracy: mean over networks; jumps and unconverged updates: all together"])


def image_tables(dataset: Dataset) -> list[Table]:
    """Every rule at every rate, digits and MNIST."""
    found = []
    for prefix, title in (("digits", "Digits"), ("mnist", "MNIST (8,000 images to learn from, 2,000 held out)")):
        if f"{prefix}_loss" in dataset:
            found.append(_table(dataset, prefix, title))
    return found


def _table(dataset: Dataset, prefix: str, title: str) -> Table:
    import numpy as np

    rows = []
    for row in dataset[f"{prefix}_row"].values.tolist():
        one = dataset.sel({f"{prefix}_row": row})
        ran = np.isfinite(one[f"{prefix}_abscissa"].values)
        seeds = dataset[f"{prefix}_seed"].values[ran]

        def each(name, form, one=one, ran=ran):
            return ", ".join(form.format(value) for value in one[f"{prefix}_{name}"].values[ran])

        last = one[f"{prefix}_loss"].values[ran]
        late = [np.nanmean(path[np.isfinite(path)][-20:]) for path in last]
        rows.append(
            Row(
                f"{str(one[f'{prefix}_rule'].values)}",
                [
                    Cell(f"{float(one[f'{prefix}_rate']):g}"),
                    Cell(each("accuracy", "{:.3f}")),
                    Cell(", ".join(f"{value:.3f}" for value in late)),
                    Cell(each("jumps", "{:.0f}")),
                    Cell(each("unconverged", "{:.0f}")),
                    Cell(each("updates", "{:.0f}")),
                    Cell(each("abscissa", "{:.2f}")),
                    Cell(", ".join(map(str, seeds.tolist()))),
                ],
            )
        )
    return Table(
        title=title,
        note="One entry a network, in the order of the seeds.",
        columns=(
            "rate", "test accuracy", "loss, last 20 updates", "jumps", "unconverged updates", "updates",
            "abscissa of W", "seeds",
        ),
        rows=rows,
        reading=(
            "Jump: the minibatch loss rises by more than 0.5 from one update to the next. Unconverged: the iteration "
            "ended before the fixed points of the batch were found, and its last iterate was used. Fewer updates than "
            "the others: weights that are no longer finite, or a rule that is run shorter because it is costly. The "
            "runs of gradient descent with many unconverged updates depend on rounding: their accuracies differ "
            "between machines."
        ),
        head="Rule",
    )  # fmt: skip
