r"""Stability of steady states: as a flow every $\mathrm{Re}\,\lambda(GW) < 1$, as a map every multiplier below 1."""

from typing import NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._linalg import contracts
from weightpath._types import Array, Bool, Complex, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.chunks import in_chunks
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.networks.slopes import is_linear, leak_of, slopes_of

#: A perturbation has decayed, or grown, by this factor.
DECAYED, GROWN = 1e-4, 1e4


@eqx.filter_jit
def recurrent_spectrum(network: AbstractNetwork, slopes: Float[Array, "trial unit"]) -> Complex[Array, "trial eig"]:
    r"""Eigenvalues of $GW$ of each sample, $G = \mathrm{diag}(g)$, (trial, eig), in no order.

    Those of $WG$, the Jacobian of form="current", are the same. A linear network has one spectrum for all samples. As
    a flow a steady state is stable where all real parts are below 1.
    """
    if is_linear(network):
        one = jnp.linalg.eigvals(network.w_rec)
        return jnp.broadcast_to(one, (slopes.shape[0], one.shape[0]))
    return jax.lax.map(lambda gains: jnp.linalg.eigvals(gains[:, None] * network.w_rec), slopes)


def margin_of(network: AbstractNetwork, spectrum: Complex[Array, "trial eig"], dynamics: str) -> Float[Array, " trial"]:
    r"""Distance to instability: 1 minus the abscissa (flow), or minus the largest modulus of a multiplier (map).

    The multipliers of the network's own step are $1 - \alpha + \alpha\lambda$, or $e^{(\lambda - 1) dt}$ where it steps
    exactly.
    """
    if dynamics == "flow":
        return 1 - jnp.max(spectrum.real, axis=-1)
    leak = leak_of(network)
    if leak is None:
        step = cast(float, cast(ContinuousLinearRNN, network).dt)
        return 1 - jnp.max(jnp.exp((spectrum.real - 1) * step), axis=-1)
    return 1 - jnp.max(jnp.abs(1 - leak + leak * spectrum), axis=-1)


class _Decay(NamedTuple):
    count: Array
    value: Array
    size: Array


def decays(
    network: AbstractNetwork,
    slopes: Float[Array, "trial unit"],
    damping: Float[Array, " trial"],
    todo: Bool[Array, " trial"],
    steps: int,
) -> Bool[Array, " trial"]:
    r"""Whether a perturbation in a generic direction decays under $v \leftarrow v + d\,(GWv - v)$ within `steps`.

    Asked for the samples `todo`; False for others. If it does, every $|1 - d + d\lambda| < 1$, and so every
    $\mathrm{Re}\,\lambda < 1$. Products of the batch with the weights only. It tells a point that iteration found since
    it is stable from one that the start was on.
    """
    generic = np.random.default_rng(0).standard_normal(slopes.shape[1])
    first = jnp.broadcast_to(jnp.asarray(generic / np.linalg.norm(generic), slopes.dtype), slopes.shape)
    share = damping[:, None]

    def open_(decay: _Decay):
        return jnp.any((decay.size > DECAYED) & (decay.size < GROWN)) & (decay.count < steps)

    def body(decay: _Decay):
        value = decay.value + share * (slopes * (decay.value @ network.w_rec.T) - decay.value)
        size = jnp.linalg.norm(value, axis=-1)
        kept = (decay.size > DECAYED) & (decay.size < GROWN)  # what is decided stays so
        return _Decay(decay.count + 1, jnp.where(kept[:, None], value, decay.value), jnp.where(kept, size, decay.size))

    size = todo.astype(slopes.dtype)  # others have decayed from the start
    return todo & (jax.lax.while_loop(open_, body, _Decay(jnp.asarray(0), first, size)).size <= DECAYED)


def is_attracting(
    network: AbstractNetwork,
    slopes: Float[Array, "trial unit"],
    damping: Float[Array, " trial"],
    todo: Bool[Array, " trial"],
    dynamics: str,
    steps: int,
) -> Bool[Array, " trial"]:
    """Which of the samples `todo`, found with this damping, surely are stable: as a flow, or as the network's map."""
    leak = leak_of(network) if dynamics == "map" else None
    share = damping if leak is None else jnp.full_like(damping, leak)
    return decays(network, slopes, share, todo, steps)


def margins_of(
    network: AbstractNetwork,
    rates: Float[Array, "trial unit"],
    drive: Float[Array, "trial unit"],
    todo: Bool[Array, " trial"],
    margin: Float[Array, " trial"],
    dynamics: str,
) -> Float[Array, " trial"]:
    """`margin`, with those of the samples `todo`, at rest with these rates under `drive`, from eigenvalues."""

    def work(arrays):
        here, driven = arrays
        slopes = slopes_of(network, here @ network.w_rec.T + driven)
        return margin_of(network, recurrent_spectrum(network, slopes), dynamics)

    return in_chunks(work, todo, (rates, drive), margin, rates.shape[1])


def linear_stability(
    network: AbstractNetwork, solved: Bool[Array, " trial"], dynamics: str, margins: bool
) -> tuple[Bool[Array, " trial"], Float[Array, " trial"]]:
    """Stability of a linear network, the same for all samples: from its eigenvalues, or by repeated squaring."""
    if margins:
        margin = margin_of(network, jnp.linalg.eigvals(network.w_rec)[None], dynamics)
        return solved & (margin > 0), jnp.broadcast_to(margin, solved.shape)
    identity = jnp.eye(network.w_rec.shape[0], dtype=network.w_rec.dtype)
    leak = leak_of(network) if dynamics == "map" else None
    if leak is None:
        # The Cayley transform takes the half-plane of stable flows to the disk of stable maps.
        stable = contracts(jnp.linalg.solve(2 * identity - network.w_rec, network.w_rec))
    else:
        stable = contracts((1 - leak) * identity + leak * network.w_rec)
    return solved & stable, jnp.full(solved.shape, jnp.nan, network.w_rec.dtype)
