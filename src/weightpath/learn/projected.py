"""Flows of large networks through their word-Krylov projections."""

import warnings

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float
from weightpath.learn.integrate import integrate, take_steps
from weightpath.learn.stiffness import choose_solver
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.words import Words, first_words, longer_words, project, start_vectors
from weightpath.setup import Setup
from weightpath.tasks.base import Batch
from weightpath.trajectory import Trajectory

#: Largest spacing of the times at which two depths are compared; a coarser grid misses the steep part of learning.
SPACING = 0.1
#: Projections of up to this many words run padded to this size with silent units, so that one program serves all.
COMMON_SIZE = 15
#: The search for a depth stops before the projection would grow beyond this many units.
LARGEST_BASIS = 255


def projected_flow(
    setup: Setup,
    time: Float[Array, " step"],
    batch: Batch | None,
    depth: int | Words,
    *,
    solver: str,
    size: int | None = None,
    **settings,
) -> Trajectory:
    """The flow of the projection on words of length up to `depth`; carries the lift and the original setup.

    With a `size`, silent units fill the projection up to it while it is integrated explicitly; they change nothing but
    the shape, and with it which compiled program is used.
    """
    if isinstance(depth, int) and depth < 0:
        raise ValueError(f"project (length of the longest word) must not be negative; got {depth}.")
    small, lift = project(setup.network, depth)
    words = small.w_rec.shape[0]
    method = choose_solver(solver, setup.with_network(small), time[-1], batch is None)
    size = max(words, size or 0) if method == "explicit" else words
    # The solver's error is a mean over all entries: silent ones would loosen it by this factor.
    settings = settings | {name: settings[name] * words / size for name in ("rtol", "atol")}
    trajectory = integrate(setup.with_network(_resized(small, size)), time, batch, solver=method, **settings)
    networks = _resized(trajectory.networks, words)
    return eqx.tree_at(
        lambda value: (value.networks, value.setup, value.lift),
        trajectory,
        (networks, setup, lift),
        is_leaf=lambda leaf: leaf is None,
    )


def flow_to_error(
    setup: Setup, time: Float[Array, " step"], batch: Batch | None, error: float, **settings
) -> Trajectory:
    """The flow at the smallest depth that has converged in the loss; `statistics["projection_error"]` (step,).

    Depth K is accepted when its loss differs from that of depth K - 1 by less than `error` times the initial loss at
    every time of a grid of spacing at most 0.1, or when longer words add nothing (the projection is then exact). Each
    depth extends the words of the one before, and small depths share one compiled program.

    **Warns:** UserWarning when the next depth would take more than 255 units; the statistic holds what was reached.
    """
    grid = _refined(np.asarray(time))
    kept = np.searchsorted(grid, np.asarray(time))
    w_rec, times = np.asarray(setup.network.w_rec), jnp.asarray(grid)
    vectors = start_vectors(setup.network)
    common = min(COMMON_SIZE, w_rec.shape[0])
    words = first_words(vectors)
    current, difference = projected_flow(setup, times, batch, words, size=common, **settings), None
    while not words.complete:
        longer = longer_words(w_rec, words)
        if difference is not None and longer.basis.shape[1] > LARGEST_BASIS:
            _warn_of_size(longer, float(jnp.max(difference) / current.loss[0]), error)
            break
        words, previous = longer, current
        if words.fresh == 0:  # nothing new: the projection before was exact
            difference = jnp.zeros_like(current.loss)
            break
        current = projected_flow(setup, times, batch, words, size=common, **settings)
        difference = jnp.abs(current.loss - previous.loss)
        if not jnp.max(difference) > error * current.loss[0]:
            break
    statistics = {"projection_error": jnp.zeros_like(current.loss) if difference is None else difference}
    return take_steps(eqx.tree_at(lambda value: value.statistics, current, statistics), kept)


def _warn_of_size(longer: Words, reached: float, error: float) -> None:
    warnings.warn(
        f"the projection has not converged: words of {longer.depth - 1} letters leave a difference of {reached:.2g} of "
        f"the initial loss (asked: {error:.2g}), and {longer.depth} letters would take {longer.basis.shape[1]} units "
        f"(limit {LARGEST_BASIS}). Give a larger project_error, or a depth: project={longer.depth}. "
        'statistics["projection_error"] holds the difference at each time.',
        UserWarning,
        stacklevel=4,
    )


def _resized(network: AbstractNetwork, size: int) -> AbstractNetwork:
    """The network with silent units added, or with its last units left out; also of a stacked record."""

    def resize(array, axes):
        for axis in axes:
            change = size - array.shape[axis]
            width = [(0, max(change, 0)) if place == axis % array.ndim else (0, 0) for place in range(array.ndim)]
            array = jnp.pad(array, width) if change > 0 else jnp.take(array, jnp.arange(size), axis=axis)
        return array

    if network.w_rec.shape[-1] == size:
        return network
    parts = ((network.w_rec, (-1, -2)), (network.w_in, (-2,)), (network.w_out, (-1,)))
    return eqx.tree_at(
        lambda net: (net.w_rec, net.w_in, net.w_out), network, tuple(resize(array, axes) for array, axes in parts)
    )


def _refined(time: np.ndarray) -> np.ndarray:
    """The saved times, their gaps (also from 0) filled to the spacing, and 0."""
    knots = np.unique(np.concatenate([[0.0], time]))
    pieces = [
        np.linspace(start, end, int(np.ceil((end - start) / SPACING * (1 - 1e-9))), endpoint=False)
        for start, end in zip(knots[:-1], knots[1:], strict=True)
    ]
    return np.concatenate([*pieces, knots[-1:]])
