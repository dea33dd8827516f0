"""Interrupted, killed and resumed fits end bit for bit where an uninterrupted one ends; so do saved ones."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.checkpoint import read_arrays
from weightpath.inference.keep import load_fit
from weightpath.inference.optimise import run_chunk
from weightpath.networks.kernels import RationalQuadratic
from weightpath.networks.low_tensor_rank import SmoothOffset

MODEL = wp.LowTensorRankRNN(
    rank=2, units=10, kernel=RationalQuadratic(length=5.0, sd=0.3, noise_sd=0.05), trial_offset=SmoothOffset()
)
ITERATIONS = 180


def recording():
    rng = np.random.default_rng(0)
    condition = np.arange(24) % 3
    means = rng.standard_normal((3, 6, 5)).cumsum(axis=1)
    data = means[condition] + 0.3 * rng.standard_normal((24, 6, 5))
    data[3, 4:] = np.nan
    return wp.Recording(data, condition=condition, epoch=np.repeat(["before", "after"], 12))


def fit(checkpoint=None, progress=False, **changes):
    settings = dict(seed=1, iterations=ITERATIONS, learning_rate=5e-3) | changes
    return wp.fit(MODEL, recording(), checkpoint=checkpoint, progress=progress, **settings)


@pytest.fixture(scope="module")
def uninterrupted():
    return fit()


def assert_same(one, other):
    for name in ("c", "a", "b", "z", "inputs", "offset", "level", "c_smooth"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_array_equal(one.predict(), other.predict())
    np.testing.assert_array_equal(one.history["loss"], other.history["loss"])
    assert (one.prior_weight, one.n_eff, one.reason) == (other.prior_weight, other.n_eff, other.reason)


def test_a_killed_fit_resumes_bit_for_bit(uninterrupted, tmp_path):
    """SIGKILL in the middle, in a process of its own."""
    path = tmp_path / "fit.npz"
    program = """
import os, signal, sys
from pathlib import Path
from test_fit_resume import fit

def kill(label, done, total, **numbers):
    if done >= 100:
        os.kill(os.getpid(), signal.SIGKILL)

fit(Path(sys.argv[1]), kill)
"""
    environment = os.environ | {"JAX_ENABLE_X64": "1", "PYTHONPATH": str(Path(__file__).parent)}
    ended = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, timeout=300, check=False)
    assert ended.returncode == -signal.SIGKILL
    header, arrays = read_arrays(path)
    assert len(arrays["history"]) == 100
    assert_same(fit(path), uninterrupted)
    # What is finished is returned without further work.
    assert_same(fit(path), uninterrupted)


def test_ctrl_c_saves_and_is_raised(uninterrupted, tmp_path):
    path = tmp_path / "folder" / "fit.npz"

    def interrupt(label, done, total, **numbers):
        if done == 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(path, interrupt)
    assert [one.name for one in path.parent.iterdir()] == ["fit.npz"]
    assert_same(fit(path), uninterrupted)


def test_progress_tells_what_is_done(tmp_path):
    said = []
    fit(progress=lambda label, done, total, **numbers: said.append((done, total, "loss" in numbers)))
    assert said == [(0, 180, False), (50, 180, True), (100, 180, True), (150, 180, True), (180, 180, True)]


@pytest.mark.parametrize("changes", [dict(seed=2), dict(iterations=200), dict(learning_rate=4e-3)])
def test_the_checkpoint_of_another_fit_is_refused(tmp_path, changes):
    path = tmp_path / "fit.npz"
    fit(path)
    with pytest.raises(ValueError, match="checkpoint of another fit"):
        fit(path, **changes)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "fit.npz"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="not a file written by weightpath"):
        fit(path)


def test_saved_fits_come_back_the_same(uninterrupted, tmp_path):
    uninterrupted.save(tmp_path / "kept.npz")
    again = load_fit(tmp_path / "kept.npz")
    assert_same(again, uninterrupted)
    assert again.model == uninterrupted.model and again.settings == uninterrupted.settings
    assert again.score() == uninterrupted.score()
    assert again.recording.digest() == uninterrupted.recording.digest()
    assert again.recording.epochs == ("before", "after")


def test_a_checkpoint_is_not_a_fit(tmp_path):
    fit(tmp_path / "fit.npz")
    with pytest.raises(ValueError, match="holds a checkpoint, not a fit"):
        load_fit(tmp_path / "fit.npz")


def test_controls_and_seeds_share_one_program():
    fit()
    before = run_chunk._cache_size()
    from dataclasses import replace

    for changes in ("fixed", "epoch", "inputs_epoch", "readout_epoch"):
        wp.fit(replace(MODEL, changes=changes, prior_multiplier=3.0), recording(), seed=3, iterations=60)
    assert run_chunk._cache_size() == before
