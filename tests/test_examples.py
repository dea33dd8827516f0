"""Every example, and the README's own code, runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(program: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "JAX_ENABLE_X64"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path):
    assert run(path.read_text()).strip()


def test_code_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    assert len(blocks) == 4
    data = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import numpy as np\n"
        "values = np.random.default_rng(0).normal(size=(24, 6, 8)).cumsum(1)\n"
        "target, phase = np.arange(24) % 2, np.repeat(['before', 'after'], 12)\n"
    )
    run(data + "".join(blocks))
