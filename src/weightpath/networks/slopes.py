"""What a steady state needs to know of a network: its activation, the slope of that, its drive and its time step."""

import jax
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.networks.rate import ACTIVATIONS, RateRNN

#: Slope f'(z) of each activation. At the kink of relu it is 0, as JAX has it.
SLOPES = {
    "tanh": lambda z: 1 - jnp.tanh(z) ** 2,
    "sigmoid": lambda z: jax.nn.sigmoid(z) * jax.nn.sigmoid(-z),
    "relu": lambda z: (z > 0).astype(z.dtype),
    "softplus": jax.nn.sigmoid,
    "linear": jnp.ones_like,
    "rectified_quadratic": lambda z: 2 * jax.nn.relu(z),
}
#: Largest slope of each activation; None where there is none.
STEEPEST = {
    "tanh": 1.0,
    "sigmoid": 0.25,
    "relu": 1.0,
    "softplus": 1.0,
    "linear": 1.0,
    "rectified_quadratic": None,
}


def activation_of(network: AbstractNetwork) -> str:
    """Name of the activation; that of a linear network is "linear".

    **Raises:** ValueError for a network of another kind.
    """
    if isinstance(network, RateRNN):
        return network.activation
    if isinstance(network, LinearRNN | ContinuousLinearRNN):
        return "linear"
    raise ValueError(
        f"steady states are known for RateRNN, LinearRNN and ContinuousLinearRNN; got {type(network).__name__}."
    )


def is_linear(network: AbstractNetwork) -> bool:
    """Whether the slopes are one everywhere, so that all samples share one linear system."""
    return activation_of(network) == "linear"


def rates_of(network: AbstractNetwork, net_input: Float[Array, "*batch unit"]) -> Float[Array, "*batch unit"]:
    """Rates $f(z)$ at the net input $z$."""
    return ACTIVATIONS[activation_of(network)](net_input)


def slopes_of(network: AbstractNetwork, net_input: Float[Array, "*batch unit"]) -> Float[Array, "*batch unit"]:
    """Slopes $g = f'(z)$ at the net input $z$."""
    return SLOPES[activation_of(network)](net_input)


def drive_of(network: AbstractNetwork, inputs: Float[Array, "trial in"]) -> Float[Array, "trial unit"]:
    """What a steady input adds to the net input of each unit, $x = U u + b$."""
    drive = inputs @ network.w_in.T
    bias = getattr(network, "bias", None)
    return drive if bias is None else drive + bias


def outputs_of(network: AbstractNetwork, rates: Float[Array, "trial unit"]) -> Float[Array, "trial out"]:
    """Outputs $V r + c$ at the rates r, of either form of network."""
    outputs = rates @ network.w_out.T
    bias = getattr(network, "readout_bias", None)
    return outputs if bias is None else outputs + bias


def holds_rates(network: AbstractNetwork) -> bool:
    """Whether the state of the network is its rates (True) or its net input (form="current")."""
    return not (isinstance(network, RateRNN) and network.form == "current")


def leak_of(network: AbstractNetwork) -> float | None:
    r"""The step $\alpha$ of the network's own map $(1-\alpha) h + \alpha f$; None where it steps exactly ("zoh").

    **Raises:** ValueError for a ContinuousLinearRNN without `dt`, which has no map.
    """
    activation_of(network)
    if isinstance(network, RateRNN):
        return network.leak
    if isinstance(network, ContinuousLinearRNN):
        if network.dt is None:
            raise ValueError('this ContinuousLinearRNN has no time step, so no map; give it dt=... or dynamics="flow".')
        return network.dt if network.scheme == "euler" else None
    return 1.0
