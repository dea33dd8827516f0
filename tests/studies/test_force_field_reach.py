"""The study of reaching: the numbers it compares a fit with, on cases known in closed form, and the whole small run."""

from types import SimpleNamespace

import numpy as np
import pytest

from weightpath.studies import STUDIES
from weightpath.studies import force_field_tables as tables

STUDY = STUDIES["force-field-reach"]
RANDOM = np.random.default_rng(0)


def test_courses_are_explained_by_what_spans_them():
    factors = RANDOM.standard_normal((30, 3))
    assert tables._explained(factors @ RANDOM.standard_normal((3, 2)) + 1, factors) == pytest.approx(1)
    courses = np.tile([1.0, -1.0], 15)[:, None]
    assert tables._explained(courses, np.repeat([1.0, -1.0], 15)[:, None]) == pytest.approx(0, abs=0.01)


def test_share_of_a_change_in_directions():
    change = np.zeros((2, 3, 3))
    change[:, 0, 1], change[:, 2, 0] = 3.0, 4.0
    assert tables._share(change, np.eye(3)[:, :1]) == pytest.approx(3 / 5)
    assert tables._share(change, np.eye(3)) == pytest.approx(1)


def test_flow_correlation_ignores_directions_that_are_not_visited():
    weights = RANDOM.standard_normal((4, 3, 3))
    rates = np.zeros((4, 5, 3))
    rates[:, :, :2] = RANDOM.standard_normal((4, 5, 2))
    elsewhere = weights + RANDOM.standard_normal((4, 3, 1)) * np.array([0.0, 0.0, 1.0])
    fit = SimpleNamespace(weights=lambda k: elsewhere[k])
    assert tables._flow_correlation(fit, weights - weights[0], rates) == pytest.approx(1)


def test_quick_is_smaller_than_full_and_bands_are_those_of_the_reference():
    quick, full = STUDY.settings("quick"), STUDY.settings("full")
    assert quick.units < full.units == 100 and quick.pretraining < full.pretraining == 400 and full.trials == 50
    required = [check.expected for check in STUDY.checks_of(full) if check.name.startswith("R3") and check.expected]
    assert required == [0.97, 0.90, 8]


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"seed": 3}])
def test_every_requirement_is_met_and_figures_draw(changes, tmp_path):
    from weightpath.plot.style import save_figure

    told = []
    config = STUDY.settings("quick", **changes)
    dataset = STUDY.run(config, progress=lambda *args: told.append(args), workspace=tmp_path)
    assert [args[1] for args in told] == sorted({args[1] for args in told}) and told[-1][1] == told[-1][2]
    results = [check.evaluate(dataset) for check in STUDY.checks_of(config)]
    assert [result.name for result in results if result.passed is False] == []
    table = STUDY.tables(dataset)[0]
    assert len(table.rows) == 13 and all(len(row.cells) == 2 for row in table.rows)
    for name, draw in STUDY.figures.items():
        assert save_figure(draw(dataset), tmp_path / f"{name}.png").stat().st_size > 10_000
        assert draw.__doc__
