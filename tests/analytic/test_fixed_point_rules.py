"""Velocities of the rules of fixed points: reference values, finite differences, metrics, limits."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixed_point_cases import FAST, at_rest, eight_units, loss
from fixed_point_program import wave
from fixed_point_updates import ONE, RULES, general, one_sample, parts, step, velocity

import weightpath as wp
from weightpath.rules.reparameterised import reparameterised_factors


def degrees(first, second):
    a, b = first / np.linalg.norm(first), second / np.linalg.norm(second)
    return np.degrees(2 * np.arcsin(np.linalg.norm(a - b) / 2))


#: Loss, norms of the four unit-rate updates, angles of the last three to the first.
REFERENCE = {
    ("tanh", "cross_entropy"): (
        1.57148712015,
        (0.8723609297, 38.6794892614, 0.8986256400, 0.9390375180),
        (55.07880871, 51.37818545, 46.17103365),
    ),
    ("tanh", "half_squared"): (
        1.24309567949,
        (1.3835579327, 54.9031315653, 1.4619924746, 1.5065433403),
        (53.72714100, 50.82874474, 44.46299803),
    ),
    ("softplus", "half_squared"): (
        0.788641151426,
        (0.3889810944, 29.3350538456, 0.4803037653, 1.0960666848),
        (100.37896097, 39.06900228, 50.90942457),
    ),
}


@pytest.mark.parametrize("case", REFERENCE, ids="-".join)
def test_reference_updates_of_a_nonlinear_batch(case):
    first, norms, angles = REFERENCE[case]
    network, task = eight_units(*case)
    assert abs(float(at_rest(network, task.everything()).loss) - first) < 1e-8 * first
    updates = [np.asarray(velocity(rule, network, task)[0].w_rec) for rule in RULES.values()]
    np.testing.assert_allclose([np.linalg.norm(update) for update in updates], norms, rtol=1e-8)
    np.testing.assert_allclose([degrees(update, updates[0]) for update in updates[1:]], angles, atol=1e-6)


@pytest.fixture(scope="module")
def one():
    return one_sample()


def test_reference_updates_of_one_sample(one):
    for name, wanted in ONE.items():
        np.testing.assert_allclose(velocity(RULES[name], *one)[0].w_rec, wanted, atol=1e-10)
    network, task = one
    for name, wanted in {
        "A": (-0.009490536253, 0.004315977110, -0.012010709267),
        "K": (0.000672863843, -0.000412712390, 0.000552786730),
    }.items():
        rule = wp.Reparameterised(name, exact=True, solver=FAST)
        np.testing.assert_allclose(step(rule, network, task.everything(), 0.1)[0], wanted, atol=1e-10)


@pytest.mark.parametrize("kind", ["linear", "tanh-rate", "softplus-current"])
def test_the_gradient_against_finite_differences(kind):
    network, task, weights, problem = general(kind)
    moved = velocity(RULES["dW1"], network, task)[0]
    generator = np.random.default_rng(0)
    for name, array in weights.items():
        direction = generator.standard_normal(array.shape)
        ends = [loss(weights | {name: array + step * direction}, *problem) for step in (1e-5, -1e-5)]
        slope = (ends[0] - ends[1]) / 2e-5
        # A difference of losses near 1 knows its slope to about 1e-11.
        np.testing.assert_allclose(
            -np.sum(np.asarray(getattr(moved, name)) * direction), slope, rtol=1e-8, atol=5e-11, err_msg=name
        )
    series = velocity(wp.PhantomGradient(200, solver=FAST), network, task)[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), series, moved)


def test_one_phantom_term_is_local():
    network, task, weights, _ = general("tanh-rate")
    rest = at_rest(network, task.everything())
    local = -(np.asarray(rest.steady.slopes) * np.asarray(rest.errors)).T @ np.asarray(rest.steady.rates) / 7
    np.testing.assert_allclose(velocity(wp.PhantomGradient(solver=FAST), network, task)[0].w_rec, local, atol=1e-14)


def test_slopes_of_single_samples_and_steepest_descent():
    network, task, *_ = general("tanh-rate")
    batch = task.everything()
    rest = at_rest(network, batch)
    w, gains, rates, errors = parts(network, rest)
    gradient = RULES["dW1"].factors(network, batch, rest)
    one = np.eye(5)
    directions = np.random.default_rng(1).standard_normal((300, 5, 5))
    for name in ("A", "K", "dW4"):
        factors = reparameterised_factors(name, network.w_rec, rest)[0]
        for k, (g, r, e) in enumerate(zip(gains, rates, errors, strict=True)):
            ahead, behind = np.linalg.inv(one - w @ g), np.linalg.inv(one - g @ w)
            left, right, slope = {
                "A": (g @ ahead, g @ ahead, (e @ e) * np.sum(((np.linalg.inv(g) - w) @ r) ** 2)),
                "K": (ahead, behind, (e @ g @ g @ e) * np.sum(((one - g @ w) @ r) ** 2)),
                "dW4": (np.sqrt(g) @ ahead, ahead, (e @ g @ e) * np.sum(((one - w @ g) @ r) ** 2)),
            }[name]
            outer = np.outer(gradient.post[k], gradient.pre[k])
            update = np.outer(factors.post[k], factors.pre[k])
            np.testing.assert_allclose(np.sum(outer * update), slope, rtol=1e-11)
            # The Riemannian gradient of |P dW Q|: no direction of unit length in the metric has a larger slope.
            wanted = np.linalg.solve(left.T @ left, outer) @ np.linalg.inv(right @ right.T)
            np.testing.assert_allclose(update, wanted, rtol=1e-10, atol=1e-12 * np.abs(wanted).max())
            lengths = np.linalg.norm(left @ directions @ right, axis=(1, 2))
            others = np.abs(np.sum(directions * outer, axis=(1, 2))) / lengths
            best = slope / np.linalg.norm(left @ update @ right)
            assert np.all(others <= best) and np.sum(outer**2) / np.linalg.norm(left @ outer @ right) <= best
            # Input weights: the same with u in place of what the recurrent weights see.
            if name != "dW4":
                u = np.asarray(batch.inputs)[k]
                size = (e @ e if name == "A" else e @ g @ g @ e) * (u @ u)
                np.testing.assert_allclose((gradient.post[k] @ factors.post[k]) * (u @ u), size, rtol=1e-10)


def test_without_slopes_the_parameters_coincide():
    network, task, *_ = general("linear")
    first, *others = (velocity(RULES[name], network, task)[0] for name in ("A", "K", "dW4"))
    for other in others:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), first, other)
    rules = [wp.Reparameterised(name, exact=True, solver=FAST) for name in ("A", "K")]
    steps = [step(rule, network, task.everything(), 0.2) for rule in rules]
    np.testing.assert_allclose(steps[0], steps[1], atol=1e-14)


def test_nudges_inside_and_outside():
    network, task, *_ = general("tanh-rate")
    symmetric = eqx.tree_at(lambda value: value.w_rec, network, (network.w_rec + network.w_rec.T) / 2)
    batch = task.everything()
    inside, outside = (
        wp.EquilibriumPropagation(1e-3, True, False, FAST),
        wp.EquilibriumPropagation(1e-3, False, True, FAST),
    )
    nudged = eqx.filter_jit(lambda rule, network, rest: rule.factors(network, batch, rest).post)
    for net in (network, symmetric):
        rest = at_rest(net, batch)
        w, gains, _, errors = parts(net, rest)
        answers = np.linalg.inv(np.linalg.inv(gains) - w)
        adjoint = np.einsum("kji,kj->ki", answers, errors)
        # One-sided error of order 1 in the nudge, centred of order 2.
        for rule, shift, ratio in ((inside, answers, 2), (outside, answers @ np.linalg.inv(gains), 4)):
            wanted = np.einsum("kij,kj->ki", shift, errors)
            rules = [eqx.tree_at(lambda value: value.nudge, rule, jnp.asarray(nudge)) for nudge in (2e-3, 1e-3)]
            found = [np.asarray(nudged(one, net, rest)) for one in rules]
            gaps = [np.linalg.norm(one - wanted) for one in found]
            np.testing.assert_allclose(gaps[0] / gaps[1], ratio, rtol=0.02)
            # The adjoint: only of symmetric weights, and only where the nudge is inside.
            off = np.linalg.norm(2 * found[1] - found[0] - adjoint) / np.linalg.norm(adjoint)
            assert off < 1e-5 if (rule is inside and net is symmetric) else off > 0.02


def test_dead_units():
    """A unit without slope: the gradient leaves it, K and dW4 revive it, A is not defined."""
    w = wave(6, 6, 1, 2, 0.7, 0.25)
    network = wp.RateRNN(w, np.eye(6), np.eye(6), activation="relu", leak=1.0)
    task = wp.StaticTargets(wave(3, 6, 0.5, 1.2, 0.3, 1.0), wave(3, 6, 0.2, 0.7, 0.5, 1.0))
    rest = at_rest(network, task.everything())
    dead = np.all(np.asarray(rest.steady.slopes) == 0, axis=0)
    assert np.any(dead) and not np.all(dead)
    moved = {name: np.asarray(velocity(rule, network, task)[0].w_rec) for name, rule in RULES.items()}
    assert not np.any(moved["dW1"][dead]) and not np.any(moved["dW1"][:, dead])
    for name in ("K", "dW4"):
        assert np.all(np.isfinite(moved[name])) and np.all(np.any(moved[name][dead] != 0, axis=1))
        assert np.all(np.any(moved[name][:, dead] != 0, axis=0))
    for rule in (RULES["A"], wp.MeanMetric("A", solver=FAST)):
        assert velocity(rule, network, task)[1] == wp.RESULTS.singular_gain


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wp.Reparameterised("B"), "parameter must be one of A, K, dW4; got 'B'"),
        (lambda: wp.Reparameterised("dW4", exact=True), '"dW4" has no exact step'),
        (lambda: wp.Reparameterised(lookahead=True), "lookahead changes exact steps only"),
        (lambda: wp.MeanMetric("dW4"), "parameter must be A or K; got 'dW4'"),
        (lambda: wp.MeanMetric(max_steps=0), "max_steps at least 1"),
        (lambda: wp.MeanMetric(chunk=0), "chunk must be a whole number of samples of at least 1, or None; got 0"),
        (lambda: wp.PhantomGradient(0), "terms must be a whole number of at least 1; got 0"),
        (lambda: wp.EquilibriumPropagation(nudge=0.0), "nudge must be positive and finite; got 0"),
    ],
)
def test_bad_settings_say_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
