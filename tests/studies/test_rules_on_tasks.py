"""The study of rules on tasks: what it reads off runs, on numbers made by hand, its identities, and the small run."""

import numpy as np
import pytest
import xarray as xr

from weightpath.studies import STUDIES
from weightpath.studies import rules_on_tasks_runs as runs
from weightpath.studies import rules_on_tasks_tables as tables

STUDY = STUDIES["rules-on-tasks"]


def made() -> xr.Dataset:
    """Two rules, two tasks, two rates, two seeds; rule "b" fails at the second rate in one seed of the first task."""
    run, step = ("task", "rule", "rate", "seed"), np.arange(4)
    performance = np.full((2, 2, 2, 2, 4), 0.5)
    performance[:, 0, 1] = 0.9  # rule "BPTT" is better at the second rate
    performance[0, 1, 1] = 0.95
    performance[0, 1, 1, 0, 2:] = np.nan
    outcome = np.full((2, 2, 2, 2), "successful")
    outcome[0, 1, 1, 0] = "diverged"
    cosine = np.broadcast_to(np.array([1.0, 0.25])[:, None, None, None, None], (2, 2, 2, 2, 4, 2))
    values = np.broadcast_to(np.array([[2.0, 2.0, 0.0], [4.0, 0.0, 0.0]])[:, None, None], (2, 2, 2, 2, 3))
    per_rule = ("task", "rule")
    return xr.Dataset(
        {
            "performance": ((*run, "step"), performance),
            "loss": ((*run, "step"), np.where(np.isnan(performance), np.nan, 1.0)),
            "outcome": (run, outcome), "last_step": (run, np.where(outcome == "diverged", 1, 3)),
            "cosine": ((*run, "step", "weight"), cosine), "inside_feedback": ((*run, "step", "weight"), cosine),
            "change_value": ((*run, "eig"), values), "seconds": (per_rule, np.full((2, 2), 1e-3)),
            "memory": (per_rule, np.full((2, 2), 4000.0)), "spread": ("estimator", [3.0]),
            "standard_errors": ("estimator", [1.0]),
        },
        {"task": ["evidence", "sine"], "rule": ["BPTT", "UORO"], "step": step, "weight": ["w_rec", "all"],
         "estimator": ["UORO"], "learning_rate": (("rule", "rate"), [[0.1, 0.3], [0.1, 0.3]])},
        {"best_accuracy": 0.9},
    )  # fmt: skip


def test_the_best_rate_is_one_at_which_no_seed_failed():
    found = tables.summarised(made())
    assert found.best.values.tolist() == [[1, 0], [1, 0]]
    np.testing.assert_allclose(found.best_performance, [[0.9, 0.5], [0.9, 0.5]])
    np.testing.assert_allclose(found.effective_rank, [[2, 1], [2, 1]])
    np.testing.assert_allclose(found.stable_rate, [0.3, 0.1])
    assert tables.numbers(found, "UORO") == pytest.approx((1000, 4, 0.25, 3, 1, 0.1))
    assert tables.numbers(found, "BPTT") == pytest.approx((1000, 4, 1, 0, 2, 0.3))


def test_tables_say_the_same_in_eighty_columns():
    found = tables.summarised(made())
    lines = tables.text(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].split() == ["UORO", "1000", "4.0", "0.25", "3", "1.0", "0.1"]
    assert lines[-2].split() == ["BPTT", "0.900", "0.900"]
    costs, scores = tables.rule_tables(found)
    assert [row.label for row in costs.rows] == ["BPTT", "UORO"] and len(costs.rows[0].cells) == len(costs.columns)
    assert [cell.best for cell in scores.rows[0].cells] == [True, True] and scores.rows[1].cells[0].detail == "rate 0.1"


def test_a_run_without_a_name_for_its_failure_is_not_complete():
    complete = next(check for check in STUDY.checks_of(STUDY.settings("quick")) if check.compare == "true")
    found = tables.summarised(made())
    assert complete.evaluate(found).passed
    assert not complete.evaluate(found.assign(outcome=found.outcome.where(found.outcome != "diverged", "lost"))).passed
    assert not complete.evaluate(found.assign(loss=found.loss.fillna(1.0))).passed


def test_figures_draw(tmp_path):
    from weightpath.plot.style import save_figure

    found = tables.summarised(made())
    for name, draw in STUDY.figures.items():
        assert save_figure(draw(found), tmp_path / f"{name}.png").stat().st_size > 10_000
        assert draw.__doc__


def test_settings_and_names():
    quick, full = STUDY.settings("quick"), STUDY.settings("full")
    assert set(quick.rules) < set(full.rules) and set(quick.tasks) < set(full.tasks)
    for task in full.tasks:
        assert runs.task_of(task, 2).bins == 20
    with pytest.raises(ValueError, match="rules"):
        STUDY.settings("quick", rules=("Hebb",))


@pytest.mark.slow
def test_every_requirement_is_met(tmp_path):
    config, told = STUDY.settings("quick"), []
    dataset = STUDY.run(config, progress=lambda *args, **numbers: told.append(args), workspace=tmp_path)
    results = [check.evaluate(dataset) for check in STUDY.checks_of(config)]
    assert [result.name for result in results if result.passed is False] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "estimators.nc", "evidence.nc", "identities.nc", "sine.nc"
    ]  # fmt: skip
    again = STUDY.run(config, progress=None, workspace=tmp_path)
    xr.testing.assert_equal(again.best_performance, dataset.best_performance)
