"""Counts: likelihoods against SciPy's, finite gradients at zero counts, recovery of planted rates, scores in bits."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from generator import generate
from scipy import stats

import weightpath as wp
from weightpath.inference.bits import FLOOR
from weightpath.inference.counts import count_terms, mean_counts, starting_dispersion
from weightpath.inference.keep import load_fit
from weightpath.inference.observe import constant_terms, inverse_softplus, loss_terms, softplus, softplus_and_log
from weightpath.inference.plain import tuned_smoother
from weightpath.inference.prior import count_weight, residual_sums
from weightpath.networks.base import rollout
from weightpath.networks.kernels import RationalQuadratic
from weightpath.networks.low_tensor_rank import SmoothOffset

TRIALS, BINS, NEURONS = 24, 16, 12
SHORT = RationalQuadratic(length=8.0, sd=0.5, noise_sd=0.02)


def planted(dispersion=0.0, silent=False):
    """Counts about rates that come from a network whose weights move over trials."""
    truth = generate(2, 0.0, 0, trials=TRIALS, units=NEURONS, bins=BINS, conditions=2)
    mean = softplus(5 + 5 * truth.clean / truth.clean.std(axis=(0, 1)))
    rng = np.random.default_rng(0)
    varying = mean * rng.gamma(1 / dispersion, dispersion, mean.shape) if dispersion else mean
    counts = rng.poisson(varying).astype(float)
    if silent:
        counts[:, :, 2] = 0
    return wp.Recording(counts, condition=truth.condition), mean


def fitted(likelihood, recording, iterations=400, **settings):
    settings = dict(rank=2, units=12, kernel=SHORT, time_constant=10.0, likelihood=likelihood) | settings
    model = wp.LowTensorRankRNN(**settings)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(model, recording, iterations=iterations, dtype="float64")


@pytest.fixture(scope="module")
def poisson():
    recording, mean = planted()
    return fitted("poisson", recording, inputs="none", decoder="orthogonal"), mean


def random_counts():
    rng = np.random.default_rng(1)
    counts = rng.negative_binomial(2, 0.3, (5, 4, 3)).astype(float)
    mask = rng.random(counts.shape) < 0.8
    y, centre, scale = rng.normal(0, 2, counts.shape), rng.normal(size=3), 0.7
    return counts, mask, y, centre, scale


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_loss_is_the_mean_negative_log_probability(likelihood):
    """Summed over bins as the program does, against scipy.stats entry by entry."""
    counts, mask, y, centre, scale = random_counts()
    alpha = np.array([0.2, 1.0, 3.0])
    mean = softplus(centre + scale * y)
    expected = stats.poisson.logpmf(counts, mean)
    if likelihood == "negative_binomial":
        expected = stats.nbinom.logpmf(counts, 1 / alpha, 1 / (1 + alpha * mean))
    spread = likelihood == "negative_binomial"
    terms = count_terms(counts, mask, centre, scale, spread, np.dtype("float64"))
    dispersion = jnp.log(alpha) if spread else None
    kept = np.where(mask, counts, 0.0)
    sums = [
        loss_terms(*(jnp.asarray(one[:, t].T, float) for one in (y, kept, mask)), terms, dispersion)
        for t in range(counts.shape[1])
    ]
    squares, likely = (sum(float(one[i]) for one in sums) for i in (0, 1))
    found = likely / mask.sum() + float(constant_terms(terms, dispersion))
    np.testing.assert_allclose(found, -expected[mask].mean(), rtol=1e-12)
    np.testing.assert_allclose(squares, np.sum((counts - mean)[mask] ** 2), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])  # float32 is harder
@pytest.mark.parametrize("dispersion", [None, -20.0, 0.0, 5.0])
def test_gradient_is_finite_with_zero_counts_and_extreme_read_outs(dtype, dispersion):
    y = jnp.asarray([[-500.0, -90.0, -31.0, -29.0, 0.0, 40.0, 500.0]], dtype)
    counts, mask = jnp.zeros_like(y), jnp.ones_like(y)
    terms = count_terms(np.zeros((7, 1, 1)), np.ones((7, 1, 1), bool), np.zeros(1), 1.0, True, np.dtype(dtype))
    alpha = None if dispersion is None else jnp.asarray([dispersion], dtype)
    loss = lambda y, alpha: loss_terms(y, counts, mask, terms, alpha)[1]  # noqa: E731
    for number in jax.tree.leaves((loss(y, alpha), jax.grad(loss, argnums=0)(y, alpha))):
        assert np.isfinite(np.asarray(number)).all()
    log_mean = softplus_and_log(y)[1]
    slope = jax.vmap(jax.grad(lambda one: softplus_and_log(one)[1]))(y[0])
    assert np.isfinite(np.asarray(log_mean)).all() and np.isfinite(np.asarray(slope)).all()


def test_negative_binomial_without_overdispersion_is_poisson():
    counts, mask, y, centre, scale = random_counts()
    terms = count_terms(counts, mask, centre, scale, True, np.dtype("float64"))
    arrays = [jnp.asarray(one[:, 0].T, float) for one in (y, counts, mask)]
    nearly = loss_terms(*arrays, terms, jnp.full(3, -16.0))[1]
    np.testing.assert_allclose(nearly, loss_terms(*arrays, terms, None)[1], rtol=1e-4)


def test_inverse_of_the_softplus():
    mean = np.array([1e-6, 0.1, 1.0, 50.0, 800.0])
    np.testing.assert_allclose(softplus(inverse_softplus(mean)), mean, rtol=1e-9)


def test_weight_of_the_prior_is_that_of_the_posterior_of_one_count():
    """Descent on loss + w zeta^2 is descent on the negative log posterior when w = 1/2n."""
    rng = np.random.default_rng(2)
    residual, mask = rng.standard_normal((9, 1, 4)), np.ones((9, 1, 4), bool)
    assert count_weight(residual_sums(residual, mask)) == 0.5 / 36
    slow = np.repeat(residual, 5, axis=1)
    sums = residual_sums(slow, np.ones(slow.shape, bool))
    np.testing.assert_allclose([sums.correlation_time, sums.effective, count_weight(sums)], [5.0, 36.0, 0.5 / 36])


def test_recovery_of_planted_rates(poisson):
    """Far nearer to the true rates than the counts, and nearer than a smoother over trials and bins."""
    fit, mean = poisson
    error = np.mean((fit.predict() - mean) ** 2)
    assert error < 0.03 * np.mean((fit.recording.values - mean) ** 2)
    smoothed = tuned_smoother(fit.recording, fit.recording.observed)
    assert error < 0.4 * np.mean((smoothed - mean) ** 2) and fit.predict().min() > 0


def test_networks_of_a_fit_to_counts_predict_its_rates(poisson):
    fit, _ = poisson
    network = fit.to_trajectory().network(3)
    outputs = rollout(network, jnp.zeros((BINS, 2)))[1]
    np.testing.assert_allclose(outputs[:-1], fit.predict([3])[0, 1:], rtol=1e-10)


def test_bits_per_spike(poisson):
    """As written out, with rates of at least a twentieth of the mean; near that of the true rates."""
    fit, mean = poisson
    values, null = fit.recording.values, mean_counts(fit.recording, fit.mask)
    rates = np.maximum(fit.predict(), FLOOR * null)
    gain = stats.poisson.logpmf(values, rates).sum() - stats.poisson.logpmf(values, null).sum()
    np.testing.assert_allclose(fit.bits_per_spike(), gain / np.log(2) / values.sum())
    best = stats.poisson.logpmf(values, mean).sum() - stats.poisson.logpmf(values, null).sum()
    assert 0.9 * best < gain < 1.1 * best
    with pytest.raises(ValueError, match="the scored entries hold no spike"):
        fit.bits_per_spike(values == 0)


def test_start_of_the_dispersion():
    recording, _ = planted(dispersion=0.5)
    assert 0.2 < np.median(starting_dispersion(recording, recording.observed)) < 1.2


@pytest.mark.slow
def test_dispersion_is_found():
    recording, _ = planted(dispersion=0.5)
    fit = fitted("negative_binomial", recording, iterations=600)
    assert 0.3 < np.median(fit.dispersion) < 0.8


def test_offsets_of_trials_act_before_the_softplus(tmp_path):
    recording, _ = planted()
    fit = fitted("poisson", recording, trial_offset=SmoothOffset(length=10.0), iterations=60, decoder="orthogonal")
    rate = np.tanh(fit.z @ fit.a.T) @ np.asarray(fit.network.w_out).T + np.asarray(fit.network.readout_bias)
    np.testing.assert_allclose(fit.predict(), softplus(rate + fit.offset[:, None]), rtol=1e-10)
    fit.save(tmp_path / "fit.npz")
    again = load_fit(tmp_path / "fit.npz")
    np.testing.assert_array_equal(again.predict(), fit.predict())
    assert again.network.link == "softplus" and again.model == fit.model


def test_silent_neuron_of_counts():
    with pytest.warns(UserWarning, match="silent"):
        recording, _ = planted(silent=True)
    # The program is that of the test above.
    fit = fitted("poisson", recording, trial_offset=SmoothOffset(length=10.0), iterations=100, decoder="orthogonal")
    assert np.isfinite(fit.history["loss"]).all() and fit.predict()[:, :, 2].max() < 0.2
    assert np.isfinite(fit.bits_per_spike())


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda counts: counts - 100, "needs counts: whole numbers, not negative; the recording goes down to -100"),
        (lambda counts: counts + 0.25, "needs counts: whole numbers.*25, which is no whole number"),
    ],
)
def test_what_is_no_count_is_refused(change, message):
    recording, _ = planted()
    with pytest.raises(ValueError, match=message):
        fitted("poisson", wp.Recording(change(recording.values)))
    with pytest.raises(ValueError, match="was given as rates"):
        fitted("poisson", wp.Recording(50 * recording.values, counts=False))


def test_counts_taken_as_real_numbers_are_remarked_upon():
    recording, _ = planted()
    with pytest.warns(UserWarning, match="all values are whole numbers, fitted as real ones.*Smooth counts"):
        fit = fitted("gaussian", recording, iterations=5)
    with pytest.raises(ValueError, match="bits per spike need counts; this fit has likelihood='gaussian'"):
        fit.bits_per_spike()
