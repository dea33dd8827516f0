"""The study: its reference checks at small sizes, its settings, its prediction and its figures."""

import numpy as np
import pytest

from weightpath.studies import STUDIES, oscillator_networks

STUDY = STUDIES["damped-oscillator"]
SMALL = {"networks": 2, "decades": 2, "check_starts": 1, "check_units": 12, "units": 12}


@pytest.fixture(scope="module")
def dataset():
    told = []
    found = STUDY.run(STUDY.settings("quick", **SMALL), progress=lambda *args, **numbers: told.append(args))
    assert told[-1][1] == told[-1][2]
    return found


@pytest.mark.slow
def test_small_run_meets_every_requirement(dataset):
    results = [check.evaluate(dataset) for check in STUDY.checks]
    assert [result.name for result in results if result.passed is False] == []
    assert {result.name.split()[0] for result in results if result.passed} == {"R5", "I8a", "I8b"}
    assert dataset.attrs["regime"] == "inside its regime"
    assert float(dataset.own_error) < 0.01


@pytest.mark.slow
def test_outliers_follow_the_theory(dataset):
    late = dataset.learning_time > 1.05 * dataset.predicted_collision_time
    for part in ("re", "im"):
        gap = abs(dataset[f"eigenvalue_{part}"] - dataset[f"predicted_eigenvalue_{part}"]).where(late)
        assert float(gap.max()) < 0.05
    np.testing.assert_allclose(dataset.collision_time, dataset.predicted_collision_time, rtol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDY.figures)
def test_figures_draw(dataset, name, tmp_path):
    from weightpath.plot.style import save_figure

    drawn = STUDY.figures[name](dataset)
    assert save_figure(drawn, tmp_path / f"{name}.png").stat().st_size > 10_000
    assert all(ax.get_ylabel() for ax in drawn.axes)
    assert STUDY.figures[name].__doc__


def test_prediction_needs_no_simulation():
    told = STUDY.predict(STUDY.settings("quick"))
    np.testing.assert_allclose(told["escape_rate"], 0.093351997, atol=1e-8)
    np.testing.assert_allclose(told["plateau_loss"], 0.360246216, atol=1e-8)
    assert told["collision_time"] < told["half_plateau_time"] < told["learning_time_to_1_percent"]
    assert [told["final_real_part"], told["final_imaginary_part"]] == [0.8, 1.0]
    assert "first order" in STUDY.predict(STUDY.settings("quick", size=0.4))["regime"]


@pytest.mark.slow
def test_other_phases_and_settings_outside_the_regime_are_findings():
    config = STUDY.settings("quick", **SMALL | {"networks": 1, "size": 0.2, "cosine": 0.5, "sine": 0.8, "time": 30.0})
    found = oscillator_networks.own_networks(config)
    assert found.attrs["regime"].startswith("outside its regime")
    assert float(found.loss[0, -1]) < float(found.loss[0, 0])


@pytest.mark.slow
def test_full_preset_meets_every_requirement():
    dataset = STUDY.run(STUDY.settings("full"))
    assert [check.name for check in STUDY.checks if check.evaluate(dataset).passed is False] == []
