"""Velocities of the rules of fixed points: reference values, finite differences, metrics, limits."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixed_point_cases import FAST, at_rest, eight_units, loss
from fixed_point_program import wave

import weightpath as wp
from weightpath.rules.mean_metric import metric_parts
from weightpath.rules.reparameterised import reparameterised_factors


def step(rule, network, batch, rate):
    """Change of the recurrent weights by a finite step of size `rate`."""
    return np.asarray(rule.step_at(network, batch, at_rest(network, batch), {"w_rec": jnp.asarray(rate)})[0].w_rec)


RULES = {
    "dW1": wp.EuclideanFixedPoint(solver=FAST),
    "A": wp.Reparameterised("A", solver=FAST),
    "K": wp.Reparameterised("K", solver=FAST),
    "dW4": wp.Reparameterised("dW4", solver=FAST),
}


def velocity(rule, network, task):
    """Velocity on all samples, at fixed points found in NumPy."""
    batch = task.everything()
    return rule.velocity_at(network, batch, at_rest(network, batch))


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
    """One sample of three tanh units with given errors (.1, -.2, .3)."""
    w_rec = np.array([[0.2, -0.3, 0.1], [0.4, 0.1, -0.2], [-0.1, 0.5, 0.3]])
    x, rates = np.array([0.5, -0.3, 0.8]), np.zeros(3)
    for _ in range(300):
        rates = np.tanh(w_rec @ rates + x)
    network = wp.RateRNN(w_rec, np.eye(3), np.eye(3), bias=np.zeros(3), leak=0.5)
    return network, wp.StaticTargets(x[None], (rates - [0.1, -0.2, 0.3])[None], loss="half_squared")


ONE = {
    "dW1": (
        (-0.014975805166, 0.004667837145, -0.016110337840),
        (0.071431761473, -0.022264701353, 0.076843267994),
        (-0.130050932225, 0.040535821978, -0.139903292761),
    ),
    "A": (
        (-0.086921245943, 0.039528863051, -0.110002826635),
        (0.248065318884, -0.112811774746, 0.313938047842),
        (-0.867665697270, 0.394585215038, -1.098070767837),
    ),
    "K": (
        (0.006644423136, -0.004075469029, 0.005458680797),
        (0.098679667190, -0.060526838704, 0.081069611817),
        (-0.132190145007, 0.081081055631, -0.108599917764),
    ),
    "dW4": (
        (-0.007611428077, 0.006478882665, -0.008048492566),
        (0.089408801358, -0.076105183854, 0.094542846071),
        (-0.183395892367, 0.156107428963, -0.193926876982),
    ),
}


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


def general(kind):
    """A network with every weight that its kind has, and a task for it: as arrays by name, too."""
    weights = {
        "w_rec": wave(5, 5, 1, 2, 0.7, 0.3),
        "w_in": wave(5, 2, 0.4, 1.1, 0.3, 0.9),
        "w_out": wave(3, 5, 1.3, 0.2, 0.8, 0.7),
    }
    inputs, activation = wave(7, 2, 0.9, 2.3, 1.7, 1.0), "linear"
    if kind == "linear":
        network = wp.ContinuousLinearRNN(**weights)
    else:
        activation, form = kind.split("-")
        weights |= {"bias": wave(5, 1, 0.7, 1, 1, 0.3)[:, 0], "readout_bias": wave(3, 1, 2, 1, 1, 0.4)[:, 0]}
        network = wp.RateRNN(**weights, leak=0.3, form=form, activation=activation)
    labelled = kind == "softplus-current"
    targets = np.arange(7) % 3 if labelled else wave(7, 3, 0.2, 0.6, 2.1, 1.0)
    return (
        network,
        wp.StaticTargets(inputs, targets),
        weights,
        (inputs, targets, activation, "cross_entropy" if labelled else "squared"),
    )


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


def parts(network, rest):
    """W, G (trial, unit, unit), rates and errors as NumPy arrays."""
    gains = np.asarray(rest.steady.slopes)[:, :, None] * np.eye(network.w_rec.shape[0])
    return np.asarray(network.w_rec), gains, np.asarray(rest.steady.rates), np.asarray(rest.errors)


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
