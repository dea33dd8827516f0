"""NWB files written by pynwb itself are read back: the real counts exactly, and every gap and lack is told."""

from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.behavior import SpatialSeries
from pynwb.epoch import TimeIntervals

import weightpath as wp
from weightpath.inference.read import read_recording
from weightpath.studies.fit_recording import fit_recording

UNITS = {3: ([1.95, 12.05, 12.15], "good"), 5: ([2.0, 12.0, 22.0], "good"), 9: ([2.1], "noise")}


def new(path, *, trials=True, units=True, series=(), observed=False, extra=()):
    """A file with three units and three trials; `extra` are further columns of the trials."""
    nwb = NWBFile(session_description="test", identifier="test", session_start_time=datetime(2020, 1, 1, tzinfo=UTC))
    if trials:
        for name in ("go_time", "condition", "speed", *(name for name, _ in extra)):
            nwb.add_trial_column(name, name)
        for k, start in enumerate((1.0, 11.0, 21.0)):
            more = {name: values[k] for name, values in extra}
            row = dict(go_time=start + 1, condition="lrl"[k], speed=0.1 * k, **more)
            nwb.add_trial(start_time=start, stop_time=start + 3, **row)
    if units:
        nwb.add_unit_column("quality", "quality")
        for unit, (times, quality) in UNITS.items():
            seen = dict(obs_intervals=[[0.0, 12.1], [21.95, 30.0]] if unit == 3 else [[0.0, 30.0]]) if observed else {}
            nwb.add_unit(spike_times=times, quality=quality, id=unit, **seen)
    for one in series:
        nwb.add_acquisition(one)
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)
    return path


def test_units_around_an_event(tmp_path):
    path = new(tmp_path / "a.nwb", observed=True, extra=[("correct", [True, True, False])])
    options = dict(align="go_time", window=(-0.1, 0.2), bin=0.1, counts=True)
    reading = read_recording(path, neurons="quality == 'good'", **options)
    hand = np.array([[[1, 0], [0, 1], [0, 0]], [[0, 0], [1, 1], [np.nan, 0]], [[np.nan, 0], [0, 1], [0, 0]]])
    np.testing.assert_array_equal(reading.recording.values, hand)  # every unit its own row of the ragged column
    assert reading.recording.neuron.tolist() == [3, 5] and reading.recording.conditions == ("l", "r")
    np.testing.assert_allclose(reading.recording.covariates["speed"], [0, 0.1, 0.2])
    text = "\n".join(reading.understood)
    assert "2 of 3 units with spike times; 3 trials of the table 'trials' (start_time, stop_time, go_time" in text
    assert "condition from 'condition'" in text and "time 0 = go_time, window -0.1 to 0.2 s, bins of 0.1 s" in text
    some = read_recording(path, trials="correct and speed < 0.05", neurons=[5, 9], **options).recording
    np.testing.assert_array_equal(some.values, [[[0, 0], [1, 0], [0, 1]]])
    assert some.source_neuron.tolist() == [1, 2] and some.source_trial.tolist() == [0]
    with pytest.raises(ValueError, match="no single series 'x'"):
        read_recording(path, array="x")
    assert read_recording(path, neurons="5, 9", trials="0", **options).recording.digest() == some.digest()


def test_the_public_verb_gives_the_recording(tmp_path):
    path = new(tmp_path / "a.nwb")
    options = dict(align="go_time", window=(-0.1, 0.2), bin=0.1, smooth=0.05, neurons="quality == 'good'")
    recording = wp.read_nwb(path, condition="condition", **options)
    assert isinstance(recording, wp.Recording) and recording.shape == (3, 3, 2)
    assert recording.digest() == read_recording(path, condition="condition", **options).recording.digest()
    with pytest.raises(ValueError, match=r"wp.read_nwb reads .nwb files; got 'a.mat'"):
        wp.read_nwb(tmp_path / "a.mat")
    with pytest.raises(ValueError, match="there is no file"):
        wp.read_nwb(tmp_path / "b.nwb")


