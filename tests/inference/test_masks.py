"""Held-out entries: stated fractions, disjoint parts, guards, and the words of refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weightpath as wp
from weightpath.inference.held_out import user_mask
from weightpath.inference.masks import (
    SCHEMES,
    WHOLE_TRIALS,
    block_entries,
    blocks,
    future_bins,
    held_out_units,
    scheme_names,
    trial_runs,
)


@pytest.fixture(scope="module")
def recording():
    data = np.random.default_rng(0).normal(size=(60, 20, 5))
    data[3, 15:] = np.nan
    return wp.Recording(data, condition=np.arange(60) % 4, epoch=np.arange(60) // 30)


def test_fractions_of_the_reference_case():
    """Case R6: (60, 40, 40), outer (3, 3, 0), inner (1, 1, 0), f = .15."""
    for seed in range(3):
        train, test = block_entries((60, 40, 40), seed=seed, outer=(3, 3, 0), inner=(1, 1, 0), fraction=0.15)
        assert train.mean() == pytest.approx(0.468, abs=0.01)
        assert test.mean() == pytest.approx(0.137, abs=0.01)
        assert not np.any(train & test)


def test_fractions_of_the_wide_example():
    shares = [
        [part.mean() for part in block_entries((250, 21, 200), seed=s, outer=(5, 5, 1), inner=(2, 2, 1), fraction=0.2)]
        for s in range(2)
    ]
    np.testing.assert_allclose(np.mean(shares, axis=0), [0.441, 0.171], atol=0.01)


@given(
    st.tuples(st.integers(4, 12), st.integers(4, 12), st.integers(2, 5)),
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)),
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)),
    st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_a_guard_surrounds_every_test_entry(shape, inner, guard, exact):
    outer = tuple(i + g for i, g in zip(inner, guard, strict=True))
    train, test = block_entries(shape, seed=3, outer=outer, inner=inner, fraction=0.1, exact=exact)
    assert not np.any(train & test)
    tested, trained = np.argwhere(test), np.argwhere(train)
    if len(tested) and len(trained):
        apart = np.abs(tested[:, None] - trained[None]) > np.array(guard)
        assert apart.any(-1).all()


def test_all_neurons_can_be_held_out():
    train, test = block_entries((40, 30, 6), seed=0, outer=(3, 3, 6), inner=(1, 1, 6), fraction=0.1)
    assert np.array_equal(test, np.broadcast_to(test[:, :, :1], test.shape))
    assert 0.07 < test.mean() <= 0.1


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.filterwarnings("ignore:only .* of the observed")
def test_every_scheme_splits_observed_entries(recording, name):
    mask = SCHEMES[name](recording)
    assert not np.any(mask.train & mask.test)
    assert not np.any((mask.train | mask.test) & ~recording.observed)
    assert mask.test_share == pytest.approx(mask.test.sum() / recording.observed.sum())
    assert mask.whole_trials == (name in WHOLE_TRIALS)
    again = SCHEMES[name](recording, seed=0)
    assert np.array_equal(mask.train, again.train) and np.array_equal(mask.test, again.test)


def test_runs_hold_out_a_quarter(recording):
    mask = trial_runs(recording, length=5)
    held = mask.test.any((1, 2)).reshape(-1, 5)
    assert np.all(held.all(1) | ~held.any(1)) and held.all(1).sum() == 3


def test_bin_blocks_hold_out_five_bins_of_even_trials(recording):
    mask = SCHEMES["bin_blocks"](recording)
    whole = [k for k in range(0, 60, 2)]
    assert all(mask.test[k, :, 0].sum() == 5 for k in whole)
    assert not mask.test[1::2].any()
    assert np.array_equal(mask.test, np.broadcast_to(mask.test[:, :, :1], mask.test.shape))
    np.testing.assert_array_equal(mask.train[1::2], recording.observed[1::2])


def test_blocks_warn_when_little_is_left(recording):
    with pytest.warns(UserWarning, match=r"only 4\d\.\d% of the observed entries are left to train on and 1\d\.\d%"):
        blocks(recording)


def test_shares_add_up_and_thin_masks_say_so(recording):
    mask = SCHEMES["bin_blocks"](recording)
    shell = recording.observed & ~mask.train & ~mask.test
    assert mask.shell_share == pytest.approx(shell.sum() / recording.observed.sum()) and mask.shell_share > 0
    assert not mask.thin and SCHEMES["units"](recording).shell_share == pytest.approx(0, abs=1e-12)
    few = np.zeros(recording.shape, bool)
    few[:20] = True
    with pytest.warns(UserWarning, match=r"only 3\d\.\d% .* to train on and 6.*scheme 'mine'"):
        assert user_mask(recording, few, ~few, name="mine").thin
    # Every second of an odd number of trials is half of them, whichever half is the larger.
    odd = wp.Recording(np.random.default_rng(0).normal(size=(41, 4, 2)))
    assert not SCHEMES["odd"](odd).thin and not SCHEMES["even"](odd).thin


def test_held_out_units_see_the_others(recording):
    """On test trials no bin of a held-out neuron trains, every bin of the others does; they train on other trials."""
    data = recording.values.copy()
    data[:, :, 2] = np.where(np.isfinite(data[:, :, 2]), 1.0, np.nan)
    with pytest.warns(UserWarning, match="silent"):
        partly = wp.Recording(data)
    chosen = set()
    for seed in range(8):
        mask = held_out_units(partly, seed=seed, share=0.4)
        held = mask.test.any((0, 1))
        assert held.sum() == 2 and not held[2]
        chosen |= set(np.flatnonzero(held).tolist())
        np.testing.assert_array_equal(mask.test[::2], partly.observed[::2] & held)
        np.testing.assert_array_equal(mask.train[::2], partly.observed[::2] & ~held)
        np.testing.assert_array_equal(mask.train[1::2], partly.observed[1::2])
        assert not mask.whole_trials and mask.test_share == pytest.approx(0.2, abs=0.01)
    assert len(chosen) > 2


def test_future_bins_are_the_last_ones(recording):
    mask = future_bins(recording, share=0.3)
    late = np.arange(20) >= 14
    np.testing.assert_array_equal(mask.test[::2], recording.observed[::2] & late[:, None])
    np.testing.assert_array_equal(mask.train, recording.observed & ~mask.test)
    assert not mask.test[1::2].any() and not mask.whole_trials


def test_refusals_of_units_and_bins(recording):
    with pytest.raises(ValueError, match="two neurons that vary; the recording has 1"):
        held_out_units(wp.Recording(recording.values[:, :, :1]))
    with pytest.raises(ValueError, match="two bins or more"):
        future_bins(wp.Recording(recording.values[:, :1]))
    for scheme in (held_out_units, future_bins):
        with pytest.raises(ValueError, match=r"share must lie between 0 and 1; got 1\.0"):
            scheme(recording, share=1.0)


def test_refusals(recording):
    size = dict(seed=0, fraction=0.1)
    with pytest.raises(ValueError, match="must lie between 0 and the outer ones"):
        block_entries((5, 5, 5), outer=(1, 1, 0), inner=(2, 1, 0), **size)
    with pytest.raises(ValueError, match="fraction must lie between 0 and 1"):
        block_entries((5, 5, 5), outer=(1, 1, 0), inner=(1, 1, 0), seed=0, fraction=1.5)
    both = np.ones(recording.shape, bool)
    with pytest.raises(ValueError, match="in both the training and the test mask"):
        user_mask(recording, both, both)
    with pytest.raises(ValueError, match="must be boolean"):
        user_mask(recording, both[:5], ~both)
    with pytest.raises(ValueError, match="leaves no observed entry to test on"):
        user_mask(recording, both, ~both)
    with pytest.raises(ValueError, match="unknown scheme 'halves'"):
        scheme_names(("trials", "halves"))
    with pytest.raises(ValueError, match="runs of 60 trials need more"):
        trial_runs(recording, length=60)


def test_trials_mean_two_splits():
    assert scheme_names(("trials", "blocks", "even")) == ("even", "runs", "blocks")
