"""The study of planted learning at a fraction of its size: what it holds, what fails it, and its table and figures."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from weightpath.studies import STUDIES
from weightpath.studies.low_tensor_rank_recovery import fraction, gaussian, median
from weightpath.studies.low_tensor_rank_recovery_cases import CASES
from weightpath.studies.low_tensor_rank_recovery_planning import HELD, Cell, cells, computed
from weightpath.studies.low_tensor_rank_recovery_tables import planning_table

STUDY = STUDIES["low-tensor-rank-recovery"]
FULL = STUDY.settings("full", runs=3)


def invented(config) -> xr.Dataset:
    """A dataset as the run makes it, with detection that grows with trials and falls with noise."""
    every = cells(config)
    numbers = {name: np.array([getattr(cell, name) for cell in every], float) for name in ("trials", "noise", "change")}
    ease = numbers["change"] * np.log2(numbers["trials"]) / 8 / np.nan_to_num(numbers["noise"], nan=2.0)
    runs = np.linspace(-0.02, 0.02, config.runs)
    values = {
        "detected": (ease[:, None] + 10 * runs > 0.5).astype(float),
        "correlation": np.where(numbers["change"] > 0, 0.9, np.nan)[:, None] + runs,
        "flow_full": 1 - 8 / numbers["trials"][:, None] + runs / 4,
        "settled": np.ones((len(every), config.runs)),
    }
    names = config.cases
    per_case = {
        "chosen_rank": [CASES[name].rank for name in names], "true_rank": [CASES[name].rank for name in names],
        "ceiling": 0.99, "test": 0.989, "denoised": 0.9999, "flow_recurrent": 0.999, "flow_full": 0.999,
        "weight_error": 0.01, "canonical_error": 0.01, "settled": 1,
    }  # fmt: skip
    trial = np.arange(60)
    course = np.stack([np.cos(trial / 9), np.sin(trial / 7), trial / 60], axis=1) + 1.5
    count = len(names)
    return xr.Dataset(
        {key: ("case", np.broadcast_to(value, count)) for key, value in per_case.items()}
        | {
            "rank_r2": (("case", "offset"), np.tile([0.4, 0.989, 0.9891], (count, 1))),
            "compared_r2": (("case", "compared"), np.tile([0.95, 0.9895], (count, 1))),
            "angle": (("case", "component"), np.ones((count, 3))),
            "correlation": (("case", "component"), np.full((count, 3), 0.999)),
            "factor_true": (("case", "case_trial", "component"), np.tile(course, (count, 1, 1))),
            "factor": (("case", "case_trial", "component"), np.tile(course + 0.02, (count, 1, 1))),
        }
        | {f"{key}_planning": (("cell", "run"), value) for key, value in values.items()},
        coords={"case": list(names), "offset": [-1, 0, 1], "compared": ["fixed", "per_trial"], "case_trial": trial}
        | {name: ("cell", [getattr(cell, name) for cell in every])
           for name in ("trials", "noise", "change", "neurons", "rate")},
    )  # fmt: skip


@pytest.fixture(scope="module")
def dataset():
    return invented(FULL)


def failed(dataset, config=FULL):
    return [result.name for result in (check.evaluate(dataset) for check in STUDY.checks_of(config))
            if result.passed is False]  # fmt: skip


def test_requirements_hold_and_each_can_fail(dataset):
    easy = dataset.assign(detected_planning=dataset["detected_planning"].where(dataset["noise"] > 0.5, 1.0)
                          .where(dataset["change"] > 0, 0.0))  # fmt: skip
    assert failed(easy) == []
    worse = {
        "chosen_rank": 1, "test": 0.9, "denoised": 0.9, "flow_recurrent": 0.9, "flow_full": 0.9, "weight_error": 0.2,
        "canonical_error": 0.2, "settled": 0,
    }  # fmt: skip
    for key, value in worse.items():
        names = failed(easy.assign({key: easy[key] * 0 + value}))
        assert len([name for name in names if name.startswith("R1:")]) >= 1, key
        assert len([name for name in names if name.startswith("R1b:")]) >= 1, key
    assert failed(easy.assign(angle=easy["angle"] * 0 + 10)) == [
        f"{name}: largest principal angle of span(a) [degrees]" for name in ("R1", "R1b")
    ]
    assert failed(easy.assign(compared_r2=easy["compared_r2"] * 0 + 0.985)) == [
        "R1: held-out R² minus that of fixed weights"
    ]
    always = easy.assign(detected_planning=easy["detected_planning"] * 0 + 1)
    assert failed(always) == ["no planted change: fraction of sessions in which one is detected"]


def test_cells_are_the_asked_experiments():
    every = cells(FULL)
    assert len(every) == 4 * 3 * 3 + 3 * 4 + 4 * 2
    assert sum(cell.counts for cell in every) == 8 and len({str(cell) for cell in every}) == len(every)
    assert all(cell.noise == 1.0 and cell.change == 1.0 for cell in every if cell.neurons != 40)
    recording, truth = Cell(16, float("nan"), 1.0, 8, rate=20.0).simulated(0)
    assert truth.clean.mean() == pytest.approx(1.0) and recording.time[1] == 0.05


def test_table_has_every_cell_once(dataset):
    table = planning_table(dataset)
    assert list(table.columns) == ["32 trials", "64 trials", "128 trials", "256 trials"]
    assert len(table.rows) == 9 + 3 + 2 and len({(row.group, row.label) for row in table.rows}) == 14
    cell = next(row for row in table.rows if "2 times" in row.group and row.label == "change 1, 40 neurons").cells[3]
    one = gaussian(dataset, trials=256, noise=2.0, change=1.0)
    assert cell.text == f"{int(one['detected_planning'].sum())} of 3"
    assert cell.detail == f"factors 0.90, flow {median(dataset, 'flow_full', trials=256, noise=2.0, change=1.0):.2f}"
    assert fraction(dataset, change=0.0) == 0 and "factors" not in planning_table(dataset).rows[0].cells[0].detail


@pytest.mark.parametrize("name", STUDY.figures)
@pytest.mark.parametrize("preset", ["quick", "full"])
def test_figures_have_labels_and_lines(name, preset):
    config = STUDY.settings(preset)
    drawn = STUDY.figures[name](invented(config))
    for ax in drawn.axes:
        assert ax.get_xlabel() and ax.get_ylabel() and ax.lines


def test_settings_are_checked():
    with pytest.raises(ValueError, match="unknown case 'R7'; known: R1, R1b, small"):
        STUDY.settings("quick", cases=("R7",))
    with pytest.raises(ValueError, match="trials must be at least 12"):
        STUDY.settings("quick", trials=(8,))


def test_one_cell_is_measured_and_resumed(tmp_path, monkeypatch):
    """Errors on held-out trials only, the paired test on them, and a second call that reads what is there."""
    from weightpath.inference import side_by_side
    from weightpath.inference.fit import fit
    from weightpath.inference.paired import entry_sums, paired_difference, trial_errors

    config = STUDY.settings("quick", trials=(16,), change=(1.0,), neurons=(6,), runs=1, units=8, planning_iterations=50)
    told = []
    progress = lambda label, done, total, **numbers: told.append((label, done, total))  # noqa: E731
    found = computed(config, progress=progress, workspace=tmp_path).isel(cell=0, run=0)
    assert told[-1] == ("how many trials", 100, 100)
    cell = cells(config)[0]
    recording, _ = cell.simulated(0)
    held = np.zeros(recording.shape, bool)
    held[1::HELD] = True
    model = cell.model(8)
    errors = []
    for one in (model, replace(model, changes="fixed")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = fit(one, recording, mask=~held, iterations=50, learning_rate=2e-2)
        errors.append(trial_errors(recording.values, np.asarray(fitted.predict(), float), held))
    expected = paired_difference(entry_sums(recording.values, held), *errors)
    assert float(found["gain_planning"]) == pytest.approx(expected.difference, abs=1e-9)
    assert float(found["gain_se_planning"]) == pytest.approx(expected.se, rel=1e-6)
    assert float(found["detected_planning"]) == float(expected.difference >= 2 * expected.se)

    def refused(*args, **settings):
        raise AssertionError("read it")

    monkeypatch.setattr(side_by_side, "fit", refused)
    again = computed(config, progress=progress, workspace=tmp_path).isel(cell=0, run=0)
    assert again.equals(found)


@pytest.mark.slow
def test_quick_run_meets_its_requirements(tmp_path):
    import weightpath as wp

    run = wp.run_study("low-tensor-rank-recovery", out=tmp_path, progress=False)
    assert run.passed, [check for check in run.checks if check.passed is False]
