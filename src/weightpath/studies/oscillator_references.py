"""Reference checks of the study `damped-oscillator`: fixed parameters and fixed seeds, whatever the settings."""

from types import SimpleNamespace

import numpy as np
import xarray as xr

from weightpath.learn.flow import flow
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.setup import Setup
from weightpath.studies.oscillator_networks import SAVED, ideal, last_fall, problem, random_problem
from weightpath.theory import ConjugatePair, escape, escape_rate, milestones, plateau, solve

FIXED_SEED = 2503
#: decay, frequency: loss without output, plateau's loss, rate and amplitude, escape rate; times of collision and of
#: half the plateau's loss, from W0 = 0 and a read-out of 1e-4 across the read-in; real part at the collision.
TABLE = {
    (0.2, 1.0): (0.649038462, 0.360246216, 1.681488128, 1.393701163, 0.093351997, 93.71186, 102.00214, -0.229949),
    (0.3, 2.0): (0.425835371, 0.277093096, 3.382038915, 1.418523403, 0.046536147, 149.92653, 174.63912, -0.520130),
    (0.1, 0.5): (1.298076923, 0.720492431, 0.840744064, 1.393701163, 0.205497760, 37.51925, 47.05169, 0.085674),
}
DECAY, FREQUENCY = 0.2, 1.0
#: Lengths of learning: past the collision from 1e-4, and past convergence from random weights of size .01.
#: Tolerance of the flows of all weights: far below the checks, and half the steps of the default.
RTOL = 1e-8
LENGTH_EXACT, LENGTH_RANDOM = 106.0, 68.0


def cosine(decay: float, frequency: float) -> SimpleNamespace:
    """Settings of a target without sine."""
    return SimpleNamespace(decay=decay, frequency=frequency, cosine=1.0, sine=0.0)


def table() -> xr.Dataset:
    """R5: plateau, escape rate and event times of three targets."""
    closed, times, parts = [], [], []
    for numbers, stated in TABLE.items():
        setup = ideal(cosine(*numbers), 1e-4)
        best, path = plateau(setup), milestones(setup)
        found = [best.energy / 2, best.loss, best.rate, best.amplitude, escape_rate(setup)]
        closed.append(np.abs(np.array(found, float) - stated[:5]).max())
        times.append([float(path.collision) - stated[5], float(path.half_plateau) - stated[6]])
        parts.append(float(ConjugatePair().eigenvalues(path.coords[0])[0].real) - stated[7])
    shift = milestones(ideal(cosine(DECAY, FREQUENCY), 1e-6)).half_plateau
    return xr.Dataset(
        {
            "closed_form_error": ("target", closed),
            "event_error": (("target", "event"), np.abs(times)),
            "collision_place_error": ("target", np.abs(parts)),
            "delay_of_factor_100": float(shift) - TABLE[DECAY, FREQUENCY][6] - times[0][1],
            "regular_escape_rate": float(escape_rate(ideal(cosine(0.2, 0.6), 1e-4))),
        }
    )


def exact_reduction(units: int) -> xr.Dataset:
    """I8a: a network from W0 = 0 and a read-out of 1e-4 across the read-in, beside the six equations."""
    direction = np.cos(np.arange(units))
    direction /= np.linalg.norm(direction)
    across = np.sin(2 * np.arange(units) + 1)
    across -= direction * (direction @ across)
    network = ContinuousLinearRNN(np.zeros((units, units)), direction, 1e-4 * across / np.linalg.norm(across))
    setup = problem(network, cosine(DECAY, FREQUENCY))
    time = np.linspace(0.0, LENGTH_EXACT, SAVED)
    run = flow(setup, time, rtol=RTOL)
    theory = solve(ConjugatePair(), setup, time)
    kept = ConjugatePair().conserved(theory.coords, setup)
    return xr.Dataset(
        {
            "reduction_half_time": _half_time(setup, time, run.loss),
            "reduction_loss_error": float(np.max(np.abs(np.asarray(run.loss - theory.loss)))),
            "conserved_drift": float(np.max(np.abs(np.asarray(kept - kept[0])))),
        }
    )


def escape_times(starts: int, units: int) -> xr.Dataset:
    """I8b: flows of networks from random weights of size .01, beside the prediction for each start."""
    time = np.linspace(0.0, LENGTH_RANDOM, SAVED)
    rows = []
    for index in range(starts):
        setup = random_problem(cosine(DECAY, FREQUENCY), FIXED_SEED, index, units, 0.01)
        run = flow(setup, time, rtol=RTOL)
        values = np.linalg.eigvals(np.asarray(run.network(-1).w_rec))
        end = np.min(np.abs(values - (1 - DECAY + 1j * FREQUENCY)))
        rows.append((float(escape(setup).times.half_plateau), _half_time(setup, time, run.loss), end))
    predicted, measured, end = np.array(rows).T
    return xr.Dataset(
        {
            "check_predicted": ("start", predicted),
            "check_measured": ("start", measured),
            "check_end_error": ("start", end),
        }
    )


def _half_time(setup: Setup, time: np.ndarray, loss) -> float:
    return last_fall(time, np.log(np.asarray(loss) / (float(plateau(setup).loss) / 2)))
