"""Back-propagation through time: the exact gradient of a batch, or of the expectation over the noise."""

import equinox as eqx
import jax

from weightpath._results import RESULTS
from weightpath._types import Array, Key, PyTree
from weightpath.networks.base import AbstractNetwork, rollout
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.rules.base import AbstractLearningRule, Info
from weightpath.rules.credit import Credit
from weightpath.rules.finite import finite_loss, finite_velocity
from weightpath.rules.impulse import criterion_of_response, gradient_through_response, steps_linearly
from weightpath.rules.population import NoExactForm, population_loss, population_residual, population_velocity
from weightpath.rules.teacher import teacher_loss, teacher_velocity
from weightpath.tasks.base import Batch
from weightpath.tasks.finite import FiniteTarget
from weightpath.tasks.teacher import TeacherTarget


class BPTT(AbstractLearningRule):
    r"""The gradient: velocity $-\partial L/\partial\theta$ by back-propagation through whole trials.

    `update` differentiates the batch's criterion $\tfrac12\langle|y-y^*|^2\rangle$ (mean over trials and observed
    bins) through the run of the network; for linear networks through their impulse response
    (`weightpath.rules.impulse`), which is the same and costs no more for many trials than for one. `population` is the
    exact expectation for linear networks: of the stationary state for rational target filters
    (`weightpath.rules.population`), of trials of finite duration for `wp.FiniteTrials` (`weightpath.rules.finite`), and
    of either kind for a linear teacher (`wp.TeacherRNN`, `weightpath.rules.teacher`). The rule carries nothing between
    updates.
    """

    def init(self, network: AbstractNetwork, batch: Batch, key: Key | None) -> None:
        """Nothing is carried."""
        return None

    def update(self, network: AbstractNetwork, batch: Batch, state: PyTree) -> tuple[PyTree, PyTree, Info]:
        """Minus the gradient of the batch's criterion; `Info.loss` is the criterion."""
        trials, bins, channels = batch.inputs.shape
        if steps_linearly(network) and channels <= trials:
            loss, gradient = gradient_through_response(network, bins, criterion_of_response(batch))
        else:
            loss, gradient = eqx.filter_value_and_grad(batch_loss)(network, batch)
        finite = jax.numpy.isfinite(loss)
        result = RESULTS.where(finite, RESULTS.successful, RESULTS.nonfinite)
        return jax.tree.map(lambda leaf: -leaf, gradient), state, Info(loss, jax.numpy.zeros_like(loss), result)

    def population(self, network: AbstractNetwork, target) -> tuple[PyTree, Info]:
        """Minus the gradient of `expected_loss`.

        **Raises:** ValueError naming rule, network and target where there is no exact form.
        """
        if isinstance(target, TeacherTarget):
            return teacher_velocity(self, network, target)
        try:
            if isinstance(target, FiniteTarget):
                velocity, loss, result = finite_velocity(network, target)
                return velocity, Info(loss, jax.numpy.zeros_like(loss), result)
            velocity, result = population_velocity(network, target)
        except NoExactForm as reason:
            raise NoExactForm(
                f"BPTT has no exact form for {type(network).__name__} on {type(target).__name__}: {reason}."
            ) from None
        return velocity, Info(population_loss(network, target), population_residual(network, target), result)

    def credit(self, network: AbstractNetwork) -> Credit:
        r"""$P_k = (W^T)^k A^T$: the error through the transposed read-out and recurrent weights, over all lags."""
        return Credit(network.w_rec.T, network.w_out.T)


def expected_loss(network: AbstractNetwork, target) -> Array:
    """Exact loss of `network`: of trials of finite duration, of a linear teacher, else of the stationary state.

    **Raises:** NoExactForm (a ValueError) where there is none.
    """
    if isinstance(target, TeacherTarget):
        return teacher_loss(network, target)
    loss = finite_loss if isinstance(target, FiniteTarget) else population_loss
    return loss(network, target)


def batch_loss(network: AbstractNetwork, batch: Batch) -> Array:
    """The batch's criterion for `network`, run from its initial state over every trial."""
    if isinstance(network, ContinuousLinearRNN) and network.dt is not None:
        # The step matrices do not change within a trial; form them once instead of at each time step.
        network = LinearRNN(*network.discretised(), network.w_out)
    outputs = jax.vmap(lambda inputs: rollout(network, inputs)[1])(batch.inputs)
    return batch.criterion(outputs)
