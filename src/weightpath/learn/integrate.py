"""The compiled solve behind `wp.flow`: an adaptive solver on the trained weights."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from weightpath import _explicit
from weightpath._results import RESULTS
from weightpath._types import Array, Float, PyTree
from weightpath.learn.velocity import exact_loss, exact_velocity
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.population import network_gramians
from weightpath.setup import Setup
from weightpath.tasks.base import Batch
from weightpath.trajectory import Trajectory


def trained_part(setup: Setup) -> tuple[AbstractNetwork, AbstractNetwork]:
    """The network split into its trained arrays and the rest, each with None in place of the other."""
    trained = jax.tree_util.tree_map_with_path(lambda path, _: path[0].name in setup.train, setup.network)
    return eqx.partition(setup.network, trained)


def integrate(
    setup: Setup,
    time: Float[Array, " step"],
    batch: Batch | None,
    *,
    rtol: float,
    atol: float,
    solver: str,
    max_steps: int,
) -> Trajectory:
    """The flow of `setup` from time 0, saved at `time`; `solver` is "explicit", "implicit" or "linear"."""
    if solver == "linear":
        networks, loss, result = _solve_linear(setup, time)
    else:
        tolerances = jnp.asarray(rtol), jnp.asarray(atol)
        networks, loss, result = _solve(setup, time, batch, tolerances, solver, max_steps)
    return Trajectory(time=time, networks=networks, loss=loss, setup=setup, result=result)


def take_steps(trajectory: Trajectory, steps: np.ndarray) -> Trajectory:
    """The trajectory at the given steps only."""
    arrays = (trajectory.time, trajectory.networks, trajectory.loss, trajectory.statistics)
    return eqx.tree_at(
        lambda value: (value.time, value.networks, value.loss, value.statistics),
        trajectory,
        jax.tree.map(lambda leaf: leaf[steps], arrays),
    )


@eqx.filter_jit
def _solve(setup, time, batch, tolerances, solver: str, max_steps: int):
    trained, frozen = trained_part(setup)
    if solver == "implicit":
        from weightpath.learn.diffrax_flow import path

        states, result = path(_field, trained, time, (setup, frozen, batch), tolerances, max_steps, implicit=True)
    else:
        states, result = _explicit_path(((trained, time), (setup, frozen, batch), tolerances), max_steps)
    return *_stacked(setup, states, batch), result


@eqx.filter_custom_vjp
def _explicit_path(problem: PyTree, max_steps: int) -> tuple[PyTree, RESULTS]:
    """Trained weights along the flow, and the outcome; compiles several times faster than a general solver."""
    (trained, time), args, (rtol, atol) = problem
    start, unravel = ravel_pytree(trained)

    def field(t, flat):
        return ravel_pytree(_field(t, unravel(flat), args))[0]

    found = _explicit.path(field, start, time, rtol, atol, max_steps)
    return jax.vmap(unravel)(found.states), found.result


@_explicit_path.def_fwd
def _explicit_path_fwd(perturbed, problem: PyTree, max_steps: int):
    """Only a general solver differentiates in reverse; its compiled program is made where a derivative is asked for."""
    from weightpath.learn.diffrax_flow import path

    def general(problem):
        (trained, time), args, tolerances = problem
        return path(_field, trained, time, args, tolerances, max_steps, implicit=False)

    states, pull_back, result = eqx.filter_vjp(general, problem, has_aux=True)
    return (states, result), pull_back


@_explicit_path.def_bwd
def _explicit_path_bwd(pull_back, gradient, perturbed, problem: PyTree, max_steps: int):
    return pull_back(gradient[0])[0]


@eqx.filter_jit
def _solve_linear(setup, time):
    r"""Closed form for one trained read-out (or read-in): $\dot v = -\eta (P v - g)$ with constant P and g."""
    (name,), network = setup.train, setup.network
    covariance, observed = network_gramians(network, setup.task.population())
    weights = network.w_out.T if name == "w_out" else network.w_in
    at_zero = eqx.tree_at(lambda net: getattr(net, name), network, jnp.zeros_like(getattr(network, name)))
    pull, info = exact_velocity(setup.with_network(at_zero))
    pull = pull.w_out.T if name == "w_out" else pull.w_in
    values, vectors = jnp.linalg.eigh(covariance if name == "w_out" else observed)
    exponent = setup.rates[name] * jnp.maximum(values, 0.0)[None, :, None] * time[:, None, None]
    grown = jnp.where(exponent > 0, -jnp.expm1(-exponent) / jnp.where(exponent > 0, exponent, 1.0), 1.0)
    mode = jnp.exp(-exponent) * (vectors.T @ weights) + time[:, None, None] * grown * (vectors.T @ pull)
    path = vectors @ mode
    path = jnp.swapaxes(path, 1, 2) if name == "w_out" else path
    trained = eqx.tree_at(lambda net: getattr(net, name), trained_part(setup)[0], path)
    return *_stacked(setup, trained, None), info.result


def _stacked(setup: Setup, path: PyTree, batch: Batch | None) -> tuple[AbstractNetwork, Array]:
    """Whole networks, and their losses, along the path of the trained weights."""
    _, frozen = trained_part(setup)
    steps = jax.tree.leaves(path)[0].shape[0]
    losses = jax.lax.map(lambda weights: _loss(setup.with_network(eqx.combine(weights, frozen)), batch), path)
    return eqx.combine(path, jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (steps, *leaf.shape)), frozen)), losses


def _field(time: Array, trained: PyTree, args: PyTree) -> PyTree:
    """Velocity of the trained weights; NaN where there is none, which makes the solver take a smaller step."""
    setup, frozen, batch = args
    setup = setup.with_network(eqx.combine(trained, frozen))
    velocity = exact_velocity(setup)[0] if batch is None else _batch_velocity(setup, batch)
    return trained_part(setup.with_network(velocity))[0]


def _batch_velocity(setup: Setup, batch: Batch) -> AbstractNetwork:
    state = setup.rule.init(setup.network, batch, None)
    return setup.masked(setup.rule.update(setup.network, batch, state)[0])


def _loss(setup: Setup, batch: Batch | None) -> Array:
    if batch is None:
        return exact_loss(setup)
    state = setup.rule.init(setup.network, batch, None)
    return setup.rule.update(setup.network, batch, state)[2].loss
