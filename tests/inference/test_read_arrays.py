"""Files of bins: what is asked of their time, trials and neurons; counts; the session of raw counts."""

import numpy as np
import pytest
import xarray as xr

import weightpath as wp
from weightpath.inference.read import read_recording
from weightpath.inference.select import selected

RNG = np.random.default_rng(2)
COUNTS = RNG.poisson(2.0, size=(6, 8, 3))
TIME = (np.arange(8) - 2) * 0.05


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "session.npz"
    labels = dict(condition=list("aabbab"), epoch=["x"] * 3 + ["y"] * 3, trial_id=[2, 4, 6, 8, 10, 12])
    np.savez(path, spikes=COUNTS, time=TIME, **{name: np.array(value) for name, value in labels.items()})
    return path


def test_counts_stay_counts(file):
    recording = read_recording(file, counts=True).recording
    np.testing.assert_array_equal(recording.values, COUNTS)
    assert recording.is_counts and recording.counts and "counts per bin" in recording.describe()
    wide = read_recording(file, counts=True, bin=0.1).recording
    np.testing.assert_array_equal(wide.values, COUNTS[:, ::2] + COUNTS[:, 1::2])
    assert wide.is_counts
    with pytest.warns(UserWarning, match="Smooth counts first .* or give counts=True"):
        rates = read_recording(file, bin=0.1).recording
    np.testing.assert_allclose(rates.values, (COUNTS[:, ::2] + COUNTS[:, 1::2]) / 2)
    assert not recording.standardised("neuron").is_counts


def test_a_sum_with_a_missing_part_is_missing(tmp_path):
    data = COUNTS.astype(float)
    data[0, 1, 0] = np.nan
    np.savez(tmp_path / "a.npz", spikes=data, time=TIME)
    wide = read_recording(tmp_path / "a.npz", counts=True, bin=0.1).recording
    assert np.isnan(wide.values[0, 0, 0]) and wide.observed.sum() == wide.values.size - 1


def test_a_window_of_time_and_smoothing(file):
    options = dict(counts=True, window=(0.0, 0.2))
    part = read_recording(file, **options).recording
    np.testing.assert_array_equal(part.values, COUNTS[:, 2:6])
    np.testing.assert_allclose(part.time, [0, 0.05, 0.1, 0.15])
    with pytest.warns(UserWarning, match="Smooth counts first"):
        smooth = read_recording(file, smooth=0.05).recording
    weights = np.exp(-0.5 * np.subtract.outer(np.arange(8), np.arange(8)) ** 2)
    weights[np.abs(np.subtract.outer(np.arange(8), np.arange(8))) > 4] = 0
    expected = np.einsum("st,ktm->ksm", weights / weights.sum(1, keepdims=True), COUNTS)
    np.testing.assert_allclose(smooth.values, expected, rtol=1e-12)
    assert "smoothed over time (Gaussian, sd 0.05 s)" in smooth.describe()


def test_trials_and_neurons_by_name_and_by_condition(file):
    some = read_recording(file, counts=True, trials="condition == 'a' and trial_id > 2", neurons=[0, 2]).recording
    np.testing.assert_array_equal(some.values, COUNTS[[1, 4]][:, :, [0, 2]])
    assert some.source_trial.tolist() == [1, 4] and some.source_neuron.tolist() == [0, 2]
    assert "2 of 6 trials chosen" in some.describe() and some.epochs == ("x", "y") and some.conditions == ("a",)
    assert read_recording(file, counts=True, trials="4, 10", neurons="0,2").recording.digest() == some.digest()
    busy = COUNTS.mean((0, 1)).argmax()
    top = read_recording(file, counts=True, neurons=f"mean >= {COUNTS.mean((0, 1)).max() - 1e-9}").recording
    assert top.neuron.tolist() == [busy]


