"""Spike times, series and tables of spikes become recordings; compared with bins counted by hand."""

from collections import UserDict

import numpy as np
import pandas as pd
import pytest

import weightpath as wp
from weightpath.inference import series_to_recording, spikes_to_recording
from weightpath.inference.read import read_recording

#: Unit "b" fires at the go cue of every trial, unit "a" a little before the first and after the second.
SPIKES = {"a": [1.95, 12.05, 12.15], "b": [2.0, 12.0, 22.0]}
TRIALS = {
    "start_time": [1.0, 11.0, 21.0],
    "stop_time": [3.0, 12.2, 24.0],
    "go": [2.0, 12.0, 22.0],
    "condition": ["left", "right", "left"],
    "speed": [0.1, 0.2, 0.3],
}
HAND = np.array([[[1, 0], [0, 1], [0, 0]], [[0, 0], [1, 1], [1, 0]], [[0, 0], [0, 1], [0, 0]]], float)


def test_counts_and_rates_around_an_event():
    counts = spikes_to_recording(SPIKES, TRIALS, align="go", window=(-0.1, 0.2), bin=0.1, counts=True)
    np.testing.assert_array_equal(counts.values, HAND)
    np.testing.assert_allclose(counts.time, [-0.05, 0.05, 0.15], atol=1e-12)
    assert counts.neuron.tolist() == ["a", "b"] and counts.conditions == ("left", "right") and counts.is_counts
    np.testing.assert_array_equal(counts.covariates["speed"], TRIALS["speed"])
    assert "time 0 = go, window -0.1 to 0.2 s, bins of 0.1 s; 6 spikes as counts in each bin" in counts.describe()
    rates = wp.Recording.from_spikes(SPIKES, TRIALS, align="go", window=(-0.1, 0.2), bin=0.1)
    np.testing.assert_allclose(rates.values, HAND / 0.1)
    # Rates of 10 Hz are whole numbers too; they were said to be rates.
    assert np.all(rates.values == rates.values.round()) and not rates.is_counts
    back = wp.Recording.from_dataset(counts.to_dataset())
    assert back.is_counts and back.counts and not wp.Recording.from_dataset(rates.to_dataset()).is_counts


def test_the_whole_trial_is_taken_where_no_window_is_given():
    recording = spikes_to_recording(SPIKES, TRIALS, align="go", bin=0.5, counts=True)
    assert recording.shape == (3, 6, 2)  # from 1 s before the cue to 2 s after it, the longest there are
    np.testing.assert_array_equal(recording.observed[:, :, 0].sum(axis=1), [4, 2, 6])
    assert recording.values[1, 1, 0] == 0 and np.isnan(recording.values[1, 2, 0])  # stops 0.2 s after the cue
    clipped = spikes_to_recording(SPIKES, TRIALS, align="go", window=(-0.1, 0.3), bin=0.1, clip=True)
    assert np.isnan(clipped.values[1, 3]).all() and np.isfinite(clipped.values[1, 2]).all()


def test_bins_outside_the_intervals_of_recording_are_missing():
    options = dict(align="go", window=(-0.1, 0.2), bin=0.1, counts=True)
    each = [np.array([[0.0, 12.1], [21.95, 30.0]]), None]
    recording = spikes_to_recording(SPIKES, TRIALS, observed=each, **options)
    expected = HAND.copy()
    expected[1, 2, 0] = expected[2, 0, 0] = np.nan
    np.testing.assert_array_equal(recording.values, expected)
    both = spikes_to_recording(SPIKES, TRIALS, observed=[(0, 12.1), (21.9, 30)], **options)
    np.testing.assert_array_equal(np.isnan(both.values[:, :, 1]), [[0, 0, 0], [0, 0, 1], [0, 0, 0]])


def test_trials_without_the_event_are_dropped_and_said():
    trials = TRIALS | {"go": [2.0, np.nan, 22.0], "epoch": ["x", "x", "y"]}
    recording = spikes_to_recording(SPIKES, trials, align="go", window=(-0.1, 0.2), bin=0.1)
    np.testing.assert_allclose(recording.values, HAND[[0, 2]] / 0.1)
    assert recording.trial_id.tolist() == recording.source_trial.tolist() == [0, 2]
    assert recording.epochs == ("x", "y")
    assert "1 trials without the event dropped: 1" in recording.describe()


def test_numbers_that_begin_anew_in_every_block_do_not_order_the_trials():
    options = dict(align="go", window=(-0.1, 0.2), bin=0.1, counts=True)
    blocks = spikes_to_recording(SPIKES, TRIALS | {"trial": [0, 1, 0]}, **options)
    np.testing.assert_array_equal(blocks.values, HAND)
    session = spikes_to_recording(SPIKES, TRIALS | {"trial": [4, 3, 9]}, **options)
    np.testing.assert_array_equal(session.values, HAND[[1, 0, 2]])
    assert session.trial_id.tolist() == [3, 4, 9] and session.conditions == ("left", "right")
    given = spikes_to_recording(SPIKES, TRIALS, trial_id=[9, 5, 7], **options)
    assert given.source_trial.tolist() == [1, 2, 0]


