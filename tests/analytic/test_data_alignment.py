"""Aligned networks are recognised as what they were made of, others are refused, and aligned modes learn apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import teacher_cases as cases

import weightpath as wp
from weightpath.analysis.alignment import teacher_modes
from weightpath.networks.aligned import Bases, aligned_feedback, data_aligned, mode_scalars, random_bases
from weightpath.rules.teacher import teacher_velocity

A, B, W, HAT = [0.6, 0.5, 0.4], [0.3, 0.7, 0.2], [0.4, -0.3, 0.2, 0.55], [0.8, -0.5, 0.9]
KAPPA, POLE = np.array([1.4, 0.9, 0.5]), np.array([0.8, 0.3, 0.6])


def made(read_out=A, read_in=B, recurrent=W, feedback=HAT, kappa=KAPPA, pole=POLE, outputs=3, units=5, inputs=4):
    """A student, its teacher (with units of its own) and its feedback, aligned by construction."""
    bases = random_bases(jax.random.key(1), outputs=outputs, units=units, inputs=inputs)
    student = data_aligned(bases, read_out=read_out, read_in=read_in, recurrent=recurrent)
    other = bases.with_hidden(random_bases(jax.random.key(2), outputs=1, units=3, inputs=1).hidden)
    teacher = data_aligned(other, read_out=np.sqrt(kappa), read_in=np.sqrt(kappa), recurrent=pole)
    return student, teacher, aligned_feedback(bases, feedback), bases


def pairs(*columns):
    """Numbers of each mode in a fixed order, whatever the order of the modes."""
    return np.array(sorted(zip(*(np.round(column, 9) for column in columns), strict=True)))


CASES = {
    "distinct": {},
    "repeated poles": {"recurrent": [0.4] * 4, "pole": np.array([0.5] * 3)},
    "a multiple of one": {"recurrent": [0.3] * 5},
    "no recurrent weights": {"recurrent": [0.0]},
    "null modes": {"kappa": np.array([1.4, 0.9]), "pole": POLE[:2]},
    "equal modes of the teacher": {"kappa": np.ones(3), "pole": np.full(3, 0.5)},
    "all equal": {"read_out": [0.5] * 3, "read_in": [0.5] * 3, "recurrent": [0.2] * 3, "feedback": [0.4] * 3,
                  "kappa": np.ones(3), "pole": np.full(3, 0.5)},
    "no read-out": {"read_out": [0.0]},
    "no read-in": {"read_in": [0.0]},
    "silent": {"read_out": [0.0], "read_in": [0.0]},
    "null modes with one end": {"read_out": [0.6, 0.5, 0.0], "read_in": [0.3, 0.0, 0.2],
                                "kappa": np.array([1.4]), "pole": POLE[:1]},
    "negative ends": {"read_out": [0.6, -0.5, 0.4], "read_in": [-0.3, 0.7, 0.2]},
    "more outputs": {"outputs": 5, "inputs": 3},
    "few units": {"units": 3, "recurrent": W[:3], "feedback": HAT},
}  # fmt: skip


#: Without feedback the same search has less to share among the bases.
WITHOUT = [
    pytest.param(name, False, marks=[] if name in ("repeated poles", "null modes") else pytest.mark.slow)
    for name in CASES
]


@pytest.mark.parametrize(("name", "with_feedback"), [*((name, True) for name in CASES), *WITHOUT])
def test_aligned_networks_are_recognised(name, with_feedback):
    student, teacher, feedback, _ = made(**CASES[name])
    found = wp.analysis.data_alignment(student, teacher, feedback=feedback if with_feedback else None)
    assert found.is_aligned(1e-9), found.ratios
    assert wp.analysis.is_data_aligned(student, wp.TeacherRNN(teacher), feedback=feedback if with_feedback else None)
    # The diagonals rebuild the networks they were read from.
    u, p, v = (np.asarray(basis) for basis in (found.bases.outputs, found.bases.hidden, found.bases.inputs))
    for basis in (u, p, v):
        np.testing.assert_allclose(basis.T @ basis, np.eye(len(basis)), atol=1e-12)
    np.testing.assert_allclose(p @ np.diag(found.recurrent[: len(p)]) @ p.T, student.w_rec, atol=1e-9)
    count = min(len(u), len(v))
    for lag in range(3):
        response = teacher.w_out @ np.linalg.matrix_power(np.asarray(teacher.w_rec), lag) @ teacher.w_in
        modes = (found.kappa * found.teacher_recurrent**lag)[:count]
        np.testing.assert_allclose(u[:, :count] @ np.diag(modes) @ v[:, :count].T, response, atol=1e-9)
    np.testing.assert_allclose(found.teacher_read_out * found.teacher_read_in, found.kappa, atol=1e-12)
    assert (
        np.all(found.read_out >= -1e-12) and np.all(found.kappa >= 0) and np.all(np.diff(found.kappa[:count]) <= 1e-9)
    )


def test_the_numbers_of_each_mode_are_those_it_was_made_of():
    student, teacher, feedback, bases = made()
    found = wp.analysis.data_alignment(student, teacher, feedback=feedback)
    expected = (np.pad(A, (0, 2)), np.pad(B, (0, 2)), np.pad(W, (0, 1)), np.pad(HAT, (0, 2)), np.pad(KAPPA, (0, 2)))
    np.testing.assert_allclose(
        pairs(found.read_out, found.read_in, found.recurrent, found.feedback, found.kappa), pairs(*expected), atol=1e-9
    )
    np.testing.assert_allclose(found.teacher_recurrent, [*POLE, 0.0, 0.0], atol=1e-12)
    np.testing.assert_array_equal(found.null, [False, False, False, True, True])
    given = wp.analysis.data_alignment(student, teacher, bases, feedback)
    np.testing.assert_allclose(given.feedback, expected[3], atol=1e-14)
    assert given.worst[1] < 1e-14
    scalars = mode_scalars(student, bases)
    np.testing.assert_allclose(scalars[2], expected[2], atol=1e-14)


def test_networks_that_are_not_aligned_are_refused_by_their_worst_ratio():
    student, teacher, feedback, bases = made()
    skew = wp.LinearRNN(student.w_rec + 0.05 * jnp.eye(5)[0][:, None] * jnp.eye(5)[1], student.w_in, student.w_out)
    assert not wp.analysis.is_data_aligned(skew, teacher)
    with pytest.raises(
        ValueError, match=r"mode equations needs a data-aligned.*largest off-diagonal ratio is 0\.\d+ \(recurrent\)"
    ):
        wp.analysis.data_alignment(skew, teacher, bases).require("mode equations")
    # A pair of conjugate poles, two poles in one mode, feedback in other directions: each by its own name.
    turning = wp.LinearRNN([[0.5, 0.3, 0], [-0.3, 0.5, 0], [0, 0, 0.1]], teacher.w_in, teacher.w_out)
    assert wp.analysis.data_alignment(student, turning).ratios["teacher"] > 0.01
    one = Bases(np.eye(1), np.eye(2), np.eye(1))
    both = wp.LinearRNN(np.diag([0.8, 0.1]), np.ones((2, 1)), np.ones((1, 2)))
    alone = data_aligned(one, read_out=[0.3], read_in=[0.2], recurrent=[0.1, 0.0])
    assert wp.analysis.data_alignment(alone, both).worst[0] == "teacher_poles"
    assert wp.analysis.data_alignment(student, teacher, bases, np.roll(feedback, 1, axis=1)).worst[0] == "feedback"


def test_eprop_needs_modes_that_are_single_units():
    student, teacher, *_ = made()
    with pytest.raises(ValueError, match="signed permutation; its second largest entry in a column is 0"):
        wp.analysis.data_alignment(student, teacher).require("this", permutation=True)
    swapped = Bases(np.eye(3), -np.eye(5)[[2, 0, 1, 4, 3]], np.eye(4))
    single = data_aligned(swapped, read_out=A, read_in=B, recurrent=W)
    own = data_aligned(Bases(np.eye(3), np.eye(3), np.eye(4)), read_out=KAPPA, read_in=np.ones(3), recurrent=POLE)
    wp.analysis.data_alignment(single, own).require("this", permutation=True)


def test_bad_arguments_are_named():
    student, teacher, feedback, bases = made()
    with pytest.raises(ValueError, match="the student is a RateRNN"):
        wp.analysis.data_alignment(wp.RateRNN(cases.W, cases.B, cases.A, leak=1.0), teacher)
    with pytest.raises(ValueError, match="4 and 2 inputs, 3 and 2 outputs"):
        wp.analysis.is_data_aligned(student, cases.TEACHER)
    with pytest.raises(ValueError, match=r"feedback must be \(out, post\) = \(3, 5\); got \(5, 3\)"):
        wp.analysis.data_alignment(student, teacher, feedback=feedback.T)
    with pytest.raises(ValueError, match="read_out has room for 3 modes"):
        data_aligned(bases, read_out=[1.0] * 4, read_in=B, recurrent=W)
    with pytest.raises(ValueError, match="hidden basis must be square"):
        Bases(np.eye(2), np.ones((3, 2)), np.eye(2))
    with pytest.raises(ValueError, match="same channels; the student has 2 inputs and 2 outputs, the teacher 4 and 3"):
        wp.analysis.alignment(cases.STUDENT, teacher)
    with pytest.raises(ValueError, match="modes of a teacher are defined for one LinearRNN; got RateRNN"):
        teacher_modes(wp.RateRNN(cases.W, cases.B, cases.A, leak=1.0))


def test_mode_scalars_of_the_exact_velocity_evolve_alone():
    student, teacher, feedback, bases = made()
    target = wp.TeacherRNN(teacher).population()
    decay = 0.5
    rules = {"bptt": wp.BPTT(), "one step": wp.TruncatedBPTT(1), "rflo": wp.RFLO(feedback, trace_decay=decay)}

    @jax.jit
    def velocities(student):
        return {name: teacher_velocity(rule, student, target)[0] for name, rule in rules.items()}

    a, b, w, hat, kappa, star = (np.pad(part, (0, 5 - len(part))) for part in (A, B, W, HAT, KAPPA, POLE))
    u, x, v, y = 1 - w * w, 1 - w * star, 1 - decay * w, 1 - decay * star
    first = a * b * b / u - kappa * b / x
    expected = {
        "bptt": (first, a * a * b / u - a * kappa / x, a * b * (a * b * w / u**2 - kappa * star / x**2)),
        "one step": (first, a * (a * b - kappa), a * b * (a * b * w / u - kappa * star / x)),
        "rflo": (first, hat * (a * b / v - kappa / y), hat * b * (a * b * w / (u * v) - kappa * star / (x * y))),
    }
    for name, velocity in velocities(student).items():
        found = wp.analysis.data_alignment(velocity, teacher, bases)
        assert max(found.ratios.values()) < 1e-14
        for one, other in zip((found.read_out, found.read_in, found.recurrent), expected[name], strict=True):
            np.testing.assert_allclose(-one, other, atol=1e-14)


def test_alignment_measures_of_an_aligned_pair_and_along_a_path():
    student, teacher, feedback, _ = made()
    measured = wp.analysis.alignment(student, teacher, feedback)
    np.testing.assert_allclose(np.abs(measured.input_output), 1, atol=1e-12)
    np.testing.assert_allclose(np.sign(measured.feedback), np.sign(HAT))
    np.testing.assert_allclose(measured.kappa, np.multiply(A, B), atol=1e-12)
    np.testing.assert_allclose(measured.pole, W[:3], atol=1e-12)
    np.testing.assert_allclose(measured.recurrent, np.sign(W[:3]), atol=1e-12)
    path = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), student)
    twice = wp.analysis.alignment(path, teacher, feedback)
    np.testing.assert_allclose(twice.kappa[1], 4 * measured.kappa, atol=1e-12)
    np.testing.assert_allclose(twice.pole[1], 2 * measured.pole, atol=1e-12)
    assert wp.analysis.alignment(student, teacher).feedback is None
    silent = wp.LinearRNN(student.w_rec, 0 * student.w_in, student.w_out)
    assert not np.any(wp.analysis.alignment(silent, teacher).input_output)
