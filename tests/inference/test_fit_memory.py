"""What a fit holds in memory: no copy of the data beside the data, and predictions of a few trials at a time."""

import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.inference import predictions as module
from weightpath.inference.optimise import run_chunk
from weightpath.inference.predictions import predictions
from weightpath.inference.run import begin_run
from weightpath.networks.kernels import RationalQuadratic

KERNEL = RationalQuadratic(length=5.0, sd=0.3, noise_sd=0.05)
SETTINGS = dict(seed=0, iterations=50, learning_rate=1e-2, dtype="float32")


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((60, 80, 30)).cumsum(axis=1)
    data[5, 70:] = np.nan
    recording = wp.Recording(data, condition=np.arange(60) % 2)
    mask = recording.observed.copy()
    mask[::7] = False
    return begin_run(
        wp.LowTensorRankRNN(2, units=8, time_constant=10.0, kernel=KERNEL), recording, mask, SETTINGS, None
    )


def test_an_iteration_needs_less_than_the_data(run):
    """The gradient stores states alone, and nothing of the size of the data is made, in any precision."""
    problem = run.arrangement.problem(run.dtype)
    assert problem.mask.dtype == bool
    np.testing.assert_array_equal(problem.entries, problem.mask.sum(axis=(0, 1)))
    program = run_chunk.lower(run.state, problem, run.schedule, jnp.asarray(1), run.arrangement.layout).compile()
    needed = program.memory_analysis()
    if needed is None:
        pytest.skip("this platform does not say what a program needs")
    assert needed.temp_size_in_bytes < 0.8 * problem.data.nbytes


@pytest.mark.parametrize("block", [60, 25])
def test_blocks_hold_every_trial_once(run, block, monkeypatch):
    """Alike whether all at once or in blocks, the last of which begins early to have the length of the others."""
    whole = list(predictions(run.state.parameters, run.arrangement, run.dtype))
    assert len(whole) == 1 and whole[0][0] == slice(0, 60)
    monkeypatch.setattr(module, "BLOCK", block)
    parts = list(predictions(run.state.parameters, run.arrangement, run.dtype))
    assert np.concatenate([np.arange(60)[rows] for rows, _, _ in parts]).tolist() == list(range(60))
    assert len(parts) == -(-60 // block) and all(len(predicted) <= block for _, _, predicted in parts)
    for which in (1, 2):
        np.testing.assert_allclose(np.concatenate([one[which] for one in parts]), whole[0][which], atol=2e-5)
    assert whole[0][2].shape == (60, 80, 30)
