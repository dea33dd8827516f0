"""Loss, stability and nearness to a pole at many points of a section through weight space."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._results import OUTCOME_NAMES, RESULTS
from weightpath._types import Array, Complex, Float
from weightpath.analysis.directions import moved
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.slopes import drive_of, is_linear, outputs_of
from weightpath.networks.steady_solver import SteadySolver
from weightpath.networks.steady_stability import margin_of
from weightpath.rules.static_loss import outcome, static_loss
from weightpath.tasks.static_batch import StaticBatch

#: Relative residual above which the answer of a linear system counts as lost in rounding.
ACCURATE = 1e-6


class Points(eqx.Module):
    """What is found at every point; one trial stands for all samples of a linear network."""

    loss: Float[np.ndarray, " point"]
    residual: Float[np.ndarray, " point"]
    margin: Float[np.ndarray, " point"]
    outcome: np.ndarray
    eigenvalues: Complex[np.ndarray, "point trial eig"]
    smallest_singular: Float[np.ndarray, " point"]
    determinant_sign: Float[np.ndarray, "point trial"]


def evaluate(
    network: AbstractNetwork,
    directions: tuple[AbstractNetwork, ...],
    coordinates: Float[np.ndarray, "point coord"],
    batch: StaticBatch,
    solver: SteadySolver,
    dynamics: str,
) -> Points:
    """All points: fixed points and losses one after another in one compiled program, then their spectra.

    **Raises:** ValueError for the map of a network in continuous time without a step.
    """
    program = _linear if is_linear(network) else _nonlinear
    answer = program(network, directions, jnp.asarray(coordinates), batch, solver)
    loss, residual, slopes = (np.asarray(array, dtype=float) for array in answer[:3])
    names = _names(answer[3])
    w_rec, changes = (np.asarray(network.w_rec), [np.asarray(direction.w_rec) for direction in directions])
    spectra = [
        _spectrum(slope[:, :, None] * (w_rec + sum(t * change for t, change in zip(at, changes, strict=True))))
        for slope, at in zip(slopes, coordinates, strict=True)
    ]
    values, singular, sign = (np.stack(parts) for parts in zip(*spectra, strict=True))
    each = margin_of(network, jnp.asarray(values.reshape(-1, values.shape[-1])), dynamics)
    margin = np.min(np.asarray(each).reshape(values.shape[:2]), axis=1)
    names = np.where((names == "successful") & ~(margin > 0), "unstable_recurrence", names)
    usable = np.isin(names, ("successful", "unstable_recurrence"))
    return Points(np.where(usable, loss, np.nan), residual, margin, names, values, np.min(singular, axis=1), sign)


def _spectrum(gained: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of G W (trial, post, pre): eigenvalues, least singular values of I - G W and signs of its determinants."""
    if not np.all(np.isfinite(gained)):
        lost = np.full(gained.shape[:2], np.nan)
        return lost.astype(complex), lost[:, 0], lost[:, 0]
    distance = np.eye(gained.shape[-1]) - gained
    singular = np.linalg.svd(distance, compute_uv=False)[:, -1]
    return np.linalg.eigvals(gained).astype(complex), singular, np.linalg.slogdet(distance)[0]


@eqx.filter_jit
def _linear(network: Any, directions: Any, points: Any, batch: Any, solver: Any) -> tuple[Any, ...]:
    """Loss, relative residual, slopes and outcome of linear networks, by one solve a point for all samples."""
    del solver

    def at(coordinates):
        here = moved(network, directions, tuple(coordinates))
        drive, units = drive_of(here, batch.inputs), here.w_rec.shape[0]
        rates = jnp.linalg.solve(jnp.eye(units, dtype=drive.dtype) - here.w_rec, drive.T).T
        loss = batch.criterion(outputs_of(here, rates))
        size = jnp.max(jnp.abs(rates)) * (1 + jnp.max(jnp.sum(jnp.abs(here.w_rec), axis=1)))
        residual = jnp.max(jnp.abs(rates - drive - rates @ here.w_rec.T)) / jnp.where(size > 0, size, 1.0)
        solved = jnp.isfinite(loss) & (residual < ACCURATE)
        return loss, residual, jnp.ones((1, units)), RESULTS.where(solved, RESULTS.successful, RESULTS.singular)

    return jax.lax.map(at, points)


@eqx.filter_jit
def _nonlinear(network: Any, directions: Any, points: Any, batch: Any, solver: Any) -> tuple[Any, ...]:
    """Mean loss, largest residual, slopes of every sample, and the first failure among the samples."""

    def at(coordinates):
        here = moved(network, directions, tuple(coordinates))
        loss, steady = static_loss(here, batch, solver)
        return loss, jnp.max(steady.residual), steady.slopes, outcome(steady, solver)

    return jax.lax.map(at, points)


def _names(results: Any) -> Array | np.ndarray:
    """Names of an array of outcomes."""
    return np.select([np.asarray(results == getattr(RESULTS, name)) for name in OUTCOME_NAMES], OUTCOME_NAMES, "")
