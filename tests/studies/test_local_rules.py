"""The study of local rules: one program for all rules, its energies and ranks, and the whole small run."""

import dataclasses

import jax
import numpy as np
import pytest

from weightpath.studies import STUDIES
from weightpath.studies import local_rules_runs as runs
from weightpath.studies import local_rules_tables as tables
from weightpath.studies import local_rules_tanh as tanh

STUDY = STUDIES["local-rules"]


def short(seeds: int, steps: int, **changes) -> runs.Runs:
    """The networks whose ranks are counted, for a few steps."""
    return dataclasses.replace(runs.rank_runs(range(seeds)), steps=steps, every=steps, **changes)


def test_one_program_for_all_rules_takes_the_steps_of_each():
    case = short(1, 2)
    networks, losses = runs.learned(case)
    student, teacher = (jax.tree.map(lambda leaf: leaf[0], part) for part in (case.students, case.teachers))
    feedback = case.feedback[0]
    assert losses.shape == (4, 1, 2)
    w, b, a = (np.asarray(part) for part in (student.w_rec, student.w_in, student.w_out))
    t_w, t_b, t_a = (np.asarray(part) for part in (teacher.w_rec, teacher.w_in, teacher.w_out))
    power = np.linalg.matrix_power
    for number, rule in enumerate(runs.RULES):
        now = [w, b, a]
        for _ in range(2):
            source = feedback.T if rule in ("RFLO", "e-prop") else now[2].T
            carry = {"BPTT": now[0].T, "tBPTT(1)": np.zeros((8, 8)), "RFLO": 0.5 * np.eye(8)}.get(
                rule, np.diag(np.diag(now[0]))
            )
            states = [power(now[0], k) @ now[1] for k in range(20)]
            errors = [now[2] @ states[k] - t_a @ power(t_w, k) @ t_b for k in range(20)]
            credits = [power(carry, k) @ source for k in range(20)]
            change = [np.zeros_like(part) for part in now]
            for k in range(20):
                change[1] += credits[k] @ errors[k]
                change[2] += errors[k] @ states[k].T
                for j in range(19 - k):
                    change[0] += credits[k] @ errors[k + 1 + j] @ states[j].T
            now = [part - 0.05 * delta for part, delta in zip(now, change, strict=True)]
        learned = jax.tree.map(lambda leaf, number=number: leaf[number, 0, -1], networks)
        for found, expected in zip((learned.w_rec, learned.w_in, learned.w_out), now, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-13)


def test_a_run_stands_still_below_its_mark():
    networks, losses = runs.learned(short(1, 2, stop=2.0))
    np.testing.assert_array_equal(networks.w_rec[:, :, 0], networks.w_rec[:, :, -1])
    np.testing.assert_array_equal(losses[..., 0], losses[..., -1])


def test_energies_of_a_change_that_is_known():
    random = np.random.default_rng(0)
    feedback = np.zeros((1, 2, 1, 2, 30))
    feedback[0, 0, 0, 0], feedback[0, 1, 0] = random.standard_normal(30), random.standard_normal((2, 30))
    across = np.linalg.svd(feedback[0, 1, 0])[2][2]
    row = random.standard_normal(30)
    inside = np.stack([np.outer(feedback[0, 0, 0, 0], row), feedback[0, 1, 0].T @ random.standard_normal((2, 30))])
    change = inside[None, None, :, None].copy()
    top, share, rank = tanh.energies(change, feedback)
    np.testing.assert_allclose(top, 1, atol=1e-14)
    np.testing.assert_allclose(share, 1, atol=1e-14)
    assert rank.ravel().tolist() == [1, 2]
    change[0, 0, 1, 0] += np.linalg.norm(inside[1]) * np.outer(across, row) / np.linalg.norm(row)
    assert tanh.energies(change, feedback)[1][0, 0, 1, 0] == pytest.approx(0.5, abs=1e-12)


def test_every_experiment_is_asked_about_and_few_networks_give_findings():
    quick, full = (STUDY.checks_of(STUDY.settings(preset)) for preset in ("quick", "full"))
    assert {check.name.split(",")[0].split(":")[0].split()[0] for check in full} == {"alignment", "rank", "tanh"}
    medians = [check for check in quick if "median of networks" in check.name]
    assert medians and not any(check.required for check in medians)
    assert all(check.required for check in full if "median of networks" in check.name)
    assert len(full) > len(quick)


def test_outputs_that_are_not_taught_stay_silent():
    students, teachers, feedback = tanh.problems(range(1), ("usual",))
    assert students.w_out.shape == (1, 2, 1, 2, 30) and feedback.shape == students.w_out.shape
    for part in (students.w_out, teachers.w_out, feedback):
        assert not np.any(np.asarray(part)[0, 0, 0, 1]) and np.all(np.any(np.asarray(part)[0, 1, 0], axis=-1))


@pytest.mark.slow
def test_every_requirement_is_met_and_figures_draw(tmp_path):
    from weightpath.plot.style import save_figure

    config = STUDY.settings("quick")
    dataset = STUDY.run(config, workspace=tmp_path)
    results = [check.evaluate(dataset) for check in STUDY.checks_of(config)]
    assert [result.name for result in results if result.passed is False] == []
    for name, draw in STUDY.figures.items():
        assert save_figure(draw(dataset), tmp_path / f"{name}.png").stat().st_size > 10_000
        assert draw.__doc__
    (table,) = STUDY.tables(dataset)
    assert [row.label for row in table.rows] == list(runs.RULES)
    assert tables.CONVERGED == 1e-2
