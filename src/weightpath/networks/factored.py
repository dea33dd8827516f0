"""The recurrent network of one trial of a low-tensor-rank model, with its arrays."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork


class FactoredRNN(AbstractNetwork):
    r"""A network with weights $W = A\,\mathrm{diag}(c)\,B^\top$ (or $A\,C\,B^\top$), never stored as a square matrix.

    $\tau \dot x = -x + W \tanh(x) + A u$, $y = Q \tanh(x) + d$ (its softplus with that `link`), one bin per step by RK4
    or Heun with the input held. In the record of a fit `trial_factor` (and whatever else changes over learning) has a
    leading step axis.
    """

    post_factor: Float[Array, "... post rank"]
    """Directions a_r, unit columns: the network's activity stays in their span."""
    pre_factor: Float[Array, "... pre rank"]
    """Directions b_r, unit columns."""
    trial_factor: Float[Array, "... rank"]
    """c (rank,), or the rank x rank matrix C when `core`."""
    initial_state: Float[Array, "... rank"]
    """Initial state in the coordinates of `post_factor`."""
    w_out: Float[Array, "... out pre"]
    readout_bias: Float[Array, "... out"]
    time_constant: Float[Array, ""]
    """tau in bins."""
    core: bool = eqx.field(default=False, static=True)
    solver: str = eqx.field(default="rk4", static=True)
    substeps: int = eqx.field(default=1, static=True)
    link: str = eqx.field(default="identity", static=True)
    """`identity`, or `softplus` for expected counts."""

    @property
    def mixing(self) -> Float[Array, "rank rank"]:
        """diag(c), or the core, of a single trial's network."""
        return self.trial_factor if self.core else jnp.diag(self.trial_factor)

    @property
    def w_rec(self) -> Float[Array, "post pre"]:
        r"""$A\,\mathrm{diag}(c)\,B^\top$ of a single trial's network, built on demand."""
        return self.post_factor @ self.mixing @ self.pre_factor.T

    @property
    def w_in(self) -> Float[Array, "post rank"]:
        """Read-in weights: inputs push along the columns of `post_factor`."""
        return self.post_factor

    def initial(self) -> Float[Array, " unit"]:
        """State in the first bin of a trial, `post_factor @ initial_state`; a step leads to the next bin."""
        return self.post_factor @ self.initial_state

    def step(self, state: Float[Array, " unit"], input: Float[Array, " in"]) -> Float[Array, " unit"]:
        """State one bin later, with `input` (rank,) held over the bin."""
        mixed, drive = self.post_factor @ self.mixing, self.post_factor @ input

        def flow(x):
            return -x + mixed @ (self.pre_factor.T @ jnp.tanh(x)) + drive

        size = 1 / (self.time_constant * self.substeps)
        for _ in range(self.substeps):
            state = advance(flow, state, flow(state), size, self.solver)
        return state

    def readout(self, state: Float[Array, " unit"]) -> Float[Array, " out"]:
        """`w_out @ tanh(state) + readout_bias`, or its softplus."""
        linear = self.w_out @ jnp.tanh(state) + self.readout_bias
        return jax.nn.softplus(linear) if self.link == "softplus" else linear


def advance(flow, state: Array, slope: Array, size, solver: str) -> Array:
    """One explicit step of `size` of an autonomous flow; `slope` is `flow(state)`, known to the caller."""
    if solver == "heun":
        return state + size / 2 * (slope + flow(state + size * slope))
    second = flow(state + size / 2 * slope)
    third = flow(state + size / 2 * second)
    fourth = flow(state + size * third)
    return state + size / 6 * (slope + 2 * second + 2 * third + fourth)
