"""Every example, and the README's own code, runs as it stands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


DATA = """import warnings; warnings.simplefilter('ignore')
import numpy as np
values = np.random.default_rng(0).normal(size=(24, 6, 8)).cumsum(1)
target, phase = np.arange(24) % 2, np.repeat(['before', 'after'], 12)
"""
#: Runs each program in a namespace of its own, as a script; a line with its name precedes what it prints.
RUNNER = """import json, sys
for name, text in json.load(sys.stdin).items():
    print("@@@", name, flush=True)
    exec(compile(text, name, "exec"), {"__name__": "__main__"})
"""


@pytest.fixture(scope="module")
def printed():
    """What every program prints, by name. One process runs them all: starting one each would take half of the time."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    assert len(blocks) == 4
    programs = {path.stem: path.read_text() for path in EXAMPLES} | {"README": DATA + "".join(blocks)}
    environment = {name: value for name, value in os.environ.items() if name != "JAX_ENABLE_X64"}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER], input=json.dumps(programs), env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    parts = re.split(r"^@@@ (.*)\n", done.stdout, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("name", [*(path.stem for path in EXAMPLES), "README"])
def test_example_runs(printed, name):
    assert printed[name].strip()
