"""The loss of a low-tensor-rank fit, and its predictions."""

from functools import partial

import jax
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.inference.dense import dense_weights, integrate_dense, is_dense
from weightpath.inference.drive import drive_of
from weightpath.inference.dynamics import integrate
from weightpath.inference.observe import constant_terms, decoder, loss_terms
from weightpath.inference.parameters import Parameters
from weightpath.inference.program import Layout, Problem, Trials


def objective(
    parameters: Parameters,
    problem: Problem,
    prior: Float[Array, ""],
    layout: Layout,
    noise: Float[Array, "time rank trial"] | None = None,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Loss and mean squared error over the training entries.

    The loss is the mean squared error (with counts: the mean negative log likelihood of an entry), plus `prior` times
    the sum of the squared standard normal numbers behind the factors, the offsets and what is a single trial's own,
    plus the penalties on inputs, decoder and activity. `noise` is added to the states after each bin.
    """
    terms, activity, penalised = _data_terms(parameters, problem, layout, noise)
    # At least one: an iteration may, by chance, leave out every trial.
    count = jnp.maximum(jnp.sum(problem.entries), 1.0)
    error = terms[0] / count
    total = error
    if problem.counts is not None:
        total = terms[1] / count + constant_terms(problem.counts, parameters.dispersion)
    total += prior * jnp.sum(parameters.deviation**2)
    own = (parameters.own_start, parameters.own_inputs, parameters.own_post, parameters.own_pre)
    for one in (parameters.offset, *own):
        if one is not None:
            total += prior * jnp.sum(one**2)
    if penalised is not None:
        total += jnp.sum(problem.input_penalty * penalised)
    if parameters.w_out is not None and not layout.orthogonal:
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
    decode = decoder(parameters, trials, layout)

    def observe(carry, z, rate, item):
        return carry, (z, decode(rate))

    drive, _ = drive_of(parameters, trials, size, len(bins), layout)
    return integrate(drive, observe, None, bins, solver=layout.solver, substeps=layout.substeps)[1]


def _data_terms(
    parameters: Parameters, problem: Problem, layout: Layout, noise: Array | None
) -> tuple[tuple[Array, ...], Array, Array | None]:
    """Sums over the data and of the squared activity, taken bin by bin so that no prediction is stored."""
    decode = decoder(parameters, problem.trials, layout)

    def observe(carry, z, rate, item):
        data, mask = item
        terms, activity = carry
        more = loss_terms(decode(rate), data, mask, problem.counts, parameters.dispersion)
        terms = tuple(one + other for one, other in zip(terms, more, strict=True))
        return (terms, activity + jnp.sum(rate**2) if layout.activity else activity), None

    zero = jnp.zeros((), problem.data.dtype)
    start = ((zero,) if problem.counts is None else (zero, zero), zero)
    drive, penalised = drive_of(parameters, problem.trials, problem.size, problem.data.shape[0], layout)
    per_bin = (problem.data, problem.mask)
    run = partial(integrate, drive)
    if is_dense(parameters):
        run = partial(integrate_dense, dense_weights(parameters, problem.trials, drive), drive)
    terms, activity = run(observe, start, per_bin, solver=layout.solver, substeps=layout.substeps, noise=noise)[0]
    return terms, activity, penalised
