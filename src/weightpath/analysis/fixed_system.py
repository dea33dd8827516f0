r"""What a fixed-point search sees of a network or a function: $h(x, u)$, zero at a fixed point, and its derivatives."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.factored import FactoredRNN
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.networks.rate import ACTIVATIONS, RateRNN

Dynamics = Literal["flow", "map"]
#: A network, or a JAX function of the state (and of the input, where inputs are given).
System = AbstractNetwork | Callable[..., Any]
KINDS = ("flow", "map")


class FixedSystem(eqx.Module):
    r"""$h(x, u)$ of a system: the velocity of a flow, or $F(x, u) - x$ of a map. A pytree, so that it can be traced.

    Of a network the flow is that of its equation in units of the time constant, $h = \tau \dot x$, and the map is its
    own `step`.
    """

    system: Any
    discrete: bool = eqx.field(static=True)
    takes_input: bool = eqx.field(static=True)

    def residual(self, state: Float[Array, " unit"], input: Float[Array, " in"]) -> Float[Array, " unit"]:
        """The vector h at one state."""
        if isinstance(self.system, AbstractNetwork):
            return self.system.step(state, input) - state if self.discrete else _flow(self.system, state, input)
        value = self.system(state, input) if self.takes_input else self.system(state)
        return value - state if self.discrete else value

    def jacobian(self, state: Float[Array, " unit"], input: Float[Array, " in"]) -> Float[Array, "unit unit"]:
        r"""$\partial h/\partial x$ at one state; in closed form for networks, which is a factor N cheaper."""
        network = self.system
        if isinstance(network, RateRNN):
            scale = network.leak if self.discrete else 1.0
            return scale * (_gained(network, state, input) - jnp.eye(state.size))
        if isinstance(network, LinearRNN) or (isinstance(network, ContinuousLinearRNN) and not self.discrete):
            return network.w_rec - jnp.eye(state.size)
        return jax.jacfwd(self.residual)(state, input)

    def input_jacobian(self, state: Float[Array, " unit"], input: Float[Array, " in"]) -> Float[Array, "unit in"]:
        r"""$\partial h/\partial u$ at one state."""
        return jax.jacfwd(self.residual, argnums=1)(state, input)


def _gained(network: RateRNN, state: Array, input: Array) -> Array:
    """G W of the rate form, W G of the current form."""
    activation = ACTIVATIONS[network.activation]
    if network.form == "current":
        return network.w_rec * jax.vmap(jax.grad(activation))(state)
    drive = network.w_rec @ state + _drive(network, input)
    return jax.vmap(jax.grad(activation))(drive)[:, None] * network.w_rec


def _drive(network: Any, input: Array) -> Array:
    drive = network.w_in @ input
    return drive if getattr(network, "bias", None) is None else drive + network.bias


def _flow(network: AbstractNetwork, state: Array, input: Array) -> Array:
    """Velocity in states per time constant."""
    if isinstance(network, LinearRNN | ContinuousLinearRNN):
        return network.w_rec @ state + network.w_in @ input - state
    if isinstance(network, FactoredRNN):
        mixed = network.mixing @ (network.pre_factor.T @ jnp.tanh(state))
        return network.post_factor @ (mixed + input) - state
    if isinstance(network, RateRNN):
        activation = ACTIVATIONS[network.activation]
        if network.form == "rate":
            return activation(network.w_rec @ state + _drive(network, input)) - state
        return network.w_rec @ activation(state) + _drive(network, input) - state
    # A leaky step of any other network: what it adds, over its leak, is the velocity.
    return (network.step(state, input) - state) / network.leak  # pyright: ignore[reportAttributeAccessIssue]


def as_system(system: System, inputs: Any, dynamics: str) -> tuple[FixedSystem, Float[np.ndarray, "input in"]]:
    """The system in float64 and its inputs (input, in); one input of zeros, or of no channels, where none is given.

    **Raises:** ValueError for unknown dynamics, inputs that do not fit, and networks without a known flow.
    """
    if dynamics not in KINDS:
        raise ValueError(f'dynamics must be "flow" or "map"; got {dynamics!r}. They differ in what counts as stable.')
    network = isinstance(system, AbstractNetwork)
    if not network and not callable(system):
        raise ValueError(f"system must be a network or a function of the state; got {type(system).__name__}.")
    if network:
        _check_network(system, dynamics)
    table = np.zeros((1, np.shape(system.w_in)[-1] if network else 0)) if inputs is None else _table(inputs)
    if network and table.shape[1] != np.shape(system.w_in)[-1]:
        raise ValueError(f"inputs must have {np.shape(system.w_in)[-1]} channels, as w_in has; got {table.shape[1]}.")
    return FixedSystem(in_float64(system), dynamics == "map", network or inputs is not None), table


def in_float64(tree: Any) -> Any:
    """All floating arrays of a pytree in float64."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64) if eqx.is_inexact_array_like(leaf) else leaf, tree)


def _check_network(network: AbstractNetwork, dynamics: str) -> None:
    if np.ndim(network.w_rec) != 2:
        raise ValueError(
            f"w_rec must be (post, pre) of one network; got shape {np.shape(network.w_rec)}. "
            "Take trajectory.network(step), or analysis.follow_fixed_points for all steps."
        )
    if isinstance(network, ContinuousLinearRNN) and dynamics == "map":
        network.discretised()  # says what is missing where the network has no step
    known = (LinearRNN, ContinuousLinearRNN, FactoredRNN, RateRNN)
    if dynamics == "flow" and not isinstance(network, known) and not hasattr(network, "leak"):
        raise ValueError(
            f"the flow of a {type(network).__name__} is not known; give its velocity as a function, "
            'or use dynamics="map" for its own step.'
        )


def _table(inputs: Any) -> Float[np.ndarray, "input in"]:
    table = np.asarray(inputs, dtype=np.float64)
    if table.ndim == 1:
        table = table[None]
    if table.ndim != 2 or not len(table):
        raise ValueError(f"inputs must be (in,) or (input, in) with at least one row; got shape {np.shape(inputs)}.")
    if not np.all(np.isfinite(table)):
        raise ValueError("inputs holds NaN or infinite entries; drop or repair those rows.")
    return table


def check_shape(system: FixedSystem, units: int, channels: int) -> None:
    """Look at the shape of what a function returns before anything is computed.

    **Raises:** ValueError when it is not that of the state, or the function cannot take the state.
    """
    state, input = jnp.zeros(units), jnp.zeros(channels)
    if isinstance(system.system, AbstractNetwork):
        size = system.system.w_rec.shape[0]
        if size != units:
            raise ValueError(f"starts must have one column a unit, {size}; got {units}.")
        return
    call = (state, input) if system.takes_input else (state,)
    try:
        value = eqx.filter_eval_shape(system.system, *call)
    except jax.errors.JAXTypeError as error:
        raise ValueError(
            "system must be written in jax.numpy, without Python branches on its values, so that it can be traced: "
            f"{str(error).splitlines()[0]}"
        ) from error
    except TypeError as error:
        hint = "" if system.takes_input else " (a function of state and input needs `inputs`)"
        shapes = f"({units},)" + (f" and an input of shape ({channels},)" if system.takes_input else "")
        raise ValueError(f"system cannot be called with a state of shape {shapes}: {error}{hint}") from error
    if getattr(value, "shape", None) != (units,):
        got = getattr(value, "shape", type(value).__name__)
        raise ValueError(f"system must return an array of the state's shape ({units},); got {got}.")
