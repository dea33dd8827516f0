r"""Roots and local minima of $q = \frac12|h|^2$ from many starts: Levenberg-Marquardt or Newton, batch by batch.

The starts wait in a queue for a few lanes that are advanced together by one compiled program; a lane that has finished
takes the next start. So the program is compiled once for a system and its size, whatever the number of starts, and a
start that takes long holds up one lane and not all others.
"""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Bool, Float, Int, Numeric
from weightpath.analysis.fixed_system import FixedSystem

Method = Literal["levenberg-marquardt", "newton"]
METHODS = ("levenberg-marquardt", "newton")
#: At q up to this a state counts as a fixed point; its speed is then below 1.5e-10.
FIXED = 1e-20
#: A minimum of q has a gradient below this, entry by entry.
FLAT = 1e-8
#: Iterations keep going below `FIXED` until q is this small for each unit, or does not fall any more.
ROUNDING = 1e-29
#: A search ends at a minimum when q falls by less than this share over a step.
SETTLED = 1e-7
#: Lanes, and iterations between two looks at which have finished.
LANES, BLOCK = 64, 4
DAMPING = 0.01


class Lanes(NamedTuple):
    """The searches in progress, one a lane."""

    state: Float[Array, "lane unit"]
    input: Float[Array, "lane in"]
    q: Float[Array, " lane"]
    damping: Float[Array, " lane"]
    """Of Levenberg-Marquardt, over |h|; of Newton, the share of a step that is tried."""
    done: Bool[Array, " lane"]
    count: Int[Array, " lane"]


class Ends(NamedTuple):
    """Where each search ended."""

    state: Float[np.ndarray, "search unit"]
    q: Float[np.ndarray, " search"]
    gradient: Float[np.ndarray, " search"]
    """Largest entry of J^T h."""
    iterations: Int[np.ndarray, " search"]


def search(
    system: FixedSystem,
    starts: Float[np.ndarray, "search unit"],
    inputs: Float[np.ndarray, "search in"],
    *,
    method: str = "levenberg-marquardt",
    steps: int = 200,
    burn_in: int = 0,
) -> Ends:
    """Follow q downhill from every start, each under its own input, until it ends or has taken `steps` iterations.

    A search does not depend on the others. `burn_in`: steps of the system's own dynamics (of a quarter of a time
    constant for a flow) before the first iteration.
    """
    count, size = len(starts), min(LANES, 1 << max(len(starts) - 1, 0).bit_length())
    if not count:
        return Ends(starts, np.zeros(0), np.zeros(0), np.zeros(0, int))
    lanes = jax.tree.map(np.array, _begin(system, starts[_padded(count, size, 0)], inputs[_padded(count, size, 0)],
                                          jnp.asarray(method == "newton"), burn_in))  # fmt: skip
    owner = np.where(np.arange(size) < count, np.arange(size), -1)
    lanes.done[owner < 0] = True
    waiting, found, spent = min(size, count), np.array(starts), np.zeros(count, int)
    while np.any(owner >= 0):
        lanes = jax.tree.map(np.array, _advance(system, lanes, method, steps))
        ended = np.flatnonzero(lanes.done & (owner >= 0))
        found[owner[ended]], spent[owner[ended]] = lanes.state[ended], lanes.count[ended]
        owner[ended] = -1
        fresh = ended[: max(count - waiting, 0)]
        if len(fresh):
            owner[fresh] = np.arange(waiting, waiting + len(fresh))
            pick = _padded(count, size, waiting)
            new = jax.tree.map(np.array, _begin(system, starts[pick], inputs[pick],
                                                jnp.asarray(method == "newton"), burn_in))  # fmt: skip
            for kept, one in zip(lanes, new, strict=True):
                kept[fresh] = one[: len(fresh)]
            waiting += len(fresh)
    q, gradient = slopes(system, found, inputs)
    return Ends(found, q, gradient, spent)


def _padded(count: int, size: int, first: int) -> np.ndarray:
    """`size` numbers of searches from `first` on; the last one repeated where there are no more."""
    return np.minimum(np.arange(first, first + size), count - 1)


@eqx.filter_jit
def _begin(system: FixedSystem, states: Numeric, inputs: Numeric, newton: Array, burn_in: int) -> Lanes:
    share = 1.0 if system.discrete else 0.25
    residual, states, inputs = jax.vmap(system.residual), jnp.asarray(states), jnp.asarray(inputs)
    for _ in range(burn_in):
        states = states + share * residual(states, inputs)
    q = _energy(residual(states, inputs))
    damping = jnp.where(newton, 1.0, DAMPING) * jnp.ones_like(q)
    return Lanes(states, inputs, q, damping, ~jnp.isfinite(q), jnp.zeros(q.shape, int))


def _energy(residual: Float[Array, "lane unit"]) -> Float[Array, " lane"]:
    return 0.5 * jnp.sum(residual**2, axis=-1)


