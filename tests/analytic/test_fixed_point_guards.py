"""Guards and caps of training on static stimuli."""

import numpy as np
import pytest
from fixed_point_cases import FAST, at_rest, eight_units
from fixed_point_runs import EVERY, LINEAR, PLAIN, X, run, ten_linear_units

import weightpath as wp


@pytest.fixture(scope="module")
def ten():
    return ten_linear_units()


@pytest.mark.slow
def test_advice_keeps_a_run_in_bounds(ten):
    """What the message of the failed run says: the same rate, guarded and bounded, learns."""
    network, task, _ = ten
    path = run(network, task, LINEAR["dW3"], 3.0, 100, guards="halve", max_rel_step=0.1)
    assert path.result == wp.RESULTS.successful and path.loss[-1] < 1e-6 and np.all(np.diff(path.loss) <= 1e-20)
    with pytest.raises(RuntimeError, match=r'too large, guards="halve" keeps them in bounds'):
        setup = wp.Setup(network, task, LINEAR["dW3"], train=("w_rec",), rates={"w_rec": 3.0})
        wp.train(setup, PLAIN, 100, record=EVERY, max_rel_step=1e9)


def test_guards_fall_back_on_the_gradient():
    """Where the mean of the samples' updates climbs, a halving in vain is followed by a step of the gradient."""
    network, task = eight_units("softplus", "half_squared")
    guards = wp.Guards(loss_rise="halve", fall_back=1)
    path = run(network, task, wp.Reparameterised("A", solver=FAST), 0.001, 3, guards=guards, max_rel_step=0.1)
    assert path.result == wp.RESULTS.successful and np.all(np.diff(path.loss) < 0)
    np.testing.assert_array_equal(path.statistics["fallen"], [0, 1, 2, 3])
    np.testing.assert_array_equal(path.statistics["rejected"], [0, 2, 4, 6])
    batch, rule = task.everything(), wp.EuclideanFixedPoint(solver=FAST)
    gradient = rule.velocity_at(network, batch, at_rest(network, batch))[0]
    np.testing.assert_allclose(path.w_rec[1] - path.w_rec[0], 0.001 * gradient.w_rec, rtol=1e-9, atol=1e-14)


@pytest.mark.slow
def test_guards_refuse_what_climbs():
    network, task = eight_units("softplus", "half_squared")
    climbing = wp.Reparameterised("A", solver=FAST)
    assert np.all(np.diff(run(network, task, climbing, 0.001, 3).loss) > 0)
    stopped = run(network, task, climbing, 0.001, 3, guards="stop")
    assert stopped.result == wp.RESULTS.diverged and len(stopped) == 1
    allowed = run(network, task, climbing, 0.001, 3, guards=wp.Guards(loss_rise="stop", rise=1.1))
    assert allowed.result == wp.RESULTS.successful and np.all(np.diff(allowed.loss) > 0)


def test_exact_steps_are_halved_as_exact_steps(ten):
    """A rate at which linear regression climbs is halved to one at which it does not; the step is that rate's own."""
    network, task, (w, x, t) = ten
    limit = 2 / np.linalg.eigvalsh(2 / 4 * x.T @ x).max()
    path = run(network, task, LINEAR["dW2"], 3 * limit, 5, guards="halve")
    assert path.result == wp.RESULTS.successful and np.all(np.diff(path.loss) <= 0)
    used = np.diff(path.time) * 3 * limit
    residual, curve = np.linalg.solve(np.eye(10) - w, x) - t, []
    for rate in used:
        residual = residual @ (np.eye(4) - rate * 2 / 4 * x.T @ x)
        curve.append(np.sum(residual**2) / 4)
    np.testing.assert_allclose(path.loss[1:], curve, rtol=1e-7)
    assert path.statistics["rejected"][-1] >= 1


@pytest.mark.slow
def test_relative_steps_of_exact_rules_are_capped(ten):
    network, task, _ = ten
    capped = run(network, task, LINEAR["dW2"], 0.3, 2, max_rel_step=0.01)
    sizes = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(capped.w_rec, capped.w_rec[1:], strict=False)]
    np.testing.assert_allclose(sizes, 0.01, rtol=1e-9)


def test_a_margin_keeps_fixed_points_stable():
    """Targets that only an unstable network reaches: unguarded it goes there, with a margin it stays away."""
    task = wp.StaticTargets(X[:, None], -4 * X[:, None])  # 1 / (1 - w) = -4 at w = 1.25
    network = wp.LinearRNN([[0.2]], [[1.0]], [[1.0]])
    free = run(network, task, LINEAR["dW2"], 1 / (2 * np.mean(X**2)), 2)  # there in one step
    np.testing.assert_allclose(free.w_rec[-1], [[1.25]], atol=1e-9)
    assert list(free.statistics["stable"]) == [1, 0, 0]
    guarded = run(
        network, task, LINEAR["dW2"], 1 / (2 * np.mean(X**2)), 2, guards=wp.Guards(margin=0.1, max_halvings=3)
    )
    assert np.all(guarded.w_rec < 0.9) and np.all(guarded.statistics["stable"] == 1)
    # One step to 1 / (1 - w) = 20 would end at w = 0.95, stable and within the margin; half of it at 0.906.
    task = wp.StaticTargets(X[:, None], 20 * X[:, None])
    guarded = run(network, task, LINEAR["dW2"], 1 / (2 * np.mean(X**2)), 1, guards=wp.Guards(margin=0.1))
    np.testing.assert_allclose(1 / (1 - guarded.w_rec[-1]), 1.25 + (20 - 1.25) / 4, rtol=1e-9)
