"""The compiled solve behind `wp.flow`: an adaptive solver on the trained weights."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix

from weightpath._results import RESULTS
from weightpath._types import Array, Float, PyTree
from weightpath.learn.velocity import exact_loss, exact_velocity
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.population import network_gramians
from weightpath.setup import Setup
from weightpath.tasks.base import Batch
from weightpath.trajectory import Trajectory

#: Test of convergence of Newton's method within an implicit step.
ROOT_TOLERANCE = 1e-6


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
    rtol, atol = tolerances
    controller = diffrax.PIDController(rtol=rtol, atol=atol)
    if solver == "implicit":
        # The default chord iteration stalls on these problems. Newton's quadratic convergence gives the full accuracy
        # at a loose test, and a tight one would ask for more digits than the stiff velocity has.
        newton = optimistix.Newton(rtol=ROOT_TOLERANCE, atol=ROOT_TOLERANCE)
        method = diffrax.Kvaerno5(root_finder=newton, root_find_max_steps=20)
        # Its interpolation between steps is of third order only, so the saved times are made ends of steps.
        controller = diffrax.ClipStepSizeController(controller, step_ts=time)
    else:
        method = diffrax.Dopri8()
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_field),  # pyright: ignore[reportArgumentType]
        method,
        t0=jnp.zeros_like(time[0]),
        t1=time[-1],
        dt0=None,
        y0=trained,
        args=(setup, frozen, batch),
        saveat=diffrax.SaveAt(ts=time),
        stepsize_controller=controller,
        max_steps=max_steps,
        throw=False,
    )
    ended = solution.ts <= time[-1]  # times that were not reached are infinite
    outcome = RESULTS.where(solution.result == diffrax.RESULTS.max_steps_reached, RESULTS.max_steps, RESULTS.nonfinite)
    result = RESULTS.where(
        (solution.result == diffrax.RESULTS.successful) & jnp.all(ended), RESULTS.successful, outcome
    )
    return *_stacked(setup, solution.ys, batch), result


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
