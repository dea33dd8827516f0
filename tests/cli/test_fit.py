"""`weightpath fit`: flags reach the workflow, and unusable recordings are refused with one message."""

import json

import command_line
import numpy as np
import pytest
import tiny_study


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run a command line in a directory of its own; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("MPLBACKEND", "EQX_ON_ERROR"):  # set by the command line; put back after the test
        monkeypatch.setenv(name, {"MPLBACKEND": "Agg", "EQX_ON_ERROR": "nan"}[name])

    return lambda line: command_line.run(line, capsys)


@pytest.fixture
def seen(monkeypatch):
    """What the workflow was asked for; it answers with a run of the tiny study."""
    from weightpath.studies.running import run_config

    asked = {}

    def fit_recording(path, **arguments):
        asked.update(arguments, path=path)
        arguments["say"]("understood: 3 trials")
        return run_config(tiny_study.STUDY, tiny_study.TinySettings(points=4), out="fitted", progress=False)

    monkeypatch.setattr("weightpath.studies.fit_recording.fit_recording", fit_recording)
    return asked


def test_flags_reach_the_workflow(call, seen):
    code, out, err = call(
        "fit a.npz --array rates --dims trial,time,neuron --condition target --epoch phase --bin 0.05 --rank 1,2,5 "
        "--seeds 2 --scheme trials --units 12 --iterations 7 --seed 4 --out there --force --align go_cue "
        "--window -0.2,0.8 --smooth 0.1 --trials correct --neurons 3,5 --trial-table reaches --clip "
        "--comparisons per_epoch,per_trial --baselines --prior-multiplier auto"
    )
    assert code == 0 and "understood: 3 trials" in err and "3 of 3 requirements met" in out
    assert str(seen.pop("path")) == "a.npz" and str(seen.pop("out")) == "there"
    del seen["say"], seen["progress"]
    assert seen == {
        "array": "rates", "dims": ("trial", "time", "neuron"), "condition": "target", "epoch": "phase", "bin": 0.05,
        "rank": (1, 2, 5), "seeds": 2, "scheme": ("trials",), "units": 12, "iterations": 7, "seed": 4, "force": True,
        "align": "go_cue", "window": (-0.2, 0.8), "smooth": 0.1, "trials": "correct", "neurons": "3,5",
        "trial_table": "reaches", "clip": True, "counts": False,
        "comparisons": ("per_epoch", "per_trial"), "baselines": True, "prior_multiplier": "auto",
    }  # fmt: skip


def test_what_is_not_given_is_left_to_the_workflow(call, seen):
    assert call("fit a.npz")[0] == 0
    assert seen["dims"] is None and seen["window"] is None and seen["rank"] == (1, 2, 3, 5) and not seen["counts"]
    assert not {"units", "iterations", "seed", "likelihood", "prior_multiplier"} & seen.keys()
    assert call("fit a.npz --likelihood poisson --counts")[0] == 0
    assert seen["likelihood"] == "poisson" and seen["counts"]
    assert call("fit a.npz --prior-multiplier 8")[0] == 0 and seen["prior_multiplier"] == 8.0


def test_json_and_quiet(call, seen):
    code, out, err = call("fit a.npz --json --quiet")
    assert code == 0 and json.loads(out)["passed"] is True and "understood" not in err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fit", "DATA"),
        ("fit nothing.npz", "there is no file"),
        ("fit folder", "is a directory"),
        ("fit flat.npz", "no array with three axes; it holds x(3, 4)"),
        ("fit some.npz --prior-multiplier much", "--prior-multiplier must be a number"),
        ("fit some.npz --rank", "--rank needs at least one value"),
        ("fit some.npz --scheme", "--scheme needs at least one value"),
        ("fit some.npz --rank 1 --dims a,b,c", "the axes must be named trial, time and neuron"),
        ("fit some.npz --rank 9", "rank 9 exceeds min(units, neurons)"),
        ("fit some.npz --rank 1 --seeds 0", "--seeds: Input should be greater than or equal to 1"),
        ("fit some.npz --rank 1 --condition target", "has no array 'target'"),
        ("fit some.npz --rank 1 --out notes.txt", "notes.txt is a file; give a directory"),
        ("fit nan.npz --rank 1", "no finite entry"),
        ("fit constant.npz --rank 1", "all training entries of each neuron are equal"),
        ("fit one.npz --rank 1", "scheme 'even' leaves no observed entry to train on"),
        ("fit epoch.npz --rank 1", "no training trial in epoch 'x'"),
        ("fit labels.npz --rank 1", "condition has 5 entries"),
        ("fit text.npz", "text.npz"),
        ("fit some.npz --array rates", "rates"),
        ("fit some.npz --rank 0", "rank"),
        ("fit some.npz --rank two", "--rank"),
        ("fit some.npz --bin -1", "--bin: Input should be greater than 0"),
        ("fit some.npz --scheme neurons", "neurons"),
        ("fit some.npz --window 1", "--window needs two times in seconds"),
        ("fit some.npz --window 1,0 --bin 0.1", "the first before the second"),
        ("fit some.npz --smooth 0.1", "have no times"),
        ("fit some.npz --align go", "align= needs spike times"),
        ("fit some.npz --likelihood poisson", "counts must be whole and not negative"),
        ("fit some.npz --trials correct", "neither a list of names nor a condition"),
        ("fit a.mat", "cannot be read as a MATLAB file"),
        ("fit a.csv", "needs the columns unit and time"),
        ("fit notes.txt", "notes.txt"),
    ],
)
@pytest.mark.filterwarnings("ignore:silent")
def test_unusable_input_is_one_message_and_exit_code_2(call, tmp_path, line, message):
    np.savez(tmp_path / "some.npz", activity=np.random.default_rng(0).normal(size=(12, 6, 4)))
    values = np.random.default_rng(0).normal(size=(12, 6, 4))
    files = dict(nan=values * np.nan, constant=np.ones_like(values), one=values[:1], labels=values, epoch=values)
    labels = dict(labels=dict(condition=np.arange(5)), epoch=dict(epoch=["x"] + ["y"] * 11))
    for name, activity in files.items():
        np.savez(tmp_path / f"{name}.npz", activity=activity, **labels.get(name, {}))
    np.savez(tmp_path / "flat.npz", x=np.zeros((3, 4)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.npz").write_text("not numpy")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "a.mat").write_text("")
    (tmp_path / "a.csv").write_text("neuron,trial\n1,2\n")
    before = {path.name for path in tmp_path.iterdir()}
    code, out, err = call(line)
    assert code == 2 and out == "" and "Traceback" not in err, err
    assert message in err
    assert {path.name for path in tmp_path.iterdir()} - before <= {"cache"}
