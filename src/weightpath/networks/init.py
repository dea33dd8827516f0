"""Initial networks: each function takes a key and returns a network in the canonical (mean-field) scaling."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Key
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.networks.rate import RateRNN

READOUTS = ("zero", "aligned", "random")


def gaussian(
    key: Key, units: int, *, gain: float, read_in_norm: float, readout: str, readout_norm: float = 0.0, **fields
) -> ContinuousLinearRNN:
    r"""A continuous-time linear network with Gaussian weights, one input and one output.

    $W_{ij} \sim N(0, \mathrm{gain}^2/N)$, so that the eigenvalues fill a disk of radius `gain`; the read-in has
    Gaussian direction and Euclidean norm `read_in_norm`; the read-out is zero, parallel to the read-in ("aligned") or
    of an independent Gaussian direction ("random"), with norm `readout_norm`. Further `fields` (`dt`, `scheme`) are
    passed to the network.

    **Warns:** UserWarning for a gain of 1 or more, where the network is unstable with high probability.
    **Raises:** ValueError for fewer than one unit, a negative gain or norm, or an unknown `readout`.
    """
    if not isinstance(units, int | np.integer) or units < 1:
        raise ValueError(f"units must be a whole number, at least 1; got {units}.")
    if gain < 0:
        raise ValueError(f"gain (spread of the initial weights times sqrt(units)) must not be negative; got {gain}.")
    if gain >= 1:
        warnings.warn(
            f"gain {gain:g} >= 1: the eigenvalues fill a disk of that radius, so that the network is unstable with "
            "high probability and its stationary loss infinite. Take gain < 1.",
            UserWarning,
            stacklevel=2,
        )
    if read_in_norm < 0 or readout_norm < 0:
        raise ValueError(f"norms must not be negative; got read-in {read_in_norm} and read-out {readout_norm}.")
    if readout not in READOUTS:
        raise ValueError(f"readout must be one of {', '.join(READOUTS)}; got {readout!r}.")
    if (readout == "zero") != (readout_norm == 0.0):
        raise ValueError(f'readout="{readout}" does not fit readout_norm={readout_norm}: zero has norm 0, others not.')
    recurrent_key, in_key, out_key = jax.random.split(key, 3)
    w_rec = gain * jax.random.normal(recurrent_key, (units, units)) / jnp.sqrt(units)
    direction = _unit(jax.random.normal(in_key, (units,)))
    other = direction if readout == "aligned" else _unit(jax.random.normal(out_key, (units,)))
    return ContinuousLinearRNN(w_rec, read_in_norm * direction, readout_norm * other, **fields)


def rate(
    key: Key,
    units: int,
    inputs: int,
    outputs: int,
    *,
    gain: float,
    read_in_gain: float = 1.0,
    readout_gain: float = 1.0,
    bias: bool = True,
    **fields,
) -> RateRNN:
    r"""A rate network with Gaussian weights, to be trained on any task of `inputs` and `outputs` channels.

    $W_{ij} \sim N(0, \mathrm{gain}^2/N)$, read-in $\sim N(0, \mathrm{read\_in\_gain}^2/\mathrm{inputs})$, read-out
    $\sim N(0, \mathrm{readout\_gain}^2/N)$ for N `units`; biases of units and outputs are zero (`bias`), or absent.
    Further `fields` are passed to the network: `leak` (required), `activation`, `form`.

    **Raises:** ValueError for a count below one or a negative gain.
    """
    for name, value in {"units": units, "inputs": inputs, "outputs": outputs}.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a whole number, at least 1; got {value}.")
    for name, value in {"gain": gain, "read_in_gain": read_in_gain, "readout_gain": readout_gain}.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative; got {value}.")
    recurrent_key, in_key, out_key = jax.random.split(key, 3)
    return RateRNN(
        gain * jax.random.normal(recurrent_key, (units, units)) / jnp.sqrt(units),
        read_in_gain * jax.random.normal(in_key, (units, inputs)) / jnp.sqrt(inputs),
        readout_gain * jax.random.normal(out_key, (outputs, units)) / jnp.sqrt(units),
        bias=jnp.zeros(units) if bias else None,
        readout_bias=jnp.zeros(outputs) if bias else None,
        **fields,
    )


def _unit(vector):
    return vector / jnp.linalg.norm(vector)
