"""Samples of a whole session become bins of trials; compared with means taken by hand."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference import series_to_recording

TRIALS = {"start_time": [1.0, 11.0, 21.0], "stop_time": [3.0, 12.2, 24.0], "go": [2.0, 12.0, 22.0]}


def test_series():
    time = np.arange(0, 30, 0.05)
    values = np.stack([time, time**2], axis=1)
    values[410] = np.nan  # 20.5 s
    options = dict(align="go", bin=0.1, neuron=["t", "t2"])
    recording = wp.Recording.from_series(time, values, TRIALS, window=(-0.2, 0.2), **options)
    for k, go in enumerate(TRIALS["go"]):
        left = go + np.array([-0.2, -0.1, 0.0, 0.1])
        np.testing.assert_allclose(recording.values[k, :, 0], left + 0.025, rtol=1e-12)
        np.testing.assert_allclose(recording.values[k, :, 1], (left**2 + (left + 0.05) ** 2) / 2, rtol=1e-12)
    whole = wp.Recording.from_series(time, values, TRIALS, **options)
    np.testing.assert_array_equal(whole.observed[:, :, 0].sum(axis=1), [20, 12, 30])
    assert "means of samples 0.05 s apart, not smoothed" in whole.describe()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": [0.0, 1.0]}, r"one time for each sample.*\(2,\) and \(4, 1\)"),
        ({"time": [0.0, 2.0, 1.0, 3.0]}, "strictly increasing"),
        ({"bin": 0.5}, "bins of 0.5 s are finer than the samples, which are 1 s apart; give bin=1"),
        ({"trials": [100.0]}, "no sample falls into any bin: samples from 0 to 3 s"),
    ],
)
def test_series_refused(change, message):
    given = dict(time=[0.0, 1.0, 2.0, 3.0], values=np.ones(4), trials=[0.0], window=(0.0, 2.0), bin=1.0) | change
    with pytest.raises(ValueError, match=message):
        series_to_recording(given.pop("time"), given.pop("values"), given.pop("trials"), **given)