@eqx.filter_jit
def _advance(system: FixedSystem, lanes: Lanes, method: str, steps: int) -> Lanes:
    step = _newton if method == "newton" else _levenberg_marquardt
    return jax.lax.fori_loop(0, BLOCK, lambda _, now: _kept(now, step(system, now), steps), lanes)


def _kept(before: Lanes, after: Lanes, steps: int) -> Lanes:
    """The step, except in lanes that had ended before."""
    after = after._replace(count=before.count + 1, done=after.done | (before.count + 1 >= steps))
    return jax.tree.map(
        lambda old, new: jnp.where(before.done.reshape((-1,) + (1,) * (old.ndim - 1)), old, new), before, after
    )


def _levenberg_marquardt(system: FixedSystem, now: Lanes) -> Lanes:
    r"""$\delta = -(J^\top J + \lambda)^{-1} J^\top h$ with $\lambda = \mu |h|$.

    Such a damping vanishes at a root, for quadratic convergence, and at a minimum where h is not zero it has the scale
    of the curvature that the bending of h adds to q.
    """
    residual = jax.vmap(system.residual)(now.state, now.input)
    jacobian = jax.vmap(system.jacobian)(now.state, now.input)
    gradient = jnp.einsum("lij,li->lj", jacobian, residual)
    normal = jnp.einsum("lij,lik->ljk", jacobian, jacobian)
    added = now.damping * jnp.sqrt(2 * now.q) + 1e-30
    factor = jnp.linalg.cholesky(normal + added[:, None, None] * jnp.eye(gradient.shape[1]))
    half = jax.lax.linalg.triangular_solve(factor, -gradient[..., None], left_side=True, lower=True)
    step = jax.lax.linalg.triangular_solve(factor, half, left_side=True, lower=True, transpose_a=True)[..., 0]
    trial = now.state + step
    q = _energy(jax.vmap(system.residual)(trial, now.input))
    promised = 0.5 * jnp.sum(step * (added[:, None] * step - gradient), axis=-1)
    ratio = (now.q - q) / jnp.maximum(promised, 1e-300)
    taken = (q < now.q) & jnp.all(jnp.isfinite(step), axis=-1)
    damping = jnp.where(taken & (ratio > 0.75), now.damping / 4, jnp.where(ratio > 0.25, now.damping, now.damping * 4))
    damping = jnp.maximum(jnp.where(taken, damping, now.damping * 4), 1e-9)
    return _ended(now, trial, q, taken, damping, gradient, damping > 1e12)


def _newton(system: FixedSystem, now: Lanes) -> Lanes:
    """Newton's step, halved until q falls; it ends where it cannot be made any shorter."""
    residual = jax.vmap(system.residual)(now.state, now.input)
    jacobian = jax.vmap(system.jacobian)(now.state, now.input)
    gradient = jnp.einsum("lij,li->lj", jacobian, residual)
    step = -now.damping[:, None] * jnp.linalg.solve(jacobian, residual[..., None])[..., 0]
    trial = now.state + step
    q = _energy(jax.vmap(system.residual)(trial, now.input))
    taken = (q < now.q) & jnp.all(jnp.isfinite(step), axis=-1)
    share = jnp.where(taken, jnp.minimum(2 * now.damping, 1.0), now.damping / 2)
    return _ended(now, trial, q, taken, share, gradient, share < 2.0**-20)


def _ended(now: Lanes, trial, q, taken, damping, gradient, stuck) -> Lanes:
    """Which lanes are at their ends: at a root to rounding, or at a minimum that q has settled at."""
    fall = jnp.where(taken, (now.q - q) / now.q, 0.0)
    state, q = jnp.where(taken[:, None], trial, now.state), jnp.where(taken, q, now.q)
    root = (q <= ROUNDING * state.shape[1]) | ((q <= FIXED) & ~taken)
    minimum = (jnp.max(jnp.abs(gradient), axis=-1) <= FLAT) & (fall < SETTLED) & (q > FIXED)
    return now._replace(state=state, q=q, damping=damping, done=root | minimum | stuck)


def slopes(
    system: FixedSystem, states: Float[np.ndarray, "search unit"], inputs: Float[np.ndarray, "search in"]
) -> tuple[Float[np.ndarray, " search"], Float[np.ndarray, " search"]]:
    """Q and the largest entry of its gradient at each state."""
    parts = [
        tuple(np.asarray(one)[: min(LANES, len(states) - at)] for one in _slopes(system, states[pick], inputs[pick]))
        for at in range(0, len(states), LANES)
        for pick in [_padded(len(states), LANES, at)]
    ]
    q, gradient = (np.concatenate(part) for part in zip(*parts, strict=True))
    return q, gradient


@eqx.filter_jit
def _slopes(system: FixedSystem, states: Numeric, inputs: Numeric) -> tuple[Array, Array]:
    def one(state, input):
        residual = system.residual(state, input)
        # A product with the Jacobian from the left, without the Jacobian.
        gradient = jax.vjp(lambda x: system.residual(x, input), state)[1](residual)[0]
        return 0.5 * jnp.sum(residual**2), jnp.max(jnp.abs(gradient))

    return jax.vmap(one)(states, inputs)
