"""The study of single modes: its numbers against formulas integrated by SciPy, its settings, its checks and figures."""

import json

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from weightpath.plot.rule_colours import RULE_COLOURS, RULE_MARKERS, rule_colour, rule_marker
from weightpath.studies import STUDIES
from weightpath.studies import mode_dynamics_references as reference
from weightpath.studies import mode_dynamics_rules as rules

STUDY = STUDIES["mode-dynamics"]


def field(name, taught):
    """Velocity of (a, b, w) from the table of mode equations, written out anew for each rule."""
    word, *numbers = name.replace("(", " ").replace(")", "").replace(",", " ").split()
    numbers = [float(number) for number in numbers]
    kappa, target = taught[0] * taught[1], taught[2]

    def velocity(_, state):
        a, b, w = state
        u, x = 1 - w**2, 1 - w * target
        if word == "BPTT":
            change_b = a * (a * b / u - kappa / x)
            change_w = a * b * (a * b * w / u**2 - kappa * target / x**2)
        elif word == "TruncatedBPTT":
            change_b = a * (a * b - kappa)
            change_w = a * b * (a * b * w / u - kappa * target / x)
        elif word == "RFLO":
            feedback, decay = numbers
            v, y = 1 - decay * w, 1 - decay * target
            change_b = feedback * (a * b / v - kappa / y)
            change_w = feedback * b * (a * b * w / (u * v) - kappa * target / (x * y))
        else:
            change_b = numbers[0] * (a * b / u - kappa / x)
            change_w = numbers[0] * b * (a * b * w / u**2 - kappa * target / x**2)
        return -np.array([b * (a * b / u - kappa / x), change_b, change_w])

    return velocity


def eigenvalues(name, taught, point):
    """Of the flow at a point, by central differences; the zero along the manifold left out, the slowest first."""
    velocity, step = field(name, taught), 1e-6
    slopes = [(velocity(0, point + d) - velocity(0, point - d)) / (2 * step) for d in step * np.eye(3)]
    values = np.linalg.eigvals(np.stack(slopes, axis=-1))
    values = np.delete(values, np.argmin(np.abs(values)))
    return values[np.argsort(-values.real)]


def test_prediction_is_where_the_written_out_equations_end():
    assert STUDY.predict is not None
    told = STUDY.predict(STUDY.settings("quick", recurrent=0.6, gain=1.3))
    taught = (1.3, 1.0, 0.6)
    for row, name in enumerate(told["rule"]):
        path = solve_ivp(field(name, taught), (0, 40), told["start"], "LSODA", rtol=1e-12, atol=1e-12)
        end = np.array([told[f"end_{part}"][row] for part in ("read_out", "read_in", "recurrent")])
        np.testing.assert_allclose(path.y[:, -1], end, atol=1e-8)
        slow, fast = eigenvalues(name, taught, end)
        assert told["kind"][row] == "stable_node"
        np.testing.assert_allclose(told["slow_rate"][row], -slow.real, rtol=1e-6)
        np.testing.assert_allclose(told["largest_stable_learning_rate"][row], -2 / fast.real, rtol=1e-6)
    # beside (0, 0, 0) BPTT grows at the rate kappa; fixed feedback does not wait
    np.testing.assert_allclose(told["delay_per_tenfold_smaller_start"], [np.log(10) / 1.3] * 2 + [0, 0], rtol=1e-12)
    json.dumps(told)


@pytest.mark.slow  # twin: test_modes_manifold
def test_rates_along_the_manifold_are_those_of_the_written_out_equations():
    from weightpath.studies.mode_dynamics_manifold import curves

    found = curves(STUDY.settings("quick"))
    for name in found.table_rule.values.tolist():
        for s in reference.RATE_POSITIONS:
            slow = eigenvalues(name, rules.TEACHER, np.array([s, 1 / s, 0.8]))[0].real
            rate = float(found.table_rate.sel(table_rule=name, table_position=s))
            assert rate == pytest.approx(-slow, rel=1e-5)
    one = found.sel(rule="RFLO(1, 0.5)")
    assert (one.stable.values == (found.position.values > 0)).all()
    assert bool(found.stable.sel(rule=["BPTT", "TruncatedBPTT(1)"]).all())


def test_learning_times_of_long_memory_are_those_of_the_written_out_equations():
    from weightpath.studies.mode_dynamics_paths import integrators

    found = integrators().sel(integrator_recurrent=0.9)
    taught = np.array([np.sqrt(1 - 0.81), 1.0, 0.9])

    def loss(state):
        a, b, w = state
        return 0.5 * ((a * b) ** 2 / (1 - w**2) - 2 * a * b * taught[0] / (1 - 0.9 * w) + 1)

    for name in found.integrator_rule.values.tolist():

        def reached(_, state):
            return loss(state) - 0.01 * loss((0.1, 0.1, 0.0))

        reached.terminal = True
        path = solve_ivp(
            field(name, taught), (0, 100), (0.1, 0.1, 0.0), "LSODA", events=reached, rtol=1e-10, atol=1e-12
        )
        assert float(found.integrator_time.sel(integrator_rule=name)) == pytest.approx(path.t_events[0][0], rel=1e-7)
        end = solve_ivp(field(name, taught), (0, 400), (0.1, 0.1, 0.0), "LSODA", rtol=1e-10, atol=1e-12).y[:, -1]
        fast = -eigenvalues(name, taught, end)[1].real
        assert float(found.stiffness.sel(integrator_rule=name)) == pytest.approx(fast, rel=1e-4)


