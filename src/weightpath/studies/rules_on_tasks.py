"""Study: tanh networks trained on four tasks by every learning rule: what each learns, at what cost and bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from weightpath.studies.base import Check, Settings, Study

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

PAPER = "Williams, Payeur, Lajoie 2026 (arXiv 2606.00243); Marschall, Cho, Savin 2020 (arXiv 1907.02649)"
TaskName = Literal["match", "flip-flop", "evidence", "sine"]
RuleName = Literal[
    "BPTT", "tBPTT-5", "tBPTT-1", "UORO", "KF-RTRL", "e-prop", "e-prop-R", "RFLO-R", "SnAp-0-R"
]  # fmt: skip
TASKS: tuple[TaskName, ...] = ("match", "flip-flop", "evidence", "sine")
RULES: tuple[RuleName, ...] = (
    "BPTT", "tBPTT-5", "tBPTT-1", "UORO", "KF-RTRL", "e-prop", "e-prop-R", "RFLO-R", "SnAp-0-R",
)  # fmt: skip
#: What BPTT reaches at its best rate: share of right answers (evidence: of what an ideal observer reaches), R^2 (sine).
REACHED = {"match": 0.9, "flip-flop": 0.9, "evidence": 0.9, "sine": 0.5}


class RulesOnTasks(Settings):
    """Settings of the study."""

    units: int = Field(24, ge=4, le=128, description="units of the networks")
    trials: int = Field(16, ge=2, description="trials of each step's batch")
    steps: int = Field(300, ge=20, description="learning steps")
    seeds: int = Field(3, ge=1, description="networks for each rule, task and learning rate")
    rates: tuple[float, ...] = Field((0.01, 0.03, 0.1), description="learning rates of the sweep (momentum 0.9)")
    tasks: tuple[TaskName, ...] = Field(TASKS, min_length=1, description="tasks")
    rules: tuple[RuleName, ...] = Field(RULES, min_length=1, description="rules; -R: random feedback")
    draws: int = Field(4000, ge=100, description="draws of the rules that estimate at random")


def run(config: RulesOnTasks, *, progress=None, workspace=None) -> Dataset:
    """Identities, estimators, then every task; each task is kept when it is finished."""
    import xarray as xr

    from weightpath._precision import require_x64
    from weightpath._progress import silent
    from weightpath.store.netcdf import read_dataset, write_dataset
    from weightpath.studies import rules_on_tasks_runs as runs
    from weightpath.studies.rules_on_tasks_tables import summarised, text

    require_x64("the study rules-on-tasks")
    report = silent if progress is None else progress
    parts = {"identities": runs.identities, "estimators": runs.estimators}
    for task in config.tasks:
        parts[task] = lambda config, task=task: runs.compared(config, task, report)
    found = {}
    for done, (name, part) in enumerate(parts.items()):
        report(f"rules-on-tasks: {name}", done, len(parts))
        kept = None if workspace is None else workspace / f"{name}.nc"
        if kept is not None and kept.is_file():
            found[name] = read_dataset(kept)
            continue
        found[name] = part(config)
        if kept is not None:
            write_dataset(found[name], kept)
    report("rules-on-tasks", len(parts), len(parts))
    tasks = xr.concat([found[name] for name in config.tasks], "task", coords="minimal", combine_attrs="drop")
    merged = xr.merge([tasks, found["identities"], found["estimators"]], combine_attrs="drop", join="exact")
    assert isinstance(merged, xr.Dataset)
    dataset = summarised(merged)
    return dataset.assign_attrs(
        understood=f"tanh networks of {config.units} units; {config.trials} trials of 20 bins a batch",
        table=text(dataset), best_accuracy=runs.best_accuracy(),
    )  # fmt: skip


def _complete(ds: Dataset) -> bool:
    """Every run came to its end with finite numbers, or stopped with a name for the reason."""
    from weightpath._results import OUTCOME_NAMES

    finite = bool((ds.loss.notnull() == (ds.last_step >= ds.step)).all())
    return finite and set(ds.outcome.values.ravel().tolist()) <= set(OUTCOME_NAMES)


def _reached(ds: Dataset, task: str) -> float:
    value = float(ds.best_performance.sel(task=task, rule="BPTT"))
    return value / ds.attrs["best_accuracy"] if task == "evidence" else value


def _second_value(ds: Dataset) -> float:
    values = ds.identity_value.sel(identity_rule="RFLO-R, no slope")
    return float(values[1] / values[0])


def _curve_error(ds: Dataset, rule: str) -> float:
    losses = ds.identity_loss
    return float(abs(losses.sel(identity_rule=rule) / losses.sel(identity_rule="BPTT") - 1).max())


def checks(config: RulesOnTasks) -> list[Check]:
    """Identities are required; which rule learns what is a finding."""
    identity, finding = "identity", "finding"
    asked = [
        Check("every run ended, or stopped with a name for the reason", "completeness", _complete, compare="true"),
        *(Check(f"{rule} = BPTT in trial form: loss over ten steps, relative", identity,
                lambda ds, rule=rule: _curve_error(ds, rule), 1e-8, compare="at_most")
          for rule in ("RTRL", "tBPTT-T")),
        *(Check(f"{rule}: cosine of its update with the gradient, least", identity,
                lambda ds, rule=rule: ds.identity_cosine.sel(identity_rule=rule).min(), 1.0, 1e-9)
          for rule in ("RTRL", "tBPTT-T")),
        Check("RFLO without slope: second singular value of the change over the first, one output", identity,
              _second_value, 1e-10, compare="at_most"),
        *(Check(f"{rule}: mean of its draws minus the gradient, in standard errors", "unbiased",
                lambda ds, rule=rule: ds.standard_errors.sel(estimator=rule), 2.0, compare="at_most")
          for rule in ("UORO", "KF-RTRL")),
    ]  # fmt: skip
    if "BPTT" in config.rules:
        asked += [
            Check(f"{task}: BPTT learns", "stated of this study", lambda ds, task=task: _reached(ds, task),
                  REACHED[task], compare="at_least") for task in config.tasks
        ]  # fmt: skip
    for rule in config.rules:
        asked += [
            Check(f"{task}: performance of {rule}", finding,
                  lambda ds, task=task, rule=rule: ds.best_performance.sel(task=task, rule=rule),
                  required=False, tabled=True) for task in config.tasks
        ]  # fmt: skip
        asked += [
            Check(f"{rule}: {words}", finding, lambda ds, name=name, rule=rule: ds[name].sel(rule=rule).mean(),
                  required=False, tabled=name != "best_inside")
            for name, words in (("recurrent_cosine", "cosine with the gradient, w_rec"),
                                ("best_inside", "share of the update of w_rec inside the range of the feedback"),
                                ("effective_rank", "effective rank of the change of w_rec"))
        ]  # fmt: skip
    return asked


def performance(dataset: Dataset) -> Figure:
    """What each rule learns: performance on held-out batches along learning, mean over seeds, each rule at its best
    learning rate. Share of right answers (dotted: chance; evidence: also what an ideal observer reaches), or R² (sine).
    """
    from weightpath.plot import rules

    def draw(task, ax):
        sine = task == "sine"
        rules.plot_curves(dataset, "curve", task, ax=ax, y="$R^2$" if sine else "right", level=0.0 if sine else 0.5)
        ax.set_ylim(-0.5 if sine else 0.3, 1.03)
        if task == "evidence":
            ax.axhline(dataset.attrs["best_accuracy"], color="grey", linewidth=0.8, linestyle=":")

    return _panels(dataset, draw)


def alignment(dataset: Dataset) -> Figure:
    """How each rule follows the gradient: cosine of its update of all weights with that of BPTT at the same weights and
    on the same held-out batch, along learning, mean over seeds, each rule at its best learning rate.
    """
    from weightpath.plot import rules

    def draw(task, ax):
        rules.plot_curves(dataset, "best_cosine", task, ax=ax, y="cosine with the gradient", level=0.0)
        ax.set_ylim(-0.3, 1.05)

    return _panels(dataset, draw)


def spectra(dataset: Dataset) -> Figure:
    """Singular values of the whole change of the recurrent weights over the largest, mean over seeds."""
    from weightpath.plot import rules

    return _panels(dataset, lambda task, ax: rules.plot_change_spectra(dataset, task, ax=ax))


def _panels(dataset: Dataset, draw: Any) -> Figure:
    """One panel for each task, and one legend."""
    import numpy as np

    from weightpath.plot import rules, style

    tasks = dataset.task.values.tolist()
    rows = -(-len(tasks) // 2)
    drawn, axes = style.figure(rows, min(2, len(tasks)), width=8.6, height=0.6 + 2.7 * rows)
    flat = list(np.atleast_1d(axes).flat)
    for task, ax in zip(tasks, flat, strict=False):
        draw(task, ax)
    for ax in flat[len(tasks) :]:
        ax.set_visible(False)
    style.letter(flat[: len(tasks)])
    rules.legend_beside(drawn, flat[0])
    return drawn


def tables(dataset: Dataset) -> Any:
    """Costs and biases, and what is learned."""
    from weightpath.studies.rules_on_tasks_tables import rule_tables

    return rule_tables(dataset)


STUDY = Study(
    name="rules-on-tasks",
    title="Learning rules on tasks: what each learns, how it follows the gradient, what it costs",
    paper=PAPER,
    claim=(
        "Tanh networks learn delayed match to sample, a flip-flop, evidence integration and sine generation by "
        "back-propagation, its truncations, unbiased online estimates of it and local rules. Required are identities: "
        "RTRL and untruncated BPTT are BPTT, UORO and KF-RTRL have its gradient as their mean, RFLO without slope "
        "changes the recurrent weights in as many directions as there are outputs. Which rule learns which task, how "
        "far its update points along the gradient and how many directions its change has are findings of this study."
    ),
    config=RulesOnTasks,
    presets={
        "quick": {
            "steps": 200, "seeds": 2, "rates": (0.03, 0.1), "tasks": ("evidence", "sine"), "draws": 2000,
            "rules": ("BPTT", "tBPTT-1", "RFLO-R"),
        },
        "full": {},
    },
    run=run,
    checks=checks,
    figures={"performance": performance, "alignment": alignment, "spectra": spectra},
    tables=tables,
)  # fmt: skip
