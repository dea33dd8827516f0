"""What exact learning says to bad input, at the border."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from integrator_reference import ALL, problem

import weightpath as wp
from weightpath.learn.stability import is_stable

ZERO = np.zeros((1, 1)), [1.0], [0.0]
NOISE = wp.WhiteNoise(duration=30.0, dt=0.1, trials=2)


def nonlinear():
    return wp.Setup(wp.RateRNN(*ZERO, leak=0.1), wp.Integrator(0.2), wp.BPTT(), train=("w_rec", "w_out"))


@pytest.mark.parametrize("verb", [wp.loss, wp.velocity, lambda setup: wp.flow(setup, [1.0])])
@pytest.mark.parametrize("pole", [1.0, 1.3])
def test_unstable_initial_network(verb, pole):
    with pytest.raises(ValueError, match=rf"initial network is unstable: spectral abscissa {pole:g} >= 1.*stationary"):
        verb(problem(([[pole]], [1.0], [1.0]), wp.Integrator(0.2)))


def test_unstable_discrete_network():
    with pytest.raises(ValueError, match="spectral radius 1.1 >= 1"):
        wp.flow(problem(([[-1.1]], [1.0], [1.0]), wp.Integrator(0.2, dt=1.0)), [1.0])


def test_stability_of_large_networks_is_decided_both_ways():
    """Above 256 units a certificate by Lanczos comes first; it may not wave an unstable network through."""
    rng = np.random.default_rng(0)
    u = np.eye(260)[0]
    w_rec = rng.normal(size=(260, 260)) / np.sqrt(260)
    assert is_stable(wp.ContinuousLinearRNN(0.3 * w_rec, u, u))
    assert is_stable(wp.ContinuousLinearRNN(0.9 * w_rec, u, u))  # its symmetric part reaches beyond 1
    assert not is_stable(wp.ContinuousLinearRNN(1.2 * w_rec, u, u))
    assert not is_stable(wp.LinearRNN(1.2 * w_rec, u, u))
    assert is_stable(wp.LinearRNN(0.4 * w_rec, u, u))


@pytest.mark.parametrize(
    ("weights", "train", "message"),
    [
        ((np.zeros((2, 2)), [0.0, 0.0], [1.0, 0.0]), ("w_rec", "w_out"), "no input reaches the network"),
        ((np.zeros((2, 2)), [1.0, 0.0], [0.0, 0.0]), ("w_rec", "w_in"), "no output reads the network"),
        ((np.zeros((2, 2)), [0.0, 0.0], [0.0, 0.0]), ALL, "saddle"),
    ],
)
def test_starts_that_cannot_learn(weights, train, message):
    setup = problem(weights, wp.Integrator(0.2), train=train)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(wp.velocity(setup)))  # the message is true
    with pytest.raises(ValueError, match=message):
        wp.flow(setup, [1.0])
    with pytest.raises(ValueError, match=message):
        wp.train(setup, optax.sgd(0.1), 3, record=wp.Record(every=1))


def test_starts_that_cannot_learn_from_samples():
    def run(u, v, train):
        network = wp.ContinuousLinearRNN(np.zeros((1, 1)), [u], [v], dt=0.1)
        setup = wp.Setup(network, wp.Integrator(0.2, noise=NOISE), wp.BPTT(), train=train)
        wp.train(setup, optax.sgd(0.1), 3, key=jax.random.key(0))

    for u, v, train, message in [
        (0.0, 1.0, ("w_rec", "w_out"), "no input reaches the network"),
        (1.0, 0.0, ("w_rec", "w_in"), "no output reads the network"),
        (0.0, 0.0, ALL, "saddle"),
    ]:
        with pytest.raises(ValueError, match=message):
            run(u, v, train)


def test_a_perfect_integrator_is_learned_from_samples_only():
    task = wp.Integrator(0.0, noise=wp.WhiteNoise(duration=1.0, dt=0.1, trials=4))
    setup = wp.Setup(wp.ContinuousLinearRNN([[0.0]], [1.0], [0.5], dt=0.1), task, wp.BPTT(), train=("w_rec", "w_out"))
    for verb in (wp.loss, wp.velocity, lambda setup: wp.flow(setup, [1.0])):
        with pytest.raises(ValueError, match="the task has no target of infinite data"):
            verb(setup)
    path = wp.train(setup, optax.sgd(0.05), 2, key=jax.random.key(0))
    assert np.all(np.isfinite(path.loss)) and path.network(-1).w_rec[0, 0] > 0  # towards the eigenvalue 1
    fast = setup.with_network(wp.ContinuousLinearRNN([[-3.0]], [1.0], [0.5], dt=0.6))
    with pytest.raises(ValueError, match="need dt < 0.5"):
        wp.train(fast, optax.sgd(0.05), 2, key=jax.random.key(0))


def test_a_resonant_target_cannot_be_learned_from_rank_one():
    task = wp.RationalFilter([[-0.2, -1.0], [1.0, -0.2]], [1.0, 0.0], [1.0, 0.0])
    with pytest.warns(UserWarning, match="conjugate pair of eigenvalues cannot form"):
        path = wp.flow(problem((np.zeros((2, 2)), [1.0, 0.0], [0.5, 0.0]), task), [1.0])
    assert np.linalg.matrix_rank(path.w_rec[0]) == 1


@pytest.mark.parametrize("verb", [wp.loss, wp.velocity, lambda setup: wp.flow(setup, [1.0])])
def test_no_exact_form_names_rule_network_and_task(verb):
    with pytest.raises(ValueError, match="BPTT has no exact form for RateRNN.*the network is not linear.*Integrator"):
        verb(nonlinear())
    with pytest.raises(ValueError, match="sampled.*leave dt out"):
        verb(wp.Setup(wp.ContinuousLinearRNN(*ZERO), wp.Integrator(0.2, dt=0.1), wp.BPTT(), train="w_rec"))
    with pytest.raises(ValueError, match="discrete time.*give the task a dt"):
        verb(wp.Setup(wp.LinearRNN(*ZERO), wp.Integrator(0.2), wp.BPTT(), train="w_rec"))


def test_training_without_exact_form_or_noise():
    with pytest.raises(ValueError, match="wp.train on a task without noise: BPTT has no exact form for RateRNN"):
        wp.train(nonlinear(), optax.sgd(0.1), 3, record=wp.Record(every=1))


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ([], "finite learning times"),
        ([0.0, np.nan], "finite learning times"),
        ([[0.0, 1.0]], "finite learning times"),
        ([-1.0, 1.0], "increasing and not negative"),
        ([1.0, 1.0], "increasing and not negative"),
    ],
)
def test_times_of_a_flow(time, message):
    with pytest.raises(ValueError, match=message):
        wp.flow(problem(ZERO, wp.Integrator(0.2)), time)


def test_options_of_a_flow():
    setup = problem(ZERO, wp.Integrator(0.2))
    with pytest.raises(ValueError, match="solver must be one of auto, explicit, implicit; got 'euler'"):
        wp.flow(setup, [1.0], solver="euler")
    with pytest.raises(ValueError, match="project must be None, a depth"):
        wp.flow(setup, [1.0], project="deep")
    with pytest.raises(ValueError, match="must not be negative; got -2"):
        wp.flow(setup, [1.0], project=-2)


def test_arguments_of_training():
    exact, record = problem(ZERO, wp.Integrator(0.2)), wp.Record(every=1)
    network = wp.ContinuousLinearRNN(*ZERO, dt=0.1)
    sampled = wp.Setup(network, wp.Integrator(0.2, noise=NOISE), wp.BPTT(), train="w_out")
    with pytest.raises(ValueError, match="steps must be at least 1; got 0"):
        wp.train(exact, optax.sgd(0.1), 0, record=record)
    with pytest.raises(ValueError, match="key=jax.random.key"):
        wp.train(sampled, optax.sgd(0.1), 3, record=record)
    with pytest.raises(ValueError, match="every .* must be at least 1; got 0"):
        wp.Record(every=0)
    with pytest.raises(ValueError, match='"networks" or a dictionary'):
        wp.Record(every=1, what="spectrum")


def test_steps_and_trials_of_sampled_training():
    record, key = wp.Record(every=1), jax.random.key(0)

    def run(pole, dt, duration, decay):
        task = wp.Integrator(decay, noise=wp.WhiteNoise(duration=duration, dt=dt, trials=1))
        network = wp.ContinuousLinearRNN([[pole]], [1.0], [0.0], dt=dt)
        wp.train(wp.Setup(network, task, wp.BPTT(), train="w_out"), optax.sgd(0.01), 1, record=record, key=key)

    with pytest.raises(ValueError, match="dt too large: .*need dt < 0.5"):
        run(-3.0, 0.5, 10.0, 1.0)
    # A warning that is raised as an error saves the run behind it.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="coarse steps: .* by 0.125"):
            run(0.0, 0.25, 10.0, 1.0)
        # exact bias of a trial of duration 2/decay: (1 - exp(-4))/4
        with pytest.raises(UserWarning, match=f"short trials: .* {100 * (1 - np.exp(-4)) / 4:.3g} %"):
            run(0.0, 0.1, 2.0, 1.0)


def test_32_bit_weights_are_refused():
    weights = [jnp.asarray(array, jnp.float32) for array in ZERO]
    with pytest.raises(ValueError, match="needs 64-bit weights; w_rec is float32"):
        wp.loss(problem(weights, wp.Integrator(0.2)))


@pytest.mark.parametrize("decay", [0.2, pytest.param(0.5, marks=pytest.mark.slow)])
def test_a_learning_rate_beyond_the_edge_is_warned_of_with_the_number(decay):
    network = wp.ContinuousLinearRNN(*ZERO)
    setup = wp.Setup(network, wp.Integrator(decay), wp.BPTT(), train=("w_rec", "w_out"))
    # 2/lambda_max of the two-by-two Hessian at the optimum, from its trace and determinant.
    trace, determinant = 1 / (2 * decay) + 1 / (4 * decay**3), 1 / (8 * decay**4) - 1 / (16 * decay**4)
    edge = 2 / (trace / 2 + np.sqrt(trace**2 / 4 - determinant))
    with pytest.warns(UserWarning, match=f"above {edge:.6g}"):
        wp.train(setup, optax.sgd(1.02 * edge), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wp.train(setup, optax.sgd(0.98 * edge), 2)
        wp.train(setup, optax.adam(1.02 * edge), 2)
