"""The two rungs of the ladder that solve linear systems: Newton's method with backtracking, and a stiff flow."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from weightpath._types import Array
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.slopes import rates_of, slopes_of
from weightpath.networks.steady_solver import SteadySolver

#: Iterations of each at most; both converge quadratically at the end.
NEWTON_STEPS, FLOW_STEPS = 40, 300
#: How often a Newton step may be halved, and the fall of the residual's norm that it owes (Armijo).
HALVINGS, FALL = 12, 1e-4
#: First step of the flow, in time constants, and by how much a step may grow or shrink.
FIRST_STEP, CHANGE = 0.5, 3.0


class Found(NamedTuple):
    """What a rung knows of each sample."""

    rates: Array
    residual: Array
    iterations: Array


class _Walk(NamedTuple):
    count: Array
    rates: Array
    net_input: Array
    defect: Array
    iterations: Array
    going: Array
    size: Array


def newton_or_flow(network: AbstractNetwork, drive: Array, start: Array, flows: Array, solver: SteadySolver) -> Found:
    r"""Zeros of $h(r) = r - f(Wr + x)$ from `start` (trial, unit): by Newton's method, or by the flow where it `flows`.

    Newton: $(1 - GW)\,\delta = -h$, halved until $|h|$ falls. Flow: linearly implicit Euler steps of
    $\dot r = f(Wr + x) - r$, $(1/s + 1 - GW)\,\delta = -h$; at first it follows the flow, and so ends at a stable point
    in whose reach the start lies; as the residual falls the step s grows with its inverse, and the method becomes
    Newton's (pseudo-transient continuation).
    """
    weights = network.w_rec
    halves = 0.5 ** jnp.arange(HALVINGS, dtype=start.dtype)[:, None, None]
    diagonal = jnp.arange(start.shape[1])

    def defect_at(rates):
        net_input = rates @ weights.T + drive
        return net_input, rates - rates_of(network, net_input)

    def open_(rates, defect):
        return ~(jnp.max(jnp.abs(defect), axis=-1) <= solver.allowed(weights, rates))

    def body(walk: _Walk) -> _Walk:
        shift = jnp.where(flows, 1 / walk.size, 0.0)
        matrices = -slopes_of(network, walk.net_input)[..., None] * weights
        matrices = matrices.at[:, diagonal, diagonal].add(1 + shift[:, None])
        step = jnp.linalg.solve(matrices, -walk.defect[..., None])[..., 0]
        tried = walk.rates + halves * step
        inputs, defects = defect_at(tried)
        before, after = jnp.linalg.norm(walk.defect, axis=-1), jnp.linalg.norm(defects, axis=-1)
        # A Newton step has to lower the residual, the flow may take it up and down.
        fell = jnp.where(flows, jnp.isfinite(after), after <= (1 - FALL * halves[..., 0]) * before)
        first = jnp.argmax(fell, axis=0), jnp.arange(drive.shape[0])
        moves = walk.going & jnp.any(fell, axis=0)
        rates, net_input, defect = (
            jnp.where(moves[:, None], new[first], old)
            for new, old in ((tried, walk.rates), (inputs, walk.net_input), (defects, walk.defect))
        )
        change = before / jnp.maximum(after[first], jnp.finfo(after.dtype).tiny)
        size = jnp.clip(walk.size * jnp.clip(jnp.where(moves, change, 0.0), 1 / CHANGE, CHANGE), 1e-6, 1e12)
        lasts = moves | (walk.going & flows)
        lasts = lasts & (walk.count < jnp.where(flows, FLOW_STEPS, NEWTON_STEPS)) & open_(rates, defect)
        return _Walk(walk.count + 1, rates, net_input, defect, walk.iterations + walk.going, lasts, size)

    net_input, defect = defect_at(start)
    none, size = jnp.zeros(start.shape[0], int), jnp.full(start.shape[0], FIRST_STEP, start.dtype)
    walk = _Walk(jnp.asarray(0), start, net_input, defect, none, open_(start, defect), size)
    walk = jax.lax.while_loop(lambda walk: jnp.any(walk.going), body, walk)
    return Found(walk.rates, jnp.max(jnp.abs(walk.defect), axis=-1), walk.iterations)
