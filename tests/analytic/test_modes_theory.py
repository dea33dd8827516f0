"""Modes of whole networks: aligned networks of any size against the flow of their rule, regimes, and advice."""

import re

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from mode_cases import BPTT, TRAINED, eprop, rflo, truncated

import weightpath as wp
from weightpath import theory

STRENGTHS, POLES = (1.4, -1.1, 0.8), (0.8, 0.5, 0.2)
STARTS = ((0.3, 0.2, 0.1), (0.2, 0.3, -0.2), (0.1, -0.1, 0.3))
FEEDBACK = (0.7, 0.5, 0.9)


def rectangle(values, rows, columns):
    matrix = np.zeros((rows, columns))
    matrix[range(len(values)), range(len(values))] = values
    return matrix


def aligned(rule=None, *, units=6, permuted=False, horizon=None, loss="final", rates=None, train=TRAINED):
    """A student, its teacher and its feedback with shared singular vectors."""
    random = np.random.default_rng(1)
    outs, ins, hidden, taught = (np.linalg.qr(random.standard_normal((size, size)))[0] for size in (3, 3, units, 4))
    if permuted:
        hidden = np.eye(units)[random.permutation(units)] * random.choice([-1, 1], units)
    a, b, w = np.array(STARTS).T
    teacher = wp.LinearRNN(
        taught @ np.diag([*POLES, 0.3]) @ taught.T,
        taught @ rectangle(np.ones(3), 4, 3) @ ins.T,
        outs @ rectangle(STRENGTHS, 3, 4) @ taught.T,
    )
    student = wp.LinearRNN(
        hidden @ np.diag([*w, 0.4, 0.1, 0.0]) @ hidden.T,
        hidden @ rectangle(b, units, 3) @ ins.T,
        outs @ rectangle(a, 3, units) @ hidden.T,
    )
    feedback = outs @ rectangle(FEEDBACK, 3, units) @ hidden.T
    if rule is None:
        rule = wp.RFLO(feedback, trace_decay=0.5)
    elif isinstance(rule, str):
        rule = wp.EProp(feedback)
    return wp.Setup(student, wp.TeacherRNN(teacher, horizon=horizon, loss=loss), rule, train, rates)


