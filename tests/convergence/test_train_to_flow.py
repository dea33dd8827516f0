"""Training in discrete steps: towards the flow as the rate falls, towards infinite data as trials grow; how it ends."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from integrator_reference import gaussian, problem

import weightpath as wp
from weightpath.learn.optimiser import time_per_step
from weightpath.learn.record import Interrupted

ZERO = np.zeros((1, 1)), [1.0], [0.0]


def test_sgd_on_exact_gradients_is_first_order_in_the_learning_rate():
    setup = problem(ZERO, wp.Integrator(0.5))
    exact = wp.flow(setup, [1.0, 2.0], rtol=1e-11)
    rates, errors = [0.02, 0.01, 0.005], []
    for rate in rates:
        run = wp.train(setup, optax.sgd(rate), round(2 / rate), record=wp.Record(every=round(1 / rate)))
        assert np.allclose(run.time, [0.0, 1.0, 2.0], rtol=1e-12)
        errors.append(np.abs(run.networks.w_rec[1:] - exact.networks.w_rec).max())
    assert np.polyfit(np.log(rates), np.log(errors), 1)[0] == pytest.approx(1, abs=0.05)


DT, DURATION, DECAY = 0.1, 10.0, 0.3
NOISE = wp.WhiteNoise(duration=DURATION, dt=DT, trials=32)


def expected_loss(weights):
    """L = dt/2 sum_j (1 - j/n)(f_j - f*_j)^2, the expectation of the batch loss of an Euler network from rest."""
    w_rec, w_in, w_out = weights
    bins = round(DURATION / DT)
    matrix = jnp.eye(w_rec.shape[0]) + DT * (w_rec - jnp.eye(w_rec.shape[0]))

    def step(state, index):
        error = (w_out @ state)[0, 0] - jnp.exp(-DECAY * DT * index)
        return matrix @ state, 0.5 * DT * (1 - index / bins) * error**2

    return jnp.sum(jax.lax.scan(step, w_in, jnp.arange(bins, dtype=float))[1])


@pytest.fixture(scope="module")
def samples():
    """Losses and gradients on 400 batches of 32 trials, and their expectation."""
    weights = tuple(map(jnp.asarray, gaussian(11, 3, 0.6)))
    task = wp.Integrator(DECAY, noise=NOISE)
    network = wp.ContinuousLinearRNN(*weights, dt=DT)

    @jax.jit
    @jax.vmap
    def draw(key):
        velocity, _, info = wp.BPTT().update(network, task.sample(key, 0), None)
        return info.loss, jax.tree.map(jnp.negative, (velocity.w_rec, velocity.w_in, velocity.w_out))

    return draw(jax.random.split(jax.random.key(3), 400)), jax.value_and_grad(expected_loss)(weights)


def test_sampled_bptt_has_the_exact_finite_trial_expectation(samples):
    (losses, gradients), (loss, gradient) = samples
    for found, expected in ((losses, loss), *zip(gradients, gradient, strict=True)):
        error = np.asarray(found).std(axis=0) / np.sqrt(len(losses))
        # 400 batches: every one of the 16 numbers within 4 standard errors of the mean.
        assert np.all(np.abs(np.mean(found, axis=0) - expected) < 4 * error)
        assert np.all(error < 0.02 * np.abs(expected).max())


def test_sampling_error_falls_as_one_over_root_trials(samples):
    (losses, _), (loss, _) = samples
    sizes = np.array([1, 4, 16])  # batches of 32 trials joined to larger ones
    spread = [np.sqrt(np.mean((np.asarray(losses).reshape(-1, size).mean(axis=1) - loss) ** 2)) for size in sizes]
    # The spread of 25 means is known to 14 %, hence the slope to about .05.
    assert np.polyfit(np.log(sizes), np.log(spread), 1)[0] == pytest.approx(-0.5, abs=0.15)


def test_time_is_read_off_plain_optimisers_only():
    assert time_per_step(optax.sgd(0.02)) == pytest.approx(0.02, rel=1e-7)
    assert time_per_step(optax.chain(optax.scale(0.5), optax.sgd(0.02))) == pytest.approx(0.01, rel=1e-7)
    for other in (
        optax.sgd(0.02, momentum=0.9),
        optax.adam(0.02),
        optax.sgd(optax.linear_schedule(0.1, 0.0, 100)),
        optax.chain(optax.clip(1.0), optax.sgd(0.02)),
    ):
        assert time_per_step(other) is None


def test_records_of_named_numbers_keep_the_last_network_only():
    setup = problem(ZERO, wp.Integrator(0.5))
    numbers = {"pole": lambda network: network.w_rec[0, 0]}
    optimiser = optax.adam(0.01)
    run = wp.train(setup, optimiser, 50, record=wp.Record(every=20, what=numbers))
    whole = wp.train(setup, optimiser, 50, record=wp.Record(every=20))
    assert np.array_equal(run.time, [0, 20, 40, 50])  # steps, since Adam has no learning time
    assert np.array_equal(run.statistics["pole"], whole.networks.w_rec[:, 0, 0])
    assert np.array_equal(run.network(-1).w_rec, whole.network(-1).w_rec)
    assert "pole" in run.to_dataset() and "w_rec" not in run.to_dataset()
    with pytest.raises(ValueError, match="kept only its last network"):
        run.network(1)
    with pytest.raises(ValueError, match="kept only its last network"):
        run.map(lambda network: network.w_rec)


@pytest.mark.filterwarnings("ignore:learning rate 5 is above")
@pytest.mark.parametrize("every", [1, 7])
def test_a_step_into_instability_keeps_the_last_stable_network(every):
    setup = problem(ZERO, wp.Integrator(0.2))
    optimiser = optax.sgd(5.0)
    with pytest.raises(RuntimeError, match="unstable"):
        wp.train(setup, optimiser, 400, record=wp.Record(every=every))
    run = wp.train(setup, optimiser, 400, record=wp.Record(every=every), throw=False)
    assert run.result == wp.RESULTS.unstable
    assert np.all(np.diff(run.time) > 0) and np.all(np.isfinite(run.loss))
    last = setup.with_network(run.network(-1))
    velocity = wp.velocity(last)
    assert last.network.w_rec[0, 0] + 5 * velocity.w_rec[0, 0] >= 1


@pytest.mark.parametrize(("rate", "outcome"), [(10.0, "diverged"), (1e200, "nonfinite")])
def test_sampled_training_that_blows_up_says_how(rate, outcome):
    network = wp.ContinuousLinearRNN(*ZERO, dt=DT)
    task = wp.Integrator(DECAY, noise=wp.WhiteNoise(duration=20.0, dt=DT, trials=2))
    setup = wp.Setup(network, task, wp.BPTT(), train="w_out")  # the error grows about fourfold a step at rate 10
    run = wp.train(setup, optax.sgd(rate), 500, record=wp.Record(every=100), key=jax.random.key(1), throw=False)
    assert run.result == getattr(wp.RESULTS, outcome)
    assert np.all(np.isfinite(run.w_rec)) and np.all(np.isfinite(run.statistics["batch_loss"]))


def test_an_interruption_hands_over_what_is_done():
    def impatient(label, done, total, **numbers):
        if done >= 20:
            raise KeyboardInterrupt

    setup = problem(ZERO, wp.Integrator(0.5))
    with pytest.raises(Interrupted) as stopped:
        wp.train(setup, optax.sgd(0.01), 100, record=wp.Record(every=10), progress=impatient)
    assert np.allclose(stopped.value.trajectory.time, [0.0, 0.1, 0.2])
