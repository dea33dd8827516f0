"""Counting, averaging, observing and smoothing in bins, against loops that do it one entry at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weightpath.inference.time_bins import (
    bin_edges,
    counts_between,
    counts_by_trial,
    inside_intervals,
    means_between,
    merged,
    smoothed,
)


def drawn(seed):
    """Spikes of three units (the last silent), and overlapping windows around events of which some stand on edges."""
    rng = np.random.default_rng(seed)
    spikes = [np.sort(rng.integers(0, 400, n) / 16) for n in (120, 7, 0)]  # exact in binary, often on an edge
    events = rng.integers(0, 400, 9) / 16
    return rng, spikes, bin_edges(events, (-0.5, 1.25), 0.25), events


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_counts_are_those_of_a_loop_over_spikes(seed):
    _, spikes, edges, events = drawn(seed)
    counts = counts_between(spikes, edges)
    assert counts.shape == (9, 7, 3)
    for k, event in enumerate(events):
        for i in range(7):
            left = event - 0.5 + 0.25 * i
            for j, times in enumerate(spikes):
                assert counts[k, i, j] == sum(1 for t in times if left <= t < left + 0.25)


def test_counts_with_the_trial_of_each_spike():
    rng = np.random.default_rng(3)
    trial, unit, time = rng.integers(0, 4, 300), rng.integers(0, 3, 300), rng.integers(-16, 32, 300) / 16
    edges = bin_edges(np.array([0.0, 0.5, -0.25, 1.0]), (-0.5, 1.0), 0.5)
    counts = counts_by_trial(time, trial, unit, edges, 3)
    expected = np.zeros((4, 3, 3), int)
    for k, j, t in zip(trial, unit, time, strict=True):
        for i in range(3):
            expected[k, i, j] += edges[k, i] <= t < edges[k, i + 1]
    np.testing.assert_array_equal(counts, expected)


def test_means_are_those_of_a_loop_over_samples():
    rng = np.random.default_rng(4)
    times = np.sort(rng.uniform(0, 10, 60))
    values = rng.normal(size=(60, 2))
    values[rng.random((60, 2)) < 0.2] = np.nan
    edges = bin_edges(np.array([1.0, 1.3, 4.0, 9.5]), (-1.5, 1.0), 0.25)
    means = means_between(times, values, edges)
    for k in range(4):
        for i in range(10):
            inside = values[(times >= edges[k, i]) & (times < edges[k, i + 1])]
            for j in range(2):
                seen = inside[np.isfinite(inside[:, j]), j]
                np.testing.assert_allclose(means[k, i, j], seen.mean() if len(seen) else np.nan, rtol=1e-13)


def test_samples_that_rounding_puts_before_an_edge_count_to_the_bin_it_opens():
    times = 1e4 + np.arange(50) * 0.1
    edges = bin_edges(times[[3, 17, 30]], (0.0, 1.0), 0.1)
    values = np.arange(50.0)[:, None]
    np.testing.assert_array_equal(means_between(times, values, edges)[:, :, 0], np.array([[3], [17], [30]]) + range(10))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_a_bin_is_observed_when_the_union_of_intervals_covers_it(seed):
    rng, _, edges, _ = drawn(seed)
    start = rng.integers(0, 100, 6) / 4
    intervals = np.stack([start, start + rng.integers(0, 12, 6) / 4], axis=1)
    seen = inside_intervals(edges, intervals)
    # On this grid every bin is the union of sixteenths of a second that are wholly inside or outside an interval.
    for k, i in np.ndindex(seen.shape):
        sixteenths = edges[k, i] + (np.arange(4) + 0.5) / 16
        covered = [np.any((intervals[:, 0] <= t) & (t < intervals[:, 1])) for t in sixteenths]
        assert seen[k, i] == all(covered)


def test_intervals_that_rounding_parted_are_one():
    edges = bin_edges(np.array([1000.0]), (0.0, 0.3), 0.1)
    third = 1000.1 + 1e-9
    assert inside_intervals(edges, np.array([[1000.0, 1000.1], [third, 1000.3]])).all()
    assert inside_intervals(edges, np.array([[1000.0, 1000.1], [1000.15, 1000.3]])).tolist() == [[True, False, True]]
    assert not inside_intervals(edges, np.empty((0, 2))).any()
    np.testing.assert_array_equal(merged(np.array([[5.0, 6], [0, 3], [1, 2], [3, 4]])), [[0, 4], [5, 6]])


def test_smoothing_is_a_weighted_mean_of_what_was_observed():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(3, 12, 2))
    values[0, 8:], values[1, 4, 0] = np.nan, np.nan
    result = smoothed(values, 1.5)
    place = np.arange(12)
    weights = np.exp(-0.5 * ((place[:, None] - place) / 1.5) ** 2)
    weights[np.abs(place[:, None] - place) > 6] = 0  # cut at four standard deviations
    for k, j in np.ndindex(3, 2):
        seen = np.isfinite(values[k, :, j])
        expected = weights[:, seen] @ values[k, seen, j] / weights[:, seen].sum(axis=1)
        np.testing.assert_allclose(result[k, :, j], np.where(seen, expected, np.nan), rtol=1e-12)
    filled = np.where(np.isfinite(values), values, 0.0)
    np.testing.assert_allclose(
        smoothed(filled, 1.5)[2], np.einsum("st,tm->sm", weights / weights.sum(1, keepdims=True), filled[2]), rtol=1e-12
    )
    constant = np.where(np.isfinite(values), 3.0, np.nan)
    np.testing.assert_allclose(smoothed(constant, 1.5), constant, rtol=1e-14)


def test_a_window_of_no_whole_number_of_bins_is_refused():
    with pytest.raises(ValueError, match="-0.2 to 0.85 s holds no whole number of bins of 0.1 s; end it at 0.8 s"):
        bin_edges(np.zeros(1), (-0.2, 0.85), 0.1)
    assert bin_edges(np.zeros(1), (-0.3, 0.8), 0.02).shape == (1, 56)