def test_warnings_are_about_the_part_that_is_taken(tmp_path, recwarn):
    data = RNG.normal(size=(6, 8, 3))
    data[:, 3:], data[5, 2:], data[:, :5, 1] = np.nan, np.nan, np.nan
    data[:, 7, 1] = 1.0
    np.savez(tmp_path / "a.npz", x=data, time=TIME, trial_id=np.arange(6))
    part = read_recording(tmp_path / "a.npz", window=(-0.1, 0.05), neurons=[0, 2]).recording
    assert part.observed.mean() > 0.9 and part.shape == (6, 3, 2) and not recwarn.list
    with pytest.warns(UserWarning, match="trials without any observation dropped: 5"):
        part = read_recording(tmp_path / "a.npz", window=(0.0, 0.05), neurons=[0, 2]).recording
    assert part.source_trial.tolist() == [0, 1, 2, 3, 4]


def test_a_part_keeps_units_and_positions():
    data = RNG.normal(size=(5, 4, 3)) * [1, 5, 9]
    whole = wp.Recording(data, trial_id=[5, 4, 3, 2, 1], covariates={"speed": np.arange(5.0)}).standardised("neuron")
    part = selected(whole, trials="speed > 1", neurons=[1, 2])
    np.testing.assert_allclose(part.restored(part.values), data[::-1][:3][:, :, 1:], rtol=1e-12)
    assert part.source_trial.tolist() == [4, 3, 2] and part.covariates["speed"].tolist() == [4, 3, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"align": "go"}, "align= needs spike times or a series of the whole session; 'session' holds activity"),
        ({"clip": True}, "clip= needs spike times"),
        ({"trial_table": "trials"}, "trial_table= needs spike times"),
        ({"window": (1.0, 2.0)}, "no bin lies in the window from 1 to 2 s; the bins are at -0.1 to 0.25 s"),
        ({"trials": "side == 1"}, "neither a list of names nor a condition.*columns: condition, epoch, trial_id"),
        ({"trials": [3]}, "trials= names 3, which are not there; there are 2, 4, 6"),
        ({"neurons": "mean > 100"}, "no row of 3 fits"),
        ({"neurons": 3}, "neurons= takes a condition, a list"),
    ],
)
def test_refused(file, options, message):
    with pytest.raises(ValueError, match=message):
        read_recording(file, counts=True, **options)


def test_bins_without_times_have_no_window(tmp_path):
    np.save(tmp_path / "a.npy", RNG.normal(size=(4, 5, 2)))
    for options in ({"window": (0.0, 1.0)}, {"smooth": 0.1}):
        with pytest.raises(ValueError, match="have no times.*bin="):
            read_recording(tmp_path / "a.npy", **options)
    assert read_recording(tmp_path / "a.npy", window=(0.0, 0.2), bin=0.1).recording.shape == (4, 2, 2)
    np.savez(tmp_path / "b.npz", x=RNG.normal(size=(4, 3, 2)), time=[0.0, 0.1, 0.3])
    with pytest.raises(ValueError, match=r"smooth= needs bins of equal width; those of b are 0.1 to 0.2 s"):
        read_recording(tmp_path / "b.npz", smooth=0.1)


@pytest.mark.parametrize(("change", "what"), [(-1.0, "negative"), (0.5, "not whole")])
def test_what_is_no_count_is_refused(tmp_path, change, what):
    data = COUNTS.astype(float)
    data[1, 2, 0] = change
    np.savez(tmp_path / "a.npz", spikes=data)
    with pytest.raises(ValueError, match=rf"1 of 144 observed values are {what} \(first: {change:g}\)"):
        read_recording(tmp_path / "a.npz", counts=True)
    wp.save(wp.Recording(data), tmp_path / "a.nc")
    with pytest.raises(ValueError, match="counts=True, and 'recording' holds rates, or values that are negative or"):
        read_recording(tmp_path / "a.nc", counts=True)
    assert not wp.Recording(data).is_counts and wp.Recording(COUNTS.astype(float)).is_counts


