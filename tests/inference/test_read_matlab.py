"""MATLAB files of both kinds, written by the libraries themselves, come back as the arrays that were written."""

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from weightpath.inference.matlab import load_matlab
from weightpath.inference.read import read_recording

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(6, 5, 4))  # (trial, time, neuron)
LABELS = {"condition": np.array([1.0, 2, 1, 2, 1, 2]), "phase": np.array([0.0, 0, 0, 1, 1, 1])}
RAGGED = [RNG.normal(size=(4, bins)) for bins in (5, 3, 4, 5, 2, 5)]  # (neuron, time) a trial


class V73:
    """Writes what MATLAB's `save -v7.3` does: classes as attributes, axes reversed, cells and structs as references."""

    def __init__(self, path):
        self.file = h5py.File(path, "w", userblock_size=512)
        self.refs = self.file.create_group("#refs#")

    def put(self, name, value, where=None, marked=True):
        where = self.file if where is None else where
        if isinstance(value, dict):
            item = where.create_group(name)
            item.attrs["MATLAB_class"] = np.bytes_("struct")
            for key, one in value.items():
                self.put(key, one, item)
            return
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            item = where.create_group(name)
            item.attrs["MATLAB_class"] = np.bytes_("struct")
            for key in value[0]:
                self.put(key, [one[key] for one in value], item, marked=False)
            return
        if isinstance(value, list):
            item = where.create_dataset(name, (len(value), 1), dtype=h5py.ref_dtype)
            for i, one in enumerate(value):
                label = f"{chr(97 + len(self.refs))}{len(self.refs)}"
                self.put(label, one, self.refs)
                item[i, 0] = self.refs[label].ref
            kind = "cell"
        elif isinstance(value, str):
            item = where.create_dataset(name, data=np.array([[ord(letter)] for letter in value], np.uint16))
            kind = "char"
        else:
            value = np.atleast_2d(value)
            kind = "logical" if value.dtype == bool else {"f": "double", "i": "int32"}[value.dtype.kind]
            item = where.create_dataset(name, data=(value.astype(np.uint8) if value.dtype == bool else value).T)
        if marked:
            item.attrs["MATLAB_class"] = np.bytes_(kind)


def save(path, version, **variables):
    if version == "7.3":
        writer = V73(path)
        for name, value in variables.items():
            writer.put(name, value)
        writer.file.close()
        return

    def plain(value):
        if isinstance(value, list) and all(isinstance(one, dict) for one in value):
            kinds = [(key, object) for key in value[0]]
            array = np.empty((1, len(value)), dtype=kinds)
            for i, one in enumerate(value):
                for key in one:
                    array[0, i][key] = plain(one[key])
            return array
        if isinstance(value, list):
            cell = np.empty((1, len(value)), dtype=object)
            cell[0] = [plain(one) for one in value]
            return cell
        return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value

    scipy.io.savemat(path, {name: plain(value) for name, value in variables.items()})


both = pytest.mark.parametrize("version", ["5", "7.3"])


@both
def test_an_array_keeps_its_axes(tmp_path, version):
    save(tmp_path / "a.mat", version, rates=DATA, **LABELS)
    reading = read_recording(tmp_path / "a.mat", bin=0.02)
    np.testing.assert_array_equal(reading.recording.values, DATA)
    assert reading.recording.conditions == (1, 2) and reading.recording.epochs == (0, 1)
    assert "array 'rates' (6, 5, 4) as (trial, time, neuron); condition from 'condition'" in reading.understood[0]
    assert reading.layout == "matlab" and f"MATLAB {version}, axes as in MATLAB" in reading.understood[0]
    # The usual order of a MATLAB user, neuron x time x trial, is refused with the order that fits.
    save(tmp_path / "b.mat", version, rates=DATA.transpose(2, 1, 0), time=np.arange(5) / 50, **LABELS)
    with pytest.raises(ValueError, match=r"dims=\('neuron', 'time', 'trial'\)"):
        read_recording(tmp_path / "b.mat")
    turned = read_recording(tmp_path / "b.mat", dims=("neuron", "time", "trial"))
    np.testing.assert_array_equal(turned.recording.values, DATA)


