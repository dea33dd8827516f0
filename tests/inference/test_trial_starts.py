"""Initial states of single trials: a Gaussian prior about the condition's, which held-out trials start from."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.objective import objective
from weightpath.inference.parameters import initial_values
from weightpath.inference.problem import arrange
from weightpath.networks.kernels import RationalQuadratic

TRIALS, BINS, NEURONS = 20, 6, 5
KERNEL = RationalQuadratic(5.0, 0.3, 0.05)


def recording():
    """The first bins differ from trial to trial along one direction, and decay."""
    rng = np.random.default_rng(0)
    condition = np.arange(TRIALS) % 2
    amount = rng.standard_normal(TRIALS)
    course = np.exp(-np.arange(BINS) / 4)[:, None] * rng.standard_normal(NEURONS)
    values = rng.standard_normal((2, 1, NEURONS))[condition] + amount[:, None, None] * course
    return wp.Recording(values + 0.05 * rng.standard_normal(values.shape), condition=condition), amount


def model(**settings):
    return wp.LowTensorRankRNN(**(dict(rank=2, units=10, kernel=KERNEL, initial_state="trial") | settings))


def fitted(one, what, mask=None, iterations=500):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(one, what, mask=mask, iterations=iterations, dtype="float64")


@pytest.mark.slow  # twins: the prior below; test_batched
def test_starts_follow_the_trials_and_held_out_trials_the_condition():
    what, amount = recording()
    mask = np.ones(what.shape, bool)
    mask[3], mask[8] = False, False
    fit = fitted(model(changes="fixed"), what, mask)
    by_condition = fitted(model(changes="fixed", initial_state="condition"), what, mask)
    assert fit.score(mask) > by_condition.score(mask) + 0.3
    start = np.asarray(fit.network.initial_state)
    for trial in (3, 8):
        same = (what.condition == what.condition[trial]) & fit.training_trials
        others = start[same]
        line = np.linalg.svd(others - others.mean(axis=0))[2][0]
        assert abs(np.corrcoef(others @ line, amount[same])[0, 1]) > 0.95
        # The condition's own state, in the midst of its trials': their deviations are those of the prior.
        assert np.abs((start[trial] - others.mean(axis=0)) @ line) < np.std(others @ line)
    same = [trial for trial in range(TRIALS) if what.condition[trial] == what.condition[3] and trial != 3]
    assert not any(np.allclose(start[3], start[trial]) for trial in same)


def test_prior_is_that_of_a_normal_deviation():
    """The start moves by sd sqrt(units) a number, and each costs the weight of the prior times its square."""
    what, _ = recording()
    one = model(initial_state_sd=0.3)
    arrangement = arrange(one, what, what.observed)
    parameters = initial_values(arrangement, 0, np.dtype("float64"))
    problem = arrangement.problem(np.dtype("float64"))
    from weightpath.inference.drive import drive_of

    numbers = jnp.asarray(np.random.default_rng(0).standard_normal(parameters.own_start.shape))
    moved = type(parameters)(**(vars(parameters) | {"own_start": numbers}))
    trials = arrangement.trials(np.dtype("float64"))
    starts = [drive_of(each, trials, problem.size, BINS, arrangement.layout)[0].start for each in (parameters, moved)]
    np.testing.assert_allclose(starts[1] - starts[0], 0.3 * np.sqrt(10) * numbers, atol=1e-12)
    loss = lambda prior: float(objective(moved, problem, jnp.asarray(prior), arrangement.layout)[0])  # noqa: E731
    cost = np.sum(np.asarray(moved.deviation) ** 2) + np.sum(np.asarray(numbers) ** 2)
    np.testing.assert_allclose(loss(0.7) - loss(0.0), 0.7 * cost)
