"""Paths of single modes: stated tables, SciPy, conserved quantities, final states, and where stability is lost."""

import jax
import numpy as np
import pytest
from mode_cases import BPTT, CASES, ONE_STEP, eprop, field, rflo
from scipy.integrate import solve_ivp

from weightpath import theory
from weightpath.theory.mode_equations import velocity_of

UNIT = (1, 1, 0.8)
#: `mode_velocity` of states with lag weights of their own, one after the other.
_VELOCITY = jax.jit(jax.vmap(velocity_of, in_axes=(None, 0, None, 0)))
#: Of a network without output.
EMPTY = 1 / (2 * 0.36)


#: Three steps back are another program.
OFTEN = [pytest.param(name, marks=pytest.mark.slow) if name == "R3" else name for name in CASES]


@pytest.mark.parametrize("name", OFTEN)
def test_paths_of_the_table(name):
    rule, teacher, start, _, _, states, losses, end = CASES[name][:8]
    path = theory.mode_path(rule, start, teacher, [1.0, 5.0, 20.0])
    np.testing.assert_allclose(path.coords, states, atol=1e-7)
    np.testing.assert_allclose(path.end, end, atol=1e-7)
    for found, stated in zip(path.loss[:2], losses, strict=True):
        if stated is not None:
            np.testing.assert_allclose(found, stated, rtol=1e-4 if stated > 1e-6 else 1e-2)
    assert path.outcome_name == "converged_optimal" and float(path.end_time) == 20
    if rule.terms is None:
        final = theory.final_state(rule, start, teacher).coords
        np.testing.assert_allclose(final, end, atol=1e-8)
        kept = np.asarray(theory.invariant(rule, np.vstack([start, path.coords])))
        np.testing.assert_allclose(kept, kept[0], atol=1e-8)


def test_drift_of_the_conserved_number_in_discrete_steps_is_proportional_to_the_rate():
    rule, teacher, start = CASES["R4"][:3]
    drift = []
    for rate in (0.04, 0.02, 0.01):
        state = np.array(start)
        for _ in range(round(20 / rate)):
            state = state + rate * field(rule, state, teacher)
        drift.append(abs(float(theory.invariant(rule, state) - theory.invariant(rule, start))))
    np.testing.assert_allclose(drift, [0.04354, 0.02145, 0.01065], atol=1e-5)


def test_sequence_loss_differs_by_the_inverse_duration():
    """Euler steps on both losses with the same horizon: the largest difference halves from T = 60 to 120."""
    stated = {"BPTT": (0.020176, 0.010113), "one step": (0.010737, 0.005356), "RFLO": (0.017290, 0.008603)}
    _, teacher, start = CASES["R1"][:3]
    for name, rule in (("BPTT", BPTT), ("one step", ONE_STEP), ("RFLO", rflo(0.7, 0.5))):
        for horizon, expected in zip((60, 120), stated[name], strict=True):
            weights = np.stack([np.ones(horizon), 1 - np.arange(horizon) / horizon])
            states, largest = np.array([start, start]), 0.0
            for _ in range(60):
                states = states + 0.05 * np.asarray(_VELOCITY(rule, states, np.array(teacher), weights))
                largest = max(largest, np.max(np.abs(states[0] - states[1])))
            np.testing.assert_allclose(largest, expected, atol=1e-6)


class TestPlateau:
    """From small weights: waiting under back-propagation, none under fixed feedback."""

    @pytest.mark.parametrize(
        ("rule", "stated"),
        [
            (BPTT, (4.5952, 6.8976, 9.2002)),
            (ONE_STEP, (4.7503, 7.0527, 9.3553)),
            (rflo(1, 0.5), (0.6682, 0.6743, 0.6749)),
            (eprop(1), (0.9397, 0.9485, 0.9494)),
        ],
        ids=["BPTT", "one step", "RFLO", "e-prop"],
    )
    def test_time_to_half_the_loss(self, rule, stated):
        times = []
        for scale in (1e-2, 1e-3, 1e-4):
            start = (scale, scale, 0.0)
            times.append(float(theory.mode_time_to(rule, start, UNIT, 0.5 * float(theory.mode_loss(start, UNIT))).time))
        np.testing.assert_allclose(times, stated, atol=6e-5)

    def test_never(self):
        assert np.isinf(theory.mode_time_to(BPTT, (0, 0, 0.1), UNIT, 1e-3, latest=50.0).time)


