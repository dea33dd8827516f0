"""The workflow behind `weightpath fit`: what it says first, what it stores, and what a kill in the middle leaves."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

from weightpath.report import write_report
from weightpath.studies.fit_recording import RecordingSettings, _plan, _read, fit_recording

SETTINGS = dict(rank=(1, 2), scheme=("even",), units=6, iterations=100)

PROGRAM = f"""
import sys
from weightpath.studies.fit_recording import fit_recording
fit_recording(sys.argv[1], out=sys.argv[2], progress=False, **{SETTINGS!r})
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A small recording whose condition means move at an epoch border."""
    rng = np.random.default_rng(0)
    condition, late = np.arange(32) // 2 % 2, np.arange(32) >= 16
    course = np.stack([np.sin(np.arange(5) / 2), np.cos(np.arange(5) / 3)])[condition]
    data = course[:, :, None] * (rng.normal(size=3) + late[:, None] * rng.normal(size=3))[:, None]
    data += 0.1 * rng.normal(size=data.shape)
    data[4, 3:] = np.nan
    path = tmp_path_factory.mktemp("data") / "session.npz"
    np.savez(path, rates=data, target=condition, phase=np.where(late, "after", "before"), time=np.arange(5) * 0.02)
    return path


@pytest.fixture(scope="module")
def finished(file, tmp_path_factory):
    said = []
    out = tmp_path_factory.mktemp("out")
    return fit_recording(file, out=out, progress=False, say=said.append, **SETTINGS), said


def test_says_first_what_it_understood(finished):
    said = finished[1]
    assert "array 'rates' (32, 5, 3) as (trial, time, neuron); condition from 'target', epoch from 'phase'" in said[0]
    text = "\n".join(said)
    assert "before (16 trials), then after (16 trials)" in text and "standard deviation of each neuron" in text
    assert "fit tensor ranks 1, 2 (1 fit each) with even held out" in text


def test_says_what_counts_and_time_become(tmp_path):
    counts = np.random.default_rng(1).poisson(3.0, size=(8, 6, 4))
    np.savez(tmp_path / "counts.npz", spikes=counts, time=np.arange(6) * 0.05)

    def said(**options):
        reading = _read(settings := RecordingSettings(data=str(tmp_path / "counts.npz"), ranks=(1,), **options))
        return "\n".join((*reading.understood, *_plan(reading, settings)))

    text = said(likelihood="poisson", counts=True, window=(0.1, 0.3), trials="trial_id > 1")
    assert "fitted as they are, likelihood poisson" in text and "scaled" not in text
    assert "6 trials x 4 time bins x 4 neurons" in text and "time        0.1 to 0.25 s" in text
    assert "fitted as rates: smooth them, or give likelihood=poisson" in said(counts=True)
    with pytest.raises(ValueError, match="counts must be whole"):
        np.savez(tmp_path / "rates.npz", x=counts + 0.5)
        fit_recording(tmp_path / "rates.npz", likelihood="poisson", out=tmp_path)
    with pytest.raises(ValueError, match="--window needs two times"):
        fit_recording(tmp_path / "counts.npz", window=(0.1,), out=tmp_path)


def test_stores_scores_factors_and_figures(finished):
    run = finished[0]
    assert run.passed
    dataset = xr.open_dataset(run.directory / "results.nc", engine="h5netcdf")
    rank = int(dataset.attrs["chosen_rank"])
    assert dataset["factor"].shape == (32, rank)
    assert np.isfinite(dataset["factor_smooth"]).all() and (dataset["factor_sd"] >= 0).all()
    reading = {"fit-summary", "flow", "fixed-points"}
    assert set(run.figures) == {"trial-factors", "cross-validation", "controls"} | reading
    assert all(path.stat().st_size > 1000 for path in run.figures.values())
    names = [check.name for check in run.checks]
    assert "all controls are there" in names and "R^2, even: tuned smoother" in names and names[-1] == "verdict"
    assert "Whole trials held out" in dataset.attrs["table"]
    assert max(map(len, dataset.attrs["table"].splitlines())) <= 80
    assert not list(run.directory.glob("unfinished-*"))


def test_the_report_shows_scores_as_a_table_and_the_verdict_first(finished):
    run = finished[0]
    page = write_report([run.directory], run.directory / "report.html").read_text()
    assert page.index("On held-out trials the low-tensor-rank model") < page.index("Held-out trials</h3>")
    assert "R², even: tuned smoother" not in page and page.count("<code>tuned smoother</code>") == 1
    assert f"{float(run.dataset['r2_mean'].sel(scheme='even', model='smoother')):.4f}" in page
    assert page.count('class="chosen"') == 1 and page.count('class="best"') == 1


@pytest.mark.slow
def test_killed_and_given_again_ends_where_an_uninterrupted_run_ends(file, finished, tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(file), str(tmp_path)]
    environment = {**os.environ, "JAX_ENABLE_X64": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 120
        while not list(tmp_path.glob("unfinished-*/fits/*.npz")):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "results.nc").exists()
    again = fit_recording(file, out=tmp_path, progress=False, say=lambda line: None, **SETTINGS)
    expected = finished[0].dataset
    for name, variable in again.dataset.variables.items():
        np.testing.assert_array_equal(variable.values, expected[name].values)
    assert again.dataset.attrs["verdict"] == expected.attrs["verdict"]


def test_refused_before_anything_is_fitted(file, tmp_path):
    with pytest.raises(ValueError, match="rank 4 exceeds"):
        fit_recording(file, rank=(1, 4), out=tmp_path, say=lambda line: None)
    with pytest.raises(ValueError, match="unknown scheme 'halves'"):
        fit_recording(file, scheme=("halves",), out=tmp_path, say=lambda line: None)
    with pytest.raises(ValueError, match="there is no file"):
        fit_recording(tmp_path / "none.npz", out=tmp_path)
    assert not list(tmp_path.iterdir())