def test_discrete_updates_follow_the_written_out_sums():
    from weightpath.studies.mode_dynamics_laws import euler

    taught, start, horizon = (1.2, 0.9, 0.7), (0.3, 0.2, 0.1), 8
    names, lags = list(reference.SEQUENCE_GAPS), np.arange(horizon)
    found = np.asarray(euler(rules.stacked(names), np.tile(start, (4, 1)), taught, 0.05, 3, horizon, "sequence"))
    weight = 1 - lags / horizon  # how many of the last steps see each lag
    for column, name in enumerate(names):
        state = np.array(start)
        for step in range(3):
            np.testing.assert_allclose(found[step, column], state, rtol=1e-12)
            a, b, w = state
            error = weight * (a * b * w**lags - taught[0] * taught[1] * taught[2] ** lags)
            back = {"BPTT": a * w**lags, "TruncatedBPTT(1)": a * 0.0**lags, "RFLO(0.7, 0.5)": 0.7 * 0.5**lags}
            credit = back.get(name, 0.7 * w**lags)
            nested = [sum(credit[i] * w ** (k - 1 - i) for i in range(k)) for k in lags]
            change = np.array([b * (error * w**lags).sum(), (credit * error).sum(), b * (error * nested).sum()])
            state = state - 0.05 * change


def test_names_of_rules_carry_their_numbers():
    local = rules.rule(rules.rflo(-0.5, 0.25))
    assert float(local.feedback.item()) == -0.5 and float(local.trace_decay) == 0.25
    assert float(rules.rule(rules.eprop(2.0)).feedback.item()) == 2
    assert rules.rule(rules.ONE_STEP).horizon == 1 and type(rules.rule(rules.BPTT)).__name__ == "BPTT"
    assert rules.stacked(("BPTT", "EProp(2)"), trailing=2).feedback.shape == (2, 1, 1)


def test_top_of_a_parabola_and_even_points_of_a_path():
    from weightpath.studies.mode_dynamics_paths import DRAWN, _even, _peak

    time = np.linspace(0, 2, 21)
    assert _peak(time, 5 - (time - 1.234) ** 2) == pytest.approx(1.234, abs=1e-12)
    assert _peak(time, -time) == 0.0
    angle = np.pi * np.linspace(0, 1, 4001) ** 3  # a half circle, run through ever faster, then lost
    coords = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)
    found = _even(np.vstack([coords, [[np.nan] * 3]]), coords[-1])
    steps = np.linalg.norm(np.diff(found, axis=0), axis=-1)
    assert found.shape == (DRAWN, 3) and (found[-1] == coords[-1]).all()
    np.testing.assert_allclose(steps, np.pi / (DRAWN - 1), rtol=0.2)


def test_every_experiment_is_asked_and_tolerances_follow_the_number_of_starts():
    full, quick = (STUDY.checks_of(STUDY.settings(preset)) for preset in ("full", "quick"))
    names = {check.name.split()[0].rstrip(":") for check in full}
    assert names == {"E1", "E2", "E3", "E4", "E5", "E8", "E9", "E10", "E12", "maps"}
    lost = {check.name: check for check in full if "loses stability" in check.name}
    assert [check.tolerance for check in lost.values()] == [0.0, 0.0, 0.04, 0.04]
    few = STUDY.checks_of(STUDY.settings("quick", starts=250))
    scatter = [check.tolerance for check in few if "loses stability" in check.name]
    assert scatter == [0.0, 0.0, pytest.approx(0.08), pytest.approx(0.08)]
    shares = [check for check in full if "share that converges under" in check.name]
    assert [check.expected for check in shares] == [0.701, 0.594, 0.848, 0.794] and all(c.required for c in shares)
    assert not any(check.required for check in quick if "share that converges under" in check.name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recurrent": 1.2}, "less than 0.95"),
        ({"gain": 0.0}, "greater than 0"),
        ({"feedback": -1.0}, "greater than 0"),
        ({"trace_decay": 1.0}, "less than 1"),
        ({"grid": 2}, "greater than or equal to 3"),
        ({"starts": 3}, "greater than or equal to 10"),
        ({"trace_dacay": 0.1}, "did you mean 'trace_decay'"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        STUDY.settings("quick", **changes)


def test_rules_keep_one_look_in_all_figures():
    assert len(set(RULE_COLOURS.values())) == len(set(RULE_MARKERS.values())) == len(RULE_COLOURS) == 8
    assert rule_colour("RFLO(feedback 1, trace_decay 0.5)") == rule_colour("RFLO") == RULE_COLOURS["RFLO"]
    assert rule_marker("tBPTT(1)") == RULE_MARKERS["TruncatedBPTT"]
    with pytest.raises(ValueError, match="no colour is kept for the rule 'Hebb'; expected a name that begins with one"):
        rule_colour("Hebb")


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "changes"), [("quick", {}), ("quick", {"seed": 3, "gain": 0.4}), ("full", {})])
def test_every_requirement_is_met_and_figures_draw(preset, changes, tmp_path):
    from weightpath.plot.style import save_figure

    told = []
    config = STUDY.settings(preset, **changes)
    dataset = STUDY.run(config, progress=lambda *args, **numbers: told.append(args), workspace=tmp_path)
    assert told[-1] == ("mode-dynamics", 12, 12)
    results = [check.evaluate(dataset) for check in STUDY.checks_of(config)]
    assert [result.name for result in results if result.passed is False] == []
    for name, draw in STUDY.figures.items():
        drawn = draw(dataset)
        assert save_figure(drawn, tmp_path / f"{name}.png").stat().st_size > 10_000
        assert draw.__doc__
