"""The mean metric: its equations with inverses written out, chunks, one sample."""

import numpy as np
import pytest
from fixed_point_cases import FAST, at_rest, eight_units
from fixed_point_updates import ONE, RULES, one_sample, parts, velocity

import weightpath as wp
from weightpath.rules.mean_metric import metric_parts


@pytest.fixture(scope="module")
def one():
    return one_sample()


def test_the_mean_metric_descends_where_the_mean_of_updates_does_not():
    network, task = eight_units("softplus", "half_squared")
    rest = at_rest(network, task.everything())
    gradient = -np.asarray(velocity(RULES["dW1"], network, task)[0].w_rec)
    assert np.sum(gradient * np.asarray(velocity(RULES["A"], network, task)[0].w_rec)) > 0  # it would climb
    w, gains, *_ = parts(network, rest)
    for parameter in ("A", "K"):
        moved, _ = velocity(wp.MeanMetric(parameter, solver=FAST), network, task)
        assert np.sum(gradient * np.asarray(moved.w_rec)) < 0
        # It solves its equations, told with inverses written out.
        total = 0
        for g in gains:
            ahead, behind = np.linalg.inv(np.eye(8) - w @ g), np.linalg.inv(np.eye(8) - g @ w)
            left, right = (g @ ahead, g @ ahead) if parameter == "A" else (ahead, behind)
            total = total + left.T @ left @ -np.asarray(moved.w_rec) @ right @ right.T
        np.testing.assert_allclose(total / len(gains), gradient, atol=1e-9 * np.abs(gradient).max())
    assert metric_parts("K", network.w_rec, rest.steady.slopes)[0].shape == (6, 8, 8)


@pytest.mark.parametrize("parameter", ["K", pytest.param("A", marks=pytest.mark.slow)])
def test_the_mean_metric_by_chunks_is_the_same(parameter):
    """Six samples, four at a time: the last chunk is not full."""
    network, task = eight_units("tanh", "cross_entropy")
    whole, chunked = (velocity(wp.MeanMetric(parameter, solver=FAST, chunk=size), network, task) for size in (None, 4))
    for name in ("w_rec", "w_in", "w_out"):
        np.testing.assert_allclose(getattr(chunked[0], name), getattr(whole[0], name), rtol=1e-7, atol=1e-9)


def test_the_mean_metric_of_one_sample_is_its_own(one):
    for parameter in ("A", "K"):
        # One sample's metric is a single Kronecker product, and so is its preconditioner: one step is exact.
        moved, _ = velocity(wp.MeanMetric(parameter, max_steps=1, solver=FAST), *one)
        np.testing.assert_allclose(moved.w_rec, ONE[parameter], atol=1e-9)
        other, _ = velocity(RULES[parameter], *one)
        np.testing.assert_allclose(moved.w_in, other.w_in, atol=1e-11)
        np.testing.assert_allclose(moved.bias, other.bias, atol=1e-11)
