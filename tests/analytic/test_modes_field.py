"""The mode equations against plain sums over lags, the generating function, autodiff and the whole-network rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mode_cases import BPTT, CASES, ONE_STEP, TRAINED, brute, eprop, rflo, truncated

import weightpath as wp
from weightpath import theory

RULES = [BPTT, ONE_STEP, truncated(3), rflo(0.7, 0.5), eprop(-0.6)]
NAMES = ["BPTT", "one step", "three steps", "RFLO", "e-prop"]
random = np.random.default_rng(3)
STATES = np.c_[random.uniform(-1.5, 1.5, (50, 2)), random.uniform(-0.85, 0.85, 50)]
TEACHERS = np.c_[random.uniform(-1.5, 1.5, (50, 2)), random.uniform(-0.85, 0.85, 50)]


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_closed_forms_are_the_sums_over_all_lags(rule):
    velocity, loss = theory.mode_velocity(rule, STATES, TEACHERS), theory.mode_loss(STATES, TEACHERS)
    for index in range(50):
        summed, squared = brute(rule, STATES[index], TEACHERS[index], 300)
        np.testing.assert_allclose(velocity[index], summed, atol=1e-13)
        np.testing.assert_allclose(loss[index], squared, atol=1e-13)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_finite_trials_are_their_sums(rule, loss):
    velocity = theory.mode_velocity(rule, STATES, TEACHERS, horizon=6, loss=loss)
    expected = theory.mode_loss(STATES, TEACHERS, horizon=6, loss=loss)
    for index in range(0, 50, 10):
        horizons = range(1, 7) if loss == "sequence" else (6,)
        parts = [brute(rule, STATES[index], TEACHERS[index], horizon) for horizon in horizons]
        np.testing.assert_allclose(velocity[index], np.mean([part[0] for part in parts], 0), atol=1e-14)
        np.testing.assert_allclose(expected[index], np.mean([part[1] for part in parts]), atol=1e-14)


def test_one_generating_function_gives_all_rules():
    r"""$G(z) = ab/(1-zw) - \kappa/(1-zw^*)$: values and differences of it are the velocities of every rule."""
    (a, b, w), (kappa, target) = STATES.T, (TEACHERS[:, 0] * TEACHERS[:, 1], TEACHERS[:, 2])

    def g(z):
        return a * b / (1 - z * w) - kappa / (1 - z * target)

    slope = a * b * w / (1 - w * w) ** 2 - kappa * target / (1 - w * target) ** 2
    expected = {
        "BPTT": (a * g(w), a * b * slope),
        "one step": (a * g(0), a * b * (g(w) - g(0)) / w),
        "RFLO": (0.7 * g(0.5), 0.7 * b * (g(w) - g(0.5)) / (w - 0.5)),
        "e-prop": (-0.6 * g(w), -0.6 * b * slope),
    }
    for name, rule in zip(NAMES, RULES, strict=True):
        if name in expected:
            changes = -np.asarray(theory.mode_velocity(rule, STATES, TEACHERS))
            np.testing.assert_allclose(changes.T, [b * g(w), *expected[name]], rtol=1e-10, atol=1e-12)


def test_back_propagation_descends_the_loss():
    ends = [[theory.mode_loss(STATES + sign * step, TEACHERS) for sign in (1, -1)] for step in 1e-5 * np.eye(3)]
    slope = np.stack([(above - below) / 2e-5 for above, below in ends], axis=-1)
    np.testing.assert_allclose(theory.mode_velocity(BPTT, STATES, TEACHERS), -slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_start_of_the_reference_cases(name):
    rule, teacher, start, loss, change = CASES[name][:5]
    np.testing.assert_allclose(theory.mode_loss(start, teacher), loss, rtol=1e-9)
    np.testing.assert_allclose(theory.mode_velocity(rule, start, teacher), -np.array(change), atol=1e-7)


def test_small_losses_and_velocities_keep_their_digits():
    """At a distance of 1e-9 from the optimum the loss is a quadratic form that differences would lose altogether."""
    teacher, step = (1.0, 1.0, 0.99), 1e-9
    target, u = 0.99, 1 - 0.99**2
    loss = theory.mode_loss((1.0, 1.0, target + step), teacher)
    np.testing.assert_allclose(loss, step**2 * (1 + target**2) / (2 * u**3), rtol=1e-6)
    moved = theory.mode_velocity(BPTT, (1.0, 1.0, target + step), teacher)
    np.testing.assert_allclose(moved[2], -step * (1 + target**2) / u**3, rtol=1e-5)


def test_sequence_loss_approaches_the_limit_of_long_trials():
    _, teacher, start, limit = CASES["R1"][:4]
    found = [float(theory.mode_loss(start, teacher, horizon=horizon, loss="sequence")) for horizon in (100, 1000)]
    np.testing.assert_allclose(found, [1.06474, 1.07458], atol=1e-5)
    assert abs(found[1] - limit) < abs(found[0] - limit) / 9


class TestRules:
    """Rules of the library, as a mode sees them."""

    @pytest.mark.parametrize(
        ("rule", "name", "as_numbers"),
        [
            (wp.BPTT(), "BPTT", (1, 0, 1, 0, None)),
            (wp.RTRL(), "BPTT", (1, 0, 1, 0, None)),
            (wp.TruncatedBPTT(1), "TruncatedBPTT(1)", (0, 0, 1, 0, None)),
            (wp.TruncatedBPTT(4), "TruncatedBPTT(4)", (1, 0, 1, 0, 4)),
            (wp.RFLO([[0.7]], trace_decay=0.5), "RFLO(feedback 0.7, trace_decay 0.5)", (0, 0.5, 0, 0.7, None)),
            (wp.RFLO(None, trace_decay=0.5), "RFLO(symmetric, trace_decay 0.5)", (0, 0.5, 1, 0, None)),
            (wp.EProp([[-0.6]]), "EProp(feedback -0.6)", (1, 0, 0, -0.6, None)),
            (wp.EProp(), "BPTT", (1, 0, 1, 0, None)),
            (wp.SnAp0([[0.3]]), "SnAp0(feedback 0.3)", (0, 0, 0, 0.3, None)),
        ],
    )
    def test_numbers(self, rule, name, as_numbers):
        small = theory.mode_rule(rule)
        found = small.follow, small.trace_decay, small.tied, small.feedback
        np.testing.assert_allclose(found, as_numbers[:4], atol=1e-15)
        assert small.terms == as_numbers[4] and theory.mode_name(rule) == name

    @pytest.mark.parametrize(
        ("rule", "horizon"),
        [(wp.RFLO([[0.7]], trace_decay=0.5), None), (wp.TruncatedBPTT(3), 5)],
        ids=["RFLO", "tBPTT"],
    )
    def test_velocity_and_loss_of_a_network_of_one_unit(self, rule, horizon):
        (a, b, w), (asked_out, asked_in, target) = STATES[0], TEACHERS[0]
        teacher = wp.LinearRNN([[target]], [[asked_in]], [[asked_out]])
        task = wp.TeacherRNN(teacher, horizon=horizon, loss="final" if horizon is None else "sequence")
        setup = wp.Setup(wp.LinearRNN([[w]], [[b]], [[a]]), task, rule, TRAINED)
        moved = wp.velocity(setup)
        found = theory.mode_velocity(rule, STATES[0], TEACHERS[0], horizon=horizon, loss=task.loss)
        expected = [float(part[0, 0]) for part in (moved.w_out, moved.w_in, moved.w_rec)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        loss = theory.mode_loss(STATES[0], TEACHERS[0], horizon=horizon, loss=task.loss)
        np.testing.assert_allclose(loss, wp.loss(setup), rtol=1e-12)

    def test_rules_without_a_credit_are_refused(self):
        with pytest.raises(ValueError, match="str has no mode equations; expected BPTT"):
            theory.mode_rule("RFLO")

    def test_feedback_of_a_larger_network_is_refused(self):
        with pytest.raises(ValueError, match=r"feedback shape \(1, 1\); got \(2, 3\)"):
            theory.mode_rule(wp.RFLO(np.ones((2, 3)), trace_decay=0.5))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"loss": "mean"}, '"final" or "sequence"'),
        ({"horizon": 0}, "at least 1 input"),
        ({"state": [1.0, 2.0]}, r"shape \(\.\.\., 3\); got shape \(2,\)"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        theory.mode_velocity(**{"rule": BPTT, "state": STATES[0], "teacher": TEACHERS[0], **arguments})


def test_rules_are_stacked_in_one_program():
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), BPTT, ONE_STEP, rflo(0.7, 0.5), eprop(-0.6))
    together = jax.vmap(lambda rule: theory.mode_velocity(rule, STATES, TEACHERS))(stacked)
    np.testing.assert_allclose(together[2], theory.mode_velocity(rflo(0.7, 0.5), STATES, TEACHERS), rtol=1e-13)