def test_without_observation_intervals_that_is_said(tmp_path):
    reading = read_recording(new(tmp_path / "a.nwb"), window=(0.0, 3.0), bin=0.5)
    assert "a bin without spikes counts as silence" in "\n".join(reading.understood)
    assert reading.recording.observed.all() and reading.recording.values[0, 2].tolist() == [0, 2, 2]


def test_a_series_and_its_clock(tmp_path):
    time = np.arange(0, 30, 0.05)
    data = np.stack([time, -time], axis=1)

    def series(*names):
        """New ones for every file, which pynwb needs."""
        every = {
            "rates": TimeSeries(name="rates", data=data, unit="Hz", rate=20.0, conversion=2.0),
            "stamped": TimeSeries(name="stamped", data=data, unit="Hz", timestamps=time + 0.5),
            "place": SpatialSeries(name="place", data=np.zeros((600, 2)), rate=20.0, reference_frame="corner"),
        }
        return [every[name] for name in names]

    path = new(tmp_path / "a.nwb", units=False, series=series("rates", "place"))
    reading = read_recording(path, align="go_time", window=(-0.1, 0.2), bin=0.1)
    expected = 2 * (np.array([2.0, 12, 22])[:, None] + np.array([-0.1, 0, 0.1]) + 0.025)
    np.testing.assert_allclose(reading.recording.values[:, :, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(reading.recording.values[:, :, 1], -expected, rtol=1e-12)
    assert "from        series 'rates', 2 columns" in reading.understood[1]
    both = new(tmp_path / "b.nwb", series=series("rates", "stamped"))
    assert read_recording(both, window=(0.0, 3.0)).recording.shape == (3, 150, 3)  # spikes come first
    shifted = read_recording(both, array="stamped", align="go_time", window=(-0.1, 0.2), bin=0.1).recording
    np.testing.assert_allclose(shifted.values[:, :, 0], expected / 2 - 0.5, rtol=1e-12)
    with pytest.raises(ValueError, match="neurons= chooses among units"):
        read_recording(both, array="stamped", neurons=[0])
    with pytest.raises(ValueError, match=r"no single series 'dff'; .*: rates \(600, 2\), stamped \(600, 2\)"):
        read_recording(both, array="dff")
    neither = new(tmp_path / "c.nwb", units=False, series=series("rates", "stamped"))
    with pytest.raises(ValueError, match=r"no units with spike times; series .*Name one, e.g. --array rates"):
        read_recording(neither)


def test_another_table_of_intervals(tmp_path):
    path = tmp_path / "a.nwb"
    nwb = NWBFile(session_description="test", identifier="test", session_start_time=datetime(2020, 1, 1, tzinfo=UTC))
    table = TimeIntervals(name="reaches", description="every reach")
    for start in (1.0, 11.0):
        table.add_interval(start_time=start, stop_time=start + 2)
    nwb.add_time_intervals(table)
    nwb.add_unit(spike_times=[1.5, 11.5])
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)
    reading = read_recording(path, trial_table="reaches", bin=1.0, counts=True)
    assert reading.recording.values[:, :, 0].tolist() == [[1, 0], [1, 0]]
    with pytest.raises(ValueError, match=r"no table 'trials' of trials. It holds 1 units; .*: reaches \(2 rows\)"):
        read_recording(path)


def test_what_is_missing_and_what_is_there(tmp_path, shared_data):
    with pytest.raises(ValueError, match=r"It holds 3 units; tables of intervals: none. Add one \(pynwb: add_trial\)"):
        read_recording(new(tmp_path / "none.nwb", trials=False))
    with pytest.raises(ValueError, match="has no units with spike times; series with the axes .*: none"):
        read_recording(new(tmp_path / "empty.nwb", units=False))
    path = new(tmp_path / "a.nwb")
    for options, message in (
        (
            {"align": "cue"},
            "no column 'cue' to align to; columns with times or numbers: start_time, stop",
        ),
        ({"condition": "side"}, "no column 'side' for condition; it has: start_time"),
        (
            {"neurons": "depth > 3"},
            "neither a list of names nor a condition .*columns: quality",
        ),
        ({"neurons": "quality == 'best'"}, "no row of 3 fits neurons=.*nothing would be left"),
        ({"neurons": [3, 4]}, "neurons= names 4, which are not there; there are 3, 5, 9"),
        ({"trials": "speed"}, "must be true or false for each row"),
        ({"trials": "@np.save('x', 1)"}, "neither a list of names nor a condition"),
    ):
        with pytest.raises(ValueError, match=message):
            read_recording(path, **options)
    (tmp_path / "text.nwb").write_text("text")
    with pytest.raises(ValueError, match="'text.nwb' cannot be read as NWB"):
        read_recording(tmp_path / "text.nwb")
    real = shared_data / "nwb_sample_pynapple" / "A8604-211122.nwb"
    message = r"has no table 'trials' of trials. It holds 3 units; tables of intervals: epochs \(1 rows\). Use one"
    with pytest.raises(ValueError, match=message):
        read_recording(real)


@pytest.fixture(scope="module")
def real_session(tmp_path_factory):
    """24 trials and 12 units of the real counts, as the script writes them."""
    root = Path(__file__).resolve().parents[2]
    source = root.parent / "shared" / "data" / "bci_before_after_hennig2018" / "analysis_20131218.npz"
    if not source.is_file():
        pytest.skip("the folder shared/data with the full recordings is not beside this checkout")
    spec = spec_from_file_location("make_nwb_recording", root / "tools" / "make_nwb_recording.py")
    assert spec is not None and spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    trials, units = np.r_[0:12, 300:312], slice(20, 32)
    path = tmp_path_factory.mktemp("nwb") / "session.nwb"
    with np.load(source) as arrays:
        script.write(arrays, path, trials, units)
        counts = arrays["counts"][trials][:, units].transpose(0, 2, 1)
        return path, np.where(counts == 255, np.nan, counts), arrays["target_deg"][trials]


def test_real_counts_come_back_exactly(real_session):
    path, counts, target = real_session
    with pytest.warns(UserWarning, match="more than half of the entries are missing"):
        recording = read_recording(path, bin=0.045, counts=True).recording
    longest = np.isfinite(counts).any(axis=(0, 2)).sum()
    np.testing.assert_array_equal(recording.values, counts[:, :longest])
    assert recording.is_counts and recording.epochs == ("baseline", "perturbed mapping")
    np.testing.assert_array_equal(np.asarray(recording.conditions)[recording.condition], target)
    # From the go cue, five bins into the trial; what the trial did not reach is missing.
    rates = read_recording(path, align="go_time", window=(-0.09, 0.45), bin=0.045).recording
    np.testing.assert_allclose(rates.values, counts[:, 3:15] / 0.045, rtol=1e-12)
    np.testing.assert_allclose(rates.time, (np.arange(12) - 1.5) * 0.045, atol=1e-12)
    assert {"go_time", "mean_speed"} <= rates.covariates.keys()


@pytest.mark.slow
def test_a_fit_of_the_file_from_end_to_end(real_session, tmp_path):
    said = []
    run = fit_recording(
        real_session[0], align="go_time", window=(-0.18, 0.36), bin=0.09, smooth=0.09, rank=(1,), scheme=("even",),
        units=12, iterations=60, out=tmp_path, progress=False, say=said.append,
    )  # fmt: skip
    assert "NWB, session '20131218'" in said[0] and "smoothed over time (Gaussian, sd 0.09 s)" in "\n".join(said)
    assert run.dataset.attrs["understood"] == "\n".join(said[: len(run.dataset.attrs["understood"].splitlines())])
