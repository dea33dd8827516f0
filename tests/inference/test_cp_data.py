"""CP of the data with missing entries: exact recovery, stationarity, the cells of held-out trials."""

import numpy as np
import pytest
from scipy.optimize import least_squares

import weightpath as wp
from weightpath.inference.baselines import BASELINES, baseline_names, data_tensor
from weightpath.inference.cp_data import cell_means, decompose
from weightpath.inference.masks import SCHEMES
from weightpath.inference.paired import r_squared


def tensor(rng, shape, rank):
    factors = [rng.normal(size=(length, rank)) for length in shape]
    return np.einsum("kr,tr,nr->ktn", *factors), factors


def test_a_low_rank_tensor_is_recovered_from_part_of_its_entries():
    rng = np.random.default_rng(0)
    values, factors = tensor(rng, (30, 12, 8), 2)
    seen = rng.random(values.shape) < 0.6
    found = decompose(values, seen, 2, sweeps=1000, ridge=1e-14)
    assert np.abs(found.values() - values)[~seen].max() < 0.02 * np.abs(values).max()
    assert np.all(np.diff(found.errors) <= 1e-10 * found.errors[0])
    # Uniqueness of CP: the trial factors are the true ones up to order and scale.
    unit = [one / np.linalg.norm(one, axis=0) for one in (factors[0], found.trial)]
    assert np.sort(np.abs(unit[0].T @ unit[1]).max(0))[0] > 0.999


def test_no_descent_is_left():
    """A general least-squares program that starts where the sweeps end does not find less error."""
    rng = np.random.default_rng(1)
    values = tensor(rng, (8, 5, 4), 2)[0] + 0.3 * rng.normal(size=(8, 5, 4))
    seen = rng.random(values.shape) < 0.8
    found = decompose(values, seen, 2, sweeps=3000, ridge=0.0)
    sizes = np.cumsum([2 * length for length in values.shape])[:-1]

    def residual(flat):
        parts = [part.reshape(-1, 2) for part in np.split(flat, sizes)]
        return (np.einsum("kr,tr,nr->ktn", *parts) - values)[seen]

    start = np.concatenate([one.ravel() for one in (found.trial, found.time, found.neuron)])
    better = least_squares(residual, start)
    assert 2 * better.cost == pytest.approx(found.errors[-1], rel=2e-3)


def test_means_of_cells_and_what_stands_in_for_them():
    factor = np.random.default_rng(2).normal(size=(12, 3))
    condition, epoch = np.arange(12) % 2, np.arange(12) // 6
    seen = np.ones(12, bool)
    seen[[0, 7]] = False
    cells = (condition * 2 + epoch, condition)
    mean = cell_means(cells, seen, factor)
    np.testing.assert_allclose(mean[0], factor[[2, 4]].mean(0))
    np.testing.assert_allclose(mean[7], factor[[9, 11]].mean(0))
    np.testing.assert_allclose(mean[9], mean[7])
    seen[[6, 8, 10]] = False
    np.testing.assert_allclose(cell_means(cells, seen, factor)[6], factor[[2, 4]].mean(0))
    seen[condition == 0] = False
    np.testing.assert_allclose(cell_means(cells, seen, factor)[6], factor[seen].mean(0))


def test_factors_of_thinly_seen_trials_are_drawn_to_their_cell():
    """One entry v u + noise n seen per trial: the factor is the normal posterior mean, of slope v / (v^2 + n^2)."""
    rng = np.random.default_rng(4)
    spread, noise, trials = 1.0, 0.5, 2000
    factor = 3.0 + spread * rng.normal(size=trials)
    values = factor[:, None, None] * np.ones((1, 6, 1)) / np.sqrt(6) + noise * rng.normal(size=(trials, 6, 1))
    seen = np.ones(values.shape, bool)
    seen[: trials // 2, 1:] = False
    found = decompose(values, seen, 1, cells=(np.zeros(trials, int),))
    sign = np.sign(found.time[0, 0] * found.neuron[0, 0])
    half = found.trial[: trials // 2, 0] * sign
    slope = np.polyfit(values[: trials // 2, 0, 0], half, 1)[0]
    pull = (1 / np.sqrt(6)) / (1 / 6 + noise**2 / spread**2)
    assert slope == pytest.approx(pull, rel=0.1)
    assert half.mean() == pytest.approx(3.0, rel=0.03)


def test_baseline_on_held_out_entries():
    """Trials whose factors depend on condition and epoch alone are predicted; test entries are not looked at."""
    rng = np.random.default_rng(3)
    condition, epoch = np.arange(60) % 3, np.arange(60) // 30
    trial = rng.normal(size=(2, 3, 2))[epoch, condition]
    clean = np.einsum("kr,tr,nr->ktn", trial, rng.normal(size=(7, 2)), rng.normal(size=(6, 2))) + rng.normal(size=6)
    recording = wp.Recording(clean + 0.01 * rng.normal(size=clean.shape), condition=condition, epoch=epoch)
    for scheme in ("even", "units", "future"):
        mask = SCHEMES[scheme](recording)
        found = data_tensor(recording, mask.train, 3)
        assert r_squared(clean, found.prediction, mask.test) > 0.98
        changed = recording._with(values=np.where(mask.test, np.nan, recording.values))
        np.testing.assert_array_equal(found.prediction, data_tensor(changed, mask.train, 3).prediction)


def test_names():
    assert baseline_names(True) == tuple(BASELINES) and baseline_names(False) == ()
    assert baseline_names("cp") == ("cp",) and baseline_names(["cp", "lds", "cp"]) == ("cp", "lds")
    with pytest.raises(ValueError, match="unknown baseline 'pca'; expected some of: lds, smoother . lds, cp, or True"):
        baseline_names("pca")
