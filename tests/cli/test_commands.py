"""The commands, called in this process on the tiny study: what they print, write and answer."""

import json
import os
from pathlib import Path

import command_line
import pytest
import tiny_study

from weightpath.cli.arguments import split_lists
from weightpath.cli.environment import UNFUSED_TRIED, cache_directory, directory_size, prepare, trim
from weightpath.cli.output import settings_text, table, values_text
from weightpath.studies import STUDIES


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """The tiny study in place of the real ones, a directory of its own, and the environment put back afterwards."""
    monkeypatch.setattr(STUDIES, "_places", {"tiny": "tiny_study:STUDY"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def call(capsys):
    """Run a command line; gives exit code, standard output and standard error."""
    return lambda line: command_line.run(line, capsys)


def test_run_prints_a_table_that_fits_and_writes_a_report(call, tiny):
    code, out, err = call("run tiny --points 5 --out here")
    assert code == 0 and "3 of 3 requirements met, 1 finding reported" in out
    assert max(len(line) for line in (out + err).splitlines()) <= 80
    assert "\033" not in out + err
    assert "tiny (quick)  -> here" in err and "decay 0.5" in err
    assert (tiny / "here" / "report.html").is_file()
    rows = [line for line in out.splitlines() if line.endswith(("passed", "finding", "result"))]
    assert len({line.rindex(line.split()[-1]) for line in rows}) == 1  # the last column stands under its heading


def test_json_is_the_only_thing_on_standard_output(call):
    code, out, err = call("run tiny --json --points 5")
    data = json.loads(out, parse_constant=pytest.fail)
    assert code == 0 and list(data) == [
        "study", "preset", "settings", "checks", "passed", "dataset", "figures", "seconds", "versions",
    ]  # fmt: skip
    assert data["settings"]["points"] == 5 and data["passed"] is True and data["checks"][3]["passed"] is None
    assert os.path.isfile(data["dataset"]) and "a library that prints" in err


def test_quiet_says_nothing(call):
    code, out, err = call("run tiny --quiet --points 5 --json")
    assert code == 0 and err.replace("a library that prints\n", "") == ""


def test_preset_file_and_flags_in_this_order(call, tiny):
    (tiny / "a.toml").write_text("decay = 0.25\nranks = [4, 5]\n")

    def settings(line):
        return json.loads(call(f"run tiny --json --quiet {line}")[1])["settings"]

    assert settings("")["points"] == 20
    assert settings("--preset full")["points"] == 50
    both = settings("--config a.toml --preset=full")
    assert (both["points"], both["decay"], both["ranks"]) == (50, 0.25, [4, 5])
    flags = settings("--preset full --config=a.toml --decay 0.75 --ranks 1,2 --points 3")
    assert (flags["points"], flags["decay"], flags["ranks"]) == (3, 0.75, [1, 2])


def test_a_run_is_repeated_from_its_own_settings_file(call, tiny):
    _, first, _ = call("run tiny --points 6 --ranks 3 --out a --json")
    _, second, _ = call("run tiny --config a/config.toml --out b --json")
    assert json.loads(first)["settings"] == json.loads(second)["settings"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rum tiny", "there is no command 'rum'; did you mean 'run'?"),
        ("xyz", "there is no command 'xyz'; commands: list, run"),
        ("run tny", "there is no study 'tny'; did you mean 'tiny'?"),
        ("run", "needs the name of a study: tiny"),
        ("run --preset full", "needs the name of a study: tiny"),
        ("run tiny --out afile", "afile is a file; give a directory"),
        ("run tiny --decay -1", "--decay: Input should be greater than 0 (got -1.0)"),
        ("run tiny --decay x", "could not convert string to float"),
        ("run tiny --dcay 1", "Perhaps you meant:"),
        ("run tiny --preset slow", "invalid choice"),
        ("run tiny --config none.toml", "cannot read the settings file none.toml"),
        ("run tiny --config bad.toml", "bad.toml is not a TOML file"),
        ("run tiny --config typo.toml", "typo.toml: study tiny has no setting 'dcay'; did you mean 'decay'?"),
        ("run tiny --config range.toml", "range.toml: decay: Input should be greater than 0"),
        ("run tiny --out afile/x", "Not a directory: afile"),
        ("report nowhere", "there is no directory nowhere"),
        ("report .", "holds no finished run"),
        ("completion tcsh", "invalid choice"),
        ("predict mute", "study tiny has no theory"),
    ],
)
def test_wrong_input_is_one_message_and_exit_code_2(call, tiny, monkeypatch, line, message):
    (tiny / "bad.toml").write_text("decay =")
    (tiny / "typo.toml").write_text("dcay = 1")
    (tiny / "range.toml").write_text("decay = -1")
    (tiny / "afile").write_text("")
    if "mute" in line:
        monkeypatch.setattr(STUDIES, "_places", {"mute": "tiny_study:MUTE"})
        mute = tiny_study.Study(**{**vars(tiny_study.STUDY), "predict": None})
        monkeypatch.setattr(tiny_study, "MUTE", mute, raising=False)
    code, out, err = call(line)
    assert code == 2 and out == "" and "Traceback" not in err
    assert message in " ".join(err.replace("│", "").split())


def test_a_failed_requirement_is_exit_code_1(call, monkeypatch):
    failing = tiny_study.Check("impossible", "nowhere", lambda ds: 1.0, 2.0, 0.1)
    study = tiny_study.Study(**{**vars(tiny_study.STUDY), "checks": [*tiny_study.STUDY.checks, failing]})
    monkeypatch.setattr(tiny_study, "STUDY", study)
    code, out, _ = call("run tiny")
    assert code == 1 and "FAILED" in out and "3 of 4 requirements met" in out
    assert json.loads(call("reproduce --json")[1])["passed"] is False


def test_a_numerical_failure_is_exit_code_1_and_named(call):
    code, out, err = call("run tiny --breakdown")
    assert code == 1 and out == "" and "the computation failed: the network left the stable region" in err
    assert "Traceback" not in err
    assert "Traceback" in call("run tiny --breakdown --debug")[2]


def test_reproduce_runs_all_and_goes_on_after_a_failure(call, tiny, monkeypatch):
    broken = {"quick": {"breakdown": True}, "full": {}}
    study = tiny_study.Study(**{**vars(tiny_study.STUDY), "name": "broken", "presets": broken})
    monkeypatch.setattr(tiny_study, "BROKEN", study, raising=False)
    monkeypatch.setattr(STUDIES, "_places", {"broken": "tiny_study:BROKEN", "tiny": "tiny_study:STUDY"})
    code, out, err = call("reproduce --out all --json")
    data = json.loads(out)
    assert code == 1 and data["failures"] == {"broken": "the network left the stable region"}
    assert [run["study"] for run in data["studies"]] == ["tiny"] and data["studies"][0]["passed"]
    assert data["dataset"] if "dataset" in data else data["report"] == os.path.join("all", "report.html")
    assert "did not finish" in (tiny / "all" / "report.html").read_text()
    assert (tiny / "all" / "tiny" / "results.nc").is_file()


def test_reproduce_prints_a_table_and_reads_what_is_done(call):
    code, out, err = call("reproduce")
    assert code == 0 and "1 study, 3 of 3 requirements met" in out and "results/report.html" in out
    assert "already finished in" in call("reproduce")[2]
    assert "already finished" not in call("reproduce --force")[2]


def test_report_of_a_directory(call, tiny):
    call("run tiny --out a/one --points 4")
    call("run tiny --out a/two --points 5")
    code, out, _ = call("report a")
    assert code == 0 and out == "a/report.html\n" and (tiny / "a" / "report.html").is_file()


def test_predict(call):
    code, out, _ = call("predict tiny --decay 0.25 --json")
    assert code == 0 and json.loads(out)["prediction"]["half_time"] == pytest.approx(2.772588722239781)
    out = call("predict tiny")[1]
    assert "half time  1.386" in out and "rates" in out and max(map(len, out.splitlines())) <= 80


def test_list(call):
    code, out, _ = call("list")
    assert code == 0 and out.startswith("tiny\n  A value that decays\n")
    (study,) = json.loads(call("list --json")[1])["studies"]
    assert study["name"] == "tiny" and study["presets"] == ["quick", "full"]


def test_doctor(call):
    code, out, _ = call("doctor")
    assert code == 0 and "64-bit numbers" in out and "Everything is in place." in out
    assert json.loads(call("doctor --json")[1])["problems"] == []


def test_help_of_commands_and_studies(call):
    for line in ("--help", "run --help", "run tiny --help", "fit --help", "reproduce -h", "report --help"):
        code, out, err = call(line)
        assert code == 0 and err == "", line
        assert max(len(text) for text in out.splitlines() if not text.startswith("usage")) <= 84, line
    out = " ".join(call("run tiny --help")[1].replace("│", "").split())
    assert "--decay FLOAT decay rate [1/s] (default: 0.5)" in out
    assert "--points INT time points (default: 50)" in " ".join(call("run tiny --help --preset full")[1].split())
    assert call("--version")[1].startswith("weightpath 0.") and call("")[0] == 2


def test_completion_scripts_know_commands_studies_and_settings(call, monkeypatch):
    monkeypatch.setattr(STUDIES, "_places", {"tiny": "tiny_study:STUDY", "other": "tiny_study:STUDY"})
    for shell in ("bash", "zsh", "fish"):
        code, out, err = call(f"completion {shell}")
        assert code == 0 and err == ""
        assert "reproduce" in out and "tiny" in out and "decay" in out


def test_lists_may_be_written_with_commas():
    given = ["--rank", "1,2", "3", "--dims=trial,time", "--out", "a,b", "--rank=4"]
    assert split_lists(given, {"rank", "dims"}) == [
        "--rank", "1", "2", "3", "--dims", "trial", "time", "--out", "a,b", "--rank", "4",
    ]  # fmt: skip


def test_tables_and_texts_fit():
    long = "a name that is much longer than the space that there is for it on one line of the terminal"
    lines = table(("check", "value"), [(long, "1"), ("b", "1234567")], width=50).splitlines()
    assert max(map(len, lines)) <= 50 and lines[2].endswith("1") and table(("a",), []) == ""
    assert " ".join(" ".join(lines[2:-1]).replace(" 1 ", " ").split()) == long
    assert all(len(line) <= 80 for line in settings_text({f"setting{i}": 0.1 for i in range(30)}).splitlines())
    assert values_text({"a": [1] * 30, "long name": None}) == "  a          [1, 1, 1, ..., 1, 1]\n  long name  none"


def test_the_environment_is_set_before_jax(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("JAX_", "EQX_", "MPL", "XLA")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    prepare()
    assert os.environ["JAX_ENABLE_X64"] == "1" and os.environ["EQX_ON_ERROR"] == "nan"
    assert os.environ["MPLBACKEND"] == "Agg" and "XLA_FLAGS" not in os.environ
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(cache_directory()) and cache_directory().is_dir()
    # A version of XLA that does not know the flag would end the process: only the pinned one has been tried.
    pinned = (Path(__file__).parents[2] / "constraints.txt").read_text().splitlines()
    assert f"jaxlib=={UNFUSED_TRIED}" in pinned


def test_the_cache_is_kept_below_its_limit(tmp_path):
    for index in range(5):
        (tmp_path / str(index)).write_bytes(b"x" * 100)
        os.utime(tmp_path / str(index), (index, index))
    trim(tmp_path, 250)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["3", "4"] and directory_size(tmp_path) == 200
