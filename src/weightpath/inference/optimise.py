"""The optimisation: Adam with a cosine schedule, compiled once, run in chunks from Python."""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from weightpath._types import Array, Float, Int, PyTree
from weightpath.inference.draw import draw
from weightpath.inference.objective import objective
from weightpath.inference.parameters import Parameters
from weightpath.inference.program import Layout, Problem

#: Iterations per compiled call; progress, checkpoints and interrupts act between calls.
CHUNK = 50
#: The learning rate falls along a cosine to this share of its start.
LAST_RATE = 0.05

# Built once: a new optax transformation would be a new program.
ADAM = optax.scale_by_adam()
_first_moments = jax.jit(ADAM.init)


class State(eqx.Module):
    """Where an optimisation stands; with the settings of the fit it determines the rest bit for bit."""

    parameters: Parameters
    moments: PyTree
    iteration: Array
    prior: Float[Array, ""]
    """Weight on the sum of squared standard normal numbers."""


class Schedule(NamedTuple):
    """Learning rate at the start, and number of iterations, as arrays so that they do not recompile."""

    rate: Float[Array, ""]
    total: Float[Array, ""]
    key: Array | None = None
    """Random key of the fit, where its iterations draw random numbers."""

    def at(self, iteration: Array) -> Array:
        """Learning rate of one iteration."""
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * iteration.astype(self.rate.dtype) / self.total))
        return self.rate * (LAST_RATE + (1 - LAST_RATE) * cosine)


def begin(parameters: Parameters, prior: float, dtype: np.dtype) -> State:
    """The state before the first iteration."""
    moments = _first_moments(parameters)
    return State(parameters, moments, jnp.zeros((), jnp.int32), jnp.asarray(prior, dtype))


@partial(jax.jit, static_argnames="layout")
def run_chunk(
    state: State, problem: Problem, schedule: Schedule, count: Array, layout: Layout
) -> tuple[State, Float[Array, "iteration two"]]:
    """`count` iterations (at most CHUNK, an array), and the loss and mean squared error before each."""
    return _chunk(state, problem, schedule, count, layout)


@partial(jax.jit, static_argnames=("layout", "stacked"))
def run_chunks(
    state: State,
    problem: Problem,
    schedule: Schedule,
    count: Int[Array, " fit"],
    layout: Layout,
    stacked: tuple[bool, ...],
) -> tuple[State, Float[Array, "fit iteration two"]]:
    """`run_chunk` of several fits at once, each with its own count; one with no iterations left stays as it is.

    States and schedules are stacked along a first axis, and so are the leaves of the problem that `stacked` marks;
    the others are common to all fits.
    """
    axes = jax.tree.unflatten(jax.tree.structure(problem), [0 if one else None for one in stacked])
    chunk = partial(_chunk, layout=layout)
    return jax.vmap(chunk, in_axes=(0, axes, 0, 0))(state, problem, schedule, count)


def _chunk(state, problem, schedule, count, layout):
    def body(index, loop):
        state, history = loop
        drawn, noise = problem, None
        if schedule.key is not None:
            drawn, noise = draw(schedule.key, state.iteration, state.parameters, problem, layout)
        (loss, error), gradient = jax.value_and_grad(objective, has_aux=True)(
            state.parameters, drawn, state.prior, layout, noise
        )
        update, moments = ADAM.update(gradient, state.moments)
        rate = schedule.at(state.iteration)
        parameters = jax.tree.map(lambda old, change: old - rate * change, state.parameters, update)
        state = State(parameters, moments, state.iteration + 1, state.prior)
        return state, history.at[index].set(jnp.stack([loss, error]))

    history = jnp.zeros((CHUNK, 2), problem.data.dtype)
    return jax.lax.fori_loop(0, count, body, (state, history))


def is_finite(tree: PyTree) -> bool:
    """Whether every number of a tree of arrays is finite."""
    return all(bool(np.all(np.isfinite(np.asarray(leaf)))) for leaf in jax.tree.leaves(tree))
