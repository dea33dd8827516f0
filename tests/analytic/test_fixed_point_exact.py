"""Exact steps of the reparameterised rules: the stepped response inverted, limits, singular ones by name."""

import jax.numpy as jnp
import numpy as np
import pytest
from fixed_point_cases import FAST, at_rest
from fixed_point_program import wave
from fixed_point_updates import general, parts, step, velocity

import weightpath as wp
from weightpath.rules.reparameterised import reparameterised_factors


@pytest.mark.parametrize("samples", [3, 9])
def test_exact_steps_invert_the_stepped_response(samples):
    """The small solve against two inversions of matrices of all units; the published variant looks ahead."""
    w, x = wave(5, 5, 1, 2, 0.7, 0.3), wave(5, samples, 0.9, 2.3, 1.7, 1.0)
    t, one, eta = wave(5, samples, 0.2, 0.6, 2.1, 1.0), np.eye(5), 0.4
    network, batch = wp.LinearRNN(w, one, one), wp.StaticTargets(x.T, t.T).everything()
    answer = np.linalg.inv(one - w)
    after = answer - eta * 2 / samples * (answer @ x - t) @ x.T
    ahead = answer - eta * 2 / samples * (after @ x - t) @ x.T
    for lookahead, wanted in ((False, after), (True, ahead)):
        rule = wp.Reparameterised("A", exact=True, lookahead=lookahead, solver=FAST)
        change = step(rule, network, batch, eta)
        np.testing.assert_allclose(change, one - w - np.linalg.inv(wanted), atol=4e-13)
    values = np.linalg.eigvalsh(2 / samples * x.T @ x)
    residual = np.linalg.solve(one - w - change, x) - t
    factor = np.linalg.eigvalsh(
        np.eye(samples) - eta * 2 / samples * x.T @ x @ (np.eye(samples) - eta * 2 / samples * x.T @ x)
    )
    np.testing.assert_allclose(np.sort(1 - eta * values * (1 - eta * values)), factor, atol=1e-13)
    expected = (answer @ x - t) @ (
        np.eye(samples) - eta * 2 / samples * x.T @ x @ (np.eye(samples) - eta * 2 / samples * x.T @ x)
    )
    np.testing.assert_allclose(residual, expected, atol=1e-12)


@pytest.mark.parametrize(("kind", "parameter"), [("linear", "A"), ("tanh-rate", "A"), ("tanh-rate", "K")])
def test_exact_steps_tend_to_the_velocity(kind, parameter):
    """The difference falls as the square of the rate."""
    network, task, *_ = general(kind)
    rule = wp.Reparameterised(parameter, exact=True, solver=FAST)
    slope = np.asarray(velocity(rule, network, task)[0].w_rec)

    def gap(eta):
        return np.linalg.norm(step(rule, network, task.everything(), eta) - eta * slope)

    gaps = np.array([gap(eta) for eta in (4e-4, 2e-4, 1e-4)])
    np.testing.assert_allclose(gaps[:-1] / gaps[1:], 4, rtol=0.05)


def test_exact_steps_of_single_samples_invert_theirs():
    """One sample of a tanh network, its slopes held: W of the stepped A, and of the stepped K."""
    network, task, *_ = general("tanh-rate")
    batch = task.everything().taken(jnp.array([2]))
    rest = at_rest(network, batch)
    w, (g,), (r,), (e,) = parts(network, rest)
    one, eta = np.eye(5), 0.05
    answer, back = np.linalg.inv(np.linalg.inv(g) - w), np.linalg.inv(g) - w
    after = answer - eta * np.outer(e, back @ r)
    stepped = {"A": back - np.linalg.inv(after) + w}
    k = w @ np.linalg.inv(one - g @ w) - eta * np.outer(g @ e, (one - g @ w) @ r)
    stepped["K"] = k @ np.linalg.inv(one + g @ k)
    for name, wanted in stepped.items():
        rule = wp.Reparameterised(name, exact=True, solver=FAST)
        np.testing.assert_allclose(step(rule, network, batch, eta), wanted - w, rtol=1e-10, atol=1e-13)


def test_steps_through_a_singular_response_are_named():
    # A = 2 and A+ = 0: the step of size one over what dJ/dA leaves of it.
    network, batch = wp.LinearRNN([[0.5]], [[1.0]], [[1.0]]), wp.StaticTargets([[1.0]], [[1.0]]).everything()
    rule = wp.Reparameterised("A", exact=True, solver=FAST)
    outcome = lambda rate: rule.step_at(network, batch, at_rest(network, batch), {"w_rec": jnp.asarray(rate)})[1]  # noqa: E731
    assert outcome(1.0) == wp.RESULTS.singular and outcome(0.9) == wp.RESULTS.successful
    # A+ = diag(1, small): of full rank, and all but singular.
    network = wp.LinearRNN(np.eye(2) / 2, np.eye(2), np.eye(2))
    for small, named in ((1e-13, wp.RESULTS.singular), (1e-11, wp.RESULTS.successful)):
        batch = wp.StaticTargets(np.eye(2), np.diag([1.0, small])).everything()
        assert outcome(1.0) == named
    network, task, *_ = general("tanh-rate")
    batch = task.everything().taken(jnp.array([2]))
    rest = at_rest(network, batch)
    factors, seen = reparameterised_factors("A", network.w_rec, rest)
    eta = 1 / jnp.sum(seen * factors.post)
    assert outcome(eta) == wp.RESULTS.singular
