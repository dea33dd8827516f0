"""UORO and KF-RTRL: estimates of RTRL's gradient without bias, with a variance that averaging removes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.tasks.base import Batch

DRAWS = 4000
RULES = [
    wp.UORO(),
    wp.KFRTRL(),
    *(pytest.param(rule, marks=pytest.mark.slow) for rule in (wp.UORO("normal"), wp.KFRTRL("normal"))),
]


def problem() -> tuple[wp.RateRNN, Batch]:
    rng = np.random.default_rng(3)
    net = wp.RateRNN(
        rng.normal(size=(4, 4)) / 2, rng.normal(size=(4, 2)), rng.normal(size=(2, 4)), bias=rng.normal(size=4), leak=0.5
    )
    arrays = rng.normal(size=(2, 6, 2)), rng.normal(size=(2, 6, 2)), np.ones((2, 6))
    return net, Batch(*map(jnp.asarray, arrays))


def estimates(rule) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of the gradient of w_rec, w_in and bias, one row per draw, and RTRL's."""
    net, batch = problem()

    def flat(moved):
        return -jnp.concatenate([moved.w_rec.ravel(), moved.w_in.ravel(), moved.bias])

    state = rule.init(net, batch, jax.random.key(0))
    draw = jax.jit(jax.vmap(lambda key: flat(rule.update(net, batch, key)[0])))
    exact = flat(jax.jit(lambda: wp.RTRL().update(net, batch, None)[0])())
    return np.asarray(draw(jax.random.split(state, DRAWS))), np.asarray(exact)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{type(rule).__name__}-{rule.noise}")
def test_no_bias_and_a_variance_that_averages_out(rule):
    found, exact = estimates(rule)
    spread = found.std(axis=0)
    assert np.all(spread > 0)
    # Within four standard errors; there are 28 entries, of which the largest is usually near two.
    assert np.max(np.abs(found.mean(axis=0) - exact) / (spread / np.sqrt(DRAWS))) < 4
    # Means of 16 draws each scatter by a quarter of what single draws do, entry by entry and so in total.
    means = found.reshape(-1, 16, found.shape[1]).mean(axis=1)
    ratio = np.sqrt(np.sum(means.var(axis=0)) / np.sum(spread**2))
    np.testing.assert_allclose(ratio, 1 / 4, rtol=0.2)


def test_the_readout_is_exact_and_every_update_draws_anew():
    net, batch = problem()
    rule = wp.UORO()
    state = rule.init(net, batch, jax.random.key(0))
    update = jax.jit(rule.update)
    first, state, _ = update(net, batch, state)
    second, _, _ = update(net, batch, state)
    exact = jax.jit(wp.BPTT().update)(net, batch, None)[0]
    np.testing.assert_allclose(first.w_out, exact.w_out, rtol=1e-12)
    assert float(jnp.max(jnp.abs(first.w_rec - second.w_rec))) > 1e-3


def test_one_step_of_a_trial_is_exact():
    """After one step of a trial the product of KF-RTRL is exact with signs, whose square is 1."""
    net, batch = problem()
    short = Batch(batch.inputs[:1, :1], batch.targets[:1, :1], batch.mask[:1, :1])
    exact = jax.jit(wp.RTRL().update)(net, short, None)[0]
    found = jax.jit(wp.KFRTRL().update)(net, short, jax.random.key(0))[0]
    np.testing.assert_allclose(found.w_in, exact.w_in, rtol=1e-12)


@pytest.mark.parametrize("rule", [wp.UORO(), wp.KFRTRL()], ids=lambda rule: type(rule).__name__)
def test_needs_a_key(rule):
    net, batch = problem()
    with pytest.raises(ValueError, match=f"{type(rule).__name__} draws random numbers; give it a key"):
        rule.init(net, batch, None)


def test_unknown_noise():
    with pytest.raises(ValueError, match='noise must be "signs" or "normal"; got \'uniform\''):
        wp.UORO("uniform")