def test_netcdf_of_counts(tmp_path):
    array = xr.DataArray(COUNTS, dims=("trial", "time", "neuron"), coords={"time": TIME}, name="spikes")
    array.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    np.testing.assert_array_equal(read_recording(tmp_path / "a.nc", counts=True).recording.values, COUNTS)
    wp.save(wp.Recording(array, counts=True), tmp_path / "b.nc")
    back = read_recording(tmp_path / "b.nc", window=(0.0, 0.1)).recording
    np.testing.assert_array_equal(back.values, COUNTS[:, 2:4])
    assert back.counts and read_recording(tmp_path / "b.nc", counts=True).recording.is_counts


def test_columns_of_units_and_times(tmp_path):
    """What spike sorters write: one time and one unit a spike; events beside them, or the trial of each spike."""
    unit, time = np.array([4, 4, 7, 7, 7]), np.array([1.0, 1.3, 1.05, 5.2, 5.25])
    np.savez(tmp_path / "a.npz", unit=unit, time=time, start_time=[1.0, 5.0], epoch=["x", "y"])
    reading = read_recording(tmp_path / "a.npz", window=(0.0, 0.4), bin=0.2, counts=True)
    np.testing.assert_array_equal(reading.recording.values, [[[1, 1], [1, 0]], [[0, 0], [0, 2]]])
    assert reading.recording.neuron.tolist() == [4, 7] and reading.recording.epochs == ("x", "y")
    assert "5 spikes in columns (unit, time); 2 of 2 trials; epoch from 'epoch'" in reading.understood[0]
    np.savez(tmp_path / "d.npz", unit=unit, time=time, go=[1.0, 5.0])
    cue = read_recording(tmp_path / "d.npz", align="go", window=(0.0, 0.4), bin=0.2, counts=True).recording
    np.testing.assert_array_equal(cue.values, reading.recording.values)
    trial = np.array([0, 0, 0, 1, 1])
    np.savez(tmp_path / "b.npz", unit=unit, time=np.round(time - np.array([1.0, 5.0])[trial], 9), trial=trial)
    again = read_recording(tmp_path / "b.npz", window=(0.0, 0.4), bin=0.2, counts=True).recording
    np.testing.assert_array_equal(again.values, reading.recording.values)
    np.savez(tmp_path / "c.npz", unit=unit, time=time)
    with pytest.raises(ValueError, match=r"holds spike times, which need trials.*it holds unit\(5,\), time\(5,\)"):
        read_recording(tmp_path / "c.npz")


def test_the_session_of_raw_counts(shared_data):
    """Counts in their bins, as rates, and smoothed as its author did: sd one bin."""
    path = shared_data / "bci_before_after_hennig2018" / "analysis_20131218.npz"
    with np.load(path) as arrays:
        counts = arrays["counts"].transpose(0, 2, 1)
        stored, ends = arrays["rates"].transpose(0, 2, 1).astype(float), arrays["n_bins"]
        observed = np.isfinite(stored)
    reading = read_recording(path, counts=True, window=(0.0, 1.35))
    assert reading.layout == "bci" and "array 'counts' (trial, neuron, time) as counts" in reading.understood[0]
    recording = reading.recording
    np.testing.assert_array_equal(recording.observed, observed)
    np.testing.assert_array_equal(recording.values[observed], counts[:, :30][observed])
    assert recording.shape == (334, 30, 87) and len(recording.conditions) == 4 and recording.boundaries == (167,)
    np.testing.assert_array_equal(observed[:, :, 0].sum(1), np.minimum(ends, 30))
    smooth = read_recording(path, smooth=0.045, window=(0.0, 1.35)).recording
    np.testing.assert_allclose(smooth.values, stored, rtol=2**-10, atol=0.05)  # half floats; tails cut elsewhere
    part = read_recording(path, smooth=0.1, window=(0.0, 0.45))
    assert not smooth.is_counts and "latent_decoder_int_M2" not in part.extras and "bin_s" in part.extras
