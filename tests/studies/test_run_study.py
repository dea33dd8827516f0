"""Running a study: settings resolved, computed once, checked, resumed, stored with where it came from."""

import json
import math
import tomllib

import numpy as np
import pytest
import tiny_study
import xarray as xr
from pydantic import ValidationError

import weightpath as wp
from weightpath.studies import STUDIES
from weightpath.studies.base import Check, CheckResult, Study, format_value, nearest
from weightpath.studies.result import read_run
from weightpath.studies.running import run_config, run_directory


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """The tiny study in place of the real ones, and a directory of its own."""
    monkeypatch.setattr(STUDIES, "_places", {"tiny": "tiny_study:STUDY"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def counted(tiny, monkeypatch):
    """The tiny study, with the configurations of its runs counted."""
    calls = []

    def run(config, **arguments):
        calls.append(config)
        return tiny_study.run(config, **arguments)

    study = Study(**{**vars(tiny_study.STUDY), "run": run})
    monkeypatch.setattr(tiny_study, "STUDY", study)
    return calls


def test_a_run_and_its_files(tiny):
    run = wp.run_study("tiny", points=7, seed=3)
    digest, directory = run_directory(STUDIES["tiny"], tiny_study.TinySettings(points=7, seed=3))
    assert run.directory == directory and directory.parts == ("results", "tiny", digest)
    np.testing.assert_allclose(run.dataset.y, np.exp(-0.5 * np.arange(7)))
    assert run.passed and [check.passed for check in run.checks] == [True, True, True, None]
    assert np.iscomplexobj(run.dataset.eigenvalue)
    assert run.figures["path"].read_text().startswith("<?xml")
    assert {path.name for path in directory.iterdir()} == {"config.toml", "results.nc", "summary.json", "figures"}


def test_the_dataset_says_where_it_came_from(tiny):
    run = wp.run_study("tiny", points=5)
    with xr.open_dataset(run.directory / "results.nc") as stored:
        attrs = stored.attrs
        assert json.loads(attrs["settings"])["points"] == 5 and attrs["study"] == "tiny"
        assert attrs["hash"] == run.directory.name and attrs["schema_version"] == 1
        assert json.loads(attrs["versions"])["weightpath"] == wp.__version__
        assert {"git", "platform", "device", "dtype", "created", "seconds", "argv"} <= attrs.keys()


def test_the_summary_has_the_promised_keys_and_is_strict_json(tiny):
    summary = wp.run_study("tiny", points=5).summary()
    assert set(summary) == {
        "study", "preset", "settings", "checks", "passed", "dataset", "figures", "seconds", "versions",
    }  # fmt: skip
    assert set(summary["checks"][0]) == {"name", "source", "value", "expected", "tolerance", "passed"}
    json.dumps(summary, allow_nan=False)


def test_the_written_settings_repeat_the_run(tiny):
    run = wp.run_study("tiny", points=6, ranks=(2, 5), limit=None)
    stored = tomllib.loads((run.directory / "config.toml").read_text())
    assert stored == {**run.settings, "ranks": [2, 5], "limit": "None"}


def test_a_finished_run_is_read_and_not_repeated(counted):
    first = wp.run_study("tiny", points=5)
    again = wp.run_study("tiny", points=5)
    xr.testing.assert_identical(first.dataset, again.dataset)
    assert again.checks == first.checks and again.seconds == first.seconds and len(counted) == 1
    wp.run_study("tiny", points=5, force=True)
    wp.run_study("tiny", points=6)
    assert len(counted) == 3


def test_another_directory_and_other_settings_in_it(counted, tmp_path):
    out = tmp_path / "here"
    assert wp.run_study("tiny", points=5, out=out).directory == out
    (out / "figures" / "mine.svg").write_text("")
    other = Study(**{**vars(tiny_study.STUDY), "figures": {"second": tiny_study.STUDY.figures["path"]}})
    run = run_config(other, other.settings(points=6), out=out)
    assert run.dataset.sizes["time"] == 6 and len(counted) == 2
    assert {path.name for path in (out / "figures").iterdir()} == {"second.svg", "mine.svg"}


def test_an_interrupted_run_resumes_from_its_checkpoint(tiny):
    def interrupt(label, done, total, **numbers):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wp.run_study("tiny", points=8, progress=interrupt)
    digest, directory = run_directory(STUDIES["tiny"], tiny_study.TinySettings(points=8))
    assert (directory / f"unfinished-{digest}" / "steps.json").is_file()
    assert not (directory / "summary.json").exists()
    resumed = wp.run_study("tiny", points=8)
    assert resumed.dataset.resumed == 3
    whole = wp.run_study("tiny", points=8, out="elsewhere")
    np.testing.assert_array_equal(resumed.dataset.y, whole.dataset.y)
    assert not list(directory.glob("unfinished-*"))


def test_a_run_that_fails_at_once_leaves_nothing(tiny):
    with pytest.raises(RuntimeError, match="stable region"):
        wp.run_study("tiny", breakdown=True, out="here")
    assert not (tiny / "here").exists()
    wp.run_study("tiny", points=5, out="here")
    before = {path.name for path in (tiny / "here").iterdir()}
    with pytest.raises(RuntimeError, match="stable region"):
        wp.run_study("tiny", breakdown=True, out="here")
    assert {path.name for path in (tiny / "here").iterdir()} == before


def test_force_drops_the_checkpoint(tiny):
    def interrupt(*arguments, **numbers):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wp.run_study("tiny", points=8, progress=interrupt)
    assert wp.run_study("tiny", points=8, force=True).dataset.resumed == 0


def test_data_files_belong_to_the_hash(tiny, tmp_path):
    data = tmp_path / "data.bin"
    study = Study(**{**vars(tiny_study.STUDY), "data_files": lambda config: [data]})
    hashes = set()
    for content in (b"1", b"2", b"1"):
        data.write_bytes(content)
        hashes.add(run_directory(study, tiny_study.TinySettings())[0])
    assert len(hashes) == 2


def test_a_failed_requirement_fails_the_run_and_a_missed_finding_does_not(tiny, monkeypatch):
    checks = [Check("x", "s", lambda ds: float("nan"), 1.0, 1.0), Check("y", "s", lambda ds: math.inf, required=False)]
    monkeypatch.setattr(tiny_study, "STUDY", Study(**{**vars(tiny_study.STUDY), "checks": checks}))
    run = wp.run_study("tiny")
    assert not run.passed and [check.passed for check in run.checks] == [False, None]
    assert math.isnan(run.checks[0].value) and run.checks[1].value == math.inf
    assert "failed: x" in repr(run)
    assert json.loads((run.directory / "summary.json").read_text(), parse_constant=pytest.fail)["passed"] is False


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("tny", {}, "unknown study 'tny'; did you mean 'tiny'"),
        ("zzzzzz", {}, "unknown study 'zzzzzz'; known: tiny"),
        ("tiny", {"dcay": 1.0}, "no setting 'dcay'; did you mean 'decay'"),
        ("tiny", {"preset": "quik"}, "no preset 'quik'; did you mean 'quick'"),
        ("tiny", {"decay": -1.0}, "greater than 0"),
        ("tiny", {"seed": -1}, "greater than or equal to 0"),
        ("tiny", {"points": 2.5}, "points"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_written(name, arguments, message, tiny):
    with pytest.raises(ValueError, match=message):
        wp.run_study(name, **arguments)
    assert list(tiny.iterdir()) == []


def test_presets_and_frozen_settings(tiny):
    assert tiny_study.STUDY.settings("full").points == 50
    assert tiny_study.STUDY.settings("full", points=3).points == 3
    with pytest.raises(ValidationError):
        tiny_study.STUDY.settings().decay = 3.0


def test_a_directory_without_a_run(tmp_path):
    with pytest.raises(ValueError, match="holds no finished run"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("compare", "expected", "tolerance", "good", "bad"),
    [
        ("abs", 1.0, 0.25, (0.75, 1.25, 1), (0.74, 1.26, math.inf)),
        ("rel", -2.0, 0.25, (-2.5, -1.5), (-2.51, -1.49, 2.0)),
        ("at_most", 1.0, None, (1.0, -math.inf), (1.0001, math.inf)),
        ("at_least", 1.0, 0.5, (0.5, math.inf), (0.4,)),
        ("between", (0.0, 1.0), None, (0.0, 1.0, 0.5), (-0.1, 1.1)),
        ("true", None, None, (True, np.True_), (False, 2.0, "yes")),
    ],
)
def test_comparisons(compare, expected, tolerance, good, bad):
    for value in (*good, *bad, math.nan):
        check = Check("c", "s", lambda ds, value=value: value, expected, tolerance, compare)
        assert check.evaluate(None).passed is (value in good), (compare, value)
        finding = Check("c", "s", lambda ds, value=value: value, expected, tolerance, compare, required=False)
        assert finding.evaluate(None).passed is None


def test_a_check_takes_one_number_of_any_library():
    import jax.numpy as jnp

    for one in (np.float32(0.5), np.array([0.5]), jnp.asarray(0.5), xr.DataArray(0.5)):
        value = Check("c", "s", lambda ds, one=one: one, 0.5, 0.0).evaluate(None).value
        assert value == 0.5 and type(value) is float
    with pytest.raises(ValueError, match="must be one number; got an array of shape"):
        Check("c", "s", lambda ds: np.ones(2)).evaluate(None)
    with pytest.raises(ValueError, match="compares numbers"):
        Check("c", "s", lambda ds: "word", 1.0).evaluate(None)


@pytest.mark.parametrize(
    ("compare", "expected", "tolerance", "words"),
    [
        ("abs", 0.3, 0.01, "0.3 ± 0.01"),
        ("abs", 0.3, None, "0.3"),
        ("rel", 10.0, 0.05, "10 ± 5 %"),
        ("at_most", 1e-6, None, "≤ 1e-06"),
        ("at_least", 2, None, "≥ 2"),
        ("between", (0.1, 0.4), None, "0.1 … 0.4"),
        ("true", True, None, "yes"),
        ("abs", None, None, "–"),
    ],
)
def test_requirements_in_words(compare, expected, tolerance, words):
    assert CheckResult("c", "s", 0.0, expected, tolerance, True, compare).requirement == words


def test_words_for_values_and_misspellings():
    assert [format_value(value) for value in (True, 0.123456, 30120.0, math.inf, "a")] == [
        "yes", "0.1235", "30120", "inf", "a",
    ]  # fmt: skip
    assert nearest("decy", ["decay", "points"]) == "; did you mean 'decay'?"
    assert nearest("zz", {"decay": 1}) == "; known: decay"


@pytest.mark.parametrize("name", list(STUDIES))
def test_every_study_is_whole(name):
    study = STUDIES[name]
    assert study.name == name and study.title and study.paper and len(study.claim) > 40
    assert set(study.presets) == {"quick", "full"}
    for preset in study.presets:
        study.checks_of(study.settings(preset))
    for field_name, field in study.config.model_fields.items():
        assert field.description, f"{name}: setting {field_name} has no description"
        assert not field.is_required(), f"{name}: setting {field_name} has no default"
    checks = study.checks_of(study.settings("full"))
    names = [check.name for check in checks]
    assert len(set(names)) == len(names) and all(check.source for check in checks)
    assert any(check.required for check in checks)
    assert all(draw.__doc__ for draw in study.figures.values())
