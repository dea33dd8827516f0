"""Counterfactuals of a fit: limits in which a part does nothing, or everything."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from planted import small_fit, with_factors

from weightpath.inference.reading.counterfactual import counterfactuals, swap_starts


@pytest.fixture(scope="module")
def fit():
    return small_fit()


def test_what_does_not_change_has_no_share(fit):
    still = with_factors(fit, np.ones_like(fit.c))
    found = counterfactuals(still)
    np.testing.assert_allclose(found.full, still.predict(), atol=1e-11)
    assert found.shares["learning"] < 1e-24 and found.shares["input"] > 0.1 and found.reference == "before"
    assert set(found.shares) == {"learning", "input", "recurrence"}
    assert found.remainder == pytest.approx(1 - sum(found.shares.values()))
    silent = counterfactuals(with_factors(fit, np.zeros_like(fit.c)))
    assert silent.shares["recurrence"] < 1e-24 and silent.shares["learning"] < 1e-24


def test_without_inputs_their_share_is_zero():
    found = small_fit(inputs="none")
    assert not found.trial_inputs().any()
    assert counterfactuals(found).shares["input"] < 1e-24


def test_without_recurrence_the_state_is_a_leaky_sum_of_inputs(fit):
    """z decays by one RK4 step of exp(-h) a bin and gathers the input held over it."""
    found = counterfactuals(fit)
    h = 0.25
    decay = 1 - h + h**2 / 2 - h**3 / 6 + h**4 / 24
    inputs, z = fit.trial_inputs(), [np.asarray(fit.network.initial_state)]
    for bin in range(inputs.shape[1] - 1):
        z.append(decay * z[-1] + (1 - decay) * inputs[:, bin])
    expected = replace(fit, z=np.stack(z, axis=1)).predict()
    np.testing.assert_allclose(found.without["recurrence"], expected, atol=1e-11)


def test_without_learning_every_trial_has_the_mean_factors_of_the_reference(fit):
    c = np.asarray(fit.c) + np.arange(len(fit.c))[:, None] * [0.05, 0.0]
    moved = with_factors(fit, c)
    held = with_factors(fit, np.broadcast_to(c[7:].mean(axis=0), c.shape).copy())
    found = counterfactuals(moved, reference=1)
    np.testing.assert_allclose(found.without["learning"], held.predict(), atol=1e-11)
    change = np.sum((moved.predict() - held.predict()) ** 2)
    spread = np.sum((moved.predict() - moved.predict().mean(axis=(0, 1))) ** 2)
    assert found.shares["learning"] == pytest.approx(change / spread, rel=1e-9) and found.reference == "after"


def test_a_slow_offset_is_a_part_of_its_own(fit):
    offset = np.zeros((14, 5))
    offset[7:] = 0.5
    found = counterfactuals(replace(fit, offset=offset))
    expected = 0.25 * 7 * 6 * 5 / np.sum((found.full - found.full.mean(axis=(0, 1))) ** 2)
    assert found.shares["offset"] == pytest.approx(expected, rel=1e-9)


def test_an_epoch_that_is_not_there_is_refused(fit):
    with pytest.raises(ValueError, match="there is no epoch 2; the epochs are 0 before, 1 after"):
        counterfactuals(fit, reference=2)


def test_starts_alone_or_flow_alone(fit):
    """Starts shared by all epochs, factors that differ: all is flow. Starts of their own, equal factors: all start."""
    steps = np.repeat([[1.0, 1.0], [1.6, 0.3]], 7, axis=0)
    flow_only = swap_starts(with_factors(fit, steps))
    assert flow_only.start_share < 1e-24 and flow_only.flow_share == pytest.approx(1.0)
    assert flow_only.states.shape == (2, 2, 2, 6, 2) and flow_only.epochs == ("before", "after")
    start = np.asarray(fit.network.initial_state) + np.repeat([[0.0], [2.0]], 7, axis=0)
    network = eqx.tree_at(lambda one: one.initial_state, fit.network, jnp.asarray(start))
    start_only = swap_starts(with_factors(replace(fit, network=network), np.ones((14, 2))))
    assert start_only.flow_share < 1e-24 and start_only.start_share == pytest.approx(1.0)


def test_states_of_a_later_bin_run_on_to_the_end(fit):
    """Constant factors within an epoch: from bin 2 on, own start under own flow is the trial itself."""
    moved = with_factors(fit, np.repeat([[1.0, 1.0], [1.6, 0.3]], 7, axis=0))
    found = swap_starts(moved, at=2)
    own = replace(moved).z[0, 2:] @ np.linalg.qr(moved.a)[1].T
    sign = np.sign(np.diag(np.linalg.qr(moved.a)[1]))
    np.testing.assert_allclose(found.states[0, 0, moved.recording.condition[0]], own * sign, atol=1e-10)
    assert found.start_share > 1e-6
    with pytest.raises(ValueError, match="at must be a bin from 0 to 4"):
        swap_starts(moved, at=5)
