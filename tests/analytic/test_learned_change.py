"""The change of the weights: effective rank, directions, energies, and ranks over learning."""

import numpy as np
import pytest
from local_rule_paths import Problem, path

import weightpath as wp
from weightpath.analysis import change_ranks, effective_rank, learned_change
from weightpath.analysis.effective_rank import rounding_of


def orthonormal(seed, units=9):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((units, units)))[0]


def matrix_with(values, units=9):
    left, right = orthonormal(0, units)[:, : len(values)], orthonormal(1, units)[:, : len(values)]
    return left @ np.diag(values) @ right.T, left, right


@pytest.mark.parametrize(
    ("values", "expected"),
    [((2.0,), 1.0), ((3.0, 3.0, 3.0), 3.0), ((2.0, 1.0), 9 / 5), ((1.0, 1e-9), 1.0 + 2e-9), ((1e-200, 1e-200), 2.0)],
)
def test_effective_rank_in_closed_form(values, expected):
    matrix, _, _ = matrix_with(values)
    assert float(effective_rank(matrix)) == pytest.approx(expected, rel=1e-12 if min(values) > 1e-8 else 1e-6)


def test_effective_rank_of_zero_of_stacks_and_of_single_precision():
    assert effective_rank(np.zeros((4, 4))) == 0
    stack = np.stack([matrix_with((1.0,))[0], matrix_with((2.0, 2.0))[0]])
    np.testing.assert_allclose(effective_rank(stack), [1, 2], rtol=1e-12)
    np.testing.assert_allclose(effective_rank(stack.astype(np.float32)), [1, 2], rtol=1e-5)
    assert effective_rank(stack.astype(np.float32)).dtype == np.float64
    with pytest.raises(ValueError, match="NaN or infinite"):
        effective_rank(np.full((2, 2), np.nan))


def test_directions_energies_and_share_inside_the_feedback():
    change, left, _ = matrix_with((2.0, 1.0))
    first = np.random.default_rng(2).standard_normal((9, 9))
    weights = np.stack([first, first + change / 3, first + change])
    found = learned_change(weights, feedback=left[:, :1].T)
    np.testing.assert_allclose(found.singular_values[:2], [2, 1], rtol=1e-12)
    assert found.numerical_rank == 2 and found.effective_rank == pytest.approx(9 / 5)
    assert found.top(1) == pytest.approx(4 / 5) and found.top(2) == pytest.approx(1)
    assert found.inside_feedback == pytest.approx(4 / 5)
    np.testing.assert_allclose(found.feedback_angles, [0], atol=1e-5)
    half = learned_change(weights, 1, feedback=(left[:, :1] + left[:, 1:2]).T)
    assert half.singular_values[0] == pytest.approx(2 / 3)
    np.testing.assert_allclose(half.feedback_angles, [45], atol=1e-5)
    assert learned_change(weights).inside_feedback is None and learned_change(weights).feedback_angles is None


def test_a_trajectory_and_its_array_agree():
    w_rec, w_in, w_out = path("bptt", steps=20)
    one = learned_change(wp.Trajectory.from_arrays(w_rec, w_in, w_out))
    np.testing.assert_allclose(one.singular_values, learned_change(w_rec).singular_values, rtol=1e-12)


def test_rounding_of_stored_weights_is_no_direction():
    w_rec, _, _ = path("rflo", steps=60, every=10)
    exact = learned_change(w_rec)
    single = learned_change(w_rec.astype(np.float32))
    back = learned_change(w_rec.astype(np.float32).astype(np.float64))
    assert exact.numerical_rank == single.numerical_rank == back.numerical_rank == 1
    assert exact.threshold < single.threshold == back.threshold
    # Without the floor the rounding of single precision would count.
    assert np.sum(single.singular_values > 1e-8 * single.singular_values[0]) > 1
    assert rounding_of(w_rec) < rounding_of(w_rec.astype(np.float32)) == rounding_of(np.ones(3))


@pytest.mark.parametrize("outputs", [1, 2])
def test_rflo_changes_as_many_directions_as_it_has_outputs(outputs):
    w_rec, _, _ = path("rflo", steps=120, every=10, outputs=outputs, rate=0.01)
    found = learned_change(w_rec, feedback=Problem(0, outputs=outputs).feedback)
    assert found.numerical_rank == outputs and found.inside_feedback == pytest.approx(1, abs=1e-12)
    ranks = change_ranks(w_rec)
    assert ranks.multilinear_rank[1] == outputs
    np.testing.assert_array_equal(ranks.numerical_rank, [0] + [outputs] * 12)
    assert ranks.energy[1][outputs - 1] == pytest.approx(1, abs=1e-12)
    if outputs == 1:
        # One output: the CP rank is the rank of the row vectors q(k), which the other two unfoldings have.
        assert ranks.multilinear_rank[0] == ranks.multilinear_rank[2]


def test_order_of_effective_ranks_between_rules():
    rank = {rule: learned_change(path(rule, steps=150)[0]).effective_rank for rule in ("bptt", "tbptt1", "rflo")}
    assert rank["rflo"] == pytest.approx(1, abs=1e-9) and rank["rflo"] < rank["tbptt1"] < rank["bptt"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: learned_change(np.ones((3, 3))), r"\(step, post, pre\).*got \(3, 3\)"),
        (lambda: learned_change(np.full((2, 3, 3), np.nan)), "NaN or infinite"),
        (lambda: learned_change(np.ones((2, 3, 3)), feedback=np.ones((3, 1))), r"\(out, 3\).*looks transposed"),
        (lambda: learned_change(np.ones((2, 3, 3)), feedback=np.ones((1, 4))), r"\(out, 3\); got \(1, 4\)"),
        (lambda: learned_change(np.ones((2, 3, 3)), feedback=np.zeros((1, 3))), "feedback is zero"),
        (lambda: learned_change(np.ones((2, 3, 3))).top(4), "from 1 to 3"),
        (lambda: change_ranks(np.ones((2, 3, 3))), "do not change"),
    ],
)
def test_bad_input_is_one_clear_message(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_such_step():
    with pytest.raises(IndexError, match="step 7 is outside the path, which has 2 steps"):
        learned_change(np.ones((2, 3, 3)), 7)
