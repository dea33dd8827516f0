"""Excitatory and inhibitory units: networks that begin under Dale's law, and optimisers that keep it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import weightpath as wp
from weightpath.learn.dale import keep_signs
from weightpath.learn.optimiser import check_optimiser, time_per_step
from weightpath.networks.excitatory_inhibitory import (
    balanced,
    circular_distance,
    column_signs,
    dale_signs,
    supralinear_ring,
)


def test_balanced_networks_have_signs_radius_and_balance():
    network = balanced(jax.random.key(0), 12, 4, 3, 2, radius=0.8, leak=0.1)
    weights = np.asarray(network.w_rec)
    np.testing.assert_array_equal(column_signs(weights), dale_signs(12, 4))
    assert np.abs(np.linalg.eigvals(weights)).max() == pytest.approx(0.8)
    assert not np.any(np.asarray(network.w_out)[:, 12:]) and np.all(np.asarray(network.w_out)[:, :12])
    # Rows cancel on average: over many weights the mean of a row's sum vanishes within its standard error.
    large = np.asarray(balanced(jax.random.key(1), 90, 30, 1, 1, radius=1.0, leak=0.1).w_rec)
    sums = large.sum(axis=1)
    assert abs(sums.mean()) < 4 * sums.std() / np.sqrt(sums.size)


def test_column_signs_of_mixed_and_empty_columns():
    np.testing.assert_array_equal(column_signs(np.array([[1.0, -1, 1, 0], [0.0, -2, -1, 0]])), [1, -1, 0, 0])


def test_supralinear_ring_is_the_stated_equation():
    """A simulation of the published equations in their own units settles at a fixed point of the network."""
    pairs, rate_unit, contrast = 10, 20.0, 12.0
    network = supralinear_ring(pairs, rate_unit=rate_unit)
    d = circular_distance(pairs)
    fall = np.exp(-(d**2) / (2 * 32.0**2)) * 18.0
    w = np.block([[0.044 * fall, -0.023 * fall], [0.042 * fall, -0.018 * fall]])
    drive = contrast * np.exp(-(d[3] ** 2) / (2 * 30.0**2))
    h, rates, tau = np.tile(drive, 2), np.zeros(2 * pairs), np.repeat([20.0, 10.0], pairs)
    for _ in range(20_000):
        rates = rates + 0.05 / tau * (0.04 * np.maximum(w @ rates + h, 0) ** 2 - rates)
    assert rates[3] > 2 and rates[3] > rates[8]
    np.testing.assert_array_equal(column_signs(network.w_rec), dale_signs(pairs, pairs))
    drive_of_net = np.asarray(network.w_rec) @ (rates / rate_unit) + np.asarray(network.w_in) @ drive
    np.testing.assert_allclose(rate_unit * np.maximum(drive_of_net, 0) ** 2, rates, atol=1e-8)
    still = np.asarray(network.step(jnp.asarray(rates / rate_unit), jnp.asarray(drive)))
    np.testing.assert_allclose(still * rate_unit, rates, atol=1e-8)
    np.testing.assert_allclose(np.asarray(network.readout(jnp.asarray(rates / rate_unit))) * rate_unit, rates[:pairs])


def test_ring_distance_goes_around():
    np.testing.assert_allclose(circular_distance(4)[0], [0, 45, 90, 45])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dale_signs(-1, 3), "excitatory must be a whole number of units, at least 0"),
        (lambda: dale_signs(0, 0), "at least one unit"),
        (lambda: dale_signs(True, 2), "excitatory must be a whole number of units, at least 0; got True"),
        (lambda: balanced(jax.random.key(0), 3, 0, 1, 1, radius=1.0, leak=0.1), "inhibitory must be a whole number"),
        (lambda: balanced(jax.random.key(0), 3, 1, 1, 1, radius=0.0, leak=0.1), "radius .* must be positive"),
        (lambda: supralinear_ring(4, w_in=np.ones((4, 2))), r"w_in must be \(post, in\) = \(8, in\)"),
        (lambda: supralinear_ring(4, coupling=((1.0, -1.0), (1.0, 1.0))), "coupling must be the sizes"),
        (lambda: supralinear_ring(0), "pairs must be a whole number"),
        (lambda: supralinear_ring(4, gain=-1.0), "gain must be positive"),
    ],
)
def test_networks_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def steps(optimiser, weights, gradients):
    """The weights after a step along each gradient."""
    state, path = optimiser.init(weights), []
    for gradient in gradients:
        updates, state = optimiser.update(gradient, state, weights)
        weights = optax.apply_updates(weights, updates)
        path.append((weights, state))
    return path


def problem(steps=40, size=1.0):
    random = np.random.default_rng(0)
    signs = dale_signs(3, 2)
    weights = {"w_rec": jnp.asarray(np.abs(random.standard_normal((5, 5))) * signs), "w_out": jnp.ones((1, 5))}
    gradients = [
        {"w_rec": jnp.asarray(size * random.standard_normal((5, 5))), "w_out": jnp.ones((1, 5))} for _ in range(steps)
    ]
    return signs, weights, gradients


@pytest.mark.parametrize("make", [lambda: optax.sgd(0.5), lambda: optax.adam(0.3)], ids=["sgd", "adam"])
def test_signs_are_kept_and_steps_are_projections(make):
    signs, weights, gradients = problem()
    path = steps(keep_signs(make(), signs), weights, gradients)
    touched = 0
    for new, state in path:
        assert np.all(signs * np.asarray(new["w_rec"]) >= 0)
        touched += int(state.clipped)
    assert touched > 10
    # Each step is that of the optimiser inside, projected entry by entry; its own memory sees the whole gradients.
    inner = make()
    memory, now = inner.init(weights), weights
    for gradient, (new, state) in zip(gradients, path, strict=True):
        updates, memory = inner.update(gradient, memory, now)
        free = np.asarray(now["w_rec"] + updates["w_rec"])
        np.testing.assert_allclose(new["w_rec"], np.where(signs * free < 0, 0, free), atol=1e-15)
        np.testing.assert_allclose(new["w_out"], now["w_out"] + updates["w_out"], atol=1e-15)
        assert int(state.clipped) == np.sum(signs * free < 0)
        now = new


def test_nothing_is_touched_while_no_weight_would_cross():
    signs, weights, gradients = problem(size=1e-4)
    for new, plain in zip(
        steps(keep_signs(optax.sgd(0.1), signs), weights, gradients), steps(optax.sgd(0.1), weights, gradients),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(new[0]["w_rec"], plain[0]["w_rec"])
        assert int(new[1].clipped) == 0
    _, weights, gradients = problem()
    free = steps(keep_signs(optax.sgd(0.5), np.zeros(5)), weights, gradients)[-1][0]
    np.testing.assert_array_equal(free["w_rec"], steps(optax.sgd(0.5), weights, gradients)[-1][0]["w_rec"])


def test_it_is_no_plain_descent():
    """So that exact steps refuse it, and time is counted in steps."""
    assert time_per_step(optax.sgd(0.1)) == pytest.approx(0.1)
    assert time_per_step(keep_signs(optax.sgd(0.1), np.ones(2))) is None


def test_signs_are_kept_by_training():
    random = np.random.default_rng(1)
    signs = dale_signs(4, 2)
    network = wp.LinearRNN(
        0.3 * np.abs(random.standard_normal((6, 6))) * signs, random.standard_normal((6, 2)),
        random.standard_normal((1, 6)),
    )  # fmt: skip
    task = wp.GivenTrials(random.standard_normal((4, 5, 2)), random.standard_normal((4, 5, 1)))
    setup = wp.Setup(network, task, wp.BPTT(), train=("w_rec",))
    path = wp.train(setup, keep_signs(optax.sgd(0.1), signs), 30, key=jax.random.key(0), record=wp.Record(every=10))
    weights = np.asarray(path.w_rec)
    assert np.all(signs * weights >= 0) and np.any(weights[-1] == 0) and not np.any(weights[0] == 0)
    assert path.loss[-1] < path.loss[0]


@pytest.mark.parametrize(
    ("signs", "message"),
    [
        (np.array([1.0, 0.5]), "signs must be .pre,."),
        (np.ones((2, 2)), "signs must be .pre,."),
        (np.ones(3), r"signs are 3 numbers, one for each column of w_rec; w_rec is \(2, 2\)"),
        (np.array([1.0, -1.0]), r"2 weights of w_rec have another sign .*columns 1\)"),
    ],
)
def test_signs_that_do_not_fit_are_refused(signs, message):
    with pytest.raises(ValueError, match=message):
        keep_signs(optax.sgd(0.1), signs).init({"w_rec": jnp.ones((2, 2))})


def test_weights_are_needed():
    optimiser = keep_signs(optax.sgd(0.1), np.ones(2))
    weights = {"w_rec": jnp.ones((2, 2))}
    with pytest.raises(ValueError, match="projects weights, not changes"):
        optimiser.update(weights, optimiser.init(weights))


@pytest.mark.parametrize("given", [0.3, None, optax.sgd])
def test_what_is_no_optimiser(given):
    """Asked by wp.train and keep_signs, whose annotations refuse it before them in these tests."""
    with pytest.raises(ValueError, match=r"must be one of optax, such as optax.sgd\(0.1\); got "):
        check_optimiser(given)
