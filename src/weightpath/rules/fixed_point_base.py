"""What the learning rules of fixed points share: solve, errors, outer products, the read-out, a warm start."""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from equinox import AbstractVar

from weightpath._results import RESULTS
from weightpath._types import Array, Float, Key, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.slopes import activation_of
from weightpath.networks.steady_solver import SteadySolver
from weightpath.rules.base import AbstractLearningRule, Info
from weightpath.rules.population import NoExactForm
from weightpath.rules.static_loss import AtRest, at_rest, cold_start
from weightpath.tasks.static_batch import StaticBatch


class Factors(eqx.Module):
    r"""A change of the weights as outer products, $\Delta W = \frac1m\sum_k a_k b_k^\top$ and $\Delta U$ with $u_k$."""

    post: Float[Array, "trial unit"]
    """$a_k$, for recurrent and input weights and the bias."""
    pre: Float[Array, "trial unit"]
    """$b_k$, for recurrent weights."""
    result: RESULTS


class AbstractFixedPointRule(AbstractLearningRule):
    r"""A rule that learns the fixed points $r = f(W r + U u + b)$ of static stimuli, $y = V r + c$.

    The rule's state is the network's states (trial, unit) at the last fixed points: where the next solve starts, for
    tasks in which every update sees the same samples. The read-out follows its gradient under every rule.
    """

    solver: AbstractVar[SteadySolver]

    @abstractmethod
    def factors(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> Factors:
        r"""The update $\Delta$ of recurrent and input weights, to be subtracted, as outer products."""

    @property
    def steps_exactly(self) -> bool:
        """Whether plain gradient steps take `finite_step` of this rule instead of following its velocity."""
        return False

    def init(self, network: AbstractNetwork, batch: StaticBatch, key: Key | None) -> Array:
        """The states of rest, from which the first solve starts. **Raises:** ValueError for unsuitable networks."""
        self.check_network(network)
        self.solver.check_precision(network.w_rec.dtype)
        return cold_start(network, batch)

    def check_network(self, network: AbstractNetwork) -> None:
        """Refuse networks for which the rule is not defined. **Raises:** ValueError."""
        activation_of(network)

    def update(self, network: AbstractNetwork, batch: StaticBatch, state: PyTree) -> tuple[PyTree, PyTree, Info]:
        """Velocity at the fixed points of the batch, their states, and what was found on the way."""
        rest = at_rest(network, batch, state, self.solver)
        velocity, found = self.update_at(network, batch, rest)
        return velocity, rest.steady.states, found

    def update_at(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> tuple[PyTree, Info]:
        """`update` of a network whose fixed points are known."""
        velocity, result = self.velocity_at(network, batch, rest)
        return velocity, info(rest, result)

    def velocity_at(self, network: AbstractNetwork, batch: StaticBatch, rest: AtRest) -> tuple[PyTree, RESULTS]:
        """Velocity of a network at rest, and the rule's own outcome."""
        factors = self.factors(network, batch, rest)
        return outer_products(network, batch, rest, factors), factors.result

    def population(self, network: AbstractNetwork, target) -> tuple[PyTree, Info]:
        """Velocity on all samples, from fixed points found from rest.

        **Raises:** NoExactForm (a ValueError) for targets that are not static.
        """
        if not isinstance(target, StaticBatch):
            raise NoExactForm(
                f"{type(self).__name__} has no exact form for {type(network).__name__} on {type(target).__name__}: it "
                "learns the fixed points of static stimuli (wp.StaticTargets)."
            )
        velocity, _, found = self.update(network, target, self.init(network, target, None))
        return velocity, found


def outer_products(network: AbstractNetwork, batch: StaticBatch, rest: AtRest, factors: Factors) -> AbstractNetwork:
    """Velocity, minus the update, shaped like the network; the read-out's part is minus its gradient."""
    samples = batch.inputs.shape[0]
    return shaped_like(
        network,
        w_rec=-factors.post.T @ factors.pre / samples,
        w_in=-factors.post.T @ batch.inputs / samples,
        bias=-jnp.mean(factors.post, axis=0),
        **readout_velocity(rest),
    )


def readout_velocity(rest: AtRest) -> dict[str, Array]:
    """Minus the gradient of the read-out and of its bias."""
    samples = rest.errors.shape[0]
    return {
        "w_out": -rest.output_errors.T @ rest.steady.rates / samples,
        "readout_bias": -jnp.mean(rest.output_errors, axis=0),
    }


def shaped_like(network: AbstractNetwork, **arrays: Array) -> AbstractNetwork:
    """A network-shaped value that holds the named arrays where the network has them, and zeros elsewhere."""

    def fill(path, leaf):
        return arrays.get(path[0].name, jnp.zeros_like(leaf)).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(fill, network)


def info(rest: AtRest, result: RESULTS) -> Info:
    """What was found on the way: a failed solve comes before what the rule itself met, and before a loss of NaN."""
    result = RESULTS.where(rest.result == RESULTS.successful, result, rest.result)
    lost = (result == RESULTS.successful) & ~jnp.isfinite(rest.loss)
    residual = jnp.max(rest.steady.residual)
    return Info(rest.loss, residual.astype(rest.loss.dtype), RESULTS.where(lost, RESULTS.nonfinite, result))
