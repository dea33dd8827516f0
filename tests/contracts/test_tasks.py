"""What every task owes: batches of the same shape at every step, and a target that fits them."""

import jax
import numpy as np
import pytest
from catalogue import TASKS

import weightpath as wp

#: Static stimuli have no time; what their tasks owe is in `test_static_targets`.
TIMED = [task for task in TASKS if not isinstance(task, wp.StaticTargets)]
FILTERS = [task for task in TIMED if task.population() is not None]


@pytest.fixture(params=TIMED, ids=lambda task: type(task).__name__)
def task(request):
    return request.param


def test_batches_have_their_shapes(task):
    batch, target = task.sample(jax.random.key(0), 3), task.population()
    channels = (batch.inputs.shape[2], batch.targets.shape[2])
    assert target is None or channels == (target.drive.shape[1], target.output.shape[0])
    assert batch.inputs.shape == (3, 20, channels[0])
    assert batch.targets.shape == (3, 20, channels[1])
    assert batch.mask.shape == (3, 20)


def test_sampling_is_pure_and_compiles(task):
    direct = task.sample(jax.random.key(0), 3)
    compiled = jax.jit(lambda key, step: task.sample(key, step))(jax.random.key(0), 3)
    np.testing.assert_allclose(direct.targets, compiled.targets, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("task", FILTERS, ids=lambda task: type(task).__name__)
def test_targets_do_not_look_ahead(task):
    # A linear causal filter: the targets of a prefix do not depend on what comes after, so they equal the
    # convolution of the noise with the target filter, taken by hand here.
    batch, target = task.sample(jax.random.key(0), 0), task.population()
    state = np.zeros(target.transition.shape[0])
    continuous = target.dt is None
    import scipy.linalg

    step = scipy.linalg.expm(0.1 * np.asarray(target.transition)) if continuous else np.asarray(target.transition)
    for index in range(20):
        state = step @ state + (0.1 if continuous else 1.0) * np.asarray(target.drive @ batch.inputs[0, index])
        np.testing.assert_allclose(batch.targets[0, index], np.asarray(target.output) @ state, rtol=1e-10, atol=1e-12)
