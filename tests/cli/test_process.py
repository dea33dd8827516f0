"""The program as a process: light help, interruption and resumption, a reader that goes away."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TINY = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from weightpath.studies import STUDIES
STUDIES._places = {{"tiny": "tiny_study:STUDY"}}
from weightpath.cli import main
sys.exit(main())
"""


def test_help_and_list_load_nothing_heavy():
    code = (
        "import sys\n"
        "from weightpath.cli import main\n"
        "for line in ('--help', 'list', 'list --json', 'run --help', 'run integrate-white-noise --help',\n"
        "             'run recorded-bci-learning --help', 'fit --help', 'reproduce --help', 'completion bash'):\n"
        "    try:\n"
        "        code = main(line.split())\n"
        "    except SystemExit as end:\n"
        "        code = end.code or 0\n"
        "    assert code == 0, (line, code)\n"
        "    heavy = {'jax', 'equinox', 'xarray', 'matplotlib', 'scipy', 'h5py'} & set(sys.modules)\n"
        "    assert not heavy, (line, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGKILL", 9)])
def test_an_interrupted_run_is_resumed_by_the_same_command(number, tmp_path):
    # Tests that run in the background of a shell inherit an interrupt that is ignored.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + TINY
    command = [sys.executable, "-c", heard, "run", "tiny", "--points", "12", "--out", "here", "--json"]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    started = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "TINY_HOLDS_AT": "3"}, **pipes)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("here/unfinished-*/steps.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    started.send_signal(number)
    out, err = started.communicate(timeout=60)
    assert out == "" and not (tmp_path / "here" / "summary.json").exists()
    if number in (signal.SIGINT, signal.SIGTERM):
        assert started.returncode == 130
        assert err.rstrip().endswith("weightpath: interrupted; give the same command again to resume")
        assert "Traceback" not in err
    if number == signal.SIGTERM:  # one resumption is enough; the others leave the same files
        again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["passed"] is True
        from weightpath import load

        assert load(tmp_path / "here" / "results.nc").resumed >= 1


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_goes_away_is_no_error(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    line = f"set -o pipefail; {sys.executable} tiny.py list | true"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
