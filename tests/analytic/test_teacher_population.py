"""Exact updates of local rules on a teacher's task, against written-out sums, closed forms and sampled trials."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import teacher_cases as cases
from scipy.linalg import block_diag
from teacher_cases import ALL, DECAY, RULES, R

import weightpath as wp
from weightpath.rules.credit import Credit
from weightpath.rules.population import population_velocity
from weightpath.rules.teacher import teacher_loss, teacher_velocity

#: Norms of the updates of W and B, and one entry of each.
TABLE = {
    "bptt": (0.1216460457, 0.6157098008, -0.0072184739, 0.2723017082),
    "truncated_1": (0.0902646895, 0.6125631300, 0.0047120353, 0.2897985881),
    "truncated_2": (0.1162079815, 0.6091630017, -0.0043360307, 0.2759472161),
    "rflo": (0.1547155530, 1.1677447888, -0.0466745205, 0.0055130694),
    "eprop": (0.1666213541, 1.1655599691, -0.0220845908, 0.0276823588),
}


class Stub(eqx.Module):
    """A rule that is its credit alone."""

    given: Credit

    def credit(self, network):
        return self.given


def assert_updates(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", TABLE)
def test_reference_table(name):
    (w_rec, w_in, w_out), info = cases.exact(6)[name]
    found = (np.linalg.norm(w_rec), np.linalg.norm(w_in), w_rec[0, 1], w_in[1, 0])
    np.testing.assert_allclose(found, TABLE[name], rtol=0, atol=1e-9)
    np.testing.assert_allclose((np.linalg.norm(w_out), w_out[0, 0]), (1.0021548002, 0.2125430566), rtol=0, atol=1e-9)
    assert float(info.loss) == pytest.approx(1.044519205234, abs=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_both_losses_equal_written_out_sums(name):
    horizon = 6
    assert_updates(cases.exact(horizon)[name][0], cases.final_update(name, horizon), 1e-14)
    each = [cases.final_update(name, t) for t in range(1, horizon + 1)]
    mean = [np.mean(parts, axis=0) for parts in zip(*each, strict=True)]
    assert_updates(cases.exact(horizon, "sequence")[name][0], mean, 1e-14)


@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_back_propagation_is_the_gradient_of_the_loss(loss):
    horizon = 6

    def value(w, b, a):
        power = np.linalg.matrix_power
        errors = [a @ power(w, k) @ b - cases.A_STAR @ power(cases.W_STAR, k) @ cases.B_STAR for k in range(horizon)]
        each = [0.5 * sum(np.sum(e**2) for e in errors[:t]) for t in range(1, horizon + 1)]
        return each[-1] if loss == "final" else np.mean(each)

    update, info = cases.exact(horizon, loss)["bptt"]
    weights = [cases.W, cases.B, cases.A]
    assert float(info.loss) == pytest.approx(value(*weights), rel=1e-14)
    for which, found in enumerate(update):
        for entry in np.ndindex(*found.shape):
            change = np.zeros(found.shape)
            change[entry] = 1e-5
            ahead = value(*[w + change if i == which else w for i, w in enumerate(weights)])
            behind = value(*[w - change if i == which else w for i, w in enumerate(weights)])
            assert found[entry] == pytest.approx((ahead - behind) / 2e-5, abs=1e-9)


def test_truncation_at_the_horizon_is_back_propagation():
    for loss in ("final", "sequence"):
        found = cases.exact(6, loss)
        for one, other in zip(found["bptt"][0], found["truncated_6"][0], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", RULES)
def test_stationary_update_solves_its_linear_equation(name):
    # vec(Y) by a Kronecker product, the Gramian by a sum: another program for the same numbers.
    step = block_diag(cases.W, cases.W_STAR)
    drive, output = np.concatenate([cases.B, cases.B_STAR]), np.concatenate([cases.A, -cases.A_STAR], axis=1)
    powers = [np.linalg.matrix_power(step, k) for k in range(120)]
    gramian = sum(power @ drive @ drive.T @ power.T for power in powers)
    if name.startswith("truncated") or name == "snap":
        pairs = zip(cases.operators(name, 6), powers, strict=False)
        carried = sum(p @ output @ power for p, power in pairs)
    else:
        source = cases.operators(name, 1)[0]
        carry = {"rflo": DECAY * np.eye(3)}.get(name, np.diag(np.diag(cases.W)) if "eprop" in name else cases.W.T)
        system = np.eye(15) - np.kron(step.T, carry)
        carried = np.linalg.solve(system, (source @ output).ravel(order="F")).reshape((3, 5), order="F")
    expected = (carried @ step @ gramian[:, :3], carried @ drive, output @ gramian[:, :3])
    found, info = cases.exact(None)[name]
    assert_updates(found, expected, 1e-14)
    assert wp.outcome_name(info.result) == "successful" and float(info.residual) < 1e-14
    assert_updates(found, cases.final_update(name, 80), 1e-13)


def test_long_trials_reach_the_stationary_loss_from_below():
    one = wp.LinearRNN([[0.1]], [[0.2]], [[0.3]])
    teacher = wp.LinearRNN([[0.7]], [[0.9]], [[1.2]])
    for horizon, expected in ((10, 0.96641), (100, 1.06474), (1000, 1.07458), (None, 1.0756701742)):
        loss = wp.loss(cases.setup(wp.BPTT(), horizon, "sequence", one, teacher))
        assert loss == pytest.approx(expected, abs=5e-6)


@pytest.mark.parametrize("horizon", [12, None])
def test_loss_and_velocity_vanish_at_the_solution_without_a_sign_error(horizon):
    turn = np.linalg.qr(cases.table(lambda i, j: np.sin(3 * i + j * j), 2, 2))[0]
    same = wp.LinearRNN(turn @ cases.W_STAR @ turn.T, turn @ cases.B_STAR, cases.A_STAR @ turn.T)
    loss, close = (
        float(teacher_loss(student, wp.TeacherRNN(cases.TEACHER, horizon).population()))
        for student in (same, eqx.tree_at(lambda net: net.w_out, same, same.w_out + 1e-9))
    )
    assert 0 <= loss < 1e-30 and 1e-19 < close < 1e-17
    rule = wp.RFLO(R[:, :2], trace_decay=DECAY)
    velocity = wp.velocity(cases.setup(rule, horizon, student=same))
    assert max(np.max(np.abs(part)) for part in cases.update_of(velocity)) < 1e-14


@pytest.mark.parametrize("radius", [0.999, 0.9999])
def test_slow_networks_are_summed_to_the_end(radius):
    # One unit: closed forms of the sums, with every factor 1 - w^2 at its smallest.
    w, b, a, w_star, decay, kappa = radius, 0.4, 0.7, 0.95, 0.99, 1.3
    setup = cases.setup(
        wp.RFLO([[0.6]], trace_decay=decay),
        student=wp.LinearRNN([[w]], [[b]], [[a]]),
        teacher=wp.LinearRNN([[w_star]], [[1.0]], [[kappa]]),
    )
    u, x, v, y = 1 - w * w, 1 - w * w_star, 1 - decay * w, 1 - decay * w_star
    expected = (
        0.6 * b * (a * b * w / (u * v) - kappa * w_star / (x * y)),
        0.6 * (a * b / v - kappa / y),
        a * b * b / u - kappa * b / x,
    )
    found = [float(part[0, 0]) for part in cases.update_of(wp.velocity(setup))]
    np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize("name", ["bptt", "rflo"])
def test_unstable_students_have_a_named_outcome_and_no_velocity(name):
    loud = cases.unstable(cases.STUDENT, 1.01)
    target = wp.TeacherRNN(cases.TEACHER).population()
    velocity, info = eqx.filter_jit(RULES[name].population)(loud, target)
    assert wp.outcome_name(info.result) == "unstable" and np.isnan(velocity.w_in).all() and np.isinf(info.loss)
    with pytest.raises(ValueError, match=r"radius 1\.01 >= 1.*give TeacherRNN a horizon"):
        wp.velocity(cases.setup(RULES[name], student=loud))
    assert np.isfinite(wp.loss(cases.setup(RULES[name], 12, student=loud)))


def test_a_filter_in_continuous_time_is_a_teacher():
    # RFLO's trace decays with the membrane, e-prop's with each unit's own loop; the operators are exp((D - 1) s) S.
    network = wp.ContinuousLinearRNN(cases.W, cases.B, cases.A)
    target = wp.RationalFilter([[-0.4, -1.0], [1.0, -0.4]], cases.B_STAR, cases.A_STAR).population()
    grid, spacing = np.linspace(0, 40, 2001, retstep=True)
    weight = spacing * np.where(np.arange(2001) % 2, 4, 2) / 3  # Simpson's rule
    weight[[0, -1]] = spacing / 3

    def flow(generator):
        values, vectors = np.linalg.eig(generator)
        return np.einsum("ij,tj,jk->tik", vectors, np.exp(np.outer(grid, values)), np.linalg.inv(vectors)).real

    forward = flow(block_diag(cases.W - np.eye(3), target.transition))
    drive, output = np.concatenate([cases.B, cases.B_STAR]), np.concatenate([cases.A, -cases.A_STAR], axis=1)
    driven, seen = forward @ drive, output @ forward
    gramian = np.einsum("t,tij,tkj->ik", weight, driven, driven)
    for carry in (jnp.zeros(()), jnp.diagonal(network.w_rec), network.w_rec.T):
        dense = np.asarray(carry) if carry.ndim == 2 else np.diag(np.broadcast_to(np.asarray(carry), 3))
        carried = np.einsum("t,tij,tjk->ik", weight, flow(dense - np.eye(3)) @ R.T, seen)
        found, info = teacher_velocity(Stub(Credit(carry, jnp.asarray(R.T))), network, target)
        expected = (carried @ gramian[:, :3], carried @ drive, output @ gramian[:, :3])
        assert_updates(cases.update_of(found), expected, 1e-8)
        assert float(info.residual) < 1e-14
    exact = population_velocity(network, target)[0]
    symmetric = teacher_velocity(Stub(Credit(network.w_rec.T, network.w_out.T)), network, target)[0]
    assert_updates(cases.update_of(symmetric), cases.update_of(exact), 1e-14)


def test_sampled_filters_and_finite_trials_are_teachers_too():
    noise = wp.WhiteNoise(duration=1.2, dt=0.1, trials=2)
    task = wp.RationalFilter([[-0.4, -1.0], [1.0, -0.4]], cases.B_STAR, cases.A_STAR, dt=0.1, noise=noise)
    target = task.population()
    teacher = wp.LinearRNN(target.transition, target.drive, target.output)
    pairs = [(task, wp.TeacherRNN(teacher)), (wp.FiniteTrials(task), wp.TeacherRNN(teacher, 12, "sequence"))]
    for one, other in pairs:
        for rule in (RULES["rflo"], RULES["bptt"]):
            found, expected = (wp.velocity(wp.Setup(cases.STUDENT, part, rule, train=ALL)) for part in (one, other))
            assert_updates(cases.update_of(found), cases.update_of(expected), 1e-14)


def test_what_has_no_exact_form_names_rule_network_and_target():
    tanh = wp.RateRNN(cases.W, cases.B, cases.A, leak=0.5)
    with pytest.raises(ValueError, match="RFLO.*RateRNN.*TeacherRNN"):
        wp.velocity(wp.Setup(tanh, wp.TeacherRNN(cases.TEACHER, 5), RULES["rflo"], train=ALL))
    slow = wp.ContinuousLinearRNN(cases.W, cases.B, cases.A)
    with pytest.raises(ValueError, match="make the student a LinearRNN"):
        wp.velocity(wp.Setup(slow, wp.TeacherRNN(cases.TEACHER, 5), wp.BPTT(), train=ALL))


@pytest.mark.parametrize("loss", [pytest.param("final", marks=pytest.mark.slow), "sequence"])
def test_population_is_the_mean_of_sampled_updates(loss):
    trials, horizon = 2000, 6
    task = wp.TeacherRNN(cases.TEACHER, horizon, loss, trials=1)
    rules = {name: RULES[name] for name in ("truncated_2", "rflo")}
    if loss == "sequence":
        rules = {**RULES, "uoro": wp.UORO(), "kfrtrl": wp.KFRTRL()}

    @jax.jit
    def updates(rules):
        def of_trial(index, rule):
            key = jax.random.key(11)
            batch = task.sample(key, index)
            state = rule.init(cases.STUDENT, batch, jax.random.fold_in(key, trials + index))
            return rule.update(cases.STUDENT, batch, state)[0]

        return {
            name: jax.vmap(lambda index, rule=rule: of_trial(index, rule))(jnp.arange(trials))
            for name, rule in rules.items()
        }

    for name, sampled in updates(rules).items():
        exact, _ = cases.exact(horizon, loss)["bptt" if name in ("uoro", "kfrtrl") else name]
        for one, other in zip((sampled.w_rec, sampled.w_in, sampled.w_out), exact, strict=True):
            one = np.asarray(one)
            error = np.std(one, axis=0) / np.sqrt(trials)
            assert np.max(np.abs(np.mean(one, axis=0) + other) / error) < 4, name


@pytest.mark.parametrize(("horizon", "loss"), [(6, "final"), (6, "sequence"), (None, "final")])
def test_one_identity_ties_the_updates_of_a_rule(horizon, loss):
    found = {name: update for name, (update, _) in cases.exact(horizon, loss).items()}
    for name, kind, feedback, decay in (
        ("bptt", "gradient", None, 0.0),
        ("truncated_1", "local", None, 0.0),
        ("rflo", "local", R, DECAY),
        ("snap", "local", R, 0.0),
    ):
        assert cases.identity_residual(kind, cases.STUDENT, found[name], feedback, decay) < 1e-12
    assert cases.identity_residual("gradient", cases.STUDENT, found["truncated_2"]) > 1e-3


def test_the_identity_holds_for_any_inputs_and_targets():
    batch = cases.coloured_batch()
    for name, kind, feedback, decay in (
        ("bptt", "gradient", None, 0.0),
        ("truncated_1", "local", None, 0.0),
        ("rflo", "local", R, DECAY),
    ):
        rule = RULES[name]
        velocity = rule.update(cases.STUDENT, batch, rule.init(cases.STUDENT, batch, None))[0]
        assert cases.identity_residual(kind, cases.STUDENT, cases.update_of(velocity), feedback, decay) < 1e-12


def test_ranks_and_column_spaces_of_one_update():
    keys = jax.random.split(jax.random.key(5), 7)
    student = wp.LinearRNN(
        *(0.3 * jax.random.normal(k, s) for k, s in zip(keys, [(9, 9), (9, 2), (2, 9)], strict=False))
    )
    feedback = jax.random.normal(keys[3], (2, 9))

    def change(rule, network=student):
        return cases.update_of(wp.velocity(cases.setup(rule, 10, student=network)))

    def outside(matrix, basis):
        inside = basis @ np.linalg.lstsq(basis, matrix, rcond=None)[0]
        return np.linalg.norm(matrix - inside) / np.linalg.norm(matrix)

    w_rec, w_in, _ = change(wp.RFLO(feedback, trace_decay=DECAY))
    assert np.linalg.matrix_rank(w_rec) == 2
    assert max(outside(w_rec, np.asarray(feedback).T), outside(w_in, np.asarray(feedback).T)) < 1e-13
    w_rec, *_ = change(wp.TruncatedBPTT(1))
    assert np.linalg.matrix_rank(w_rec) == 2 and outside(w_rec, np.asarray(student.w_out).T) < 1e-13
    assert np.linalg.matrix_rank(change(wp.TruncatedBPTT(3))[0]) == 6
    # Two distinct diagonal entries of W: at most two times two directions.
    paired = eqx.tree_at(
        lambda net: net.w_rec,
        student,
        student.w_rec - jnp.diag(jnp.diagonal(student.w_rec)) + jnp.diag(jnp.asarray([0.4] * 5 + [-0.2] * 4)),
    )
    assert np.linalg.matrix_rank(change(wp.EProp(feedback), paired)[0], tol=1e-12) == 4