RULES = [
    (None, {}, rflo),
    (wp.TruncatedBPTT(3), {"horizon": 7, "loss": "sequence", "rates": {"w_rec": 0.7}}, lambda *_: truncated(3)),
    pytest.param("eprop", {"permuted": True}, lambda feedback, _: eprop(feedback), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("rule", "options", "kind"), RULES, ids=["RFLO", "truncated", "e-prop"])
def test_every_mode_moves_as_in_the_network(rule, options, kind):
    setup = aligned(rule, **options)
    moved, losses = wp.velocity(setup), []
    horizon, loss = options.get("horizon"), options.get("loss", "final")
    rates = np.array([1, 1, options.get("rates", {}).get("w_rec", 1)])
    for mode in range(3):
        assert theory.Modes(mode).regime(setup).inside
        start, velocity, reduced, measured, lost = _see(theory.Modes(mode), moved, setup)
        np.testing.assert_allclose(np.abs(start), np.abs(STARTS[mode]), atol=1e-12)
        np.testing.assert_allclose(measured, velocity, atol=1e-12)
        np.testing.assert_allclose(reduced, velocity, atol=1e-13)
        # The sign of a mode's directions is free.
        signs = np.sign(np.asarray(start) / STARTS[mode])
        asked = (STRENGTHS[mode] * signs[0] * signs[1], 1, POLES[mode])
        expected = theory.mode_velocity(kind(FEEDBACK[mode] * signs[0], 0.5), start, asked, horizon, loss)
        np.testing.assert_allclose(velocity, rates * expected, atol=1e-12)
        losses.append(float(lost))
    np.testing.assert_allclose(sum(losses), wp.loss(setup), rtol=1e-12)


@eqx.filter_jit
def _see(modes, moved, setup):
    """Start, velocity from the network and from its reduced problem, velocity of the rule measured, and loss."""
    start = modes.start(setup)
    velocity = modes.vector_field(0.0, start, setup)
    reduced = modes.vector_field(0.0, start, modes.reduced(setup))
    return start, velocity, reduced, modes.measure(moved, setup), modes.loss(start, setup)


@pytest.mark.slow  # twin: every mode's velocity above
def test_flow_of_a_network_is_the_flow_of_its_modes():
    setup = aligned()
    trajectory = wp.flow(setup, np.linspace(0, 6, 4))
    for mode in range(3):
        compared = wp.compare(theory.Modes(mode), trajectory)
        np.testing.assert_allclose(compared.measured, compared.predicted, atol=1e-6)
        assert compared.reason == "" and compared.coords == ("read_out", "read_in", "recurrent")
        modes = theory.Modes(mode)
        kept = eqx.filter_jit(modes.conserved)(jnp.asarray(compared.measured), setup)
        np.testing.assert_allclose(kept, kept[0], atol=1e-6)


def single(rule, start=(0.3, 0.2, 0.1), teacher=(1.2, 0.9, 0.7), **options):
    a, b, w = start
    asked_out, asked_in, target = teacher
    task = wp.TeacherRNN(wp.LinearRNN([[target]], [[asked_in]], [[asked_out]]), **options)
    return wp.Setup(wp.LinearRNN([[w]], [[b]], [[a]]), task, rule, TRAINED)


class TestEndpoint:
    def test_rates_that_differ_have_no_closed_form(self):
        assert np.isnan(theory.Modes().endpoint(aligned(rates={"w_rec": 0.5}))).all()
        assert np.isnan(theory.Modes().endpoint(single(wp.TruncatedBPTT(3)))).all()

    def test_one_unit(self):
        end = theory.Modes().endpoint(single(wp.BPTT()))
        np.testing.assert_allclose(end, (1.05132741, 1.02727275, 0.7), atol=1e-8)


class TestRegime:
    @pytest.mark.parametrize(
        ("setup", "words"),
        [
            (lambda: aligned(wp.RFLO(np.ones((3, 6)), trace_decay=0.5)), "feedback has the largest off-diagonal ratio"),
            (lambda: aligned("eprop"), "signed permutation.*spreads over 6 units"),
            (lambda: single(wp.BPTT(), (0.3, 0.2, 1.1)), "network's spectral radius is 1.1 >= 1.*finite horizon"),
            (
                lambda: wp.Setup(
                    wp.RateRNN([[0.1]], [[0.2]], [[0.3]], leak=0.5), single(wp.BPTT()).task, wp.BPTT(), TRAINED
                ),
                "the network is a RateRNN",
            ),
            (
                lambda: wp.Setup(
                    wp.ContinuousLinearRNN([[0.1]], [[0.2]], [[0.3]]), wp.Integrator(0.3), wp.BPTT(), TRAINED
                ),
                "the network is a ContinuousLinearRNN",
            ),
        ],
        ids=["feedback", "e-prop", "unstable", "leak", "continuous"],
    )
    def test_outside(self, setup, words):
        regime = theory.Modes().regime(setup())
        assert not regime.defined and wp.outcome_name(regime.result) == "outside_regime"
        assert re.search(words, regime.reason), regime.reason

    def test_a_trace_that_grows(self):
        with pytest.warns(UserWarning, match="trace_decay=1"):
            rule = wp.RFLO([[0.7]], trace_decay=1.0)
        assert "grows without bound" in theory.Modes().regime(single(rule)).reason
        assert theory.Modes().regime(single(rule, horizon=5)).inside

    def test_a_teacher_without_modes(self):
        turning = wp.LinearRNN([[0.5, -0.4], [0.4, 0.5]], [1.0, 0.0], [1.0, 0.0])
        setup = wp.Setup(wp.LinearRNN([[0.1]], [[0.2]], [[0.3]]), wp.TeacherRNN(turning), wp.BPTT(), TRAINED)
        assert "the teacher has the largest off-diagonal ratio" in theory.Modes().regime(setup).reason

    def test_a_mode_that_does_not_exist(self):
        assert "3 modes, counted from 0" in theory.Modes(3).regime(aligned()).reason

    def test_a_sampled_filter_is_a_teacher(self):
        network = wp.LinearRNN([[0.1]], [[0.2]], [[0.3]])
        setup = wp.Setup(network, wp.Integrator(0.3, dt=1.0), wp.BPTT(), TRAINED)
        modes = theory.Modes()
        assert modes.regime(setup).inside
        expected = theory.mode_velocity(BPTT, (0.3, 0.2, 0.1), (1, 1, np.exp(-0.3)))
        np.testing.assert_allclose(modes.vector_field(0.0, modes.start(setup), modes.reduced(setup)), expected)

    def test_a_rate_network_that_is_linear(self):
        network = wp.RateRNN([[0.1]], [[0.2]], [[0.3]], leak=1.0, activation="linear")
        assert theory.Modes().regime(wp.Setup(network, single(wp.BPTT()).task, wp.BPTT(), TRAINED)).inside


class TestAdvice:
    UNIT = (1, 1, 0.8)

    @pytest.mark.parametrize(
        ("rule", "start", "teacher", "options", "words"),
        [
            (
                rflo(-0.5, 0.5),
                (1, 1, 0.6),
                UNIT,
                {},
                r"leave this branch; predicted end \(-0\.626638, -1\.59582, 0\.8\)",
            ),
            (rflo(0, 0.5), (1, 1, 0.6), UNIT, {}, "feedback is zero"),
            (BPTT, (1, 1, 0.6), (0, 1, 0.8), {}, "null mode"),
            (BPTT, (0.5, -0.5, 0.6), UNIT, {}, r"plane a \+ b = 0.*saddle"),
            (BPTT, (0, 0, 0.6), UNIT, {}, "stationary and nothing is learned"),
            (truncated(3), (0, 0, 0.6), UNIT, {}, "stationary and nothing is learned"),
            (BPTT, (1, 1, 0.8), UNIT, {"learning_rate": 0.06}, r"0\.06 is at or above the limit 0\.053285"),
            (rflo(1, 1.2), (1, 1, 0.8), UNIT, {"horizon": 9}, "oldest inputs of a trial dominate"),
        ],
    )
    def test_sentences(self, rule, start, teacher, options, words):
        said = theory.mode_advice(rule, start, teacher, **options)
        assert len(said) == 1 and re.search(words, said[0]), said

    def test_nothing_to_say(self):
        assert theory.mode_advice(rflo(0.7, 0.5), (0.3, 0.2, 0.1), self.UNIT, learning_rate=0.01) == ()

    def test_of_a_whole_network(self):
        said = theory.Modes().advice(single(wp.RFLO([[-0.5]], trace_decay=0.5)), learning_rate=10.0)
        assert len(said) == 2 and "leave this branch" in said[0] and "lower it" in said[1]
