"""The loss of a low-tensor-rank fit, and its predictions."""

from functools import partial

import jax
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.inference.dynamics import Drive, integrate
from weightpath.inference.parameters import Parameters
from weightpath.inference.problem import Layout, Problem, Trials


def objective(
    parameters: Parameters, problem: Problem, prior: Float[Array, ""], layout: Layout
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Loss and mean squared error over the training entries.

    The loss is the mean squared error, plus `prior` times the sum of the squared standard normal numbers behind the
    factors and the offsets, plus the penalties on inputs, decoder and activity.
    """
    error, activity = _data_terms(parameters, problem, layout)
    error = error / jnp.sum(problem.mask)
    total = error + prior * jnp.sum(parameters.deviation**2)
    if parameters.offset is not None:
        total += prior * jnp.sum(parameters.offset**2)
    if parameters.inputs is not None and parameters.inputs.shape[0] > 1:
        rough = jnp.mean(jnp.diff(parameters.inputs, axis=0) ** 2, axis=(0, 1))
        total += jnp.sum(problem.input_penalty * rough)
    if parameters.w_out is not None:
        total += jnp.sum(problem.decoder_penalty * jnp.sum(parameters.w_out**2, axis=(1, 2)))
    if layout.activity:
        bins, _, trials = problem.data.shape
        total += problem.activity_penalty * activity / (bins * trials * parameters.post.shape[0])
    return total, error


@partial(jax.jit, static_argnames="layout")
def predict(
    parameters: Parameters, trials: Trials, size: Float[Array, ""], bins: Float[Array, " time"], layout: Layout
) -> tuple[Float[Array, "time rank trial"], Float[Array, "time neuron trial"]]:
    """States and predictions, on the model's scale, of every trial; `bins` only gives the number of bins."""
    decode = _decoder(parameters, trials)

    def observe(carry, z, rate, item):
        return carry, (z, decode(rate))

    drive = drive_of(parameters, trials, size, len(bins))
    return integrate(drive, observe, None, bins, solver=layout.solver, substeps=layout.substeps)[1]


def drive_of(parameters: Parameters, trials: Trials, size: Float[Array, ""], bins: int) -> Drive:
    """Factors, starts and inputs of every trial, out of the tables."""
    post = parameters.post / jnp.linalg.norm(parameters.post, axis=0, keepdims=True)
    pre = parameters.pre / jnp.linalg.norm(parameters.pre, axis=0, keepdims=True)
    root = post.shape[0] ** 0.5
    if parameters.inputs is None:
        inputs = jnp.zeros((bins, post.shape[1], 1), post.dtype)
    else:
        inputs = (root * parameters.inputs) @ trials.inputs
    return Drive(post, pre, factors(parameters, trials), (root * parameters.start) @ trials.start, inputs, size)


def factors(parameters: Parameters, trials: Trials) -> Float[Array, "... trial"]:
    """Trial factors c: the level of the trial's epoch and the deviation from it."""
    return parameters.level @ trials.level + parameters.deviation @ trials.deviation


def _data_terms(parameters: Parameters, problem: Problem, layout: Layout) -> tuple[Array, Array]:
    """Sums of squared errors and of squared activity, taken bin by bin so that no prediction is stored."""
    decode = _decoder(parameters, problem.trials)

    def observe(carry, z, rate, item):
        data, mask = item
        error, activity = carry
        error += jnp.sum(mask * (decode(rate) - data) ** 2)
        return (error, activity + jnp.sum(rate**2) if layout.activity else activity), None

    zero = jnp.zeros((), problem.data.dtype)
    drive = drive_of(parameters, problem.trials, problem.size, problem.data.shape[0])
    per_bin = (problem.data, problem.mask)
    return integrate(drive, observe, (zero, zero), per_bin, solver=layout.solver, substeps=layout.substeps)[0]


def _decoder(parameters: Parameters, trials: Trials):
    """From rates (unit, trial) of one bin to predictions (neuron, trial)."""
    constant = 0.0
    if parameters.offset is not None and trials.offset is not None:
        constant = parameters.offset @ trials.offset
    w_out = parameters.w_out
    if w_out is None:
        return lambda rate: rate + constant
    constant += jnp.einsum("em,ek->mk", parameters.readout_bias, trials.readout)
    copies, neurons, units = w_out.shape
    if copies == 1:
        return lambda rate: w_out[0] @ rate + constant

    def each(rate):
        decoded = (w_out.reshape(copies * neurons, units) @ rate).reshape(copies, neurons, -1)
        return jnp.sum(decoded * trials.readout[:, None, :], axis=0)

    # A branch, not a flag of the program: models with and without a decoder per epoch share one compiled program.
    split = jnp.any(trials.readout[1:])
    return lambda rate: jax.lax.cond(split, each, lambda rate: w_out[0] @ rate, rate) + constant
