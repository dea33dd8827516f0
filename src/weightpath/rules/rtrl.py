"""Real-time recurrent learning: the gradient, forward in time."""

import equinox as eqx
import jax.numpy as jnp

from weightpath._types import Array, Float, Key
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.influence import AbstractInfluenceRule
from weightpath.rules.local_step import Local, StepForm, seen_size
from weightpath.tasks.base import Batch


class RTRL(AbstractInfluenceRule):
    r"""Real-time recurrent learning: every weight's influence on every state, $M_t = J_t M_{t-1} + g_t \otimes z_t$.

    Gradient $q_t \cdot M_t$ with $q_t = (\partial y/\partial h)^\top e_t$: exact while the weights stand still, so that
    the trial form is the gradient. `max_bytes`: largest memory for the influence, units² (units + inputs + bias)
    numbers per trial of a batch.

    Online the same update is made at less cost (`weightpath.rules.past`). Where all trials begin with their batch and
    have at most three times as many time steps as a unit has weights, the steps of the trial are kept with the weights
    of their time, and each error goes back through them: units² numbers per time step of the trial are held, and twice
    as many operations per step back. Otherwise the influence is a matrix that takes up 16 steps at once.

    **Raises:** ValueError when `max_bytes` is not positive; before anything is allocated, when it would be exceeded.
    Source: Williams and Zipser 1989 (Neural Computation 1:270).
    """

    max_bytes: float = eqx.field(default=4e9, static=True, converter=float)

    def __check_init__(self):
        if not self.max_bytes > 0:
            raise ValueError(f"max_bytes must be positive; got {self.max_bytes}.")

    def init(self, network: AbstractNetwork, batch: Batch, key: Key | None) -> Key | None:
        """Nothing is carried between trials. **Raises:** ValueError when the influence would be too large."""
        trials, units = batch.inputs.shape[0], network.w_rec.shape[0]
        self.check_size(network, trials, trials * units**2 * seen_size(network))
        return super().init(network, batch, key)

    def check_size(self, network: AbstractNetwork, trials: int, numbers: int) -> None:
        """Estimate memory and time of one time step; refuse `numbers` above `max_bytes`. **Raises:** ValueError."""
        units, size = network.w_rec.shape[0], seen_size(network)
        needed = numbers * network.w_rec.dtype.itemsize
        if needed > self.max_bytes:
            raise ValueError(
                f"RTRL with {units} units and {trials} trials at once needs {needed:.3g} bytes for its influence and "
                f"{2 * trials * units**3 * size:.3g} operations per time step; max_bytes is {self.max_bytes:.3g}. "
                "Use fewer units or trials per batch; BPTT (the same gradient), UORO or KFRTRL (unbiased estimates), "
                "or RFLO, EProp or SnAp0; or raise max_bytes."
            )

    def first_trace(self, network: AbstractNetwork, form: StepForm) -> Array:
        """Zero, (unit, post times pre)."""
        units = network.w_rec.shape[0]
        return jnp.zeros((units, units * seen_size(network)), network.w_rec.dtype)

    def carry(self, network, form: StepForm, trace: Array, local: Local, noise: Array | None) -> Array:
        """One matrix product; what the weights do at once goes to the diagonal blocks."""
        units = trace.shape[0]
        moved = (form.jacobian(network, local) @ trace).reshape(units, units, -1)
        own = jnp.arange(units)
        at_once = jnp.broadcast_to(local.gain[..., None] * local.seen, (units, local.seen.shape[0]))
        return moved.at[own, own].add(at_once).reshape(trace.shape)

    def meet(
        self, network, form: StepForm, trace: Array, local: Local, credit: Float[Array, " post"]
    ) -> Float[Array, "post seen"]:
        r"""$q \cdot M$."""
        return (credit @ trace).reshape(credit.shape[0], -1)
