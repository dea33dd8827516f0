"""Rules with eligibility traces: each weight remembers what it did, each unit's memory fades by a factor per step."""

from abc import abstractmethod

import jax
import jax.numpy as jnp
from equinox import AbstractVar

from weightpath._types import Array, Float, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.base import Info, found
from weightpath.rules.feedback import source
from weightpath.rules.forward import AbstractForwardRule
from weightpath.rules.local_step import Local, StepForm, collected, part_sizes, per_unit, run
from weightpath.tasks.base import Batch


class AbstractEligibilityRule(AbstractForwardRule):
    r"""$P_t = d_t \circ P_{t-1} + g_t z_t^\top$, gradient $(R^\top e_t)_i P_{t,ij}$; members say what $d$ is.

    Where decay and gain are the same for all units, one vector is carried for all of them. The trial form needs no
    trace: $\sum_t q_t P_t = \sum_t (g_t \circ c_t)\,z_t^\top$ with $c_t = q_t + d_{t+1} \circ c_{t+1}$, one vector
    per step and one matrix product over the whole batch.
    """

    feedback: AbstractVar[Array | None]

    @abstractmethod
    def decay(self, network: AbstractNetwork, form: StepForm, local: Local) -> Float[Array, "..."]:
        """Factor of the trace per step: one number, or one per unit."""

    def gain(self, form: StepForm, local: Local) -> Float[Array, "..."]:
        """Effect of a unit's input on its next state, as the trace takes it up."""
        return local.gain

    def shares(self, form: StepForm) -> bool:
        """Whether one trace serves all units."""
        return False

    def check(self, network: AbstractNetwork) -> StepForm:
        """How the network steps. **Raises:** ValueError also for feedback that does not fit, saying which axis."""
        form = super().check(network)
        self.source(network)
        return form

    def source(self, network: AbstractNetwork) -> Float[Array, "post out"]:
        """The transposed feedback, or the transposed present read-out."""
        return source(type(self).__name__, self.feedback, network)

    def first_trace(self, network: AbstractNetwork, form: StepForm) -> PyTree:
        """Zero, a block for each part of z: a vector where all units share it, otherwise one row per unit.

        Blocks, since cutting one array into the shapes of the weights at every step would cost more than the step.
        """
        rows = () if self.shares(form) else (network.w_rec.shape[0],)
        return tuple(jnp.zeros((*rows, size), network.w_rec.dtype) for size in part_sizes(network))

    def carry(self, network, form: StepForm, trace: PyTree, local: Local, noise: Array | None) -> PyTree:
        """The trace after the step that left `local`."""
        decay, gain = self.decay(network, form, local), self.gain(form, local)
        if trace[0].ndim == 2:
            decay, gain = decay[..., None], gain[..., None]
        return tuple(decay * block + gain * part for block, part in zip(trace, local.parts, strict=True))

    def meet(
        self, network, form: StepForm, trace: PyTree, local: Local, credit: Float[Array, " post"]
    ) -> tuple[Array, ...]:
        """Each unit's credit times its trace."""
        return tuple(credit[:, None] * block for block in trace)

    def update(self, network: AbstractNetwork, batch: Batch, state: PyTree) -> tuple[PyTree, PyTree, Info]:
        """Minus the gradient estimate on whole trials, each from rest; `Info.loss` is the batch's criterion."""
        form, units = self.check(network), network.w_rec.shape[0]
        local = run(network, form, batch.inputs)
        loss, errors = jax.value_and_grad(batch.criterion)(local.output)
        credits = per_unit(local.readout_slope) * (errors @ self.source(network).T)
        decays = jax.vmap(jax.vmap(lambda at: jnp.broadcast_to(self.decay(network, form, at), (units,))))(local)

        def back(later, now):
            credit, decay = now
            credit = credit + later
            return decay * credit, credit

        swapped = jnp.swapaxes(credits, 0, 1), jnp.swapaxes(decays, 0, 1)
        credits = jax.lax.scan(back, jnp.zeros_like(credits[:, 0]), swapped, reverse=True)[1]
        gains = jax.vmap(jax.vmap(lambda at: self.gain(form, at)))(local)
        gradient = collected(network, local, gains, jnp.swapaxes(credits, 0, 1), errors)
        return jax.tree.map(jnp.negative, gradient), state, found(loss)
