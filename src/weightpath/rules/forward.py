r"""Rules that go forward in time: each carries a trace, and an error changes the weights where it meets the trace.

At each step the trace takes up what the weights changed at once ($g_i z_j$, see `weightpath.rules.local_step`) and
carries on what it held; the error $e_t$ comes back to the units as $q_t$ and gives the estimate of the gradient
$\partial L/\partial [W, U, b] = \sum_t q_t \cdot P_t$. Members say how a trace is carried and how an error meets it.
The gradient of the read-out, $\sum_t e_t r_t^\top$, is exact for every rule.

Source: for the rules Marschall, Cho, Savin 2020 (arXiv 1907.02649), whose account of them this is.
"""

from abc import abstractmethod

import jax
import jax.numpy as jnp

from weightpath._types import Array, Float, Key, PyTree
from weightpath.networks.base import AbstractNetwork, rollout
from weightpath.rules.base import AbstractLearningRule, Info, found
from weightpath.rules.credit import Credit
from weightpath.rules.local_step import Local, StepForm, assembled, blocks, step_form
from weightpath.rules.teacher import teacher_velocity
from weightpath.tasks.base import Batch


class AbstractForwardRule(AbstractLearningRule):
    """One loop over time for every rule that carries a trace.

    `update` is the trial form: weights stand still within a trial, and the velocity is minus the rule's estimate of the
    gradient of the batch's criterion. For one time step after another see `weightpath.rules.online`.
    """

    @abstractmethod
    def first_trace(self, network: AbstractNetwork, form: StepForm) -> PyTree:
        """The trace before the first step of a trial."""

    @abstractmethod
    def carry(
        self, network: AbstractNetwork, form: StepForm, trace: PyTree, local: Local, noise: Array | None
    ) -> PyTree:
        """The trace after the step that left `local`."""

    @abstractmethod
    def meet(
        self, network: AbstractNetwork, form: StepForm, trace: PyTree, local: Local, credit: Float[Array, " post"]
    ) -> Array | tuple[Array, ...]:
        """Gradient estimate of [W, U, b], whole or in blocks, for the credit `q` that reaches the units now."""

    @abstractmethod
    def source(self, network: AbstractNetwork) -> Float[Array, "post out"]:
        """What carries an output error to the units."""

    @abstractmethod
    def credit(self, network: AbstractNetwork) -> Credit:
        """The operators $P_k$ of a linear network, for exact velocities."""

    def noise_shape(self, network: AbstractNetwork) -> tuple[int, ...] | None:
        """Shape of the random numbers that one step needs; None for rules that draw nothing."""
        return None

    def draw(self, key: PyTree, network: AbstractNetwork, *shape: int) -> Array | None:
        """Random numbers for steps of the given shape, None for rules that draw nothing."""
        return None

    def check(self, network: AbstractNetwork) -> StepForm:
        """How the network steps, if this rule can train it. **Raises:** ValueError, naming rule and network."""
        return step_form(network, type(self).__name__)

    def init(self, network: AbstractNetwork, batch: Batch, key: Key | None) -> Key | None:
        """The key of rules that draw random numbers, None for the others. **Raises:** ValueError, see `check`."""
        self.check(network)
        if self.noise_shape(network) is None:
            return None
        if key is None:
            raise ValueError(f"{type(self).__name__} draws random numbers; give it a key=jax.random.key(seed).")
        # Apart from the keys of batches, which are folded from the same one by small numbers.
        return jax.random.fold_in(key, 0x5EED5EED)

    def update(self, network: AbstractNetwork, batch: Batch, state: PyTree) -> tuple[PyTree, PyTree, Info]:
        """Minus the gradient estimate on whole trials, each from rest; `Info.loss` is the batch's criterion."""
        form, source = self.check(network), self.source(network)
        outputs = jax.vmap(lambda inputs: rollout(network, inputs)[1])(batch.inputs)
        loss, errors = jax.value_and_grad(batch.criterion)(outputs)
        noise = None
        if state is not None:
            state, fresh = jax.random.split(state)
            noise = self.draw(fresh, network, *batch.inputs.shape[:2])

        def of_trial(inputs, errors, noise):
            def step(carried, now):
                state, trace, total = carried
                input, error, noise = now
                local = form.step(network, state, input)
                trace = self.carry(network, form, trace, local, noise)
                change = self.contribution(network, form, source, trace, local, error)
                return (local.state, trace, jax.tree.map(jnp.add, total, change)), None

            start = network.initial(), self.first_trace(network, form), jax.tree.map(jnp.zeros_like, network)
            return jax.lax.scan(step, start, (inputs, errors, noise))[0][2]

        gradients = jax.vmap(of_trial)(batch.inputs, errors, noise)
        return jax.tree.map(lambda leaf: -jnp.sum(leaf, axis=0), gradients), state, found(loss)

    def population(self, network: AbstractNetwork, target) -> tuple[PyTree, Info]:
        """Exact expected velocity of a linear network on white noise, see `weightpath.rules.teacher`.

        **Raises:** NoExactForm (a ValueError) naming rule, network and target where there is none.
        """
        return teacher_velocity(self, network, target)

    def contribution(
        self, network: AbstractNetwork, form: StepForm, source: Array, trace: PyTree, local: Local, error: Array
    ) -> AbstractNetwork:
        """What one error adds to the gradient estimate of every weight."""
        weights = self.meet(network, form, trace, local, local.readout_slope * (source @ error))
        weights = weights if isinstance(weights, tuple) else blocks(network, weights)
        return assembled(network, weights, error[:, None] * local.rates, error)
