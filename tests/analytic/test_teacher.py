"""The teacher's task: what is sampled, what is refused, and where learning by local rules may start."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate
import teacher_cases as cases
from teacher_cases import ALL, R

import weightpath as wp
from weightpath.learn.starts import check_start

RFLO = cases.RULES["rflo"]


def test_targets_are_the_teachers_answers_and_the_mask_says_what_counts():
    for loss, counted in (("final", 1), ("sequence", 5)):
        batch = wp.TeacherRNN(cases.TEACHER, 5, loss, trials=3).sample(jax.random.key(1), 4)
        assert batch.inputs.shape == (3, 5, 2) and float(batch.mask.sum()) == 3 * counted and batch.mask[0, -1] == 1
        expected = np.zeros((3, 5, 2))
        for step in range(5):
            for lag in range(step + 1):
                response = cases.A_STAR @ np.linalg.matrix_power(cases.W_STAR, lag) @ cases.B_STAR
                expected[:, step] += np.asarray(batch.inputs)[:, step - lag] @ response.T
        np.testing.assert_allclose(batch.targets, expected, atol=1e-14)
    inputs = wp.TeacherRNN(cases.TEACHER, 40, trials=500).sample(jax.random.key(0), 0).inputs
    assert abs(float(jnp.mean(inputs))) < 4 / np.sqrt(40_000) and abs(float(jnp.var(inputs)) - 1) < 4 * np.sqrt(
        2 / 40_000
    )


def test_a_tanh_teacher_is_sampled_and_has_no_exact_form():
    tanh = wp.RateRNN(cases.W_STAR, cases.B_STAR, cases.A_STAR, leak=0.5)
    task = wp.TeacherRNN(tanh, 5, "sequence", trials=3)
    batch = task.sample(jax.random.key(1), 0)
    states, outputs = wp.rollout(tanh, batch.inputs[1])
    np.testing.assert_array_equal(batch.targets[1], outputs)
    assert task.population() is None and states.shape == (5, 2)
    with pytest.raises(ValueError, match=r"horizon=\.\.\. \(time steps\) and trials"):
        wp.TeacherRNN(tanh, 5).sample(jax.random.key(0), 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": cases.unstable(cases.TEACHER, 1.2)}, r"teacher's spectral radius is 1\.2 >= 1.*finite horizon"),
        ({"network": wp.RateRNN(cases.W, cases.B, cases.A, leak=1.0)}, "only a LinearRNN has an exact.*RateRNN"),
        ({"horizon": 0}, "horizon must be a whole number, at least 1, or None; got 0"),
        ({"horizon": 5, "trials": 0}, "trials must be a whole number"),
        ({"trials": 4}, r"sampled trials need an end; give TeacherRNN a horizon"),
        ({"loss": "last"}, 'loss must be "final".*or "sequence".*\'last\''),
    ],
)
def test_bad_tasks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        wp.TeacherRNN(**{"network": cases.TEACHER, **arguments})
    assert wp.TeacherRNN(cases.unstable(cases.TEACHER, 1.2), 5).population().horizon == 5


def test_channels_and_feedback_must_fit():
    narrow = wp.LinearRNN(cases.W_STAR, cases.B_STAR[:, :1], cases.A_STAR)
    tanh = wp.RateRNN(cases.W_STAR, cases.B_STAR, cases.A_STAR[:1], leak=0.5)
    for task, message in (
        (wp.TeacherRNN(narrow), "task has 1 inputs, the network 2"),
        (wp.TeacherRNN(tanh, 5, trials=2), "task has 1 outputs, the network 2"),
    ):
        with pytest.raises(ValueError, match=message):
            wp.Setup(cases.STUDENT, task, wp.BPTT(), train=ALL)
    with pytest.raises(ValueError, match=r"feedback of RFLO must be \(out, post\) = \(2, 3\).*give its transpose"):
        wp.Setup(cases.STUDENT, wp.TeacherRNN(cases.TEACHER), wp.RFLO(R.T, trace_decay=0.5), train=ALL)


def test_a_silent_start_is_a_saddle_of_the_gradient_and_none_of_local_rules():
    silent = wp.LinearRNN(cases.W, 0 * cases.B, 0 * cases.A)
    for rule in (wp.BPTT(), wp.TruncatedBPTT(1)):
        with pytest.raises(ValueError, match="exactly on a saddle, where every velocity is zero"):
            check_start(cases.setup(rule, student=silent))
    learned = wp.flow(cases.setup(RFLO, student=silent), [0.0, 1.0, 30.0])
    assert learned.loss[-1] < 0.05 * learned.loss[0]
    # From rest only the read-in moves at first, along the feedback: dB/dt = R^T sum_k decay^k A* W*^k B*.
    moved = cases.update_of(wp.velocity(cases.setup(RFLO, student=silent)))
    carried = np.linalg.inv(np.eye(2) - cases.DECAY * cases.W_STAR)
    np.testing.assert_allclose(moved[1], -R.T @ cases.A_STAR @ carried @ cases.B_STAR, rtol=1e-13)
    assert not np.any(moved[0]) and not np.any(moved[2])


def test_starts_that_teach_nothing_are_named():
    deaf = wp.LinearRNN(cases.W, 0 * cases.B, cases.A)
    with pytest.raises(ValueError, match=r"no input reaches the network.*every velocity is zero"):
        check_start(wp.Setup(deaf, wp.TeacherRNN(cases.TEACHER), RFLO, train=("w_rec", "w_out")))
    mute = wp.LinearRNN(cases.W, cases.B, 0 * cases.A)
    with pytest.warns(UserWarning, match="loss stays what it is"):
        check_start(wp.Setup(mute, wp.TeacherRNN(cases.TEACHER), RFLO, train=("w_rec", "w_in")))
    with pytest.warns(UserWarning, match="does not decay"):
        forgetless = wp.RFLO(R, trace_decay=1.0)
    with pytest.raises(ValueError, match=r"trace_decay 1 must be below 1.*finite horizon"):
        check_start(cases.setup(forgetless))
    check_start(cases.setup(forgetless, 10))
    with pytest.raises(ValueError, match=r"radius 1\.1 >= 1.*horizon"):
        check_start(cases.setup(RFLO, student=cases.unstable(cases.STUDENT, 1.1)))


@pytest.mark.slow  # twin: test_teacher_population's mean of sampled updates
def test_exact_and_sampled_training_run_under_a_local_rule():
    exact = wp.train(cases.setup(RFLO, 6), optax.sgd(0.02), 40, record=wp.Record(every=40))
    task = wp.TeacherRNN(cases.TEACHER, 6, trials=400)
    sampled = wp.train(
        wp.Setup(cases.STUDENT, task, RFLO, train=ALL),
        optax.sgd(0.02), 40, record=wp.Record(every=40), key=jax.random.key(2),
    )  # fmt: skip
    assert exact.loss[-1] < 0.7 * exact.loss[0] and "batch_loss" in sampled.statistics
    for one, other in zip(jax.tree.leaves(exact.network(-1)), jax.tree.leaves(sampled.network(-1)), strict=True):
        np.testing.assert_allclose(one, other, atol=0.05)


def test_learning_to_integrate_under_a_local_rule():
    # A filter is a teacher: the exponential filter, learned by RFLO in steps of one bin.
    decay, bin = 0.3, 0.5
    feedback = np.asarray([[0.4, -0.8, 0.3]])
    start = wp.LinearRNN(0.1 * cases.W, cases.B[:, :1], 0.1 * cases.A[:1])
    setup = wp.Setup(start, wp.Integrator(decay, dt=bin), wp.RFLO(feedback, trace_decay=0.5), train=ALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        end = wp.flow(setup, [0.0, 40.0]).network(-1)
    slowest = np.max(np.abs(np.linalg.eigvals(np.asarray(end.w_rec))))
    assert slowest == pytest.approx(np.exp(-decay * bin), abs=2e-3)
    change = np.linalg.svd(np.asarray(end.w_rec - start.w_rec))[1]
    assert change[1] < 1e-12 * change[0]


def mode_setup(rule, horizon=None, loss="final", start=(0.3, 0.2, 0.1), teacher=(1.2, 0.9, 0.7)) -> wp.Setup:
    """A problem of one unit: start (a, b, w) and teacher (a*, b*, w*)."""
    student, taught = (wp.LinearRNN([[w]], [[b]], [[a]]) for a, b, w in (start, teacher))
    return wp.Setup(student, wp.TeacherRNN(taught, horizon, loss), rule, train=ALL)


@pytest.mark.slow  # twin: test_modes_paths, where a path ends so by the same name
def test_a_flow_that_leaves_the_stable_region_ends_there_by_name():
    hat, decay, star, start = -0.5, 0.5, 0.8, (0.8, 0.8, 0.8)
    setup = mode_setup(wp.RFLO([[hat]], trace_decay=decay), start=start, teacher=(1.0, 1.0, star))
    path = wp.flow(setup, np.linspace(0.25, 4.0, 16), throw=False)

    def field(_, state):
        a, b, w = state
        u, x, v, y = 1 - w * w, 1 - w * star, 1 - decay * w, 1 - decay * star
        change = (a * b * b / u - b / x, hat * (a * b / v - 1 / y), hat * b * (a * b * w / (u * v) - star / (x * y)))
        return -np.array(change)

    def edge(_, state):
        return 0.9999 - abs(state[2])

    edge.terminal = True
    exact = scipy.integrate.solve_ivp(field, (0, 20), start, "LSODA", events=edge, rtol=1e-9, atol=1e-12)
    assert wp.outcome_name(path.result) == "unstable_recurrence"
    assert path.time[:-1].tolist() == np.arange(0.25, 2.6, 0.25).tolist()
    assert 0.99 < abs(float(path.w_rec[-1, 0, 0])) < 1
    assert float(path.time[-1]) == pytest.approx(exact.t_events[0][0], rel=1e-3)
    assert np.all(np.isfinite(path.loss))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "gap"),
    [
        (wp.BPTT(), (0.020176, 0.010113)),
        (wp.TruncatedBPTT(1), (0.010737, 0.005356)),
        (wp.RFLO([[0.7]], trace_decay=0.5), (0.017290, 0.008603)),
        (wp.EProp([[0.7]]), (0.018423, 0.009225)),
    ],
)
def test_both_losses_learn_alike_on_long_trials(rule, gap):
    for horizon, expected in zip((60, 120), gap, strict=True):
        paths = [
            wp.train(mode_setup(rule, horizon, loss), optax.sgd(0.05), 60, record=wp.Record(every=1))
            for loss in ("final", "sequence")
        ]
        found = [np.stack([path.networks.w_out, path.networks.w_in, path.networks.w_rec]) for path in paths]
        assert np.max(np.abs(found[0] - found[1])) == pytest.approx(expected, abs=1e-6)
