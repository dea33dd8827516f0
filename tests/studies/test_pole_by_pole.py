"""The study: a small run meets its requirements, its prediction, its targets and its figures."""

import numpy as np
import pytest
import scipy.linalg

from weightpath.studies import STUDIES, poles_prediction
from weightpath.studies.poles_targets import NAMED, filter_task

STUDY = STUDIES["pole-by-pole"]
SMALL = {"networks": 1, "units": 12, "decades": 1, "starts": 4, "other_networks": False}


@pytest.fixture(scope="module")
def dataset():
    told = []
    found = STUDY.run(STUDY.settings("quick", **SMALL), progress=lambda *args, **numbers: told.append(args))
    assert told[-1][1] == told[-1][2]
    return found


@pytest.mark.slow
def test_small_run_meets_every_requirement(dataset):
    results = [check.evaluate(dataset) for check in STUDY.checks_of(STUDY.settings("quick", **SMALL))]
    assert [result.name for result in results if result.passed is False] == []
    assert sum(result.passed is True for result in results) >= 8


@pytest.mark.slow
def test_plateaus_fall_and_the_network_visits_them_in_order(dataset):
    assert list(dataset.plateau_order.values) == [1, 2, 3]
    assert np.all(np.diff(dataset.slowest_time[0]) > 0)
    assert np.all(np.diff(dataset.slowest_loss[0]) < 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDY.figures)
def test_figures_draw(dataset, name, tmp_path):
    from weightpath.plot.style import save_figure

    drawn = STUDY.figures[name](dataset)
    assert save_figure(drawn, tmp_path / f"{name}.png").stat().st_size > 10_000
    assert all(ax.get_xlabel() for ax in drawn.axes)
    assert STUDY.figures[name].__doc__


@pytest.mark.parametrize("target", ["oscillation-and-exponential", pytest.param("two-tones", marks=pytest.mark.slow)])
def test_prediction_needs_no_simulation(target):
    """Energies by the closed form of the terms; the last plateau is the target, its poles 1 - decay +- i frequency."""
    told = STUDY.predict(STUDY.settings("quick", target=target))
    decays, frequencies, cosines, sines = (np.array(numbers) for numbers in NAMED[target])
    exponents, amplitudes = -decays + 1j * frequencies, cosines - 1j * sines
    pairs = [
        (a, b, x, y)
        for a, x in zip(exponents, amplitudes, strict=True)
        for b, y in zip(exponents, amplitudes, strict=True)
    ]
    # int Re(x e^{as}) Re(y e^{bs}) ds = Re(-x y/(a + b) - x conj(y)/(a + conj(b)))/2
    energy = 0.5 * sum(np.real(-x * y / (a + b) - x * np.conj(y) / (a + np.conj(b))) / 2 for a, b, x, y in pairs)
    assert told["start_loss"] == pytest.approx(energy, rel=1e-12)
    assert told["plateau_loss"][-1] == 0 and told["regime"] == "inside its regime"
    assert told["number_of_poles"][-1] == len(decays) + np.count_nonzero(frequencies)
    assert len(told["poles"][-1].split(",")) == told["number_of_poles"][-1]


def test_custom_targets_and_discrete_networks():
    config = STUDY.settings(
        "quick", target="custom", decays=(0.4,), frequencies=(1.0,), cosines=(1.0,), sines=(0.5,), dt=0.5
    )
    stairs = poles_prediction.predicted(config)
    assert len(stairs) == 2 and stairs.loss[-1] == 0
    step = np.asarray(poles_prediction.task_of(config).population().transition)
    wanted = np.sort_complex(np.linalg.eigvals(step))
    assert np.abs(np.sort_complex(stairs[-1].poles) - wanted).max() < 1e-6
    assert np.abs(np.abs(wanted) - np.exp(-0.4 * 0.5)).max() < 1e-12


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        STUDY.predict(STUDY.settings("quick", target="custom", decays=(0.3,)))
    with pytest.raises(ValueError, match="positive"):
        STUDY.predict(STUDY.settings("quick", target="custom", decays=(0.3, -0.5)))


def test_filters_of_the_targets_are_the_sums_that_they_name():
    terms = ((0.3, 0.5), (1.5, 0.0), (1.0, -1.0), (0.7, 0.0))
    time = np.linspace(0, 10, 21)
    target = filter_task(terms).population()
    step, drive, output = (np.asarray(array) for array in (target.transition, target.drive, target.output))
    found = np.array([(output @ scipy.linalg.expm(step * s) @ drive)[0, 0] for s in time])
    expected = np.exp(-0.3 * time) * (np.cos(1.5 * time) + 0.7 * np.sin(1.5 * time)) - np.exp(-0.5 * time)
    assert np.abs(found - expected).max() < 1e-12


@pytest.mark.slow
def test_other_networks_draw_and_meet_their_requirements(dataset):
    from weightpath.studies.poles_references import other_networks

    both = dataset.merge(other_networks(3))
    config = STUDY.settings("quick")
    assert [check.name for check in STUDY.checks_of(config) if check.evaluate(both).passed is False] == []
    assert len(STUDY.figures["staircase"](both).axes) == 2


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"target": "two-tones"}, {"seed": 1}])
def test_full_preset_meets_every_requirement(settings):
    config = STUDY.settings("full", **settings)
    dataset = STUDY.run(config)
    assert [check.name for check in STUDY.checks_of(config) if check.evaluate(dataset).passed is False] == []
