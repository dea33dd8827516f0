"""The loss of a network's answers at its fixed points."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._results import RESULTS
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.steady_solver import SteadySolver
from weightpath.networks.steady_state import SteadyState, solve_states
from weightpath.tasks.static_batch import StaticBatch


class AtRest(eqx.Module):
    r"""A network at the fixed points of a batch: what every rule of fixed points starts from."""

    steady: SteadyState
    output_errors: Float[Array, "trial out"]
    r"""$\partial L_k/\partial y_k$."""
    errors: Float[Array, "trial unit"]
    r"""$e_k = V^\top \partial L_k/\partial y_k$, the derivative of a sample's loss by its rates."""
    loss: Float[Array, ""]
    result: RESULTS
    """The first sample's failure, or success; unsolved samples fail only where the solver does not keep them."""


def at_rest(
    network: AbstractNetwork,
    batch: StaticBatch,
    start: Array | None,
    solver: SteadySolver,
    *,
    check: bool | None = False,
) -> AtRest:
    """The fixed points of a batch, found from `start` (trial, unit), the network's states; None: from rest.

    `check` looks at stability (see `steady_state`), which no rule needs: an unstable fixed point is no failure here.
    """
    start = cold_start(network, batch) if start is None else start
    steady = solve_states(network, batch.inputs, start, solver, check=check)
    output_errors = batch.errors(steady.outputs)
    errors = output_errors @ network.w_out
    return AtRest(steady, output_errors, errors, batch.criterion(steady.outputs), outcome(steady, solver))


def cold_start(network: AbstractNetwork, batch: StaticBatch) -> Float[Array, "trial unit"]:
    """Every sample at the network's state of rest."""
    rest = network.initial()
    return jnp.broadcast_to(rest, (batch.inputs.shape[0], *rest.shape))


def static_loss(
    network: AbstractNetwork, batch: StaticBatch, solver: SteadySolver | None = None
) -> tuple[Float[Array, ""], SteadyState]:
    """Mean loss of the samples, and the fixed points, found from rest; differentiable by network and inputs.

    A sample without a fixed point shows in `SteadyState.result`, not in the loss, which then holds the last iterate.
    """
    steady = solve_states(network, batch.inputs, cold_start(network, batch), solver or SteadySolver())
    return batch.criterion(steady.outputs), steady


def accuracy(network: AbstractNetwork, batch: StaticBatch, solver: SteadySolver | None = None) -> Float[Array, ""]:
    """Fraction of samples whose largest output is the label's, at fixed points found from rest.

    **Raises:** ValueError for samples with targets instead of labels.
    """
    return batch.accuracy(static_loss(network, batch, solver)[1].outputs)


def outcome(steady: SteadyState, solver: SteadySolver) -> RESULTS:
    """One outcome for all samples: the first failure. An unstable fixed point is one, and no failure here."""
    failed = ~steady.solved
    if solver.keep_unsolved:
        failed = failed & ~jnp.all(jnp.isfinite(steady.rates), axis=1)
    worst = jax.tree.map(lambda code: code[jnp.argmax(failed)], steady.result)
    return RESULTS.where(jnp.any(failed), worst, RESULTS.successful)
