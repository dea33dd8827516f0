"""The study of the recorded session, at a fraction of its size: its requirements hold, and can fail."""

import warnings

import numpy as np
import pytest

from weightpath.inference.read import read_recording, sample_path
from weightpath.plot.recording import running_mean
from weightpath.studies import STUDIES
from weightpath.studies.behaviour import has_progress, identity_error, trial_progress
from weightpath.studies.recorded import controls_complete, same_entries
from weightpath.studies.recorded_bci_learning import STATED, stated_difference

STUDY = STUDIES["recorded-bci-learning"]
CONFIG = STUDY.settings("quick", ranks=(1,), control_ranks=(), schemes=("even",), units=10, iterations=30)
CHECKS = STUDY.checks_of(CONFIG)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return STUDY.run(CONFIG, progress=lambda *args, **numbers: None, workspace=tmp_path_factory.mktemp("work"))


@pytest.mark.slow
def test_requirements_are_met(dataset):
    results = [check.evaluate(dataset) for check in CHECKS]
    assert [result.name for result in results if result.passed is False] == []
    assert sum(result.passed is True for result in results) == 10


@pytest.mark.slow
def test_findings_cannot_fail_a_run(dataset):
    findings = {result.name: result for result in (check.evaluate(dataset) for check in CHECKS if not check.required)}
    assert all(result.passed is None for result in findings.values())
    assert findings["chosen rank"].value == 1
    assert "low-tensor-rank model of rank 1" in findings["verdict"].value
    assert 0 < findings["R^2, even: low-tensor-rank"].value < 0.6
    assert np.isfinite(findings["progress on held-out trials, low-tensor-rank: R^2"].value)


@pytest.mark.slow
def test_a_missing_control_fails(dataset):
    without = dataset.sel(model=dataset["model"] != "epoch, rank 1")
    assert controls_complete(dataset) and not controls_complete(without)
    without = dataset.sel(model=dataset["model"] != "tuned smoother")
    assert not controls_complete(without)


@pytest.mark.slow
def test_other_entries_fail(dataset):
    scored = dataset["scored"].copy()
    scored[0, 0] -= 1
    assert same_entries(dataset) and not same_entries(dataset.assign(scored=scored))
    assert not same_entries(dataset.assign(overlap=dataset["overlap"] + 1))


@pytest.mark.slow
@pytest.mark.parametrize("predictor", STATED)
def test_a_wrong_plain_predictor_fails(dataset, predictor):
    assert stated_difference(dataset, predictor) <= 1e-3
    wrong = dataset.assign(plain_r2=dataset["plain_r2"] + 0.002)
    assert stated_difference(wrong, predictor) > 1e-3


def test_progress_of_the_recorded_latents_is_the_stored_one():
    reading = read_recording(sample_path())
    assert max(identity_error(reading, name) for name in ("intuitive", "perturbed")) < 6e-5
    stored = reading.recording.covariates["progress_perturbed"][:, 6:]
    np.testing.assert_allclose(trial_progress(reading.recording.values, reading), np.nanmean(stored, axis=1), atol=1e-4)


def test_progress_needs_the_bins_and_latents_of_the_file():
    assert has_progress(read_recording(sample_path()))
    assert not has_progress(read_recording(sample_path(), bin=0.09))
    assert not has_progress(read_recording(sample_path(), array="cursor_pos"))


def test_learning_is_in_the_recording():
    """Mean over trials of mean progress: 34.5 mm/s at first, 40.4 in the first 50 perturbed trials, 57.3 late."""
    reading = read_recording(sample_path())
    progress = np.nanmean(reading.recording.covariates["progress_perturbed"][:, 6:], axis=1)
    baseline, early, late = progress[:194].mean(), progress[194:244].mean(), progress[-100:].mean()
    assert baseline == pytest.approx(34.5, abs=0.1)
    assert early == pytest.approx(40.4, abs=0.1) and late == pytest.approx(57.3, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDY.figures)
def test_figures_are_drawn_with_labels(dataset, name):
    drawn = STUDY.figures[name](dataset)
    for ax in drawn.axes:
        if not ax.get_visible() or ax.get_label() == "<colorbar>":
            continue
        below = drawn.axes[-1]  # panels above one another share its axis and label
        assert ax.get_xlabel() or ax.get_shared_x_axes().joined(ax, below) and below.get_xlabel()
        assert ax.get_ylabel() or ax.get_yticklabels()
    assert STUDY.figures[name].__doc__


def test_running_means_stay_within_an_epoch():
    values = np.r_[np.zeros(10), np.ones(10)]
    values[3] = np.nan
    epoch = np.repeat(["a", "b"], 10)
    mean = running_mean(values, epoch, window=9)
    assert np.isnan(mean[10]) and set(mean[np.arange(20) != 10]) == {0.0, 1.0}
