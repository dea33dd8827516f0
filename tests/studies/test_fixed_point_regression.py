"""The study of fixed-point regression: its problems, the spaces in which rules stay, its tables, and the small run."""

import numpy as np
import pytest
from fixed_point_program import learned, loss, ten_units, update

from weightpath.studies import STUDIES
from weightpath.studies import fixed_point_regression_cases as cases
from weightpath.studies import fixed_point_regression_references as known
from weightpath.studies import fixed_point_regression_runs as runs
from weightpath.studies import fixed_point_regression_sections as sections

STUDY = STUDIES["fixed-point-regression"]


@pytest.mark.parametrize("start", known.UNIT_WEIGHTS)
def test_the_references_of_one_unit_are_those_of_another_program(start):
    problem = cases.one_unit(start)
    for rule, expected in known.UNIT_WEIGHTS[start].items():
        path = learned(rule, problem.start, problem.inputs, problem.targets, cases.ONE_UNIT_RATE, len(expected))
        np.testing.assert_allclose([w.item() for w in path[1:]], expected, rtol=1e-8, atol=1e-8)


def test_the_references_of_ten_units_are_those_of_another_program():
    w, x, t = ten_units()
    problem = cases.ten_units()
    for found, expected in ((problem.start, w), (problem.inputs, x), (problem.targets, t)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    for run, expected in known.TEN_LOSSES.items():
        rule, rate = run.split()
        path = learned(rule, w, x, t, float(rate), 10)
        for updates, value, tolerance in zip((1, 10), expected, known.TEN_TOLERANCES, strict=False):
            if value is not None:
                assert loss(path[updates], x, t) == pytest.approx(value, rel=tolerance)


def test_the_stated_network_is_the_published_one():
    problem = cases.drawn(cases.STATED, 200, 100)
    assert problem.loss(problem.goal) == pytest.approx(known.STATED_GOAL, rel=1e-12)
    assert problem.loss(problem.start) == pytest.approx(known.STATED_FIRST, rel=1e-8)
    for rate, updates, expected in ((1.0, 100, 0.03089119), (3.0, 100, 1.354832e-3), (0.1, 3500, 7.656291e-4)):
        assert problem.regression_loss(rate, np.array([updates])) == pytest.approx([expected], rel=1e-5)
    values = np.linalg.eigvals(problem.start)
    edges = (values.real.max(), np.abs(values).max())
    np.testing.assert_allclose(edges, known.STATED_SPECTRA[None], atol=1e-3)


def test_the_exact_rule_follows_linear_regression_and_all_changes_stay_in_their_spaces():
    problem = cases.drawn("3", 12, 3)
    w, x, t = problem.start, problem.inputs, problem.targets
    updates = np.arange(21)
    path = learned("dW2", w, x, t, 2.0, 20)
    np.testing.assert_allclose([loss(at, x, t) for at in path], problem.regression_loss(2.0, updates), rtol=1e-10)
    for rule in cases.RULES:
        spans = runs.predicted_spaces(problem, rule)
        first = update(rule, w, x, t, 2.0)
        assert max(runs.outside_of(first, *spans)) < 1e-12 and np.linalg.matrix_rank(first, tol=1e-12) == 3
        whole = learned(rule, w, x, t, 2.0, 20)[-1] - w
        if rule == "dW1":
            assert min(runs.outside_of(whole, *spans)) > 1e-3 and np.linalg.matrix_rank(whole) > 3
        else:
            assert max(runs.outside_of(whole, *spans)) < 1e-12 and np.linalg.matrix_rank(whole, tol=1e-10) == 3


def test_sections_begin_at_zero_loss_and_their_directions_follow_the_noise_in_the_stream():
    problem, directions = sections.cases.sections(cases.STATED, 200, 100, 2)
    assert problem.loss(problem.start) < 1e-24
    random = np.random.RandomState(2023)  # noqa: NPY002
    for shape in ((200, 100), (200, 200), (200, 100)):
        random.randn(*shape)
    np.testing.assert_allclose(directions[0], 2.5 * random.randn(200, 200) / np.sqrt(200), rtol=1e-14)


def test_presets_ask_about_what_they_run():
    quick, full = ({check.name for check in STUDY.checks_of(STUDY.settings(name))} for name in ("quick", "full"))
    assert not any(name.startswith("stated") for name in quick) and quick < full
    assert sum(name.startswith("stated network, dW") for name in full) > 40
    with pytest.raises(ValueError, match="unit"):
        STUDY.settings("quick", unit=3)


@pytest.mark.slow
def test_every_requirement_is_met_and_figures_draw(tmp_path):
    from weightpath.plot.style import save_figure

    config = STUDY.settings("quick")
    dataset = STUDY.run(config, workspace=tmp_path)
    assert [r.name for check in STUDY.checks_of(config) if (r := check.evaluate(dataset)).passed is False] == []
    for name, draw in STUDY.figures.items():
        assert save_figure(draw(dataset), tmp_path / f"{name}.png").stat().st_size > 10_000
        assert draw.__doc__
    lines = dataset.attrs["table"].splitlines()
    assert max(map(len, lines)) <= 80 and "diverged (9)" in lines[-1]
    for table in STUDY.tables(dataset):
        assert all(len(row.cells) == len(table.columns) for row in table.rows)


def test_the_linearised_rule_ends_as_diverged_from_beyond_the_pole():
    dataset = runs.one_unit((1.5,), ("dW3",), 30)
    names = ("one unit from 1.5, dW3: first weights, largest difference",
             "one unit from beyond the pole, dW3: ends as diverged by update 10")  # fmt: skip
    found = [check for check in STUDY.checks_of(STUDY.settings("quick")) if check.name in names]
    assert [check.evaluate(dataset).passed for check in found] == [True, True]
    assert np.isfinite(dataset.unit_loss.sel(unit_update=9)).all()
    assert np.isnan(dataset.unit_loss.sel(unit_update=slice(10, None))).all()


def test_the_prediction_is_linear_regression():
    """A <- A - rate 2/m (A X - T) X^T, update by update, and a rate at which it stops converging."""
    predicted = STUDY.predict(STUDY.settings("quick"))
    problem = cases.drawn("0", 10, 4)
    for rate in (0.3, 3.0):
        response, losses = np.linalg.inv(np.eye(10) - problem.start), []
        for _ in range(101):
            error = response @ problem.inputs - problem.targets
            losses.append(np.sum(error**2) / 4)
            response = response - rate / 2 * error @ problem.inputs.T
        np.testing.assert_allclose(predicted[f"loss_at_{rate:g}"][:4], np.array(losses)[[0, 1, 10, 100]], rtol=1e-9)
    assert predicted["update"] == [0, 1, 10, 100, 1000, 3500]
    largest = predicted["largest_rate"]
    below, above = (problem.regression_loss(share * largest, np.array([0, 4000])) for share in (0.99, 1.01))
    assert below[1] < 1e-20 * below[0] and above[1] > 1e20 * above[0]
