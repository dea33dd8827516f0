"""A recording keeps what it was given: order of axes, labels, units, and the way back to the original."""

import numpy as np
import pytest
import xarray as xr

import weightpath as wp
from weightpath.inference.problem import arrange
from weightpath.inference.read import read_recording, sample_path
from weightpath.inference.rebin import rebinned

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(6, 4, 3))


def test_axes_come_out_as_trial_time_neuron():
    turned = wp.Recording(DATA.transpose(2, 0, 1), dims=("neuron", "trial", "time"))
    np.testing.assert_array_equal(turned.values, DATA)
    assert turned.shape == (6, 4, 3)


def test_xarray_names_win_and_bring_their_labels():
    array = xr.DataArray(
        DATA.transpose(1, 2, 0),
        dims=("time", "neuron", "trial"),
        coords={"condition": ("trial", list("abcabc")), "time": [0.0, 0.1, 0.2, 0.3], "trial": [6, 5, 4, 3, 2, 1]},
    )
    recording = wp.Recording(array)
    np.testing.assert_array_equal(recording.values, DATA[::-1])
    assert recording.conditions == ("a", "b", "c")
    assert recording.condition.tolist() == [2, 1, 0, 2, 1, 0]
    assert recording.time_unit == "s"


def test_conditions_are_sorted_and_epochs_numbered_by_appearance():
    recording = wp.Recording(DATA, condition=[9, 2, 5, 9, 2, 5], epoch=["late", "late", "BL", "BL", "AD", "AD"])
    assert recording.conditions == (2, 5, 9)
    assert recording.condition.tolist() == [2, 0, 1, 2, 0, 1]
    assert recording.epochs == ("late", "BL", "AD")
    assert recording.epoch.tolist() == [0, 0, 1, 1, 2, 2]
    assert recording.boundaries == (2, 4)


def test_trials_are_sorted_and_everything_follows():
    ids = [30, 10, 20, 60, 50, 40]
    side = np.arange(6) * 10.0
    recording = wp.Recording(DATA, trial_id=ids, condition=list("abcdef"), covariates={"side": side})
    order = np.argsort(ids)
    np.testing.assert_array_equal(recording.values, DATA[order])
    np.testing.assert_array_equal(recording.source_trial, order)
    np.testing.assert_array_equal(recording.covariates["side"], side[order])
    assert [recording.conditions[code] for code in recording.condition] == [list("abcdef")[i] for i in order]


def test_epochs_are_numbered_in_the_order_of_the_session():
    recording = wp.Recording(DATA, trial_id=[6, 5, 4, 3, 2, 1], epoch=["AD"] * 3 + ["BL"] * 3)
    assert recording.epochs == ("BL", "AD")


@pytest.mark.parametrize("how", ["global", "neuron", "centre"])
def test_standardising_is_exact_and_goes_back(how):
    data = DATA * [1.0, 5.0, 0.1] + [0.0, 3.0, -2.0]
    data[0, 1, 2] = np.nan
    raw = wp.Recording(data)
    done = raw.standardised(how)
    np.testing.assert_allclose(np.nanmean(done.values, axis=(0, 1)), 0, atol=1e-14)
    np.testing.assert_allclose(done.restored(done.values), data, rtol=1e-13, atol=1e-13)
    again = done.standardised("neuron")
    np.testing.assert_allclose(again.restored(again.values), data, rtol=1e-13, atol=1e-13)
    if how == "global":
        np.testing.assert_allclose(np.nanstd(done.values), 1.0, rtol=1e-13)
        assert len(np.unique(done.scale)) == 1
    if how == "neuron":
        np.testing.assert_allclose(np.nanstd(done.values, axis=(0, 1)), 1.0, rtol=1e-13)


@pytest.mark.parametrize("how", ["global", "neuron", "centre"])
def test_standardising_by_training_entries_sees_nothing_else(how):
    """Values outside the mask have no say, and within it mean and spread are those of the entries."""
    mask = RNG.random(DATA.shape) < 0.7
    mask[..., 2] = False
    data = DATA * [1.0, 5.0, 0.1] + [0.0, 3.0, -2.0]
    done = wp.Recording(data).standardised(how, mask=mask)
    other = wp.Recording(np.where(mask, data, data**2 + 7.0)).standardised(how, mask=mask)
    np.testing.assert_array_equal(other.values[mask], done.values[mask])
    np.testing.assert_array_equal([other.centre, other.scale], [done.centre, done.scale])
    np.testing.assert_allclose(done.restored(done.values), data, rtol=1e-13)
    for i in range(2):
        chosen = data[..., i][mask[..., i]]
        assert done.centre[i] == pytest.approx(chosen.mean())
        if how == "neuron":
            assert done.scale[i] == pytest.approx(chosen.std())
    assert done.centre[2] == 0
    if how == "global":
        np.testing.assert_allclose(done.values[mask].std(), 1.0)


def test_a_fit_scales_by_its_training_entries():
    """Whatever the recording was standardised by: centre and scale of a fit do not see held-out entries."""
    mask = np.ones(DATA.shape, bool)
    mask[1] = mask[:, 2:, 0] = False
    model = wp.LowTensorRankRNN(1, units=4)
    one = arrange(model, wp.Recording(DATA), mask)
    other = arrange(model, wp.Recording(np.where(mask, DATA, 50.0)), mask)
    np.testing.assert_array_equal([*one.centre, one.scale], [*other.centre, other.scale])
    np.testing.assert_allclose(one.centre, [DATA[..., i][mask[..., i]].mean() for i in range(3)])
    assert one.scale == pytest.approx(np.sqrt(np.mean((DATA - one.centre)[mask] ** 2)))