@pytest.mark.parametrize("kind", ["frame", "events", "list", "unsorted"])
def test_forms_of_spikes_and_trials(kind):
    options = dict(align="go", window=(-0.1, 0.2), bin=0.1, counts=True)
    spikes, trials = SPIKES, TRIALS
    if kind == "frame":
        trials = pd.DataFrame(TRIALS, index=[5, 6, 9])
    elif kind == "events":
        trials, options = TRIALS["go"], options | {"align": None}
    elif kind == "list":
        spikes = [np.array(times) for times in SPIKES.values()]
    else:
        spikes = {unit: [*times[::-1], np.nan] for unit, times in SPIKES.items()}
    recording = spikes_to_recording(spikes, trials, **options)
    np.testing.assert_array_equal(recording.values, HAND)
    assert recording.trial_id.tolist() == ([5, 6, 9] if kind == "frame" else [0, 1, 2])
    assert ("2 spike times that are not finite" in recording.describe()) == (kind == "unsorted")


def long_table(relative):
    rows = [(u, t, k) for u, times in SPIKES.items() for t in times for k in range(3) if abs(t - TRIALS["go"][k]) < 1]
    unit, time, trial = map(np.array, zip(*rows, strict=True))
    return {"unit": unit, "time": time - np.array(TRIALS["go"])[trial] if relative else time, "trial": trial + 7}


def test_long_tables():
    options = dict(window=(-0.1, 0.2), bin=0.1, counts=True)
    absolute = pd.DataFrame(long_table(False))
    np.testing.assert_array_equal(spikes_to_recording(absolute, TRIALS, align="go", **options).values, HAND)
    table = long_table(True)
    label = np.array(TRIALS["condition"])[table["trial"] - 7]
    shifted = table | {"time": np.round(table["time"], 9), "condition": label}
    recording = spikes_to_recording(pd.DataFrame(shifted), **options)
    np.testing.assert_array_equal(recording.values, HAND)
    assert recording.trial_id.tolist() == [7, 8, 9] and recording.conditions == ("left", "right")
    # A table of trials without times of the session adds trials without spikes, and labels.
    trials = {"trial": [6, 7, 8, 9], "epoch": ["x", "x", "y", "y"]}
    more = spikes_to_recording(shifted, trials, **options)
    np.testing.assert_array_equal(more.values[1:], HAND)
    assert not more.values[0].any() and more.epochs == ("x", "y")
    # Without a window, whole bins that hold every spike.
    assert spikes_to_recording(shifted, bin=0.1).shape == (3, 3, 2)


def test_trials_that_are_dropped_take_their_spikes_along(tmp_path):
    table, options = long_table(True), dict(window=(-0.1, 0.2), bin=0.1, counts=True)
    table["time"] = np.round(table["time"], 9)
    trials = {"trial": [7, 8, 9], "cue": [np.nan, 0.0, 0.0], "side": ["l", "r", "r"]}
    found = spikes_to_recording(table, trials, align="cue", **options)
    np.testing.assert_array_equal(found.values, HAND[1:])
    pd.DataFrame(table).to_csv(tmp_path / "spikes.tsv", index=False, sep="\t")
    pd.DataFrame(trials).to_csv(tmp_path / "trials.csv", index=False)
    read = read_recording(
        tmp_path / "spikes.tsv", trial_table=str(tmp_path / "trials.csv"), trials="side == 'r'", **options
    )
    assert read.recording.digest() == found.digest() and read.recording.source_trial.tolist() == [1, 2]


def test_files_of_spikes(tmp_path):
    pd.DataFrame(long_table(False)).to_csv(tmp_path / "spikes.csv", index=False)
    pd.DataFrame(TRIALS).to_csv(tmp_path / "trials.csv", index=False)
    reading = read_recording(
        tmp_path / "spikes.csv", trial_table=str(tmp_path / "trials.csv"), align="go", window=(-0.1, 0.2), bin=0.1,
        trials="condition == 'left'", neurons="b",
    )  # fmt: skip
    np.testing.assert_allclose(reading.recording.values, HAND[[0, 2]][:, :, [1]] / 0.1)
    assert "table of 6 spikes of 2 units, times of the session; condition from 'condition'" in reading.understood[0]
    with pytest.raises(ValueError, match="no file .*trial_table= is a .csv"):
        read_recording(tmp_path / "spikes.csv", trial_table="none.csv")
    with pytest.raises(ValueError, match=r"no table of spikes: it needs the columns unit and.*; it has start"):
        read_recording(tmp_path / "trials.csv")


class Ts:
    """What the library of that name calls so, by its attributes alone."""

    def __init__(self, t, start=0.0, end=30.0):
        self.t = np.asarray(t, float)
        self.time_support = None if start is None else IntervalSet([start], [end])


