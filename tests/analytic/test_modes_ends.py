"""Where modes end: closed forms against SciPy from random starts, basins, resting points, and conserved matrices."""

import numpy as np
import pytest
from mode_cases import BPTT, CASES, ONE_STEP, eprop, field, rflo, truncated
from scipy.integrate import solve_ivp

import weightpath as wp
from weightpath import theory

UNIT = (1, 1, 0.8)
GRID = np.linspace(-2, 2, 41)


def random_problem(random):
    """A rule's feedback and decay, a start and a teacher, over the ranges of the stated counts."""
    feedback = random.uniform(0.3, 1.2) * random.choice([-1, 1])
    start = np.r_[random.uniform(-1.5, 1.5, 2), random.uniform(-0.9, 0.9)]
    teacher = np.r_[
        random.uniform(0.5, 1.5) * random.choice([-1, 1]), random.uniform(0.5, 1.5), random.uniform(-0.85, 0.85)
    ]
    return feedback, random.uniform(-0.8, 0.8), start, teacher


@pytest.mark.parametrize("name", ["BPTT", "one step", "RFLO", "e-prop"])
def test_final_state_against_scipy(name):
    random, reached = np.random.default_rng(11), 0
    for _ in range(5):
        feedback, decay, start, teacher = random_problem(random)
        rule = {"BPTT": BPTT, "one step": ONE_STEP, "RFLO": rflo(feedback, decay), "e-prop": eprop(feedback)}[name]

        def lost(_, y):
            return abs(y[2]) - 0.999

        lost.terminal = True
        run = solve_ivp(
            lambda _, y, rule=rule, teacher=teacher: field(rule, y, teacher),
            (0, 80), start, "LSODA", events=lost, rtol=1e-10, atol=1e-12,
        )  # fmt: skip
        end, kappa = run.y[:, -1], teacher[0] * teacher[1]
        if run.status == 0 and abs(end[0] * end[1] - kappa) + abs(end[2] - teacher[2]) < 1e-8:
            reached += 1
            final = theory.final_state(rule, start, teacher)
            # The sign of one-step back-propagation is a rule of thumb.
            sign = 1 if bool(final.certain) else np.sign(end[0] * final.coords[0])
            np.testing.assert_allclose(final.coords, end * np.array([sign, sign, 1]), atol=1e-7)
    assert reached >= 2


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["BPTT", "one step", "RFLO", "e-prop"])
def test_final_state_from_a_thousand_starts(rule):
    """All rules in one program: how many lose stability, and how well the closed form predicts the others."""
    random, count = np.random.default_rng(0), 1000
    problems = [random_problem(random) for _ in range(count)]
    feedback, decay = np.array([problem[0] for problem in problems]), np.array([problem[1] for problem in problems])
    starts, teachers = (np.stack([problem[index] for problem in problems]) for index in (2, 3))
    zero, one = np.zeros(count), np.ones(count)
    rules = {
        "BPTT": theory.ModeRule(one, zero, one, zero),
        "one step": theory.ModeRule(zero, zero, one, zero),
        "RFLO": theory.ModeRule(zero, decay, zero, feedback),
        "e-prop": theory.ModeRule(one, zero, zero, feedback),
    }[rule]
    found = theory.basin(rules, starts, teachers)
    outcome, ends = np.asarray(found.outcome), np.asarray(found.end)
    final = np.asarray(theory.final_state(rules, starts, teachers).coords)
    converged, lost = outcome == 0, np.mean(outcome == 2)
    size = np.abs(final - ends) if rule != "one step" else np.abs(np.abs(final) - np.abs(ends))
    right = np.max(size, axis=1)[converged] < 1e-5
    assert np.mean(right) > 0.995
    stated = {"BPTT": (0, 0), "one step": (0, 0), "RFLO": (0.18, 0.26), "e-prop": (0.27, 0.35)}[rule]
    assert stated[0] <= lost <= stated[1]
    if rule == "one step":
        side = np.sign(starts[:, 0] + np.sign(teachers[:, 0] * teachers[:, 1]) * starts[:, 1])
        assert 0.97 < np.mean((np.sign(ends[:, 0]) == side)[converged]) < 1