@both
@pytest.mark.parametrize("form", ["cell", "struct array"])
def test_one_matrix_a_trial(tmp_path, version, form):
    names = ["left", "right"] * 3
    if form == "cell":
        save(tmp_path / "a.mat", version, session={"spikes": RAGGED, "condition": names, "note": "x"})
    else:
        trials = [
            {"spikes": one, "condition": name, "id": float(k)}
            for k, (one, name) in enumerate(zip(RAGGED, names, strict=True))
        ]
        save(tmp_path / "a.mat", version, session={"trials": trials, "rate": 50.0})
    reading = read_recording(tmp_path / "a.mat")
    assert reading.recording.shape == (6, 5, 4) and reading.recording.conditions == ("left", "right")
    for k, one in enumerate(RAGGED):
        np.testing.assert_array_equal(reading.recording.values[k, : one.shape[1]], one.T)
        assert np.isnan(reading.recording.values[k, one.shape[1] :]).all()
    assert "one matrix (neuron, time) a trial in 'spikes'" in reading.understood[0]
    full = "session.spikes" if form == "cell" else "session.trials.spikes"
    assert read_recording(tmp_path / "a.mat", array=full).recording.digest() == reading.recording.digest()


@both
def test_matrices_of_equal_size_need_dims(tmp_path, version):
    save(tmp_path / "a.mat", version, spikes=[DATA[k] for k in range(6)])
    with pytest.raises(ValueError, match="6 matrices of 5 x 4, which does not tell neurons from time; give dims="):
        read_recording(tmp_path / "a.mat")
    np.testing.assert_array_equal(read_recording(tmp_path / "a.mat", dims=("time", "neuron")).recording.values, DATA)
    turned = read_recording(tmp_path / "a.mat", dims=("neuron", "time")).recording.values
    np.testing.assert_array_equal(turned, DATA.transpose(0, 2, 1))
    with pytest.raises(ValueError, match="has the dims time,neuron or neuron,time; got"):
        read_recording(tmp_path / "a.mat", dims=("time", "unit"))


@both
def test_the_tree_of_a_file(tmp_path, version):
    tree = {"name": "session", "flags": np.array([[True, False, True]]), "parts": [{"a": 1.0}, {"a": 2.0}]}
    save(tmp_path / "a.mat", version, top=tree, counts=np.arange(6, dtype=np.int32).reshape(2, 3))
    found, words = load_matlab(tmp_path / "a.mat")
    assert words == f"MATLAB {version}" and found["top"]["name"] == "session"
    np.testing.assert_array_equal(found["counts"], [[0, 1, 2], [3, 4, 5]])
    assert found["top"]["flags"].ravel().tolist() == [1, 0, 1]
    assert [part["a"].item() for part in found["top"]["parts"]] == [1.0, 2.0]


@both
@pytest.mark.filterwarnings("ignore:silent")
def test_spike_times_of_each_unit(tmp_path, version):
    units = [np.array([[1.95, 12.05, 12.15]]), np.array([[2.0], [12.0], [22.0]]), np.array([[2.1]])]
    trials = {"go": np.array([2.0, 12.0, 22.0]), "condition": ["l", "r", "l"], "speed": np.array([0.5, 0.6, 0.7])}
    save(tmp_path / "a.mat", version, session={"spike_times": units, "trials": trials})
    options = dict(align="go", window=(-0.1, 0.2), bin=0.1, counts=True)
    reading = read_recording(tmp_path / "a.mat", **options)
    hand = [[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 0, 0], [1, 1, 0], [1, 0, 0]], [[0, 0, 0], [0, 1, 0], [0, 0, 0]]]
    np.testing.assert_array_equal(reading.recording.values, hand)
    assert f"spike times of 3 units in 'spike_times'; MATLAB {version}; 3 of 3 trials" in reading.understood[0]
    assert reading.recording.conditions == ("l", "r") and reading.recording.covariates["speed"].tolist() == [
        0.5,
        0.6,
        0.7,
    ]
    some = read_recording(tmp_path / "a.mat", trials="speed > 0.5", neurons=[0, 1], **options).recording
    np.testing.assert_array_equal(some.values, np.array(hand)[1:, :, :2])
    assert some.trial_id.tolist() == some.source_trial.tolist() == [1, 2]
    with pytest.raises(ValueError, match="need trials, and no array 'start_time' or 'start'.*Name that array"):
        read_recording(tmp_path / "a.mat")


