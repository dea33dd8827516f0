"""The study of known fixed points: its cases against their closed forms, its checks, its figures."""

import json

import numpy as np
import pytest

from weightpath.studies import STUDIES
from weightpath.studies import fixed_point_atlas_cases as cases
from weightpath.studies import fixed_point_atlas_runs as runs

STUDY = STUDIES["fixed-point-atlas"]


def test_cases_are_fixed_points_of_their_networks():
    for units, points in cases.RAMP_POINTS.items():
        for point in points:
            np.testing.assert_allclose(np.tanh(cases.ramp(units) @ np.array(point)), point, atol=2e-8)
    level = cases.block_level()
    state = np.repeat([level, 0.0, -level], 10)
    np.testing.assert_allclose(np.tanh(cases.blocks(0, 0.0) @ state), state, atol=1e-12)
    assert cases.scalar_threshold(2.0) == pytest.approx(0.532839975, abs=1e-9)
    place, q = cases.scalar_slow(2.0, 0.54)
    here = place + np.array([-1e-4, 0, 1e-4])
    energy = 0.5 * (np.tanh(2 * here + 0.54) - here) ** 2
    assert energy[1] == pytest.approx(q, rel=1e-9) and energy[1] < min(energy[0], energy[2])


def test_starts_have_their_spread():
    for name, spread in (("normal 2", 2), ("normal 3", 3), ("normal 1", 1), ("uniform", 3**-0.5), ("blocks", 0.586)):
        assert cases.starts(name, 0, 512).std() == pytest.approx(spread, rel=0.05)
    assert cases.starts("courses", 0, 4) is None and set(cases.WIDE) <= set(cases.STARTS)


def test_parts_keep_their_names_apart():
    import xarray as xr

    one = xr.Dataset({"a": ("x", [1.0, 2.0])}, {"b": ("x", [0, 1])}, {"kind": "flow"})
    both = xr.merge([runs.prefixed(one, "first"), runs.prefixed(2 * one, "second")], combine_attrs="no_conflicts")
    assert runs.part_of(both, "second")["a"].values.tolist() == [2, 4]
    assert runs.part_of(both, "first").attrs == {"kind": "flow"} and set(both.dims) == {"first_x", "second_x"}


def test_prediction_is_plain_numbers():
    predicted = STUDY.predict(STUDY.settings("quick"))
    json.dumps(predicted)
    assert predicted["block_level"] == pytest.approx(0.8585596366, abs=1e-10)


def test_few_starts_make_the_counts_findings():
    few, usual = (STUDY.checks_of(STUDY.settings("quick", starts=count)) for count in (64, 512))
    assert [check.name for check in few] == [check.name for check in usual]
    assert sum(check.required for check in few) < sum(check.required for check in usual)


@pytest.mark.slow
def test_every_requirement_is_met_and_figures_draw(tmp_path):
    from weightpath.plot.style import save_figure

    config = STUDY.settings("quick")
    dataset = STUDY.run(config, workspace=tmp_path)
    results = [check.evaluate(dataset) for check in STUDY.checks_of(config)]
    assert [result.name for result in results if result.passed is False] == []
    for name, draw in STUDY.figures.items():
        assert save_figure(draw(dataset), tmp_path / f"{name}.png").stat().st_size > 10_000
        assert draw.__doc__
