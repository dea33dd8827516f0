"""The network of a fit in orthonormal coordinates of its span is the network itself, and so are its flow fields."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from planted import planted, small_fit, with_factors

from weightpath.inference.reading.flow_field import flow_field
from weightpath.inference.reading.in_span import held_input, in_span
from weightpath.networks.base import rollout

K = 9


@pytest.fixture(scope="module")
def fit():
    """Factors well apart, so that trials differ."""
    found = small_fit()
    return with_factors(found, np.asarray(found.c) + np.linspace(0, 1, len(found.c))[:, None] * [1.0, -0.7])


def flow_of_units(fit, k, drive):
    """tau dx/dt of trial k in all units, from the network's weights."""
    network = fit.to_trajectory().network(k)
    return lambda x: -x + network.w_rec @ jnp.tanh(x) + network.post_factor @ jnp.asarray(drive)


@pytest.mark.parametrize("turned", [False, True])
def test_flow_and_jacobian_are_those_of_all_units(fit, turned):
    system = in_span(fit).principal() if turned else in_span(fit)
    basis = system.basis
    np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-14)
    np.testing.assert_allclose(basis @ system.to_basis, fit.a, atol=1e-14)
    drive, points = np.array([0.3, -0.8]), np.random.default_rng(0).normal(size=(5, 2)) * 3
    flow = system.at(K, system.to_basis @ drive)
    full = flow_of_units(fit, K, drive)
    for point, value, jacobian in zip(points, flow(points), flow.jacobian(points), strict=True):
        np.testing.assert_allclose(basis @ value, full(basis @ point), atol=1e-12)
        whole = np.asarray(jax.jacfwd(full)(jnp.asarray(basis @ point)))
        np.testing.assert_allclose(basis.T @ whole @ basis, jacobian, atol=1e-12)
        outside = np.linalg.svd(basis.T)[2][2:].T
        np.testing.assert_allclose(np.linalg.eigvals(outside.T @ whole @ outside), -1, atol=1e-10)


def test_growth_at_rest_is_the_eigenvalues_of_the_weights_less_one(fit):
    jacobian = in_span(fit).at(K).jacobian(np.zeros(2))
    np.testing.assert_allclose(
        np.sort_complex(np.linalg.eigvals(jacobian) + 1), np.sort_complex(fit.eigenvalues()[K]), atol=1e-12
    )


@pytest.mark.parametrize("changes", ["trial", "inputs_epoch", "per_trial"])
def test_integration_is_that_of_the_network_in_all_units(changes):
    found = small_fit(changes)
    system = in_span(found)
    np.testing.assert_allclose(system.states, found.z @ system.to_basis.T, atol=1e-12)
    np.testing.assert_allclose(system.to_factors(system.states), found.z, atol=1e-11)
    network, inputs = found.to_trajectory().network(K), found.trial_inputs()[K]
    expected = np.stack([network.initial(), *rollout(network, jnp.asarray(inputs))[0]])[:-1]
    np.testing.assert_allclose(system.states[K] @ system.basis.T, expected, atol=1e-12)


def test_held_input_of_a_condition_and_epoch():
    found = small_fit("inputs_epoch")
    system = in_span(found)
    held = held_input(found, system, condition=1, epoch=0)
    np.testing.assert_allclose(held, system.to_basis @ found.inputs[0, 1].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(held_input(found, system), system.mean_input, atol=1e-12)
    with pytest.raises(ValueError, match="no trial has condition 2 and epoch None"):
        held_input(found, system, condition=2)


def test_heun_and_no_inputs():
    found = small_fit(solver="heun", inputs="none")
    system = in_span(found)
    assert system.substeps == 3 and not system.inputs.any()
    np.testing.assert_allclose(system.states, found.z @ system.to_basis.T, atol=1e-12)


def test_principal_axes_are_uncorrelated_and_sorted(fit):
    plain, turned = in_span(fit), in_span(fit).principal()
    np.testing.assert_allclose(turned.states @ turned.basis.T, plain.states @ plain.basis.T, atol=1e-12)
    covariance = np.cov(turned.states.reshape(-1, 2), rowvar=False)
    assert abs(covariance[0, 1]) < 1e-12 * covariance[0, 0] and covariance[0, 0] > covariance[1, 1]


def test_dependent_directions_span_what_they_span():
    """Two equal columns of A: states stay on a line, and the second coordinate only decays."""
    a = np.random.default_rng(1).normal(size=(20, 1)) @ np.ones((1, 2))
    system = planted(a, a, np.ones((1, 2)), start=np.ones((1, 2)))
    np.testing.assert_allclose(system.states[..., 1], 0, atol=1e-12)
    np.testing.assert_allclose(system.to_factors(system.states) @ system.to_basis.T, system.states, atol=1e-12)


def test_flow_field_is_the_flow_of_all_units_in_the_plane(fit):
    system = in_span(fit)
    field = flow_field(system, K, points=4)
    full = flow_of_units(fit, K, fit.trial_inputs().mean(axis=(0, 1)))
    x = system.basis @ np.array([field.x[3], field.y[1]])
    np.testing.assert_allclose(field.in_plane[1, 3], system.basis.T @ full(jnp.asarray(x)), atol=1e-12)
    np.testing.assert_array_equal(field.across, 0)
    visited = system.states.reshape(-1, 2)
    assert field.x[0] < visited[:, 0].min() and field.x[-1] > visited[:, 0].max()
    np.testing.assert_allclose(np.ptp(field.y), 1.2 * np.ptp(visited[:, 1]))


def test_change_of_the_flow_is_the_change_of_the_weights_on_the_rates(fit):
    system = in_span(fit)
    late, early = (flow_field(system, k, points=3, drive=np.array([5.0, 1.0])) for k in (12, 1))
    change = late - early
    rate = np.tanh(system.basis @ np.array([change.x[2], change.y[0]]))
    expected = system.basis.T @ (fit.weights(12) - fit.weights(1)) @ rate
    np.testing.assert_allclose(change.in_plane[0, 2], expected, atol=1e-12)


def test_a_plane_through_more_coordinates_tells_what_leaves_it():
    rng = np.random.default_rng(2)
    system = planted(rng.normal(size=(15, 3)), rng.normal(size=(15, 3)), np.ones((2, 3)))
    field = flow_field(system, 0, plane=(2, 0), points=3)
    whole = np.linalg.norm(field.vectors, axis=-1)
    np.testing.assert_allclose(np.hypot(np.linalg.norm(field.in_plane, axis=-1), field.across), whole)
    np.testing.assert_allclose(field.through, system.states.reshape(-1, 3).mean(axis=0))


def test_what_cannot_be_drawn_is_refused(fit):
    system = in_span(fit)
    with pytest.raises(ValueError, match="plane must name two different coordinates below 2; got"):
        flow_field(system, 0, plane=(0, 2))
    with pytest.raises(ValueError, match="trial must be an index from 0 to 13; got 14"):
        flow_field(system, 14)
    with pytest.raises(ValueError, match="extent must be positive"):
        flow_field(system, 0, extent=0.0)
    with pytest.raises(ValueError, match="a fit of rank 1 moves along a line"):
        flow_field(planted(np.ones((4, 1)), np.ones((4, 1)), np.ones((2, 1))), 0)
    with pytest.raises(ValueError, match="the two flow fields are on different grids"):
        flow_field(system, 0) - flow_field(system, 0, points=7)
