"""How long a mode takes and how fast it may learn: the general questions, asked of `theory.Modes`."""

import numpy as np
import pytest
from mode_cases import BPTT, field, rflo
from scipy.integrate import solve_ivp

import weightpath as wp
from weightpath import theory

TEACHER, START = (1.2, 0.9, 0.7), (0.3, 0.2, 0.1)


def network(state):
    read_out, read_in, recurrent = state
    return wp.LinearRNN([[recurrent]], [[read_in]], [[read_out]])


def setup(rule, train=("w_rec", "w_in", "w_out")):
    return wp.Setup(network(START), wp.TeacherRNN(network(TEACHER)), rule, train)


#: Each rule of the library, and the same as the independent field of the mode knows it.
RULES = [(wp.BPTT(), BPTT), (wp.RFLO([[0.7]], trace_decay=0.5), rflo(0.7, 0.5))]


@pytest.mark.parametrize(("rule", "mode"), RULES)
def test_learning_time_of_a_mode_is_that_of_scipy(rule, mode):
    goal = 0.01 * float(theory.mode_loss(START, TEACHER))

    def reached(time, state):
        return float(theory.mode_loss(state, TEACHER)) - goal

    reached.terminal = True
    found = solve_ivp(lambda time, state: field(mode, state, TEACHER), (0, 50), START, events=reached,
                      method="DOP853", rtol=1e-9, atol=1e-11)  # fmt: skip
    np.testing.assert_allclose(theory.learning_time(setup(rule), 0.01), found.t_events[0][0], rtol=1e-6)


@pytest.mark.parametrize(("rule", "mode"), RULES)
def test_discrete_steps_settle_just_below_the_limit_and_not_above(rule, mode):
    limit = float(theory.lr_max(setup(rule)))
    end = np.asarray(theory.final_state(rule, START, TEACHER).coords)
    away = end + 1e-6 * np.array([1.0, -1.0, 0.5])
    # What is left after many steps, across the line of solutions: the product a b and w.
    left = []
    for share in (0.97, 1.03):
        state = away
        for _ in range(400):
            state = state + share * limit * field(mode, state, TEACHER)
        left.append(abs(state[0] * state[1] - 1.08) + abs(state[2] - 0.7))
    assert left[0] < 1e-8 and left[1] > 1e-4


@pytest.mark.slow  # twins: TestEndpoint in test_modes_theory; TestNever in test_learning_time
def test_without_an_end_point_there_is_no_limit():
    assert np.isnan(theory.lr_max(setup(wp.BPTT(), "w_out")))
    assert theory.learning_time(setup(wp.BPTT(), "w_out"), 0.01) == np.inf


def test_a_teacher_of_several_modes_needs_one_named():
    several = wp.LinearRNN(np.diag([0.1, 0.2]), 0.3 * np.eye(2), 0.4 * np.eye(2))
    taught = wp.LinearRNN(np.diag([0.7, 0.5]), 0.9 * np.eye(2), 1.2 * np.eye(2))
    both = wp.Setup(several, wp.TeacherRNN(taught), wp.BPTT(), ("w_rec", "w_in", "w_out"))
    with pytest.raises(ValueError, match="more than one mode; name one of them"):
        theory.learning_time(both, 0.01)
    second = wp.Setup(network((0.4, 0.3, 0.2)), wp.TeacherRNN(network((1.2, 0.9, 0.5))), wp.BPTT(), both.train)
    modes = sorted(float(theory.learning_time(both, 0.01, theory.Modes(mode))) for mode in (0, 1))
    assert min(abs(one / float(theory.learning_time(second, 0.01)) - 1) for one in modes) < 1e-7
