"""Reference checks of the study `integrate-white-noise`: fixed parameters and fixed seeds, whatever the settings."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from weightpath.learn.flow import flow
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.studies.integrator_networks import SAVED, impulse_response, random_start
from weightpath.studies.integrator_theory import ideal, problem
from weightpath.theory import Outlier, descent_steps, learning_time, lr_max, solve

DECAY, GAIN = 0.2, 0.01
#: As many times as for the networks of the user's settings: one compiled program.
GRID = np.linspace(0.0, 4.0, SAVED)
FIXED_SEED = 2503
#: Learning times to 1% of the initial loss, from an independent solver (read-in norm 1, all rates 1).
TIMES = {0.5: 2.71476364, 0.2: 1.55302369, 0.1: 1.19191354, 0.05: 1.04230228, 0.01: 0.93873732, 0.001: 0.91727}


def training(starts: int, flow_units: int) -> xr.Dataset:
    """I1: loss, outlier and filter after learning (N = 100), and the projection against the flow without it."""
    trial_time = np.linspace(0.0, 60.0, 6001)
    target = np.exp(-DECAY * trial_time)
    rows = []
    for index in range(starts):
        run = flow(problem(random_start(FIXED_SEED, index, 100, GAIN), DECAY), GRID, project=3)
        end = run.network(-1)
        error = np.max(np.abs(impulse_response(end, trial_time) - target))
        rows.append((float(run.loss[-1]), _largest(end.w_rec), error))
    loss, outlier, error = np.array(rows).T
    setup = problem(random_start(FIXED_SEED, 0, flow_units, GAIN), DECAY)
    whole, projected = flow(setup, GRID[::4]), flow(setup, GRID, project=3)
    return xr.Dataset(
        {
            "reference_loss": ("start", loss),
            "reference_outlier": ("start", outlier),
            "reference_filter_error": ("start", error),
            "projection_error": float(np.max(np.abs(np.asarray(whole.loss) - np.asarray(projected.loss)[::4]))),
        }
    )


def outlier_paths(networks: int) -> xr.Dataset:
    """I2: rms deviation of the largest eigenvalue from the theory of zero initial weights, over random starts."""
    times = np.array([0.5, 0.75, 1.0, 2.0, 4.0])
    steps = np.searchsorted(GRID, times - 1e-9)
    theory = np.asarray(solve(Outlier(), ideal(DECAY), GRID).coords)[steps, 2]
    sizes, rms = (25, 50, 100), []
    for units in sizes:
        paths = []
        for index in range(networks):
            run = flow(problem(random_start(FIXED_SEED, index, units, GAIN), DECAY), GRID, project=2)
            paths.append([_largest(w_rec) for w_rec in np.asarray(run.networks.w_rec)[steps]])
        rms.append(np.sqrt(np.mean((np.array(paths) - theory) ** 2, axis=0)))
    return xr.Dataset(
        {"outlier_rms": (("check_units", "check_time"), np.array(rms))},
        {"check_units": list(sizes), "check_time": times},
    )


def exact_reduction(units: int = 20) -> xr.Dataset:
    """I3: the reduced system and the flow of all weights from zero, both at tight tolerances."""
    times = np.array([0.5, 1.0, 1.5, 2.0, 4.0])
    direction = np.cos(np.arange(units))
    direction /= np.linalg.norm(direction)
    network = ContinuousLinearRNN(np.zeros((units, units)), direction, np.zeros(units))
    run = flow(problem(network, DECAY), times, rtol=1e-10, atol=1e-12)
    theory = solve(Outlier(), ideal(DECAY), times, rtol=1e-10, atol=1e-12)
    outlier = np.array([_largest(w_rec) for w_rec in np.asarray(run.networks.w_rec)])
    return xr.Dataset(
        {
            "reduction_loss_error": float(np.max(np.abs(np.asarray(run.loss) - np.asarray(theory.loss)))),
            "reduction_outlier_error": float(np.max(np.abs(outlier - np.asarray(theory.coords)[:, 2]))),
        }
    )


def times_and_steps() -> xr.Dataset:
    """I4: learning times against the reference, and steps of gradient descent at half the largest stable rate."""
    errors = [float(learning_time(ideal(decay), 0.01)) / value - 1 for decay, value in TIMES.items()]
    decays = (0.2, 0.1, 0.05, 0.02)
    steps = [int(descent_steps(ideal(decay), 0.01, lr_max(ideal(decay)) / 2).steps) for decay in decays]
    exponent = np.log(steps[-1] / steps[-2]) / np.log(decays[-1] / decays[-2])
    return xr.Dataset(
        {
            "learning_time_error": ("time_decay", np.abs(errors)),
            "check_steps": ("check_decay", steps),
            "steps_exponent": exponent,
        },
        {"time_decay": list(TIMES), "check_decay": list(decays)},
    )


def detachment(units: int) -> xr.Dataset:
    """I9: Gaussian weights of gain .3 plus .5 along the read-in: where the outlier is, and its overlap with it.

    The outermost eigenvalue and its right eigenvector by Arnoldi iteration.
    """
    start = random_start(FIXED_SEED, 0, units, 0.3)
    direction = np.asarray(start.w_in)[:, 0]
    w_rec = np.asarray(start.w_rec) + 0.5 * np.outer(direction, direction)
    value, vector = outermost(lambda vectors: w_rec @ vectors, direction)
    return xr.Dataset(
        {
            "detached_outlier": value,
            "detached_overlap": float(np.abs(direction @ vector) ** 2),
        }
    )


def outermost(product: Callable, start: np.ndarray) -> tuple[float, np.ndarray]:
    """Largest real part of the eigenvalues of a large matrix and its unit eigenvector, from products with vectors.

    Arnoldi iteration from `start`, to rounding.
    """
    from scipy.sparse import linalg

    operator: Any = linalg.LinearOperator
    found: Any = linalg.eigs(
        operator((start.size, start.size), matvec=lambda vector: product(vector.reshape(-1, 1))[:, 0], dtype=float),
        k=1, which="LR", v0=start,
    )  # fmt: skip
    return float(found[0][0].real), found[1][:, 0]


def _largest(w_rec) -> float:
    """Largest real part of the eigenvalues."""
    return float(np.max(np.linalg.eigvals(np.asarray(w_rec)).real))
