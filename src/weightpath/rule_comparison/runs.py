"""Many runs of one rule in one compiled program: every seed at every learning rate.

The programs take networks, rules and drawn batches as arrays, so that rules with arrays of one shape, and tasks with
batches of one shape, share them.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from weightpath._types import Array, Float, Int, PyTree
from weightpath.learn.steps import Progressed, advance, start
from weightpath.networks.base import AbstractNetwork, rollout
from weightpath.rule_comparison.alignment import alignment
from weightpath.rules.backprop import BPTT
from weightpath.rules.base import AbstractLearningRule
from weightpath.setup import Setup
from weightpath.tasks.base import AbstractTask, Batch
from weightpath.tasks.drawn import DrawnBatches, draw

#: What a seed's key is folded with to make its parts.
NETWORK, RULE, TRAINING, HELD_OUT = range(4)


class Problem(eqx.Module):
    """What one rule is asked to do; arrays of `networks` and `rules` have a leading seed axis."""

    networks: AbstractNetwork
    rules: AbstractLearningRule
    optimiser: optax.GradientTransformationExtraArgs
    """Made by `optax.inject_hyperparams`, so that the learning rate is a number of its state."""
    train: tuple[str, ...] = eqx.field(static=True)

    def over_runs(self, run: Callable, states: PyTree, *by_seed: PyTree) -> PyTree:
        """`run(setup of a network, rule and task, state, ...)` for every rate and seed; axes (rate, seed)."""

        def one(state, network, rule, tasks, *rest):
            return run(Setup(network, tasks, rule, self.train), state, *rest)

        def of_rate(states):
            return jax.vmap(one)(states, self.networks, self.rules, *by_seed)

        return jax.vmap(of_rate)(states)


@eqx.filter_jit
def make_networks(network: AbstractNetwork | Callable, keys: Array) -> AbstractNetwork:
    """The network of every seed."""

    def of_seed(key):
        return network if isinstance(network, AbstractNetwork) else network(jax.random.fold_in(key, NETWORK))

    return jax.vmap(of_seed)(keys)


@eqx.filter_jit
def make_rules(rule: AbstractLearningRule | Callable, networks: AbstractNetwork, keys: Array) -> AbstractLearningRule:
    """The rule of every seed."""

    def of_seed(key, network):
        return rule if isinstance(rule, AbstractLearningRule) else rule(jax.random.fold_in(key, RULE), network)

    return jax.vmap(of_seed)(keys, networks)


@eqx.filter_jit
def draw_batches(task: AbstractTask, keys: Array, part: Int[Array, ""], steps: Int[Array, " step"]) -> DrawnBatches:
    """The batches of every seed at consecutive `steps`, to learn from (TRAINING) or to test on (HELD_OUT).

    `part` is an array, so that one program draws both.
    """
    return jax.vmap(lambda key: draw(task, jax.random.fold_in(key, part), steps))(keys)


@eqx.filter_jit
def begin(problem: Problem, batches: DrawnBatches, keys: Array, rates: Float[Array, " rate"]) -> Progressed:
    """The state of every run before its first step; `batches` hold that of step 0."""

    def one(setup, rate, key):
        state = start(setup, problem.optimiser, jax.random.fold_in(key, TRAINING))
        return eqx.tree_at(lambda state: state.optimiser.hyperparams["learning_rate"], state, rate)

    every = jnp.broadcast_to(rates[:, None], (rates.size, keys.size))
    return problem.over_runs(one, every, batches, keys)


@eqx.filter_jit
def learn(problem: Problem, states: Progressed, batches: DrawnBatches, keys: Array, until: Int[Array, ""]):
    """Every run up to step `until`, or to its first failure."""

    def one(setup, state, key):
        return advance(state, setup, problem.optimiser, jax.random.fold_in(key, TRAINING), until)

    return problem.over_runs(one, states, batches, keys)


@eqx.filter_jit
def observe(trained: PyTree, networks: AbstractNetwork, batches: DrawnBatches) -> tuple[Array, Array, PyTree]:
    """Loss, outputs and BPTT's velocity of every run on the first of `batches`; the same program for every rule."""

    def one(trained, network, batches):
        network = eqx.combine(trained, network)
        batch = jax.tree.map(lambda leaf: leaf[0], batches.batches)
        outputs = jax.vmap(lambda inputs: rollout(network, inputs)[1])(batch.inputs)
        return batch.criterion(outputs), outputs, BPTT().update(network, batch, None)[0]

    return jax.vmap(lambda trained: jax.vmap(one)(trained, networks, batches))(trained)


@eqx.filter_jit
def measure(problem: Problem, states: Progressed, gradients: PyTree, batches: DrawnBatches) -> dict[str, Array]:
    """Alignment of the rule's update with `gradients` on the first of `batches`."""

    def one(setup, state):
        state, gradient = state
        network = eqx.combine(state.trained, setup.network)
        batch = jax.tree.map(lambda leaf: leaf[0], setup.task.batches)
        velocity = setup.rule.update(network, batch, state.rule)[0]
        return alignment(velocity, gradient, setup.train, source_of(setup.rule, network))

    return problem.over_runs(one, (states, gradients), batches)


@eqx.filter_jit
def perform(task: AbstractTask, outputs: Float[Array, "rate seed trial time out"], batches: DrawnBatches) -> Array:
    """Performance of every run on the first of `batches` (rate, seed)."""

    def one(outputs, batches):
        return performance(task, outputs, jax.tree.map(lambda leaf: leaf[0], batches.batches))

    return jax.vmap(lambda outputs: jax.vmap(one)(outputs, batches))(outputs)


def performance(task: AbstractTask, outputs: Float[Array, "trial time out"], batch: Batch) -> Float[Array, ""]:
    """The task's own measure; 1 - loss / loss of a silent network for tasks that have none."""
    own = getattr(task, "performance", None)
    if own is not None:
        return own(outputs, batch)
    return 1 - batch.criterion(outputs) / batch.criterion(jnp.zeros_like(outputs))


def source_of(rule: AbstractLearningRule, network: AbstractNetwork) -> Float[Array, "post out"]:
    """What carries errors back to the units: the transposed feedback, or the transposed read-out."""
    own = getattr(rule, "source", None)
    return network.w_out.T if own is None else own(network)
