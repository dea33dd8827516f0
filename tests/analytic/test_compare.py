"""A theory beside a simulation: exact where the theory is, honest where it is not."""

import numpy as np
import optax
import pytest
from outlier_cases import ALL, BOTH, random_start, rank_one

import weightpath as wp

OUTLIER = wp.theory.Outlier()
TIME = np.linspace(0.0, 4.0, 9)


@pytest.mark.parametrize("train", [pytest.param(BOTH, marks=pytest.mark.slow), ALL])
def test_exact_for_a_rank_one_start(train):
    setup = rank_one(0.2, units=12, kappa=0.9, readout=0.2, outlier=0.1, train=train)
    comparison = wp.compare(OUTLIER, wp.flow(setup, TIME, rtol=1e-10, atol=1e-12))
    assert comparison.coords == ("read_in", "read_out", "outlier") and not comparison.reason
    assert wp.outcome_name(comparison.result) == "successful"
    np.testing.assert_allclose(comparison.error, 0, atol=1e-8)
    np.testing.assert_allclose(comparison.loss, comparison.predicted_loss, atol=1e-8)


def test_starts_from_the_first_network_of_the_trajectory():
    setup = rank_one(0.3, units=4)
    path = wp.flow(setup, np.linspace(1.0, 3.0, 5), rtol=1e-10, atol=1e-12)
    comparison = wp.compare(OUTLIER, path)
    np.testing.assert_array_equal(comparison.time, path.time)
    np.testing.assert_allclose(comparison.error, 0, atol=1e-8)


def test_random_start_is_predicted_to_second_order_in_the_gain():
    errors = []
    for gain in (0.02, 0.01):
        comparison = wp.compare(OUTLIER, wp.flow(random_start(100, gain, seed=3), TIME, project=2))
        assert not comparison.reason
        errors.append(np.max(np.abs(comparison.error[2:, 2])))  # once the outlier has left the bulk
    assert errors[1] < 2e-3
    np.testing.assert_allclose(errors[0] / errors[1], 4.0, rtol=0.35)


@pytest.mark.slow  # twin: test_train_to_flow's first order
def test_finer_gradient_steps_approach_the_theory_at_first_order():
    setup, errors = rank_one(0.3, units=3), []
    for rate in (0.02, 0.01):
        path = wp.train(setup, optax.sgd(rate), round(3.0 / rate), record=wp.Record(every=round(0.5 / rate)))
        comparison = wp.compare(OUTLIER, path)
        np.testing.assert_allclose(comparison.time[-1], 3.0)
        errors.append(np.max(np.abs(comparison.error)))
    np.testing.assert_allclose(errors[0] / errors[1], 2.0, rtol=0.2)


def test_outside_the_regime_is_said_and_shown():
    comparison = wp.compare(OUTLIER, wp.flow(random_start(100, 0.3), TIME, project=2))
    assert wp.outcome_name(comparison.result) == "outside_regime" and "gain" in comparison.reason
    assert np.all(np.isfinite(comparison.predicted)) and np.max(np.abs(comparison.error)) > 0.05


def test_adam_has_no_prediction():
    path = wp.train(rank_one(0.3, units=3), optax.adam(1e-2), 20, record=wp.Record(every=10))
    comparison = wp.compare(OUTLIER, path)
    assert "Adam" in comparison.reason and np.all(np.isnan(comparison.predicted))
    assert np.all(np.isfinite(comparison.measured))


def test_dataset():
    data = wp.compare(OUTLIER, wp.flow(rank_one(0.3, units=3), TIME)).to_dataset()
    assert data.sizes == {"step": 9, "coord": 3}
    np.testing.assert_array_equal(data.learning_time, TIME)
    np.testing.assert_allclose(data.error, data.measured - data.predicted)
    assert data.attrs["result"] == "successful" and "2503.18754" in data.attrs["reference"]


def test_history_without_a_setup():
    with pytest.raises(ValueError, match="no setup"):
        wp.compare(OUTLIER, wp.Trajectory.from_arrays(np.zeros((2, 3, 3))))
