"""Every wrong recording gets a message that says what was given, what was expected and what to do."""

import numpy as np
import pytest
import xarray as xr

import weightpath as wp
from weightpath.inference.read import read_recording

RNG = np.random.default_rng(1)
DATA = RNG.normal(size=(6, 4, 3))


def with_nan(*places):
    data = DATA.copy()
    for place in places:
        data[place] = np.nan
    return data


def test_wrong_order_of_axes_suggests_the_right_one():
    with pytest.raises(ValueError, match=r"condition has 6 entries.*dims=\('neuron', 'time', 'trial'\)"):
        wp.Recording(DATA.transpose(2, 1, 0), condition=np.arange(6), time=np.arange(4))


def test_several_orders_fit():
    with pytest.raises(ValueError, match="Several orders of axes fit"):
        wp.Recording(DATA.transpose(2, 1, 0), condition=np.arange(6))


def test_no_order_fits():
    with pytest.raises(ValueError, match="No order of axes fits"):
        wp.Recording(DATA, epoch=np.arange(7))


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (DATA[0], {}, "three axes"),
        (DATA, {"dims": ("trial", "bin", "neuron")}, "named trial, time and neuron"),
        (xr.DataArray(DATA, dims=("a", "b", "c")), {}, "named trial, time and neuron"),
        (DATA.astype(complex), {}, "real numbers"),
        (DATA.astype(str), {}, "real numbers"),
        (DATA * np.nan, {}, "no finite entry"),
        (DATA, {"time": [0, 1, 1, 2]}, "strictly increasing"),
        (DATA, {"time": [0, 1, 2, np.nan]}, "finite, strictly increasing"),
        (DATA, {"trial_id": list("abcdef")}, "trial_id must hold numbers"),
        (DATA, {"trial_id": [1, 2, 3, 4, 5, np.nan]}, "number every trial"),
        (DATA, {"condition": np.zeros((6, 2))}, r"one label a trial, \(6,\); got shape \(6, 2\)"),
        (DATA, {"condition": ["a", None, "b", "a", "b", "b"]}, "no label for 1 trials.*position 1"),
        (DATA, {"epoch": [0, 0, np.nan, 1, 1, 1]}, "no label for 1 trials.*position 2"),
        (DATA, {"covariates": {"speed": 3.0}}, "single number"),
        (DATA, {"covariates": {"speed": np.zeros(5)}}, "covariate 'speed' has 5 entries"),
    ],
)
def test_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        wp.Recording(data, **options)


def test_missing_entries_are_counted():
    data = with_nan((0, 0, 0))
    data[1, 1, 1] = np.inf
    recording = wp.Recording(data)
    assert recording.observed.sum() == data.size - 2
    assert "1 NaN, 1 infinite" in recording.describe()


def test_unobserved_trials_and_neurons_are_dropped_by_name():
    data = with_nan((2,), (slice(None), slice(None), 1))
    with pytest.warns(UserWarning) as caught:
        recording = wp.Recording(data, trial_id=[10, 11, 12, 13, 14, 15], neuron=["x", "y", "z"], condition=range(6))
    messages = [str(one.message) for one in caught]
    assert any("trials without any observation dropped: 12" in m for m in messages)
    assert any("neurons without any observation dropped: y" in m for m in messages)
    assert recording.shape == (5, 4, 2)
    assert recording.neuron.tolist() == ["x", "z"] and recording.source_trial.tolist() == [0, 1, 3, 4, 5]
    assert recording.conditions == (0, 1, 3, 4, 5)


def test_mostly_missing_warns():
    data = DATA.copy()
    data[:, 1:] = np.nan
    with pytest.warns(UserWarning, match="more than half of the entries are missing"):
        wp.Recording(data)


def test_what_a_mask_hides_is_missing():
    hidden = np.zeros(DATA.shape, bool)
    hidden[1, 2], hidden[4, :, 0] = True, True
    recording = wp.Recording(np.ma.masked_array(DATA, mask=hidden))
    np.testing.assert_array_equal(recording.observed, ~hidden)
    np.testing.assert_array_equal(recording.values[~hidden], DATA[~hidden])


def test_labels_are_kept_beside_their_codes():
    """Conditions as `numpy.unique` sorts them, epochs in the order of appearance, gaps allowed."""
    recording = wp.Recording(
        DATA, condition=[9, 2, 5, 9, 2, 5], epoch=["wash", "wash", "base", "base", "adapt", "wash"]
    )
    assert recording.conditions == (2, 5, 9) and recording.condition.tolist() == [2, 0, 1, 2, 0, 1]
    assert recording.epochs == ("wash", "base", "adapt") and recording.epoch.tolist() == [0, 0, 1, 1, 2, 0]