def test_dataset_round_trip(tmp_path):
    data = DATA.copy()
    data[1, 2, 0] = np.nan
    recording = wp.Recording(
        data,
        time=np.arange(4) * 0.05,
        condition=list("abcabc"),
        epoch=["one"] * 3 + ["two"] * 3,
        trial_id=[1, 2, 4, 8, 16, 32],
        neuron=["x", "y", "z"],
        covariates={"speed": RNG.normal(size=(6, 4))},
    ).standardised()
    path = tmp_path / "recording.nc"
    wp.save(recording, path)
    for back in (wp.Recording.from_dataset(recording.to_dataset()), read_recording(path).recording):
        assert back.digest() == recording.digest()
        assert (back.conditions, back.epochs) == (recording.conditions, recording.epochs)
        np.testing.assert_array_equal(back.covariates["speed"], recording.covariates["speed"])
        np.testing.assert_array_equal(back.neuron, recording.neuron)


def test_object_round_trip(tmp_path):
    recording = wp.Recording(DATA, condition=list("abcabc"))
    wp.save(recording, tmp_path / "recording.npz")
    back = wp.load(tmp_path / "recording.npz")
    assert back.digest() == recording.digest() and back.conditions == recording.conditions


def test_digest_changes_with_the_data_and_the_labels():
    base = wp.Recording(DATA)
    assert base.digest() == wp.Recording(DATA.copy()).digest()
    assert base.digest() != wp.Recording(DATA + 1e-9).digest()
    assert base.digest() != base.with_epoch(["a"] * 3 + ["b"] * 3).digest()


def test_wider_bins_average_what_was_observed():
    data = DATA.copy()
    data[0, 1, 0] = np.nan
    data[1, 2:, 1] = np.nan
    recording = wp.Recording(data, time=np.arange(4) * 0.05, covariates={"speed": DATA[:, :, 0]})
    wide = rebinned(recording, 0.1)
    assert wide.shape == (6, 2, 3)
    np.testing.assert_allclose(wide.time, [0.025, 0.125])
    assert wide.values[0, 0, 0] == data[0, 0, 0]
    assert np.isnan(wide.values[1, 1, 1])
    np.testing.assert_allclose(wide.values[2, 0], data[2, :2].mean(0))
    np.testing.assert_allclose(wide.covariates["speed"], DATA[:, :, 0].reshape(6, 2, 2).mean(2))


def test_the_shipped_session_is_recognised():
    reading = read_recording(sample_path())
    recording = reading.recording
    assert reading.layout == "bci"
    assert recording.shape == (794, 20, 10)
    assert recording.epochs == ("baseline", "perturbation") and recording.boundaries == (194,)
    assert len(recording.conditions) == 8
    assert recording.observed.sum() == 13406 * 10
    assert "794 trials x 20 time bins x 10 neurons" in "\n".join(reading.understood)


def test_progress_follows_from_the_latents():
    """v = M0 + M2 z and progress = v . unit(target - cursor): the exact relations of the recording."""
    reading = read_recording(sample_path())
    recording, extras = reading.recording, reading.extras
    direction = recording.covariates["target_pos"][:, None] - recording.covariates["cursor_pos"]
    direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    for mapping, name in (("int", "intuitive"), ("wmp", "perturbed")):
        velocity = recording.values @ extras[f"latent_decoder_{mapping}_M2"].T + extras[f"latent_decoder_{mapping}_M0"]
        error = np.abs((velocity * direction).sum(-1) - recording.covariates[f"progress_{name}"])
        assert np.isfinite(error).sum() == 13406
        assert np.nanmax(error) < 6e-5


def test_the_shipped_session_is_the_original(shared_data):
    path = shared_data / "bci_learning_hennig2021" / "analysis_20160728.npz"
    assert read_recording(sample_path()).recording.digest() == read_recording(path).recording.digest()
    with np.load(path) as original, np.load(sample_path()) as shipped:
        for name in shipped.files:
            np.testing.assert_array_equal(shipped[name], original[name])
            assert shipped[name].shape == original[name].shape
    assert sample_path().stat().st_size < 1_000_000


def test_other_files_are_read_by_name(tmp_path):
    labels = {"target": np.array(list("abcabc")), "period": np.array([0, 0, 0, 1, 1, 1])}
    np.savez(tmp_path / "own.npz", rates=DATA.transpose(0, 2, 1), other=DATA[:3], **labels)
    reading = read_recording(
        tmp_path / "own.npz", array="rates", dims=("trial", "neuron", "time"), epoch="period", bin=0.02
    )
    np.testing.assert_array_equal(reading.recording.values, DATA)
    assert reading.recording.conditions == ("a", "b", "c") and reading.recording.epochs == (0, 1)
    np.testing.assert_allclose(reading.recording.time, np.arange(4) * 0.02)
    assert "condition from 'target'" in reading.understood[0]
    np.save(tmp_path / "plain.npy", DATA)
    np.testing.assert_array_equal(read_recording(tmp_path / "plain.npy").recording.values, DATA)
