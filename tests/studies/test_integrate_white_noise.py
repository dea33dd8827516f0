"""The study: its reference checks at small sizes, its settings, its prediction and its figures."""

import numpy as np
import pytest

from weightpath import theory
from weightpath.studies import STUDIES, integrator_networks, integrator_references, integrator_theory

STUDY = STUDIES["integrate-white-noise"]
SMALL = {
    "networks": 2, "check_networks": 2, "check_starts": 1, "flow_units": 12, "bulk_units": 400, "units": 30,
    "projection_starts": 1, "deviation_networks": 4, "nonlinear_units": 12, "sgd_seeds": 1,
}  # fmt: skip


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
    required = {result.name.split()[0] for result in results if result.passed}
    assert {"I1", "I2", "I3", "I4", "I9", "I11", "projection", "saturating"} <= required


@pytest.mark.slow
def test_findings_cannot_fail(dataset):
    assert [check.evaluate(dataset).passed for check in STUDY.checks if not check.required].count(None) >= 6
    assert dataset.attrs["regime"] == "inside its regime"
    assert float(dataset.own_outlier_rms) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDY.figures)
def test_figures_draw(dataset, name, tmp_path):
    from weightpath.plot.style import save_figure

    drawn = STUDY.figures[name](dataset)
    assert save_figure(drawn, tmp_path / f"{name}.png").stat().st_size > 10_000
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in drawn.axes)
    assert STUDY.figures[name].__doc__


@pytest.mark.slow
def test_measured_learning_times_lie_on_the_theory(dataset):
    predicted = np.interp(np.log(dataset.network_decay), np.log(dataset.decay), dataset.predicted_time)
    np.testing.assert_allclose(dataset.measured_time, predicted, rtol=0.03)


def test_prediction_needs_no_simulation():
    told = STUDY.predict(STUDY.settings("quick", decay=0.1))
    assert told["steps_at_half_largest_rate"] == 303
    np.testing.assert_allclose(told["learning_time_to_1_percent"], 1.19191354, rtol=1e-6)
    np.testing.assert_allclose(told["final_outlier"], 0.9, rtol=1e-12)
    assert "gain" in STUDY.predict(STUDY.settings("quick", gain=0.5))["regime"]


@pytest.mark.slow
def test_prediction_is_the_theory_of_the_library():
    """The one compiled program of the prediction against the public verbs, also where explicit steps become many."""
    for decay in (0.5, 0.05):
        told = STUDY.predict(STUDY.settings("quick", decay=decay, gain=0.02))
        setup = integrator_theory.ideal(decay)
        np.testing.assert_allclose(told["learning_time_to_1_percent"], theory.learning_time(setup, 0.01), rtol=1e-8)
        np.testing.assert_allclose(told["detachment_time"], theory.detachment_time(setup, 0.02), rtol=1e-8)
        np.testing.assert_allclose(told["largest_stable_learning_rate"], theory.lr_max(setup), rtol=1e-10)
        path = theory.solve(theory.Outlier(), setup, told["learning_time"])
        np.testing.assert_allclose(told["outlier"], path.coords[:, 2], atol=1e-7)
        np.testing.assert_allclose(told["loss"], path.loss, atol=1e-7)


@pytest.mark.slow  # twin: the regime in test_prediction above
def test_settings_outside_the_regime_are_a_finding():
    config = STUDY.settings("quick", **SMALL | {"gain": 0.4, "networks": 1})
    assert integrator_networks.own_networks(config).attrs["regime"].startswith("outside its regime")


@pytest.mark.slow
def test_slow_targets_run():
    config = STUDY.settings("quick", **SMALL | {"decay": 0.01, "networks": 1, "depth": 1})
    found = integrator_networks.own_networks(config)
    np.testing.assert_allclose(found.predicted_outlier[-1], 0.99, atol=1e-6)
    np.testing.assert_allclose(found.outlier[0, -1], 0.99, atol=1e-3)


def test_large_networks_are_drawn_as_disk_and_outlier(monkeypatch):
    monkeypatch.setattr(integrator_networks, "FULL_SPECTRUM", 50)
    config = STUDY.settings("quick", **SMALL | {"units": 120, "networks": 1, "gain": 0.1})
    found = integrator_networks.own_networks(config)
    assert not found.bulk_drawn and found.eigenvalue_re.sizes["eig"] == 15
    assert np.isfinite(found.eigenvalue_re).sum("eig").values.tolist() == [0, 1]
    np.testing.assert_allclose(found.eigenvalue_re.max(), 0.8, atol=0.02)


def test_detachment_at_smaller_sizes():
    found = integrator_references.detachment(600)
    np.testing.assert_allclose(found.detached_outlier, 0.5, atol=0.04)
    np.testing.assert_allclose(found.detached_overlap, 0.64, atol=0.06)


@pytest.mark.slow
def test_full_preset_meets_every_requirement():
    dataset = STUDY.run(STUDY.settings("full"))
    assert [check.name for check in STUDY.checks if check.evaluate(dataset).passed is False] == []
