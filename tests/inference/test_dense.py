"""Unconstrained weights: the units' own dynamics and their hand-made gradient against the general program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from generator import generate

import weightpath as wp
from weightpath.inference import objective as objective_module
from weightpath.inference.dense import dense_weights, is_dense, path_states
from weightpath.inference.drive import drive_of
from weightpath.inference.parameters import initial_values
from weightpath.inference.problem import arrange
from weightpath.networks.kernels import RationalQuadratic

TRIALS, BINS, NEURONS = 6, 5, 4
DTYPE = np.dtype("float64")


def parts(changes, **settings):
    """Layout, problem and parameters moved off their start, of a small recording with two epochs."""
    truth = generate(2, 0.1, 0, trials=TRIALS, units=NEURONS, bins=BINS, conditions=2)
    recording = wp.Recording(truth.data, condition=truth.condition, epoch=np.arange(TRIALS) // 3)
    defaults = dict(units=5, kernel=RationalQuadratic(8.0, 0.5, 0.1, by_epoch=True), activity_penalty=0.1)
    model = wp.LowTensorRankRNN(rank=2, changes=changes, **(defaults | settings))
    mask = np.random.default_rng(1).random(truth.data.shape) < 0.8
    mask[2] = settings.get("batch_trials") is not None
    arrangement = arrange(model, recording, mask)
    rng = np.random.default_rng(2)
    parameters = jax.tree.map(
        lambda one: one + 0.1 * rng.standard_normal(one.shape), initial_values(arrangement, 0, DTYPE)
    )
    return arrangement.layout, arrangement.problem(DTYPE), parameters


@pytest.mark.parametrize(
    "changes, settings",
    [("full", {}), ("per_trial_full", dict(solver="heun"))],
)
def test_loss_and_gradient_are_those_of_the_factored_dynamics(changes, settings, monkeypatch):
    """All trained arrays, with noise in the states and, for Heun, three steps a bin."""
    layout, problem, parameters = parts(changes, **settings)
    noise = 0.1 * jnp.asarray(np.random.default_rng(3).standard_normal((BINS, 5, problem.data.shape[2])))
    prior = jnp.asarray(0.01)

    def worked_out():
        run = jax.jit(
            jax.value_and_grad(lambda p: objective_module.objective(p, problem, prior, layout, noise), has_aux=True)
        )
        return run(parameters)

    assert is_dense(parameters) and layout.substeps == (3 if settings else 1)
    (loss, error), gradient = worked_out()
    monkeypatch.setattr(objective_module, "is_dense", lambda parameters: False)
    (expected_loss, expected_error), expected = worked_out()
    np.testing.assert_allclose([loss, error], [expected_loss, expected_error], rtol=1e-12)
    for (path, one), other in zip(jax.tree.leaves_with_path(gradient), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=str(path))


def test_weights_of_some_trials_are_those_of_all():
    """A subset of the trials, as an iteration may draw, takes the general map; together they take the diagonal."""
    layout, problem, parameters = parts("per_trial_full", batch_trials=3)
    drive, _ = drive_of(parameters, problem.trials, problem.size, BINS, layout)
    every = dense_weights(parameters, problem.trials, drive)
    chosen = jnp.array([4, 0, 1])
    some = jax.tree.map(lambda one: jnp.take(one, chosen, axis=-1), problem.trials)
    np.testing.assert_allclose(dense_weights(parameters, some, drive), every[chosen], atol=1e-14)
    cores = np.moveaxis(np.asarray(drive.factor), -1, 0)
    np.testing.assert_allclose(every, drive.post @ cores @ drive.pre.T, atol=1e-14)


def test_models_of_low_rank_are_not_dense():
    for changes in ("per_trial", "trial", "low_matrix_rank"):
        assert not is_dense(parts(changes)[2])


def test_one_matrix_has_no_deviations():
    """Nothing is stored, and moved at every iteration, that can have no effect."""
    assert parts("full")[2].deviation.shape == (5, 5, 0) and parts("per_trial_full")[2].deviation.shape[-1] == 5


def test_states_against_an_explicit_loop():
    """RK4 written out in NumPy, one trial."""
    rng = np.random.default_rng(0)
    weights, start, inputs, kicks = (rng.standard_normal(s) for s in ((3, 3), (3,), (4, 3), (4, 3)))
    states = np.asarray(path_states(*map(jnp.asarray, (weights, start, inputs, kicks)), jnp.asarray(0.2), "rk4"))
    x = start
    for k in range(4):
        np.testing.assert_allclose(states[k], x, atol=1e-14)

        def flow(x, held=inputs[k]):
            return -x + weights @ np.tanh(x) + held

        one = flow(x)
        two = flow(x + 0.1 * one)
        three = flow(x + 0.1 * two)
        x = x + 0.2 / 6 * (one + 2 * two + 2 * three + flow(x + 0.2 * three)) + kicks[k]
