"""What iterations draw at random: batches and dropped trials, noise, and the same draws after an interruption."""

import warnings
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.draw import draw
from weightpath.inference.dynamics import Drive, integrate
from weightpath.inference.objective import objective
from weightpath.inference.optimise import run_chunk
from weightpath.inference.parameters import initial_values
from weightpath.inference.problem import arrange
from weightpath.networks.kernels import RationalQuadratic

TRIALS, BINS, NEURONS = 24, 6, 5
MODEL = wp.LowTensorRankRNN(
    rank=2, units=10, kernel=RationalQuadratic(5.0, 0.3, 0.05), trial_dropout=0.3, batch_trials=9, process_noise=0.1
)
DOUBLE = np.dtype("float64")


def recording():
    rng = np.random.default_rng(0)
    condition = np.arange(TRIALS) % 3
    means = rng.standard_normal((3, BINS, NEURONS)).cumsum(axis=1)
    values = means[condition] + 0.3 * rng.standard_normal((TRIALS, BINS, NEURONS))
    return wp.Recording(values, condition=condition, epoch=np.repeat(["before", "after"], TRIALS // 2))


def prepared(model):
    what = recording()
    arrangement = arrange(model, what, what.observed)
    return arrangement, initial_values(arrangement, 0, DOUBLE), arrangement.problem(DOUBLE)


def fit(model=MODEL, **settings):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(model, recording(), **(dict(iterations=120, learning_rate=5e-3) | settings))


def test_a_batch_is_a_problem_of_some_trials():
    arrangement, parameters, problem = prepared(replace(MODEL, trial_dropout=0.0, process_noise=0.0))
    found, noise = draw(jax.random.key(0), jnp.asarray(3), parameters, problem, arrangement.layout)
    assert noise is None and found.data.shape == (BINS, NEURONS, 9)
    data = np.asarray(problem.data)
    same = np.all(data[..., None] == np.asarray(found.data)[:, :, None], axis=(0, 1))
    chosen = same.argmax(axis=0).tolist()
    assert len(set(chosen)) == 9
    for name in ("level", "deviation", "start", "inputs", "readout"):
        np.testing.assert_array_equal(getattr(found.trials, name), getattr(problem.trials, name)[:, np.array(chosen)])
    again, _ = draw(jax.random.key(0), jnp.asarray(3), parameters, problem, arrangement.layout)
    other, _ = draw(jax.random.key(0), jnp.asarray(4), parameters, problem, arrangement.layout)
    np.testing.assert_array_equal(again.data, found.data)
    assert not np.array_equal(other.data, found.data)


#: A batch is a problem of some trials, as the test above says; dropout is the harder of the two.
BATCH = pytest.param(dict(batch_trials=9, trial_dropout=0.0), marks=pytest.mark.slow)


@pytest.mark.parametrize("settings", [BATCH, dict(batch_trials=None)])
def test_gradients_of_draws_are_unbiased(settings):
    """Their mean over many draws against the gradient over all trials, within four standard errors."""
    arrangement, parameters, problem = prepared(replace(MODEL, process_noise=0.0, **settings))
    layout, full = arrangement.layout, replace(arrangement.layout, batch=None, dropout=False)
    slope = jax.grad(objective, has_aux=True)
    exact = jax.jit(slope, static_argnums=3)(parameters, problem, jnp.asarray(1e-3), full)[0].post

    def one(iteration):
        drawn, _ = draw(jax.random.key(1), iteration, parameters, problem, layout)
        return slope(parameters, drawn, jnp.asarray(1e-3), layout)[0].post

    many = np.asarray(jax.jit(lambda which: jax.lax.map(one, which))(jnp.arange(400)))
    error = np.abs(many.mean(axis=0) - exact) / (many.std(axis=0) / 20)
    assert error.max() < 4.5


def test_dropout_leaves_out_the_stated_share():
    arrangement, parameters, problem = prepared(replace(MODEL, batch_trials=None, process_noise=0.0))
    left = jax.jit(
        jax.vmap(lambda i: draw(jax.random.key(2), i, parameters, problem, arrangement.layout)[0].mask[0, 0])
    )(jnp.arange(500))
    assert set(np.unique(left)) == {0.0, 1.0}
    assert abs(1 - left.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / left.size)


def test_noise_has_the_stated_size_in_the_span():
    """A leaky state alone: variance s^2 / (1 - exp(-2/tau)), s^2 = noise^2 / tau, in all directions of the span."""
    arrangement, parameters, problem = prepared(
        replace(MODEL, batch_trials=None, trial_dropout=0.0, process_noise=0.4, time_constant=5.0)
    )
    skewed = parameters.post.at[:, 1].set(parameters.post[:, 0] + 0.5 * parameters.post[:, 1])
    parameters = type(parameters)(**(vars(parameters) | {"post": skewed}))
    a = skewed / jnp.linalg.norm(skewed, axis=0)

    def drawn(iteration):
        return draw(jax.random.key(3), iteration, parameters, problem, arrangement.layout)[1]

    noise = jax.jit(lambda which: jax.lax.map(drawn, which))(jnp.arange(40))
    noise = np.asarray(noise).reshape(40 * BINS, 2, TRIALS)
    drive = Drive(a, a, jnp.zeros((2, TRIALS)), jnp.zeros((2, TRIALS)), jnp.zeros((240, 2, 1)), jnp.asarray(0.2))
    observe = lambda carry, z, rate, item: (carry, z)  # noqa: E731
    states = integrate(drive, observe, None, jnp.zeros(240), solver="rk4", substeps=1, noise=jnp.asarray(noise))[1]
    x = np.einsum("nr,trk->tkn", a, states[40:]).reshape(-1, 10)
    basis = np.linalg.qr(np.asarray(a))[0]
    expected = 0.4**2 / 5 / (1 - np.exp(-2 / 5))
    np.testing.assert_allclose(np.cov((x @ basis).T), expected * np.eye(2), atol=0.06 * expected)
    assert abs(expected / (0.4**2 / 2) - 1) < 0.25


@pytest.mark.slow  # twin: test_fit_resume
def test_interrupted_and_resumed_bit_for_bit(tmp_path):
    whole, path = fit(), tmp_path / "fit.npz"

    def interrupt(label, done, total, **numbers):
        if done == 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint=path, progress=interrupt)
    resumed = fit(checkpoint=path)
    for name in ("a", "b", "c", "z", "inputs"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    np.testing.assert_array_equal(resumed.history["loss"], whole.history["loss"])
    assert not np.array_equal(fit(seed=1).history["loss"], whole.history["loss"])


def test_controls_share_one_program_with_draws():
    fit()
    before = run_chunk._cache_size()
    for changes in ("fixed", "epoch", "readout_epoch"):
        fit(replace(MODEL, changes=changes, trial_dropout=0.2, process_noise=0.2), iterations=50)
    assert run_chunk._cache_size() == before


def test_more_trials_than_there_are_is_all_of_them():
    layouts = [prepared(replace(MODEL, batch_trials=batch))[0].layout for batch in (TRIALS, TRIALS + 5, None)]
    assert layouts[0] == layouts[1] == layouts[2] and layouts[0].batch is None