class TestFinalState:
    def test_border_of_back_propagation(self):
        final = theory.final_state(BPTT, [(0.5, -0.5, 0.3), (0.5, 0.5, 0.3)], (-1, 1, 0.8))
        assert final.certain.tolist() == [True, False]
        np.testing.assert_allclose(final.coords[1, :2], 0)
        assert np.isnan(final.coords[1, 2])

    def test_silent_feedback_leaves_the_rest_alone(self):
        start, teacher = (0.3, 0.6, 0.2), (1.2, 0.9, 0.7)
        final = theory.final_state(rflo(0, 0.5), start, teacher).coords
        np.testing.assert_allclose(final[1:], start[1:])
        np.testing.assert_allclose(theory.mode_velocity(rflo(0, 0.5), final, teacher), 0, atol=1e-15)

    def test_null_modes_have_none(self):
        final = theory.final_state(BPTT, (0.3, 0.6, 0.2), (0, 1, 0.7))
        assert bool(np.all(np.isnan(final.coords))) and not bool(final.certain)

    def test_extreme_cubics(self):
        """The root to rounding, over twelve decades of both coefficients."""
        starts = np.array([[a, b, w] for a in (-1e3, -1, 1e-3, 1e3) for b in (0.0, 1e-3, 1e3) for w in (-0.9, 0.9)])
        for feedback in (1e-6, 1.0, 30.0):
            final = np.asarray(theory.final_state(rflo(feedback, 0.5), starts, UNIT).coords)
            kept = np.asarray(theory.invariant(rflo(feedback, 0.5), starts))
            again = np.asarray(theory.invariant(rflo(feedback, 0.5), final))
            scale = final[:, 1] ** 2 + 2 * feedback * np.abs(final[:, 0]) + np.abs(kept)
            np.testing.assert_allclose(again / scale, kept / scale, atol=1e-13)
            np.testing.assert_allclose(final[:, 0] * final[:, 1], 1, rtol=1e-12)
            assert np.all(final[:, 0] > 0)

    def test_several_steps_conserve_nothing(self):
        for call in (
            lambda: theory.final_state(truncated(3), (0.1, 0.2, 0.3), UNIT),
            lambda: theory.invariant(truncated(3), (0.1, 0.2, 0.3)),
        ):
            with pytest.raises(ValueError, match="truncated to 3 steps"):
                call()


class TestBasins:
    def test_stated_fraction(self):
        self.check(rflo(1, 0.5), 0.0, 0.701)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("feedback", "recurrent", "fraction"),
        [(1, 0.6, 0.594), (-1, 0.6, 0.594), (0.2, 0.0, 0.848), (-0.2, 0.6, 0.794)],
    )
    def test_other_stated_fractions(self, feedback, recurrent, fraction):
        self.check(rflo(feedback, 0.5), recurrent, fraction)

    def check(self, rule, recurrent, fraction):
        """The share that converges, and that each of these ends where the closed form says."""
        starts = theory.basin_grid(GRID, GRID, recurrent)
        found = theory.basin(rule, starts, UNIT)
        converged = found.fraction("converged_optimal")
        assert abs(converged - fraction) < 0.011
        np.testing.assert_allclose(found.fraction("unstable_recurrence"), 1 - converged, atol=1e-12)
        ends = np.asarray(found.end)[np.asarray(found.outcome) == 0]
        assert np.all(float(rule.feedback) * ends[:, 0] > 0)
        final = np.asarray(theory.final_state(rule, starts, UNIT).coords)
        np.testing.assert_allclose(ends, final[np.asarray(found.outcome) == 0], atol=1e-6)

    def test_back_propagation_converges_off_its_border(self):
        starts = theory.basin_grid(GRID, GRID, 0.0)
        found = theory.basin(BPTT, starts, UNIT)
        off = np.abs(np.asarray(starts[..., 0] + starts[..., 1])) > 1e-9
        assert set(found.names[off]) == {"converged_optimal"}
        np.testing.assert_array_equal(np.sign(found.end[..., 0])[off], np.sign(starts[..., 0] + starts[..., 1])[off])
        assert found.names[20, 20] == "converged_non_optimal"

    @pytest.mark.slow
    def test_mirror_symmetry(self):
        """(a, b, feedback) -> minus all of them gives the same map."""
        starts = theory.basin_grid(GRID, GRID, 0.6)
        one, other = (
            theory.basin(rflo(1, 0.5), starts, UNIT),
            theory.basin(rflo(-1, 0.5), starts * np.array([-1, -1, 1]), UNIT),
        )
        assert np.mean(np.asarray(one.outcome) != np.asarray(other.outcome)) == 0

    def test_bad_questions(self):
        with pytest.raises(ValueError, match=r"between -1 and 1; the largest .* 1\.2"):
            theory.basin(BPTT, (0.1, 0.1, 1.2), UNIT)
        with pytest.raises(ValueError, match="outcome must be one of converged_optimal"):
            theory.basin(BPTT, theory.basin_grid(GRID, GRID, 0.0), UNIT).fraction("fine")


class TestRoots:
    random = np.random.default_rng(0)
    starts = np.c_[random.uniform(-1.5, 1.5, (150, 2)), random.uniform(-0.9, 0.9, 150)]

    @pytest.mark.parametrize("rule", [BPTT, ONE_STEP, rflo(1, 0.5)], ids=["BPTT", "one step", "RFLO"])
    def test_every_root_lies_on_a_manifold(self, rule):
        found = theory.mode_roots(rule, UNIT, self.starts)
        assert np.mean(found.found) > 0.7
        assert np.max(np.asarray(found.distance)[np.asarray(found.found)]) < 1e-8
        if float(rule.tied) == 0:
            assert np.max(np.asarray(found.loss)[np.asarray(found.found)]) < 1e-10
        else:
            assert {round(float(loss), 6) for loss in found.loss[found.found]} == {0, round(1 / 0.72, 6)}

    def test_starts_outside_the_bound(self):
        with pytest.raises(ValueError, match="below bound=0.9999"):
            theory.mode_roots(BPTT, UNIT, [[0.1, 0.1, 1.0]])