class TestDetour:
    """RFLO with feedback of the other sign leaves the optimum nearby and climbs over a higher loss."""

    def test_largest_loss(self):
        around = theory.mode_path(rflo(-0.5, 0.5), (1, 1, 0.6), UNIT, [3.07, 3.084, 3.1])
        np.testing.assert_allclose(around.loss[1], 2.24287, atol=1e-5)
        assert float(around.loss[1]) > max(float(around.loss[0]), float(around.loss[2]))
        assert around.outcome_name == "not_converged"

    def test_time(self):
        for rule, stated in ((rflo(-0.5, 0.5), 4.62493), (BPTT, 0.64877)):
            found = theory.mode_time_to(rule, (1, 1, 0.6), UNIT, 1e-4 * EMPTY).time
            np.testing.assert_allclose(found, stated, atol=1e-5)


class TestStop:
    def test_stability_is_lost_at_the_margin(self):
        """RFLO against the sign of its feedback: |w| reaches 1 - 1e-3 when SciPy's event says so."""
        rule, teacher = rflo(-1.2, 0.5), (1, 1, 0.8)
        path = theory.mode_path(rule, (1.5, 1.0, 0.5), teacher, [0.5, 5.0, 20.0])

        def event(_, y):
            return abs(y[2]) - (1 - 1e-3)

        event.terminal = True
        expected = solve_ivp(
            lambda _, y: field(rule, y, teacher), (0, 20), (1.5, 1, 0.5), "LSODA", events=event, rtol=1e-11, atol=1e-13
        )
        assert expected.t_events[0].size and path.outcome_name == "unstable_recurrence"
        np.testing.assert_allclose(path.end_time, expected.t_events[0][0], rtol=1e-7)
        np.testing.assert_allclose(path.end, expected.y_events[0][0], atol=1e-6)
        after = np.array([0.5, 5.0, 20.0]) > float(path.end_time)
        np.testing.assert_array_equal(np.isnan(path.coords[:, 0]), after)

    @pytest.mark.slow
    def test_finite_trials_are_not_stopped(self):
        path = theory.mode_path(BPTT, (0.3, 0.2, 1.05), (1, 1, 1.0), [1.0, 5.0, 60.0], horizon=8)
        np.testing.assert_allclose(path.end[0] * path.end[1], 1, atol=1e-6)
        np.testing.assert_allclose(path.end[2], 1, atol=1e-6)
        assert path.outcome_name == "converged_optimal"

    def test_at_rest_on_the_saddle(self):
        """The plane a + b = 0 leads there; rounding leaves it later."""
        path = theory.mode_path(BPTT, (0.5, -0.5, 0.3), UNIT, [5.0, 10.0, 17.0])
        assert path.outcome_name == "converged_non_optimal"
        np.testing.assert_allclose(path.end[:2], 0, atol=1e-6)

    def test_not_there_yet(self):
        assert theory.mode_path(BPTT, (0.3, 0.2, 0.1), UNIT, [0.1, 0.2, 0.3]).outcome_name == "not_converged"

    @pytest.mark.parametrize(
        ("start", "teacher", "words"),
        [
            ((0.1, 0.1, 1.0), UNIT, "start has recurrent weight 1"),
            ((0.1, 0.1, 0.0), (1, 1, -1.2), "teacher has recurrent weight -1.2.*finite horizon"),
            (np.zeros((2, 3)), UNIT, "one mode at a time"),
        ],
    )
    def test_bad_problems(self, start, teacher, words):
        with pytest.raises(ValueError, match=words):
            theory.mode_path(BPTT, start, teacher, [1.0, 2.0, 3.0])

    def test_bad_level(self):
        with pytest.raises(ValueError, match="positive loss; got 0"):
            theory.mode_time_to(BPTT, (0.1, 0.1, 0.0), UNIT, 0.0)


@pytest.mark.slow
class TestNearIntegrator:
    """A mode that forgets slowly: time to one percent of the loss, and what implicit steps save."""

    STATED = (
        (BPTT, (6.6446, 27.018, 186.41)),
        (ONE_STEP, (9.3880, 42.799, 344.20)),
        (rflo(1, 0), (4.2540, 14.958, 77.242)),
        (rflo(1, 0.9), (0.6813, 0.7449, 2.5702)),
        (rflo(1, 0.99), (0.4772, 0.1424, 0.2606)),
    )

    @pytest.mark.parametrize(("rule", "stated"), STATED)
    def test_times(self, rule, stated):
        for target, expected in zip((0.9, 0.99, 0.999), stated, strict=True):
            teacher, start = (np.sqrt(1 - target**2), 1, target), (0.1, 0.1, 0.0)
            level = 0.01 * float(theory.mode_loss(start, teacher))
            np.testing.assert_allclose(theory.mode_time_to(rule, start, teacher, level).time, expected, rtol=1e-3)

    def test_solvers_agree(self):
        rule, teacher, start = CASES["R10"][:3]
        paths = [theory.mode_path(rule, start, teacher, [1.0, 5.0, 20.0], implicit=choice) for choice in (False, True)]
        np.testing.assert_allclose(paths[0].coords, paths[1].coords, atol=1e-7)
