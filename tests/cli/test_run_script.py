"""The script ./run on machines that lack something: it says what to install and exits with 2."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "run"
TOOLS = ("sh", "dirname", "cat", "cksum", "rm")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="./run is a POSIX shell script")


def call(tmp_path, *arguments, python=None):
    """./run with nothing on the PATH but the few tools it needs and the given stand-in for Python."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool))
    if python:
        (tools / "python3").write_text("#!" + shutil.which("sh") + "\n" + python)
        (tools / "python3").chmod(0o755)
    environment = {"PATH": str(tools), "WEIGHTPATH_VENV": str(tmp_path / "venv")}
    return subprocess.run([shutil.which("sh"), RUN, *arguments], env=environment, capture_output=True, text=True)


def test_without_python(tmp_path):
    done = call(tmp_path, "pytest")
    assert done.returncode == 2 and "needs Python 3.11 or newer" in done.stderr


def test_with_an_old_python(tmp_path):
    done = call(tmp_path, "pytest", python='case "$2" in *version_info*3,*11*) exit 1;; esac; exit 0')
    assert done.returncode == 2 and "needs Python 3.11 or newer" in done.stderr


def test_without_the_venv_module(tmp_path):
    python = 'case "$2" in *ensurepip*) exit 1;; *print*) echo 3.12;; esac; exit 0'
    done = call(tmp_path, "pytest", python=python)
    assert done.returncode == 2
    assert "apt install python3.12-venv" in done.stderr and "Traceback" not in done.stderr


def test_without_a_command(tmp_path):
    root = RUN.parent
    wanted = subprocess.run(
        f'{{ printf "%s\\n" "{root}"; cat "{root}/pyproject.toml" "{root}/constraints.txt"; }} | cksum',
        shell=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(shutil.which("true"))
    (tmp_path / "venv" / ".weightpath-installed").write_text(wanted)
    done = call(tmp_path)
    assert done.returncode == 2 and "./run weightpath reproduce" in done.stderr