class IntervalSet:
    def __init__(self, start, end, metadata=None):
        self.start, self.end = np.asarray(start, float), np.asarray(end, float)
        self.index, self.columns = np.arange(len(self.start)), np.array(["start", "end"])
        self.metadata = pd.DataFrame(metadata or {}, index=self.index)


class TsGroup(UserDict):
    def __init__(self, data, time_support):
        super().__init__({unit: Ts(times) for unit, times in data.items()})
        self.index, self.time_support = np.array(list(data)), time_support


class TsdFrame:
    def __init__(self, t, values, columns):
        self.t, self.values, self.columns = np.asarray(t), values, columns
        self.time_support = IntervalSet([t[0]], [t[-1]])


def test_objects_of_pynapple():
    group = TsGroup({3: SPIKES["a"], 5: SPIKES["b"]}, IntervalSet([0.0, 21.9], [12.1, 30.0]))
    options = dict(window=(-0.1, 0.2), bin=0.1, counts=True)
    recording = spikes_to_recording(group, Ts(TRIALS["go"]), **options)
    expected = HAND.copy()
    expected[1, 2] = np.nan  # outside the time support
    np.testing.assert_array_equal(recording.values, expected)
    assert recording.neuron.tolist() == [3, 5]
    shown = spikes_to_recording(SPIKES, TRIALS["go"], observed=group.time_support, **options)
    np.testing.assert_array_equal(shown.values, expected)
    intervals = IntervalSet(TRIALS["go"], TRIALS["stop_time"], {"condition": TRIALS["condition"]})
    np.testing.assert_array_equal(spikes_to_recording(group, intervals, **options).values, expected)
    assert spikes_to_recording(group, intervals, **options).conditions == ("left", "right")
    frame = TsdFrame(np.arange(0, 30, 0.1), np.arange(300.0)[:, None] * [1, -1], np.array(["x", "y"]))
    series = series_to_recording(None, frame, intervals, window=(0.0, 0.4), bin=0.2)
    np.testing.assert_allclose(series.values[:, :, 0], np.array([[20], [120], [220]]) + [0.5, 2.5])
    assert series.neuron.tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spikes": 3.0}, "spikes must be a mapping from unit to spike times.*got float"),
        ({"spikes": {}}, "no unit among the spikes"),
        ({"spikes": {"a": [[1.0]]}}, r"unit 'a' must have a one-dimensional array.*\(1, 1\)"),
        ({"spikes": {"a": [], "b": []}}, "no spike in any unit"),
        ({"spikes": {"a": [1950.0]}}, "no spike falls into any bin: spikes from 1950.*seconds of the same clock"),
        ({"trials": None}, "spike times need trials"),
        ({"trials": {"start_time": []}}, "'trials' has no rows"),
        ({"trials": {"start_time": [1.0], "go": [1.0, 2.0]}}, "columns with one entry a trial; got start_time"),
        ({"align": "cue"}, "no column 'cue' to align to; columns with times or numbers: start_time, stop_time, go, sp"),
        ({"align": "condition"}, "column 'condition' of the table 'trials' holds .* values, not times"),
        ({"trials": TRIALS | {"go": [np.nan] * 3}}, "event 'go' happened in no trial"),
        ({"condition": "side"}, "no column 'side' for condition; it has: start_time"),
        ({"condition": ["x"]}, "one label for each of 3 trials"),
        ({"trial_id": [1, 2]}, r"trial_id must hold one number for each of 3 trials; got shape \(2,\)"),
        ({"window": (0.2, -0.1)}, "two times in seconds, the first before the second"),
        ({"window": (-0.1, 0.25)}, "no whole number of bins of 0.1 s; end it at 0.2 s"),
        ({"window": None, "trials": {"go": TRIALS["go"]}}, r"no stop_time.*give window=\(-pre, post\)"),
        ({"bin": 0.0}, "bin must be a positive number of seconds"),
        ({"smooth": -1.0, "counts": False}, "smooth must be a positive number"),
        ({"smooth": 0.1}, "counts=True keeps whole counts and smooth= makes them fractions"),
        ({"observed": [(2.0, 1.0)]}, "observed must hold intervals"),
        ({"bin": 1e-9, "window": (0.0, 0.1)}, "more than 250,000,000 entries"),
        ({"spikes": {"unit": ["a"], "time": [0.0]}, "trials": None}, "needs a column trial"),
        ({"spikes": long_table(True), "trials": {"trial": [1, 2]}, "align": None}, "trials that the trial table"),
        (
            {"spikes": long_table(True), "trials": {"trial": [7, 8, 8]}, "align": None},
            "column 'trial' of the trial table 'trials' holds the same number more than once",
        ),
        (
            {"spikes": long_table(True) | {"condition": list("xyzxyz")}, "trials": None, "align": None},
            "'condition' changes within a trial",
        ),
    ],
)
def test_refused(change, message):
    given = dict(spikes=SPIKES, trials=TRIALS, align="go", window=(-0.1, 0.2), bin=0.1, counts=True) | change
    with pytest.raises(ValueError, match=message):
        spikes_to_recording(given.pop("spikes"), given.pop("trials"), **given)
