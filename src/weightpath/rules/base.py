"""What a learning rule owes the rest of the library: a velocity of the weights, sampled or exact."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from weightpath._results import RESULTS
from weightpath._types import Array, Float, Key, PyTree
from weightpath.networks.base import AbstractNetwork


class Info(eqx.Module):
    """What a rule found on the way: the loss, the relative residual of the linear solves (0 where none), an outcome."""

    loss: Float[Array, ""]
    residual: Float[Array, ""]
    result: RESULTS


def found(loss: Float[Array, ""]) -> Info:
    """`Info` of a sampled update: a failure where the loss is not finite."""
    result = RESULTS.where(jnp.isfinite(loss), RESULTS.successful, RESULTS.nonfinite)
    return Info(loss, jnp.zeros_like(loss), result)


class AbstractLearningRule(eqx.Module):
    r"""A learning rule returns a velocity d(weights)/d(learning time), shaped like the network, at unit rates.

    A velocity is minus the update $\Delta$ that a rule's formulas subtract: $\theta \leftarrow \theta - \eta\Delta$.

    Which weights move and how fast is said by the `Setup`; an optimiser or an ODE solver turns velocity into motion.
    A batch is a `tasks.base.Batch` of trials, or a `tasks.static_batch.StaticBatch` for rules of fixed points.
    """

    @abstractmethod
    def init(self, network: AbstractNetwork, batch: Any, key: Key | None) -> PyTree:
        """Whatever the rule carries between updates; None for rules without memory."""

    @abstractmethod
    def update(self, network: AbstractNetwork, batch: Any, state: PyTree) -> tuple[PyTree, PyTree, Info]:
        """Velocity on one batch, the rule's new state, and what was found on the way."""

    @abstractmethod
    def population(self, network: AbstractNetwork, target) -> tuple[PyTree, Info]:
        """Exact expected velocity for a task's population target.

        **Raises:** ValueError naming rule, network and target when no exact form exists.
        """
