"""Simulated recordings with known weights of low tensor rank, and measures of recovery written a second time."""

from dataclasses import dataclass

import numpy as np

from weightpath.inference.simulate import simulate_recording, states

simulate = states


@dataclass(frozen=True)
class Truth:
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    condition: np.ndarray
    start: np.ndarray
    clean: np.ndarray
    data: np.ndarray
    states: np.ndarray

    def weights(self, k):
        return (self.a * self.c[k]) @ self.b.T


def generate(rank, noise, seed, trials=60, units=40, bins=40, conditions=4):
    """The generator of the package."""
    size = dict(trials=trials, neurons=units, bins=bins, conditions=conditions)
    recording, truth = simulate_recording(rank=rank, noise=noise, seed=seed, **size)
    return Truth(
        truth.a, truth.b, truth.c, truth.condition, truth.start, truth.clean, recording.values, truth.z
    )  # fmt: skip


def block_mask(shape, seed, outer=(3, 3, 0), inner=(1, 1, 0), share=0.15):
    """Training and test masks (trial, time, neuron) of blocks; centres drawn uniformly without replacement."""
    trials, bins, units = shape
    rng = np.random.default_rng(seed)
    count = int(np.floor(share * trials * bins * units / np.prod(2 * np.array(inner) + 1)))
    centres = np.unravel_index(rng.choice(bins * trials * units, count, replace=False), (bins, trials, units))
    t, k, n = centres
    train, test = np.ones(shape, bool), np.zeros(shape, bool)
    for tt, kk, nn in zip(t, k, n, strict=True):
        train[_around(kk, outer[0]), _around(tt, outer[1]), _around(nn, outer[2])] = False
        test[_around(kk, inner[0]), _around(tt, inner[1]), _around(nn, inner[2])] = True
    return train, test


def _around(centre, half):
    return slice(max(centre - half, 0), centre + half + 1)


def r_squared(truth, estimate, mask=slice(None)):
    truth, estimate = truth[mask], estimate[mask]
    return 1 - np.sum((truth - estimate) ** 2) / np.sum((truth - truth.mean()) ** 2)


def principal_angles(a, b):
    qa, qb = np.linalg.qr(a)[0], np.linalg.qr(b)[0]
    return np.degrees(np.arccos(np.clip(np.linalg.svd(qa.T @ qb, compute_uv=False), -1, 1)))


def flow_fields(truth, fit):
    """Recurrent and full flow of truth and fit at the true visited states, (trial, time, unit) each."""
    x, rate = truth.states @ truth.a.T, truth.clean
    pairs = []
    for w in (truth.weights, fit.weights):
        pairs.append(np.stack([rate[k] @ np.asarray(w(k), np.float64).T for k in range(len(rate))]))
    return pairs, x


def flow_r_squared(truth, fit):
    """R^2, centred per unit over all visited states, of the recurrent part and of the full flow."""
    (true, found), x = flow_fields(truth, fit)
    return _centred(true, found), _centred(true - x, found - x)


def _centred(truth, estimate):
    centre = truth.reshape(-1, truth.shape[-1]).mean(axis=0)
    return 1 - np.sum((truth - estimate) ** 2) / np.sum((truth - centre) ** 2)


def weight_error(truth, weights):
    """E_Sigma: relative error of the weights, weighted by the second moment of the rates of each trial."""
    true = np.stack([truth.clean[k] @ truth.weights(k).T for k in range(len(truth.c))])
    found = np.stack([truth.clean[k] @ np.asarray(weights(k), np.float64).T for k in range(len(truth.c))])
    return np.sqrt(np.sum((true - found) ** 2) / np.sum(true**2))


def matched_correlations(truth, c):
    """Absolute correlation of each true trial factor with the best matching fitted one, each used once."""
    from scipy.optimize import linear_sum_assignment

    rank = truth.c.shape[1]
    table = np.abs(np.corrcoef(truth.c.T, c.T)[:rank, rank:])
    rows, columns = linear_sum_assignment(-table)
    return table[rows, columns]