def test_silent_neurons_are_kept_and_not_scaled():
    data = DATA.copy()
    data[:, :, 2] = 0.1
    with pytest.warns(UserWarning, match=r"silent \(constant\) neurons: 2"):
        recording = wp.Recording(data)
    for how in ("global", "neuron", "centre"):
        done = recording.standardised(how)
        assert np.all(done.values[:, :, 2] == 0) and np.all(np.isfinite(done.values))
    np.testing.assert_allclose(
        recording.standardised("global").scale[0], np.std(DATA[:, :, :2] - DATA.mean((0, 1))[:2])
    )


def test_counts_are_cast_with_a_warning():
    with pytest.warns(UserWarning, match="Smooth counts first"):
        recording = wp.Recording(RNG.poisson(3.0, (4, 3, 2)))
    assert recording.values.dtype == np.float64 and "int64 values cast to real numbers" in recording.describe()
    counts = RNG.poisson(3.0, (4, 3, 2)).astype(np.uint8)
    assert wp.Recording(counts, counts=True).is_counts  # declared, hence no warning
    for wrong, what in ((counts - 9.0, "negative"), (counts + 0.5, "not whole")):
        with pytest.raises(ValueError, match=f"counts must be whole and not negative; .* observed values are {what}"):
            wp.Recording(wrong, counts=True)


def test_repeated_trial_numbers_are_said():
    assert "more than once" in wp.Recording(DATA, trial_id=[1, 1, 2, 3, 4, 5]).describe()


def test_the_order_of_unsorted_trials_is_kept_and_said():
    recording = wp.Recording(DATA, trial_id=[3, 3, 1, 9, 0, 2])
    assert recording.source_trial.tolist() == [4, 2, 5, 0, 1, 3]  # equal numbers stay in the given order
    assert "trials sorted by trial_id; source_trial keeps the given order" in recording.describe()


def test_unknown_standardisation():
    with pytest.raises(ValueError, match='"global", "neuron" or "centre"'):
        wp.Recording(DATA).standardised("zscore")


def test_masks_of_a_standardisation():
    with pytest.raises(ValueError, match=r"mask must be boolean of shape \(6, 4, 3\); got bool of shape \(6,\)"):
        wp.Recording(DATA).standardised(mask=np.ones(6, bool))
    with pytest.raises(ValueError, match="mask holds no observed entry"):
        wp.Recording(DATA).standardised(mask=np.zeros(DATA.shape, bool))


def test_files(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        read_recording(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="is a directory"):
        read_recording(tmp_path)
    (tmp_path / "text.npz").write_text("not numpy")
    with pytest.raises(ValueError, match="cannot be read as plain numpy arrays") as refused:
        read_recording(tmp_path / "text.npz")
    assert "unsafely" not in str(refused.value)
    (tmp_path / "text.txt").write_text("1,2")
    with pytest.raises(ValueError, match=r"ends in '\.txt'; expected \.npz, \.npy, \.nc \(netCDF\), \.nwb, \.mat"):
        read_recording(tmp_path / "text.txt")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(ValueError, match="cannot be read as plain numpy arrays"):
        read_recording(tmp_path / "broken.npz")
    (tmp_path / "broken.nc").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as netCDF"):
        read_recording(tmp_path / "broken.nc")
    np.savez(tmp_path / "objects.npz", a=np.array([{}, {}], dtype=object))
    with pytest.raises(ValueError, match="without objects"):
        read_recording(tmp_path / "objects.npz")
    np.savez(tmp_path / "flat.npz", a=np.zeros((3, 4)), b=np.zeros(3))
    with pytest.raises(ValueError, match=r"no array with three axes; it holds a\(3, 4\), b\(3,\)"):
        read_recording(tmp_path / "flat.npz")
    np.savez(tmp_path / "two.npz", a=DATA, b=DATA)
    with pytest.raises(ValueError, match="several arrays with three axes"):
        read_recording(tmp_path / "two.npz")
    with pytest.raises(ValueError, match="has no array 'c'"):
        read_recording(tmp_path / "two.npz", array="c")
    with pytest.raises(ValueError, match="has no array 'block'"):
        read_recording(tmp_path / "two.npz", array="a", epoch="block")


def test_bins_that_cannot_be_made(tmp_path):
    np.savez(tmp_path / "timed.npz", a=DATA, time=np.arange(4) * 0.05)
    for width in (0.07, 0.02, 1.0, -0.05):
        with pytest.raises(ValueError, match="cannot be made|must be a positive number of seconds"):
            read_recording(tmp_path / "timed.npz", bin=width)
