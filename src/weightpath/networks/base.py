"""What a recurrent network owes the rest of the library, and how one is run over an input."""

from abc import abstractmethod

import equinox as eqx
import jax
from equinox import AbstractVar

from weightpath._types import Array, Float


class AbstractNetwork(eqx.Module):
    """A recurrent network: its weights, its initial state, one step and a read-out.

    Arrays may carry a further leading axis when a network is the stacked record of a trajectory.
    """

    w_rec: AbstractVar[Array]
    w_in: AbstractVar[Array]
    w_out: AbstractVar[Array]

    @abstractmethod
    def initial(self) -> Float[Array, " unit"]:
        """State before the first input, shape (unit,)."""

    @abstractmethod
    def step(self, state: Float[Array, " unit"], input: Float[Array, " in"]) -> Float[Array, " unit"]:
        """State after one time step with `input` held over it."""

    @abstractmethod
    def readout(self, state: Float[Array, " unit"]) -> Float[Array, " out"]:
        """Output of the network in `state`."""


def rollout(
    network: AbstractNetwork, inputs: Float[Array, "time in"]
) -> tuple[Float[Array, "time unit"], Float[Array, "time out"]]:
    """Run `network` over a sequence of inputs; returns states and outputs, both after each step."""

    def step(state, input):
        state = network.step(state, input)
        return state, (state, network.readout(state))

    return jax.lax.scan(step, network.initial(), inputs)[1]
