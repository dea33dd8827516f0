"""Back-propagation through time: the exact gradient of a batch, or of the expectation over the noise."""

import equinox as eqx
import jax

from weightpath._results import RESULTS
from weightpath._types import Array, Key, PyTree
from weightpath.networks.base import AbstractNetwork, rollout
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.rules.base import AbstractLearningRule, Info
from weightpath.rules.population import NoExactForm, population_loss, population_residual, population_velocity
from weightpath.tasks.base import Batch


class BPTT(AbstractLearningRule):
    r"""The gradient: velocity $-\partial L/\partial\theta$ by back-propagation through whole trials.

    `update` differentiates the batch's criterion $\tfrac12\langle|y-y^*|^2\rangle$ (mean over trials and observed
    bins) through the run of the network. `population` is the exact expectation for linear networks and rational
    target filters (`weightpath.rules.population`). The rule carries nothing between updates.
    """

    def init(self, network: AbstractNetwork, batch: Batch, key: Key | None) -> None:
        """Nothing is carried."""
        return None

    def update(self, network: AbstractNetwork, batch: Batch, state: PyTree) -> tuple[PyTree, PyTree, Info]:
        """Minus the gradient of the batch's criterion; `Info.loss` is the criterion."""
        loss, gradient = eqx.filter_value_and_grad(batch_loss)(network, batch)
        finite = jax.numpy.isfinite(loss)
        result = RESULTS.where(finite, RESULTS.successful, RESULTS.nonfinite)
        return jax.tree.map(lambda leaf: -leaf, gradient), state, Info(loss, jax.numpy.zeros_like(loss), result)

    def population(self, network: AbstractNetwork, target) -> tuple[PyTree, Info]:
        """Minus the gradient of the stationary loss.

        **Raises:** ValueError naming rule, network and target where there is no exact form.
        """
        try:
            velocity, result = population_velocity(network, target)
        except NoExactForm as reason:
            raise NoExactForm(
                f"BPTT has no exact form for {type(network).__name__} on {type(target).__name__}: {reason}."
            ) from None
        return velocity, Info(population_loss(network, target), population_residual(network, target), result)


def batch_loss(network: AbstractNetwork, batch: Batch) -> Array:
    """The batch's criterion for `network`, run from its initial state over every trial."""
    if isinstance(network, ContinuousLinearRNN) and network.dt is not None:
        # The step matrices do not change within a trial; form them once instead of at each time step.
        network = LinearRNN(*network.discretised(), network.w_out)
    outputs = jax.vmap(lambda inputs: rollout(network, inputs)[1])(batch.inputs)
    return batch.criterion(outputs)
