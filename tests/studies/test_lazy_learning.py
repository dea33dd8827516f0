"""The study: its reference checks at small sizes, its prediction and its figures."""

import json

import numpy as np
import pytest

from weightpath.studies import STUDIES

STUDY = STUDIES["lazy-learning"]
SMALL = {
    "networks": 2,
    "units": 100,
    "spectrum_units": 100,
    "map_size": 2,
    "map_ratios": 2,
    "check_networks": 6,
    "size_networks": 2,
    "lazy_networks": 6,
}


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "changes"), [("quick", SMALL), ("quick", {"seed": 1}), ("full", {})])
def test_every_requirement_is_met_and_figures_draw(preset, changes, tmp_path):
    from weightpath.plot.style import save_figure

    told = []
    config = STUDY.settings(preset, **changes)
    dataset = STUDY.run(config, progress=lambda *args, **numbers: told.append(args), workspace=tmp_path)
    assert told[-1] == ("lazy-learning", 9, 9) and (tmp_path / "phase-diagram.npz").exists()
    results = [check.evaluate(dataset) for check in STUDY.checks_of(config)]
    loose = {"I10", "I5"} if changes == SMALL else set()  # six networks scatter more than the tolerance allows
    assert [result.name for result in results if result.passed is False and result.name.split()[0] not in loose] == []
    assert {"I5", "I6", "I7", "I10", "I12", "I13"} <= {result.name.split()[0] for result in results}
    for name, draw in STUDY.figures.items():
        drawn = draw(dataset)
        assert save_figure(drawn, tmp_path / f"{name}.png").stat().st_size > 10_000
        assert draw.__doc__ and all(ax.get_ylabel() for ax in drawn.axes)


def test_prediction_inside_and_outside_the_threshold():
    inside = STUDY.predict(STUDY.settings("quick"))
    np.testing.assert_allclose(inside["limit_readout_norm"], 5 / 3, rtol=1e-12)
    assert inside["bounded_readout"] is True and "inside the bulk" in inside["regime"]
    assert len(inside["loss"]) == len(inside["learning_time"]) == len(inside["readout_norm"])
    np.testing.assert_allclose(inside["loss"][-1], 1.189346e-5, rtol=1e-5)
    outside = STUDY.predict(STUDY.settings("quick", decay=0.2))
    assert outside["bounded_readout"] is False and np.isinf(outside["limit_readout_norm"])
    assert "outside the bulk" in outside["regime"]
    json.dumps(inside)


def test_quick_is_smaller_than_full():
    quick, full = STUDY.settings("quick"), STUDY.settings("full")
    assert quick.map_size < full.map_size == 20 and quick.check_networks < full.check_networks == 24