def _weights(scale: float, units: int) -> list[np.ndarray]:
    random = np.random.default_rng(units)
    return [scale * random.standard_normal(shape) for shape in ((units, units), (units, 2), (2, units))]


class TestConservedMatrices:
    """Along a flow of a network without any alignment, by small steps of Runge and Kutta on the NumPy sums."""

    student = _weights(0.3, 5)
    teacher = _weights(0.4, 3)
    feedback = 0.4 * np.random.default_rng(9).standard_normal((2, 5))

    def changes(self, weights, carried, source, terms, horizon=8):
        w, b, a = weights
        responses, targets = [b], [self.teacher[1]]
        for _ in range(horizon - 1):
            responses.append(w @ responses[-1])
            targets.append(self.teacher[0] @ targets[-1])
        errors = [a @ x - self.teacher[2] @ y for x, y in zip(responses, targets, strict=True)]
        correlation, by_rec, by_in = np.zeros((2, 5)), np.zeros((5, 5)), np.zeros((5, 2))
        credit, credits = source(a), []
        for _ in range(horizon):
            credits.append(credit)
            credit = carried(w) @ credit
        for lag in range(horizon - 1, -1, -1):
            if lag < horizon - 1:
                correlation = errors[lag + 1] @ b.T + correlation @ w.T
            if lag < terms:
                by_rec += credits[lag] @ correlation
                by_in += credits[lag] @ errors[lag]
        return -by_rec, -by_in, -sum(e @ x.T for e, x in zip(errors, responses, strict=True))

    def rules(self):
        random = self.feedback
        return {
            "BPTT": (wp.BPTT(), lambda w: w.T, lambda a: a.T, 8),
            "one step": (wp.TruncatedBPTT(1), lambda w: w.T, lambda a: a.T, 1),
            "RFLO": (wp.RFLO(random, trace_decay=0.5), lambda w: 0.5 * np.eye(5), lambda a: random.T, 8),
            "symmetric": (wp.RFLO(None, trace_decay=0.5), lambda w: 0.5 * np.eye(5), lambda a: a.T, 8),
            "e-prop": (wp.EProp(random), lambda w: np.diag(np.diag(w)), lambda a: random.T, 8),
            "symmetric e-prop": (wp.EProp(), lambda w: np.diag(np.diag(w)), lambda a: a.T, 8),
        }

    @pytest.mark.parametrize("name", ["BPTT", "one step", "RFLO", "symmetric", "e-prop", "symmetric e-prop"])
    def test_along_the_flow(self, name):
        rule, carried, source, terms = self.rules()[name]
        weights, step = list(self.student), 0.04
        first = np.asarray(theory.conserved(rule, wp.LinearRNN(*weights)))
        for _ in range(40):
            slopes, stage = [], weights
            for part in (0.5, 0.5, 1.0, None):
                slopes.append(self.changes(stage, carried, source, terms))
                if part:
                    stage = [now + part * step * slope for now, slope in zip(weights, slopes[-1], strict=True)]
            weights = [
                now + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
                for now, k1, k2, k3, k4 in zip(weights, *slopes, strict=True)
            ]
        moved = max(float(np.max(np.abs(now - old))) for now, old in zip(weights, self.student, strict=True))
        assert moved > 0.05
        np.testing.assert_allclose(theory.conserved(rule, wp.LinearRNN(*weights)), first, atol=2e-6 * moved)
        if name == "BPTT":
            other = theory.conserved(wp.TruncatedBPTT(1), wp.LinearRNN(*weights))
            assert np.max(np.abs(other - theory.conserved(wp.TruncatedBPTT(1), wp.LinearRNN(*self.student)))) > 1e-3

    def test_one_unit_is_the_scalar_law(self):
        for name in ("R1", "R2", "R4", "R5"):
            kind, state = CASES[name][0], CASES[name][2]
            rule = {
                "R1": wp.BPTT(), "R2": wp.TruncatedBPTT(1), "R4": wp.RFLO([[0.7]], trace_decay=0.5),
                "R5": wp.EProp([[0.7]]),
            }[name]  # fmt: skip
            network = wp.LinearRNN([[state[2]]], [[state[1]]], [[state[0]]])
            np.testing.assert_allclose(theory.conserved(rule, network)[0, 0], theory.invariant(kind, state), atol=1e-15)

    def test_refusals(self):
        network = wp.LinearRNN(*self.student)
        with pytest.raises(ValueError, match="truncated to 3 steps has no conserved"):
            theory.conserved(wp.TruncatedBPTT(3), network)
        with pytest.raises(ValueError, match="those of a LinearRNN"):
            theory.conserved(wp.BPTT(), wp.RateRNN(*self.student, leak=0.5))
