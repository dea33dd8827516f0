"""A task and a network whose channels do not fit are refused at once, also where only a sampled batch shows them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.tasks.base import AbstractTask, Batch


def network(inputs, outputs):
    return wp.RateRNN(jnp.eye(4), jnp.ones((4, inputs)), jnp.ones((outputs, 4)), leak=0.1)


def setup(task, inputs, outputs):
    return wp.Setup(network(inputs, outputs), task, wp.BPTT(), train=("w_rec",))


class ByHand(AbstractTask):
    """Three inputs, one target; `own` gives its batches a criterion over two outputs."""

    own: bool = eqx.field(default=False, static=True)

    def sample(self, key, step):
        arrays = (jnp.ones((2, 5, 3)), jnp.ones((2, 5, 1)), jnp.ones((2, 5)))
        return OwnCriterion(*arrays) if self.own else Batch(*arrays)

    def population(self):
        return None


class OwnCriterion(Batch):
    def criterion(self, outputs):
        return jnp.mean((outputs.sum(-1) - self.targets[..., 0]) ** 2)


class NotTraced(ByHand):
    def sample(self, key, step):
        return super().sample(key, int(np.asarray(jax.random.key_data(key))[0]))


def test_reaches_need_four_inputs():
    with pytest.raises(ValueError, match=r"the task has 4 inputs, the network 7 \(w_in \(4, 7\)\)"):
        setup(wp.ForceFieldReach(trials=2), 7, 2)
    setup(wp.ForceFieldReach(trials=2), 4, 2)


def test_a_task_of_ones_own():
    with pytest.raises(ValueError, match="the task has 3 inputs, the network 2"):
        setup(ByHand(), 2, 1)
    with pytest.raises(ValueError, match="the task has 1 outputs, the network 2"):
        setup(ByHand(), 3, 2)
    assert setup(ByHand(own=True), 3, 2).train == ("w_rec",)


def test_a_task_that_cannot_be_traced_is_left_alone():
    assert setup(NotTraced(), 7, 2).train == ("w_rec",)


def test_nothing_is_worked_out():
    """Ten billion numbers would not fit."""
    with pytest.raises(ValueError, match="the task has 4 inputs, the network 1"):
        setup(wp.ForceFieldReach(trials=10**8), 1, 2)
