"""The trained arrays of a low-tensor-rank fit and their initial values."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float
from weightpath.inference.counts import starting_dispersion
from weightpath.inference.ode_inputs import InputNetworks, input_networks
from weightpath.inference.problem import Arrangement
from weightpath.inference.starts import inverse_dynamics, start


class Parameters(eqx.Module):
    """Everything that is trained. Inputs and initial states are carried divided by sqrt(units)."""

    post: Float[Array, "unit rank"]
    """Directions a_r; only their direction counts."""
    pre: Float[Array, "unit rank"]
    level: Float[Array, "... levels"]
    """beta: (rank, levels), or (rank, rank, levels) of a core."""
    deviation: Float[Array, "... training"]
    """zeta, standard normal under the prior, over the training trials; none where one matrix serves all trials."""
    start: Float[Array, "rank starts"]
    inputs: Float[Array, "time rank tables"] | None
    w_out: Float[Array, "copies neuron unit"] | None
    """Decoder; before its retraction, if it is semi-orthogonal."""
    readout_bias: Float[Array, "copies neuron"] | None
    offset: Float[Array, "neuron basis"] | None
    gain: Float[Array, "copies gains"] | None = None
    """One for all neurons, or one each."""
    dispersion: Float[Array, " neuron"] | None = None
    """Logarithm of the negative binomial's alpha."""
    known: Float[Array, "rank channel"] | None = None
    """Map of the measured inputs."""
    own_start: Float[Array, "rank training"] | None = None
    """Initial states of trials about their condition's, standard normal under the prior."""
    own_inputs: Float[Array, "time rank training"] | None = None
    """Inputs of trials about their condition's, standard normal under the prior."""
    own_post: Float[Array, "unit rank training"] | None = None
    """Directions of trials about those of all, standard normal under the prior."""
    own_pre: Float[Array, "unit rank training"] | None = None
    ode: InputNetworks | None = None


def initial_values(arrangement: Arrangement, seed: int, dtype: np.dtype) -> Parameters:
    """Initial values from the condition means of the training data; every copy of a table starts equal.

    Directions, states and decoder as in `starts.start`; free inputs by inverting the dynamics on those states.
    """
    rng = np.random.default_rng(seed)
    model, root, copies = arrangement.model, np.sqrt(arrangement.units), arrangement.copies
    begin = start(arrangement, rng)
    rate = np.tanh(begin.states @ begin.post.T)
    first = begin.states[:, :1].mean(axis=0) if model.initial_state == "shared" else begin.states[:, 0]
    level, deviation = _factors(arrangement, rng)
    table = inverse_dynamics(arrangement, begin.states, rate @ begin.pre)
    spread = model.likelihood == "negative_binomial"
    arrays: dict[str, Any] = dict(
        post=begin.post,
        pre=begin.pre,
        level=level,
        deviation=deviation,
        start=np.tile(first / root, (copies, 1)).T,
        inputs=np.tile(table, (copies, 1, 1)).transpose(1, 2, 0) / root if model.inputs == "free" else None,
        w_out=_copied(begin.w_out, copies),
        readout_bias=_copied(begin.bias, copies),
        gain=_copied(begin.gain, copies),
        offset=_none_or_zeros(arrangement.maps["offset"], arrangement.recording.shape[2]),
        dispersion=np.log(starting_dispersion(arrangement.recording, arrangement.mask)) if spread else None,
        known=_known(arrangement),
        own_start=_own_start(arrangement),
        own_inputs=_own_inputs(arrangement),
        own_post=_own_directions(arrangement),
        own_pre=_own_directions(arrangement),
    )
    converted: dict[str, Any] = {name: None if one is None else jnp.asarray(one, dtype) for name, one in arrays.items()}
    if model.inputs == "ode":
        converted["ode"] = input_networks(model, len(arrangement.maps["inputs"]), rng, dtype)
    return Parameters(**converted)


def _factors(arrangement: Arrangement, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Levels of one and small random deviations."""
    rank, training = arrangement.model.rank, int(arrangement.training.sum())
    core, identity = arrangement.model.core, arrangement.model.decoder == "identity"
    # Unconstrained weights start with the rank that was asked for.
    begin = np.diag((np.arange(rank) < arrangement.terms).astype(float)) if core else np.ones(rank)
    level = np.repeat(begin[..., None], arrangement.copies, axis=-1)
    spread = (0.1 if identity else 0.01) * arrangement.maps["deviation"].any()
    deviation = spread * rng.standard_normal((*begin.shape, training))
    return level, deviation[..., :0] if arrangement.model.changes == "full" else deviation


def _copied(one: np.ndarray | None, copies: int) -> np.ndarray | None:
    return None if one is None else np.tile(one, (copies,) + (1,) * one.ndim)


def _none_or_zeros(basis: np.ndarray | None, rows: int) -> np.ndarray | None:
    return None if basis is None else np.zeros((rows, len(basis)))


def _own_start(arrangement: Arrangement) -> np.ndarray | None:
    return _none_or_zeros(arrangement.maps["own_start"], arrangement.model.rank)


def _own_inputs(arrangement: Arrangement) -> np.ndarray | None:
    if arrangement.model.changes != "inputs_only":
        return None
    return np.zeros((arrangement.recording.shape[1], arrangement.model.rank, int(arrangement.training.sum())))


def _own_directions(arrangement: Arrangement) -> np.ndarray | None:
    if arrangement.model.changes != "low_matrix_rank":
        return None
    return np.zeros((arrangement.units, arrangement.model.rank, int(arrangement.training.sum())))


def _known(arrangement: Arrangement) -> np.ndarray | None:
    """A map of zeros: the inputs come in where they help."""
    known = arrangement.maps["known"]
    return None if known is None else np.zeros((arrangement.model.rank, known.shape[1]))
