"""What moves the state of every trial, put together from the tables of parameters."""

import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.inference.dynamics import Drive
from weightpath.inference.ode_inputs import run_input_networks, unit_length
from weightpath.inference.parameters import Parameters
from weightpath.inference.program import Layout, Trials


def drive_of(
    parameters: Parameters, trials: Trials, size: Float[Array, ""], bins: int, layout: Layout
) -> tuple[Drive, Float[Array, " tables"] | None]:
    """Factors, starts and inputs of every trial, and the penalised size or roughness of each table of inputs."""
    post = _directions(parameters.post, parameters.own_post, trials)
    pre = _directions(parameters.pre, parameters.own_pre, trials)
    root = post.shape[0] ** 0.5
    table, penalised = input_table(parameters, bins, layout)
    if table is None:
        inputs = jnp.zeros((bins, post.shape[1], 1), post.dtype)
    else:
        inputs = (root * table) @ trials.inputs
    if parameters.known is not None:
        inputs = inputs + jnp.einsum("rc,tck->trk", root * parameters.known, trials.known)
    if parameters.own_inputs is not None:
        inputs = inputs + (root * parameters.own_inputs) @ trials.own_start
    start = (root * parameters.start) @ trials.start
    if parameters.own_start is not None:
        start = start + (root * parameters.own_start) @ trials.own_start
    return Drive(post, pre, factors(parameters, trials), start, inputs, size), penalised


def _directions(common: Array, own: Array | None, trials: Trials) -> Array:
    """Unit columns (unit, rank), or (unit, rank, trial) where trials have their own."""
    unit = unit_length(common, axis=0)
    if own is None or trials.own_weights is None:
        return unit
    each = unit[:, :, None] + own @ trials.own_weights
    return unit_length(each, axis=0)


def input_table(
    parameters: Parameters, bins: int, layout: Layout
) -> tuple[Float[Array, "time rank tables"] | None, Float[Array, " tables"] | None]:
    """Learnt inputs divided by sqrt(units), None without any; and per table what the penalty acts on.

    That is the mean squared difference between bins of a free table, and the mean square before the tanh of a network.
    """
    if parameters.ode is not None and layout.ode is not None:
        return run_input_networks(parameters.ode, layout.ode, bins)
    table = parameters.inputs
    if table is None or table.shape[0] == 1:
        return table, None
    return table, jnp.mean(jnp.diff(table, axis=0) ** 2, axis=(0, 1))


def factors(parameters: Parameters, trials: Trials) -> Float[Array, "... trial"]:
    """Trial factors c: the level of the trial's epoch and the deviation from it, where there are deviations."""
    if parameters.deviation.shape[-1] == 0:
        return parameters.level @ trials.level
    return parameters.level @ trials.level + parameters.deviation @ trials.deviation
