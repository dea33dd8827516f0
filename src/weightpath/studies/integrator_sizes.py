"""Networks of any size in the study `integrate-white-noise`: the error of the word projection, and what a gain moves.

Fixed parameters and seeds, whatever the settings; only how many starts are averaged is chosen.
"""

import jax.numpy as jnp
import numpy as np
import xarray as xr

from weightpath.learn.projected import projected_flow
from weightpath.networks.words import Words, first_words, longer_words, start_vectors
from weightpath.setup import Setup
from weightpath.studies.integrator_checks import RANGES
from weightpath.studies.integrator_networks import random_start
from weightpath.studies.integrator_references import outermost
from weightpath.studies.integrator_theory import ideal, problem
from weightpath.theory import Outlier, solve
from weightpath.trajectory import Trajectory

DECAY, GAIN, SEED = 0.2, 0.3, 2503
#: Spacing .1; a coarser grid misses the steep part of learning and shows smaller errors.
GRID = np.linspace(0.0, 4.0, 41)
#: Stated rms deviations of (outlier, loss) from the theory at learning time 1, by gain and number of units.
TABLE = {
    (0.01, 25): (3.2e-3, 2.4e-3), (0.01, 50): (2.4e-3, 1.8e-3), (0.01, 100): (1.7e-3, 1.3e-3),
    (0.1, 25): (3.7e-2, 2.6e-2), (0.1, 50): (3.3e-2, 2.0e-2), (0.1, 100): (3.3e-2, 1.8e-2),
    (0.3, 25): (2.3e-1, 1.8e-1), (0.3, 50): (2.4e-1, 1.7e-1), (0.3, 100): (2.6e-1, 1.8e-1),
}  # fmt: skip
GAINS = (0.01, 0.1, 0.3)


def follow(setup: Setup, words: int | Words, time=GRID) -> Trajectory:
    """The flow of a projection; all depths up to 3 share one compiled program."""
    return projected_flow(
        setup, jnp.asarray(time), None, words, solver="explicit", size=15, rtol=1e-9, atol=1e-12, max_steps=100_000
    )


def projection_errors(starts: int, deepest: int) -> xr.Dataset:
    """Largest difference of the loss from the `deepest` projection, at each depth below it (N = 100, gain .3)."""
    depths, errors = range(1, deepest), []
    for index in range(starts):
        setup = problem(random_start(SEED, index, 100, GAIN), DECAY)
        words, losses = first_words(start_vectors(setup.network)), []
        for _ in range(deepest):
            words = longer_words(setup.network.w_rec, words)
            losses.append(np.asarray(follow(setup, words).loss))
        errors.append([np.max(np.abs(loss - losses[-1])) for loss in losses[:-1]])
    return xr.Dataset(
        {
            "depth_error": (("error_start", "word_depth"), np.array(errors)),
            "depth_range": (("stated_depth", "range_end"), np.array(list(RANGES.values()))),
        },
        {"word_depth": list(depths), "stated_depth": list(RANGES), "range_end": ["low", "high"]},
        {"deepest": deepest},
    )


def deviations(networks: int, sizes: tuple[int, ...]) -> xr.Dataset:
    """Rms deviation of the largest eigenvalue and of the loss from the theory at learning time 1, by gain and size."""
    time = np.linspace(0.0, 1.0, GRID.size)  # one shape of saved times, one compiled program
    theory = solve(Outlier(), ideal(DECAY), [0.0, 1.0])
    outlier, loss = float(theory.coords[-1, 2]), float(theory.loss[-1])
    rms = np.empty((2, len(GAINS), len(sizes)))
    for row, gain in enumerate(GAINS):
        for column, units in enumerate(sizes):
            runs = [follow(problem(random_start(SEED, i, units, gain), DECAY), 3, time) for i in range(networks)]
            values = [np.linalg.eigvals(np.asarray(run.network(-1).w_rec)).real.max() for run in runs]
            rms[0, row, column] = np.sqrt(np.mean((np.array(values) - outlier) ** 2))
            rms[1, row, column] = np.sqrt(np.mean((np.array([float(run.loss[-1]) for run in runs]) - loss) ** 2))
    stated = np.array([[TABLE[gain, units] for units in sizes] for gain in GAINS]).transpose(2, 0, 1)
    cell = ("deviation_of", "deviation_gain", "deviation_units")
    return xr.Dataset(
        {"deviation": (cell, rms), "stated_deviation": (cell, stated)},
        {"deviation_of": ["outlier", "loss"], "deviation_gain": list(GAINS), "deviation_units": list(sizes)},
        {"deviation_networks": networks},
    )


def outlier_of_the_whole(units: int) -> xr.Dataset:
    """After learning from gain .3: the outlier of the projection, and of the large network by Arnoldi iteration.

    The large weights act on vectors through the lift and are never formed.
    """
    setup = problem(random_start(SEED, 0, units, GAIN), DECAY)
    words = first_words(start_vectors(setup.network))
    found = []
    for depth in range(1, 4):
        words = longer_words(setup.network.w_rec, words)
        if depth >= 2:
            run = follow(setup, words)
            found.append(np.linalg.eigvals(np.asarray(run.network(-1).w_rec)).real.max())
    small, lift = run.network(-1), run.lift
    assert lift is not None, "a projected flow carries its lift"
    whole, _ = outermost(lambda x: np.asarray(lift.apply(small, x)), np.asarray(setup.network.w_in)[:, 0])
    return xr.Dataset(
        {
            "whole_outlier_error": abs(whole - found[-1]),
            "outlier_depth_difference": abs(found[-1] - found[-2]),
        },
        attrs={"whole_units": units},
    )
