"""Measures of recovery against dense loops written a second time, their limits, and what they must not depend on."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm

import weightpath as wp
from weightpath.inference.recovered import flows, matched_factors, principal_angles, recovery
from weightpath.networks.factored import FactoredRNN

TRIALS, BINS, NEURONS, CONDITIONS = 14, 9, 7, 3


def planted(**options):
    return wp.simulate_recording(
        rank=2, noise=0.1, trials=TRIALS, bins=BINS, neurons=NEURONS, conditions=CONDITIONS, seed=3, **options
    )


def fit_of(recording, truth, *, a, b, c, z=None, w_out=None, inputs=None, changes="trial"):
    """A fit with the given arrays and nothing optimised."""
    identity = w_out is None
    start = truth.start @ truth.a.T @ np.linalg.pinv(a.T) if z is None else z[:, 0]
    z = truth.z @ truth.a.T @ np.linalg.pinv(a.T) if z is None else z
    model = wp.LowTensorRankRNN(
        rank=a.shape[1], units=None if identity else len(a), decoder="identity" if identity else "linear",
        inputs="none" if inputs is None else "free", changes=changes, time_constant=10.0,
    )  # fmt: skip
    neurons = recording.shape[2]
    network = FactoredRNN(
        jnp.asarray(a), jnp.asarray(b), jnp.asarray(c), jnp.asarray(start),
        jnp.eye(neurons) if identity else jnp.asarray(w_out), jnp.zeros(neurons), jnp.asarray(10.0),
        core=c.ndim == 3,
    )  # fmt: skip
    mask = np.ones(recording.shape, bool)
    mask[:, ::3, ::2] = False
    level = np.zeros((TRIALS, a.shape[1]))
    return wp.Fit(
        model=model, recording=recording, mask=mask, network=network, inputs=inputs, offset=None, level=level,
        c_smooth=level, c_sd=level, z=z, history={"loss": np.ones(1), "r2": np.ones(1)}, prior_weight=1.0, n_eff=1.0,
        result=wp.RESULTS.successful, reason="", notes=(), settings={},
    )  # fmt: skip


@pytest.fixture(scope="module")
def case():
    return planted()


def wrong_by(truth, size, seed=0):
    rng = np.random.default_rng(seed)
    arrays = {name: getattr(truth, name) + size * rng.normal(size=getattr(truth, name).shape) for name in "abc"}
    for name in "ab":
        arrays[name] /= np.linalg.norm(arrays[name], axis=0)
    return arrays


@pytest.mark.parametrize("core", [False, True])
def test_flow_and_weights_by_dense_loops(case, core):
    recording, truth = case
    arrays = wrong_by(truth, 0.1)
    mixing = arrays["c"][:, :, None] * np.eye(2) + 0.1 * core
    fit = fit_of(recording, truth, **arrays | {"c": mixing if core else arrays["c"]},
                 changes="per_trial" if core else "trial")  # fmt: skip
    found = recovery(fit, truth)
    weights = [arrays["a"] @ mixing[k] @ arrays["b"].T for k in range(TRIALS)]
    pairs, full, error, total = [], [], 0.0, 0.0
    for k in range(TRIALS):
        x = truth.a @ truth.z[k].T
        second = np.tanh(x) @ np.tanh(x).T / BINS
        root = np.real(sqrtm(second))
        error += np.linalg.norm((weights[k] - truth.weights(k)) @ root) ** 2
        total += np.linalg.norm(truth.weights(k) @ root) ** 2
        for t in range(BINS):
            one = [w @ np.tanh(x[:, t]) for w in (truth.weights(k), weights[k])]
            pairs.append(one)
            full.append([part - x[:, t] for part in one])
    for values, got in ((pairs, found.flow_recurrent), (full, found.flow_full)):
        true, estimate = np.array(values).transpose(1, 0, 2)
        expected = 1 - np.sum((true - estimate) ** 2) / np.sum((true - true.mean(axis=0)) ** 2)
        assert got == pytest.approx(expected, rel=1e-10)
    # The square root of a singular matrix is known to half the digits only.
    assert found.weight_error == pytest.approx(np.sqrt(error / total), rel=1e-5)
    if core:
        assert np.isnan(found.canonical_error) and np.isnan(found.correlations).all()


def test_scores_and_canonical_weights_by_loops(case):
    recording, truth = case
    fit = fit_of(recording, truth, **wrong_by(truth, 0.05))
    found = recovery(fit, truth)
    test, prediction = ~fit.mask, fit.predict()
    for got, estimate in ((found.ceiling, truth.clean), (found.test, prediction)):
        pairs = [(recording.values[i], estimate[i]) for i in zip(*np.nonzero(test), strict=True)]
        y, yhat = np.array(pairs).T
        assert got == pytest.approx(1 - np.sum((y - yhat) ** 2) / np.sum((y - y.mean()) ** 2), rel=1e-12)
    residual = prediction - truth.clean
    assert found.denoised == pytest.approx(1 - residual.var() / truth.clean.var() - residual.mean() ** 2
                                           / truth.clean.var(), rel=1e-9)  # fmt: skip
    # Canonical weights: b is replaced by its part in the directions of 99% of the energy of the rates.
    dense = []
    for rate, b in ((np.tanh(truth.z @ truth.a.T), truth.b), (np.tanh(fit.z @ fit.a.T), fit.b)):
        _, values, vectors = np.linalg.svd(rate.reshape(-1, NEURONS), full_matrices=False)
        count = next(n for n in range(1, NEURONS + 1) if np.sum(values[:n] ** 2) >= 0.99 * np.sum(values**2))
        dense.append(vectors[:count].T @ vectors[:count] @ b)
    true = np.array([truth.a @ np.diag(truth.c[k]) @ dense[0].T for k in range(TRIALS)])
    ours = np.array([fit.a @ np.diag(fit.c[k]) @ dense[1].T for k in range(TRIALS)])
    assert found.canonical_error == pytest.approx(np.linalg.norm(ours - true) / np.linalg.norm(true), rel=1e-9)
    assert set(found.describe()) > {"ceiling", "angles", "correlations"}


def test_the_truth_is_recovered_perfectly_whatever_its_signs_and_order(case):
    recording, truth = case
    turned = dict(a=-truth.a[:, ::-1], b=truth.b[:, ::-1] * [-1, 1], c=truth.c[:, ::-1] * [1, -1])
    found = recovery(fit_of(recording, truth, **turned), truth)
    assert min(found.flow_recurrent, found.flow_full, found.denoised) > 1 - 1e-12
    assert found.weight_error < 1e-12 and found.canonical_error < 1e-12
    assert found.angles.max() < 1e-5 and found.matched == (1, 0)
    np.testing.assert_allclose(found.correlations, 1, rtol=1e-12)
    assert found.test == found.ceiling


def test_parts_of_b_that_no_rate_reaches_do_not_count(case):
    recording, truth = case
    rates = truth.rate.reshape(-1, NEURONS)
    values, vectors = np.linalg.eigh(rates.T @ rates)
    hidden = vectors[:, :1]
    fit = fit_of(recording, truth, a=truth.a, b=truth.b + 3 * hidden, c=truth.c)
    assert values[0] < 1e-4 * values[-1]
    assert np.linalg.norm(fit.weights(0) - truth.weights(0)) > np.linalg.norm(truth.weights(0))
    assert recovery(fit, truth).weight_error < 0.1


def test_learnt_decoders_are_compared_up_to_the_order_of_units():
    """Units in another order with other signs, and the factors of another basis of the same states."""
    recording, truth = planted(units=6)
    rng = np.random.default_rng(1)
    order, sign = rng.permutation(6), rng.choice([-1.0, 1.0], 6)
    arrays = dict(a=(sign[:, None] * truth.a[order]), b=(sign[:, None] * truth.b[order]), c=truth.c)
    fit = fit_of(recording, truth, **arrays, z=truth.z, w_out=truth.w_out[:, order] * sign)
    found = recovery(fit, truth)
    assert min(found.flow_recurrent, found.flow_full, found.denoised) > 1 - 1e-12
    assert found.angles.max() < 1e-5 and found.weight_error < 1e-12 and np.isnan(found.canonical_error)


def test_learnt_decoder_by_dense_loops():
    recording, truth = planted(units=6)
    rng = np.random.default_rng(2)
    a, b = (one / np.linalg.norm(one, axis=0) for one in rng.normal(size=(2, 8, 3)))
    z, c = rng.normal(size=(TRIALS, BINS, 3)), 1 + 0.1 * rng.normal(size=(TRIALS, 3))
    inputs = rng.normal(size=(1, CONDITIONS, BINS, 3))
    fit = fit_of(recording, truth, a=a, b=b, c=c, z=z, w_out=rng.normal(size=(NEURONS, 8)), inputs=inputs)
    stacked, true_states = z.reshape(-1, 3), truth.z.reshape(-1, 2)
    forth = np.linalg.solve(true_states.T @ true_states, true_states.T @ stacked).T  # (3, 2)
    back = np.linalg.inv(forth.T @ forth) @ forth.T
    (true, found), (true_full, found_full) = flows(fit, truth)
    for k in range(TRIALS):
        for t in range(BINS):
            state = forth @ truth.z[k, t]
            read = np.diag(c[k]) @ b.T @ np.tanh(a @ state)
            np.testing.assert_allclose(found[k, t], back @ read, atol=1e-12)
            full = back @ (read - state + inputs[0, recording.condition[k], t])
            np.testing.assert_allclose(found_full[k, t], full, atol=1e-12)
            own = np.diag(truth.c[k]) @ truth.b.T @ np.tanh(truth.a @ truth.z[k, t])
            np.testing.assert_allclose(true[k, t], own, atol=1e-12)
            np.testing.assert_allclose(true_full[k, t], own - truth.z[k, t], atol=1e-12)
    q = np.linalg.qr(truth.w_out @ truth.a)[0], np.linalg.qr(np.asarray(fit.network.w_out) @ a)[0]
    expected = np.degrees(np.arccos(np.linalg.svd(q[0].T @ q[1], compute_uv=False)))
    np.testing.assert_allclose(recovery(fit, truth).angles, expected, rtol=1e-8)


def test_matching_by_every_assignment():
    from itertools import permutations

    rng = np.random.default_rng(3)
    true, found = 1 + rng.normal(size=(30, 3)), 1 + rng.normal(size=(30, 4))
    best = max(
        permutations(range(4), 3),
        key=lambda places: sum(np.corrcoef(true[:, i], found[:, j])[0, 1] for i, j in enumerate(places)),
    )
    correlations, matched = matched_factors(true, found)
    assert matched == best
    expected = [np.corrcoef(true[:, i], found[:, j])[0, 1] for i, j in enumerate(best)]
    np.testing.assert_allclose(correlations, expected, rtol=1e-12)
    # Courses that mirror one another are told apart, whatever signs the fit gave them.
    mirrored = np.stack([np.sin(np.arange(30)), -np.sin(np.arange(30))], axis=1) + 2
    assert matched_factors(mirrored, mirrored[:, ::-1] * [-1, 1])[1] == (1, 0)
    constant, _ = matched_factors(np.ones((30, 2)), found)
    assert np.isnan(constant).all()


def test_principal_angles_of_known_planes():
    tilt = np.radians(20)
    first = np.eye(4)[:, :2]
    second = np.array([[1, 0], [0, np.cos(tilt)], [0, np.sin(tilt)], [0, 0]])
    np.testing.assert_allclose(principal_angles(first, second), [0, 20], atol=1e-6)


def test_scaled_recordings_are_compared_in_their_own_units(case):
    recording, truth = case
    scaled = recording.standardised("global")
    fit = fit_of(scaled, truth, **wrong_by(truth, 0.0))
    test = ~fit.mask
    residual = ((recording.values - truth.clean) / scaled.scale)[test]
    expected = 1 - np.sum(residual**2) / (scaled.values[test].var() * residual.size)
    assert recovery(fit, truth).ceiling == pytest.approx(expected, rel=1e-9)


def test_the_truth_of_another_recording_is_refused(case):
    recording, truth = case
    with pytest.raises(ValueError, match=r"\(14, 9, 6\).*\(14, 9, 7\)"):
        recovery(fit_of(recording, truth, **wrong_by(truth, 0.0)), replace(truth, clean=truth.clean[:, :, 1:]))
