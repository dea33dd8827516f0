"""Study `ring-responses`: networks that learn responses of visual cortex as fixed points, also under Dale's law."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from weightpath.studies.base import Check, Settings, Study
from weightpath.studies.tables import Cell, Row, Table

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

RuleName = Literal["dW3K", "dW1", "dW2K", "mean metric", "phantom", "Adam on dW1"]
RULES: tuple[RuleName, ...] = ("dW3K", "dW1", "dW2K", "mean metric", "phantom", "Adam on dW1")
#: Squared error over that of a silent network that the best run of each network stays below, after 150 updates.
REACHED = 0.12


class RingResponses(Settings):
    """Settings of the study; networks, task and learning rates are fixed."""

    seeds: int = Field(3, ge=1, le=50, description="networks of each kind, rule and learning rate")
    updates: int = Field(600, ge=10, description="updates of each run, on all samples")
    rules: tuple[RuleName, ...] = Field(RULES, min_length=1, description="rules")
    rates: int = Field(3, ge=1, le=3, description="learning rates of each rule")


def run(
    config: RingResponses, *, progress: Callable[..., None] | None = None, workspace: Path | None = None
) -> Dataset:
    """Every network, rule and rate; then one guarded run."""
    import xarray as xr

    from weightpath._precision import require_x64
    from weightpath._progress import silent
    from weightpath.store.netcdf import read_dataset, write_dataset

    require_x64("the study ring-responses")
    report = silent if progress is None else progress
    parts, found = rows(config), []
    for done, (name, compute) in enumerate(parts.items()):
        report(f"ring-responses: {name}", done, len(parts))
        kept = None if workspace is None else workspace / f"{name.replace(' ', '-').replace(',', '')}.nc"
        if kept is not None and kept.is_file():
            found.append(read_dataset(kept))
            continue
        found.append(compute())
        if kept is not None:
            write_dataset(found[-1], kept)
    report("ring-responses", len(parts), len(parts))
    dataset = xr.concat(found, "row", join="outer", data_vars="all", coords="minimal", compat="override")
    return dataset.assign(targets()).assign_attrs(
        understood="16 preferred orientations; 12 orientations of 8 sizes to learn, 12 halfway between held out"
    )


def targets() -> dict[str, Any]:
    """What is wanted at the held-out orientations, and the axes of the responses."""
    import numpy as np

    from weightpath.studies import ring_responses_runs as runs

    ring = runs.ring()
    wanted = ring.arranged(np.asarray(ring.held_out.targets))
    return {
        "target": (("orientation", "size", "unit"), wanted),
        "target_suppression": ((), runs.suppression(wanted)),
        "difference": (("orientation", "unit"), runs.differences()),
        "diameter": ("size", ring.sizes),
        "nearest": ("unit", runs.nearest()),
    }


def rows(config: RingResponses) -> dict[str, Callable[[], Dataset]]:
    """Each row of the result, as a function that runs it."""
    from weightpath.studies import ring_responses_runs as runs

    seeds = list(range(config.seed, config.seed + config.seeds))
    parts: dict[str, Callable[[], Dataset]] = {}
    for kind in runs.NETWORKS:
        for name in config.rules:
            if kind == "E-I" and name == "dW2K":
                continue  # its map back to weights knows no signs
            for rate in runs.RATES[name][: config.rates]:
                parts[f"{kind}, {name} {rate:g}"] = lambda kind=kind, name=name, rate=rate: runs.row_dataset(
                    kind, name, rate, seeds, config.updates
                )
    rate = 10 * runs.RATES["dW3K"][0]
    parts["guarded"] = lambda: runs.row_dataset("tanh", "dW3K", rate, seeds[:1], config.updates, "halve")
    return parts


def _complete(dataset: Dataset) -> bool:
    """Every run has finite losses up to its end, and a name for why it ended."""
    import numpy as np

    from weightpath._results import OUTCOME_NAMES

    finite = np.isfinite(dataset["loss"].values)
    ran = dataset["error"].notnull().values
    names = set(dataset["outcome"].values[ran].tolist())
    good = dataset["outcome"].values == "successful"
    return bool(names <= set(OUTCOME_NAMES) and finite[..., 0][ran].all() and finite[good].all())


def _best(dataset: Dataset, kind: str, name: str = "held_out_error") -> float:
    """The least of a quantity over rules and rates of one kind of network, mean over seeds."""
    part = dataset[name].where((dataset["network"] == kind) & ~dataset["guarded"].astype(bool))
    return float(part.mean("seed", skipna=False).min())


def best_row(dataset: Dataset, kind: str, rule: str | None = None) -> int:
    """Number of the row with the least mean error at held-out orientations, of one network (and rule)."""
    import numpy as np

    wanted = (dataset["network"] == kind) & ~dataset["guarded"].astype(bool)
    if rule is not None:
        wanted = wanted & (dataset["rule"] == rule)
    error = dataset["held_out_error"].mean("seed", skipna=True).where(wanted).values
    return int(np.nanargmin(error))


def _rise(dataset: Dataset, updates: int) -> float:
    """Largest rise of the loss between records of the guarded run, over what its guard counts as rounding.

    That is a share `RISE` of the loss at every update.
    """
    import numpy as np

    from weightpath.learn.guards import RISE
    from weightpath.studies.ring_responses_runs import between_records

    loss = dataset["loss"].isel(row=int(np.flatnonzero(dataset["guarded"].values)[0])).isel(seed=0).values
    loss = loss[np.isfinite(loss)]
    return float(max(0.0, np.max(np.diff(loss))) / (loss[0] * RISE * between_records(updates)))


def checks(config: RingResponses) -> list[Check]:
    """Signs, guards and completeness are required; how rules compare is found."""
    asked = [
        Check("every run is reported up to its end, with a name for it", "completeness", _complete, compare="true"),
        Check("E-I: weights that break Dale's law, all records", "identity",
              lambda ds: ds["broken"].where(ds["network"] == "E-I").sum(), 0, compare="at_most"),
        Check("guarded run: largest rise of the loss between records, over its guard's rounding", "identity",
              lambda ds: _rise(ds, config.updates), 1.0, compare="at_most"),
    ]  # fmt: skip
    for kind in ("tanh", "E-I"):
        asked.append(
            Check(f"{kind}: error of the best rule and rate, held-out orientations", "stated of this study",
                  lambda ds, kind=kind: _best(ds, kind), REACHED, compare="at_most", required=config.updates >= 150)
        )  # fmt: skip
        asked.append(
            Check(f"{kind}: suppression index of the best run (target {0.34:g})", "finding",
                  lambda ds, kind=kind: ds["suppression"].isel(row=best_row(ds, kind)).mean(), required=False)
        )  # fmt: skip
        asked.append(
            Check(f"{kind}: least stability margin of the best run", "finding",
                  lambda ds, kind=kind: ds["margin"].isel(row=best_row(ds, kind)).min(), required=False)
        )  # fmt: skip
    asked.append(Check("guarded run: steps halved or refused", "finding",
                       lambda ds: ds["rejected"].where(ds["guarded"].astype(bool)).sum(), required=False))  # fmt: skip
    return asked


def tables(dataset: Dataset) -> list[Table]:
    """Every network, rule and rate."""
    import numpy as np

    lines = []
    for index in range(dataset.sizes["row"]):
        one = dataset.isel(row=index)
        ran = one["error"].notnull().values

        def each(name, form, one=one, ran=ran):
            return ", ".join(form.format(value) for value in one[name].values[ran])

        ended = one["outcome"].values[ran].tolist()
        lines.append(
            Row(
                f"{one['rule'].item()}" + (", guarded" if bool(one["guarded"]) else ""),
                [
                    Cell(f"{float(one['rate']):g}"), Cell(each("error", "{:.3f}")),
                    Cell(each("held_out_error", "{:.3f}")), Cell(each("suppression", "{:.2f}")),
                    Cell(each("margin", "{:.2f}")), Cell(each("abscissa", "{:.2f}")),
                    Cell("all" if set(ended) == {"successful"} else ", ".join(ended)),
                ],
                group=f"{one['network'].item()} network",
            )
        )  # fmt: skip
    wanted = float(dataset["target_suppression"])
    return [
        Table(
            title="Responses of the ring by network, rule and learning rate",
            note="One entry a network, in the order of the seeds.",
            columns=("rate", "error", "held-out error", "suppression", "margin", "abscissa of W", "ended well"),
            rows=lines,
            reading=(
                f"Error: squared, over that of a silent network. Suppression index: target {wanted:.2f}. Margin: "
                "distance of the least stable response from instability, as a flow. A run that failed is measured at "
                "its last good weights."
            ),
            head="Rule",
        )
    ] if np.isfinite(wanted) else []  # fmt: skip


def responses(dataset: Dataset) -> Figure:
    """Responses at orientations that were not learned, of the best run of each kind of network. Left: to gratings of
    the size with the largest response, against the difference from a unit's preferred orientation; middle: to gratings
    of growing size near the preferred orientation, mean over units (bars: one s.d.). Lines: targets; dots: the network.
    Right: recurrent weights against the difference of preferred orientations, mean over pairs of units.
    """
    from weightpath.plot import ring_responses as plots

    return plots.response_figure(dataset, {kind: best_row(dataset, kind) for kind in ("tanh", "E-I")})


def learning(dataset: Dataset) -> Figure:
    """Loss on all samples over updates, one panel a rule and kind of network, one shade a learning rate (pale: small),
    one line a network; crosses: runs that failed. Dotted: the loss of a silent network. Last panel: the guarded run.
    """
    from weightpath.plot import ring_responses as plots

    return plots.learning_figure(dataset)


STUDY = Study(
    name="ring-responses",
    title="Orientation tuning and surround suppression learned as fixed points",
    paper="Zhu and Rosenbaum 2024 (arXiv 2307.06732); Rubin, Van Hooser and Miller 2015",
    claim=(
        "Recurrent networks learn tuned, surround-suppressed responses to gratings as their fixed points, from inputs "
        "that are broadly tuned and only grow with size: tanh units with weights of any sign, and excitatory and "
        "inhibitory units with a supralinear transfer function whose signs are kept. Required: Dale's law holds at "
        "every record, a guarded run never raises its loss, and the best rule of each network leaves less than "
        f"{REACHED:g} of the error of a silent one at orientations it has not seen. Which rule learns best, at "
        "which rate, and how stable the learned responses are, are findings of this study."
    ),
    config=RingResponses,
    presets={"quick": {"seeds": 1, "updates": 150, "rules": ("dW3K",), "rates": 1}, "full": {}},
    run=run,
    checks=checks,
    figures={"responses": responses, "learning": learning},
    tables=tables,
)