def test_counts_and_sparse_matrices(tmp_path):
    counts = RNG.poisson(1.0, size=(6, 5, 4)).astype(float)
    cell = np.empty((1, 6), dtype=object)
    for k in range(6):
        cell[0, k] = scipy.sparse.csc_matrix(counts[k, : 5 - k % 2])
    scipy.io.savemat(tmp_path / "a.mat", {"spikes": cell})
    reading = read_recording(tmp_path / "a.mat", counts=True, bin=0.01)
    np.testing.assert_array_equal(reading.recording.values[0], counts[0])
    assert np.isnan(reading.recording.values[1, 4]).all() and reading.recording.is_counts


@pytest.mark.parametrize(
    ("variables", "options", "message"),
    [
        (
            {"x": np.ones((3, 2))},
            {},
            r"no array with three axes and no cell or struct array.*x\(3, 2\)",
        ),
        ({"x": DATA, "y": DATA}, {}, r"several activities \(x, y\)"),
        ({"x": DATA, "y": RAGGED}, {}, r"several activities \(x, y\).*y\(6, 4, 5\)"),
        ({"x": DATA}, {"array": "z"}, r"has no array 'z'; it holds x\(6, 5, 4\)"),
        ({"x": [np.ones((2, 3)), np.ones((4, 5))]}, {}, "no axis of equal length, which does not tell"),
        (
            {"x": [np.ones((2, 3)), np.ones((2, 5))]},
            {"dims": ("time", "neuron")},
            "have 3 to 5 neurons as time",
        ),
        ({"x": DATA}, {"align": "go"}, "align= needs spike times or a series"),
    ],
)
def test_refused(tmp_path, variables, options, message):
    save(tmp_path / "a.mat", "7.3", **variables)
    with pytest.raises(ValueError, match=message):
        read_recording(tmp_path / "a.mat", **options)


def test_what_cannot_be_read_is_named(tmp_path):
    writer = V73(tmp_path / "a.mat")
    writer.put("rates", DATA)
    text = writer.file.create_dataset("side", data=np.array([[3707764736, 2, 1, 1, 1, 1]], np.uint32))
    text.attrs["MATLAB_class"] = np.bytes_("string")  # what MATLAB writes for text of that class: a number of an object
    writer.file.close()
    reading = read_recording(tmp_path / "a.mat")
    assert "left out (no plain array or text): side" in reading.understood[0]
    np.testing.assert_array_equal(reading.recording.values, DATA)


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "a.mat").write_text("text")
    with pytest.raises(ValueError, match=r"'a.mat' cannot be read as a MATLAB file .*save it with `save -v7`"):
        read_recording(tmp_path / "a.mat")


def test_the_original_file_of_the_learning_session(shared_data):
    """Trials put together from the authors' flat arrays are those of the file that was derived from it."""
    folder = shared_data / "bci_learning_hennig2021"
    original, derived = (read_recording(folder / name) for name in ("20160728.mat", "analysis_20160728.npz"))
    assert original.understood[0].endswith("MATLAB 5") and original.recording.epochs == derived.recording.epochs
    np.testing.assert_array_equal(original.recording.condition, derived.recording.condition)
    np.testing.assert_array_equal(original.recording.epoch, derived.recording.epoch)
    np.testing.assert_array_equal(original.recording.observed, derived.recording.observed)
    np.testing.assert_allclose(original.recording.values, derived.recording.values, rtol=0, atol=1e-6)  # float32
    for name in ("cursor_pos", "progress_perturbed", "target_pos"):
        ours, theirs = (one.recording.covariates[name] for one in (original, derived))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_the_original_file_of_the_session_of_counts(shared_data):
    folder = shared_data / "bci_before_after_hennig2018"
    options = dict(counts=True, window=(0.0, 1.35))
    original, derived = (
        read_recording(folder / name, **options).recording for name in ("20131218.mat", "analysis_20131218.npz")
    )
    assert original.shape == (334, 30, 87) and original.is_counts
    np.testing.assert_array_equal(original.values, derived.values)
    np.testing.assert_array_equal(original.condition, derived.condition)
    np.testing.assert_array_equal(original.covariates["target_deg"], derived.covariates["target_deg"])
    assert original.boundaries == derived.boundaries == (167,)
