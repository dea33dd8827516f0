r"""Unconstrained weights $W = A C B^\top$, as many directions as units: the dynamics of the units themselves.

With $x = A z$ the reduced dynamics are $\tau\dot x = -x + W\tanh(x) + A u$: one product with a square matrix in place
of three. The gradient of a matrix is the sum, over all steps and stages, of adjoints times rates; it is worked out as
one product at the end, so that no array as large as all weights is written at every stage. Trials with weights of their
own run one after the other: a single matrix stays in the cache over the whole trial.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.inference.dynamics import Drive, fast_tanh
from weightpath.inference.parameters import Parameters
from weightpath.inference.program import Trials
from weightpath.networks.factored import advance

#: Evaluations of the flow in one step of each solver.
STAGES = {"rk4": 4, "heun": 2}


def is_dense(parameters: Parameters) -> bool:
    """Whether the weights are full cores in as many directions, common to all trials, as there are units."""
    return parameters.level.ndim == 3 and parameters.own_post is None and len(set(parameters.post.shape)) == 1


def dense_weights(
    parameters: Parameters, trials: Trials, drive: Drive
) -> Float[Array, "post pre"] | Float[Array, "trial post pre"]:
    """The weights, of all trials together where they share them: there are no deviations at all then."""
    if parameters.deviation.shape[-1] == 0:
        return drive.post @ parameters.level[..., 0] @ drive.pre.T
    core = jnp.einsum("rse,ek->krs", parameters.level, trials.level)
    if trials.deviation.shape[0] == trials.deviation.shape[1]:
        # Cores deviate independently of each other, and these are the trials of the deviations, in their order.
        core += jnp.diagonal(trials.deviation)[:, None, None] * jnp.moveaxis(parameters.deviation, -1, 0)
    else:
        core += jnp.einsum("rsj,jk->krs", parameters.deviation, trials.deviation)
    return (drive.post @ core) @ drive.pre.T


def integrate_dense(
    weights: Float[Array, "*trial post pre"],
    drive: Drive,
    observe: Callable[..., tuple[Any, Any]],
    carry: Any,
    per_bin: Any,
    *,
    solver: str,
    substeps: int,
    noise: Float[Array, "time rank trial"] | None = None,
) -> tuple[Any, Any]:
    """As `dynamics.integrate`, with the weights given; `observe` sees the states of the units in place of z."""
    start, inputs = drive.post @ drive.start, drive.post @ drive.inputs
    kicks = jnp.zeros_like(inputs[..., :1]) if noise is None else drive.post @ noise
    inputs, kicks = jnp.repeat(inputs, substeps, axis=0), _last(kicks, substeps)
    run = path_states if weights.ndim == 2 else _by_trial
    states = run(weights, start, inputs, kicks, drive.size, solver)
    states = states[::substeps]  # pyright: ignore[reportIndexIssue] (a custom derivative hides the type)

    def look(carry, entry):
        x, item = entry
        return observe(carry, x, fast_tanh(x), item)

    return jax.lax.scan(jax.checkpoint(look), carry, (states, per_bin))


def _last(kicks: Array, substeps: int) -> Array:
    """Kicks after the last of the steps of each bin, nothing after the others."""
    if substeps == 1:
        return kicks
    every = jnp.zeros((len(kicks), substeps, *kicks.shape[1:]), kicks.dtype)
    return every.at[:, -1].set(kicks).reshape(-1, *kicks.shape[1:])


def _by_trial(weights: Array, start: Array, inputs: Array, kicks: Array, size: Array, solver: str) -> Array:
    """States (step, unit, trial), trial after trial."""
    full = (*inputs.shape[:2], start.shape[-1])
    first = lambda one: jnp.moveaxis(jnp.broadcast_to(one, full), -1, 0)  # noqa: E731
    run = lambda one: path_states(*one, size, solver)  # noqa: E731
    return jnp.moveaxis(jax.lax.map(run, (weights, start.T, first(inputs), first(kicks))), 0, -1)


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def path_states(
    weights: Float[Array, "unit unit"],
    start: Float[Array, "unit *trial"],
    inputs: Float[Array, "step unit *held"],
    kicks: Float[Array, "step unit *kick"],
    size: Float[Array, ""],
    solver: str,
) -> Float[Array, "step unit *trial"]:
    r"""States before each step of $\tau\dot x = -x + W\tanh(x) + u$; `kicks` are added after it. Their last axis, and
    that of the inputs, may be one for all trials.

    The gradient by the adjoint of the discrete steps; that of `size`, which no fit trains, is zero.
    """
    quiet = jnp.zeros(STAGES[solver], start.dtype)

    def step(state, entry):
        after, _ = _step(weights, state, entry[0], quiet, size, solver)
        return after + entry[1], state

    return jax.lax.scan(step, start, (inputs, kicks))[1]


def _step(weights: Array, state: Array, inputs: Array, probe: Array, size: Array, solver: str) -> tuple[Array, Array]:
    """One step, and the rates at its stages; `probe` (stage, ...) is added to what the weights give."""
    rates: list[Array] = []

    def flow(x):
        rates.append(fast_tanh(x))
        return -x + weights @ rates[-1] + inputs + probe[len(rates) - 1]

    after = advance(flow, state, flow(state), size, solver)
    return after, jnp.stack(rates)


def _forward(weights, start, inputs, kicks, size, solver):
    states = path_states(weights, start, inputs, kicks, size, solver)
    return states, (weights, states, inputs, kicks, size)


def _backward(solver, kept, cotangent):
    weights, states, inputs, kicks, size = kept
    quiet = jnp.zeros((STAGES[solver], *states.shape[1:]), states.dtype)

    def back(adjoint, entry):
        state, held, seen = entry
        run = lambda state, held, probe: _step(weights, state, held, probe, size, solver)  # noqa: E731
        _, pull, rates = jax.vjp(run, state, held, quiet, has_aux=True)
        of_state, of_inputs, of_stages = pull(adjoint)
        return seen + of_state, (of_inputs, adjoint, of_stages, rates)

    adjoint, (of_inputs, of_kicks, of_stages, rates) = jax.lax.scan(
        back, jnp.zeros_like(states[0]), (states, inputs, cotangent), reverse=True
    )
    # What the weights gave entered where the probes did: their gradient is adjoints times rates.
    names = "tsnk,tsmk->nm" if states.ndim == 3 else "tsn,tsm->nm"
    of_weights = jnp.einsum(names, of_stages, rates)
    if kicks.shape != of_kicks.shape:
        of_kicks = jnp.sum(of_kicks, axis=-1, keepdims=True)
    return of_weights, adjoint, of_inputs, of_kicks, jnp.zeros_like(size)


path_states.defvjp(_forward, _backward)
