"""Flows of large networks through their word-Krylov projections."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float
from weightpath.learn.integrate import integrate, take_steps
from weightpath.learn.stiffness import choose_solver
from weightpath.networks.words import project
from weightpath.setup import Setup
from weightpath.tasks.base import Batch
from weightpath.trajectory import Trajectory

#: Largest spacing of the times at which two depths are compared; a coarser grid misses the steep part of learning.
SPACING = 0.1


def projected_flow(
    setup: Setup, time: Float[Array, " step"], batch: Batch | None, depth: int, *, solver: str, **settings
) -> Trajectory:
    """The flow of the projection on words of length up to `depth`; carries the lift and the original setup."""
    if depth < 0:
        raise ValueError(f"project (length of the longest word) must not be negative; got {depth}.")
    small, lift = project(setup.network, depth)
    reduced = setup.with_network(small)
    method = choose_solver(solver, reduced, time[-1], batch is None)
    trajectory = integrate(reduced, time, batch, solver=method, **settings)
    return eqx.tree_at(
        lambda value: (value.setup, value.lift), trajectory, (setup, lift), is_leaf=lambda leaf: leaf is None
    )


def flow_to_error(
    setup: Setup, time: Float[Array, " step"], batch: Batch | None, error: float, **settings
) -> Trajectory:
    """The flow at the smallest depth that has converged in the loss; `statistics["projection_error"]` (step,).

    Depth K is accepted when its loss differs from that of depth K - 1 by less than `error` times the initial loss at
    every time of a grid of spacing at most 0.1, or when its basis is no larger (the projection is then exact).
    """
    grid = _refined(np.asarray(time))
    kept = np.searchsorted(grid, np.asarray(time))
    previous, depth = projected_flow(setup, jnp.asarray(grid), batch, 0, **settings), 0
    while True:
        depth += 1
        current = projected_flow(setup, jnp.asarray(grid), batch, depth, **settings)
        difference = jnp.abs(current.loss - previous.loss)
        units, size = _basis_of(current).shape
        complete = size in (_basis_of(previous).shape[1], units)
        if complete or not jnp.max(difference) > error * current.loss[0]:
            break
        previous = current
    statistics = {"projection_error": difference}
    return take_steps(eqx.tree_at(lambda value: value.statistics, current, statistics), kept)


def _basis_of(projected: Trajectory) -> Array:
    assert projected.lift is not None, "a projected flow carries its lift"
    return projected.lift.basis


def _refined(time: np.ndarray) -> np.ndarray:
    """The saved times, their gaps (also from 0) filled to the spacing, and 0."""
    knots = np.unique(np.concatenate([[0.0], time]))
    pieces = [
        np.linspace(start, end, int(np.ceil((end - start) / SPACING * (1 - 1e-9))), endpoint=False)
        for start, end in zip(knots[:-1], knots[1:], strict=True)
    ]
    return np.concatenate([*pieces, knots[-1:]])
