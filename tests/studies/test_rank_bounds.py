"""The study of ranks: its prediction, one trained network, its explicit adjoints, and the whole small run."""

import numpy as np
import pytest

from weightpath.studies import STUDIES
from weightpath.studies import rank_bounds_runs as runs

STUDY = STUDIES["rank-bounds"]


def test_prediction_is_the_count_of_dimensions():
    told = STUDY.predict(STUDY.settings("quick"))
    assert tuple(row["d"] for row in told.values()) == runs.DIMENSIONS
    assert told["2 inputs, 1 error"]["tensor_rank"] == 9


@pytest.mark.parametrize("activation", [pytest.param("linear", marks=pytest.mark.slow), "tanh"])
def test_explicit_adjoints_give_the_gradient(activation):
    assert runs.adjoint_error(activation, seed=3) <= 1e-12


def test_ranks_of_factors_bound_that_of_the_gradient():
    import jax

    setup, _, _ = runs.problem(runs.BOUNDED[0], 0)
    left, right, gradient = runs.adjoint_gradient(setup.network, setup.task.sample(jax.random.key(0), 0))
    ranks = [np.linalg.matrix_rank(one, rtol=1e-8) for one in (left, right, gradient)]
    assert ranks[2] <= min(ranks[:2]) == 1


def test_every_statement_is_checked():
    names = [check.name for check in STUDY.checks_of(STUDY.settings("quick"))]
    assert {name.split()[0] for name in names} >= {"5.1", "5.2", "5.3", "5.4", "5.5", "5.6"}
    assert len(runs.BOUNDED) == len(runs.DIMENSIONS)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"seed": 7}])
def test_every_requirement_is_met_and_figures_draw(changes, tmp_path):
    from weightpath.plot.style import save_figure

    told = []
    config = STUDY.settings("quick", **changes)
    dataset = STUDY.run(config, progress=lambda *args: told.append(args), workspace=tmp_path)
    assert told[-1][1:] == (4, 4)
    results = [check.evaluate(dataset) for check in STUDY.checks_of(config)]
    assert [result.name for result in results if result.passed is False] == []
    for name, draw in STUDY.figures.items():
        assert save_figure(draw(dataset), tmp_path / f"{name}.png").stat().st_size > 10_000
        assert draw.__doc__
