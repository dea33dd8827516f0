"""The networks of the study `integrate-white-noise` at the chosen settings, and the theory for them."""

import jax
import numpy as np
import xarray as xr

from weightpath._types import Float
from weightpath.analysis.spectrum import spectrum
from weightpath.comparison import compare
from weightpath.learn.flow import flow
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.init import gaussian
from weightpath.studies.integrator_theory import ideal, problem, words
from weightpath.theory import Outlier, collapse_time, descent_steps, learning_time, lr_max, solve
from weightpath.trajectory import Trajectory

#: Saved times of every flow: one shape, one compiled program for each size of network.
SAVED = 161
#: Decays of the theory's lines, of gradient descent, and of the networks whose learning time is measured.
LINE = np.geomspace(0.01, 1.0, 49)
DESCENTS = (0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
NETWORKS = (0.1, 0.2, 0.3, 0.5, 1.0)
#: Full spectra are computed up to this many units.
FULL_SPECTRUM = 1500
ONE = {"units": "1"}
TIME = {"long_name": "learning time", "units": "learning rate x steps"}


def random_start(seed: int, index: int, units: int, gain: float) -> AbstractNetwork:
    """Network number `index` of a family: Gaussian recurrent weights, read-in of norm 1, read-out zero."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), units), index)
    return gaussian(key, units, gain=gain, read_in_norm=1.0, readout="zero")


def impulse_response(network: AbstractNetwork, trial_time: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    r"""$v^T e^{(W-1)s} u$ at evenly spaced times from 0 on, in membrane time constants."""
    from scipy.linalg import expm

    w_rec, state = np.asarray(network.w_rec), np.asarray(network.w_in)[:, 0]
    step = expm((w_rec - np.eye(len(w_rec))) * (trial_time[1] - trial_time[0]))
    response = np.empty(trial_time.size)
    for index in range(trial_time.size):
        response[index] = (np.asarray(network.w_out) @ state)[0]
        state = step @ state
    return response


def own_networks(config) -> xr.Dataset:
    """Networks of the chosen settings from several random starts, the theory from zero weights, and one spectrum."""
    time = np.linspace(0.0, config.time, SAVED)
    # Few variables with a slow target are stiff; the projection is small enough for implicit steps.
    solver = "implicit" if config.decay < 0.03 else "auto"
    runs = [
        flow(
            problem(random_start(config.seed, index, config.units, config.gain), config.decay),
            time, project=config.depth, solver=solver,
        )
        for index in range(config.networks)
    ]  # fmt: skip
    comparisons = [compare(Outlier(), run) for run in runs]
    theory = solve(Outlier(), ideal(config.decay), time)
    outlier = np.stack([comparison.measured[:, 2] for comparison in comparisons])
    detached = np.abs(np.asarray(theory.coords)[:, 2]) > max(1.5 * config.gain, 0.01)
    deviation = (outlier - np.asarray(theory.coords)[:, 2])[:, detached]
    pair = ("seed", "step")
    data = {
        "outlier": (pair, outlier, {"long_name": "outlier eigenvalue"} | ONE),
        "loss": (pair, np.stack([np.asarray(run.loss) for run in runs]), {"long_name": "loss"}),
        "predicted_outlier": ("step", np.asarray(theory.coords)[:, 2], {"long_name": "outlier eigenvalue"} | ONE),
        "predicted_readout": ("step", np.asarray(theory.coords)[:, 1], {"long_name": "read-out along the read-in"}),
        "predicted_loss": ("step", np.asarray(theory.loss), {"long_name": "loss"}),
        "own_outlier_rms": np.sqrt(np.mean(deviation**2)) if detached.any() else np.nan,
    }
    attrs = {"decay": config.decay, "gain": config.gain, "units": config.units, "regime": words(comparisons[0].reason)}
    own = xr.Dataset(data, {"learning_time": ("step", time, TIME)}, attrs)
    return own.merge(_spectra(runs[0], config)).merge(_filters(runs[0], config))


def _spectra(run: Trajectory, config) -> xr.Dataset:
    """Eigenvalues before and after learning: all of them, or above `FULL_SPECTRUM` units the outliers alone.

    Of a large network the outliers are those of its projection; the disk of the gain stands for its bulk.
    """
    whole = config.units <= FULL_SPECTRUM
    if whole:
        networks = [run.network(step, lifted=True) for step in (0, -1)]
        rows = [np.sort_complex(np.linalg.eigvals(np.asarray(net.w_rec)).astype(complex)) for net in networks]
    else:
        found = spectrum(run, bulk_radius=config.gain)
        rows = [np.where(found.outlier[step], found.eigenvalues[step], np.nan) for step in (0, -1)]
    values, pair = np.stack(rows), ("phase", "eig")
    return xr.Dataset(
        {
            "eigenvalue_re": (pair, np.real(values), {"long_name": "Re eigenvalue"} | ONE),
            "eigenvalue_im": (pair, np.imag(values), {"long_name": "Im eigenvalue"} | ONE),
            "bulk_drawn": int(whole),
        },
        {"phase": ["before", "after"]},
    )


def _filters(run: Trajectory, config) -> xr.Dataset:
    """Impulse responses before learning, where the loss is half, and after; and the target."""
    trial_time = np.linspace(0.0, min(60.0, 6.0 / config.decay), 241)
    loss = np.asarray(run.loss)
    steps = {"before": 0, "half-way": int(np.argmin(np.abs(loss - loss[0] / 2))), "after": -1}
    responses = [impulse_response(run.network(step), trial_time) for step in steps.values()]
    return xr.Dataset(
        {
            "filter": (("stage", "time"), np.stack(responses), {"long_name": "response to a unit pulse"} | ONE),
            "target_filter": ("time", np.exp(-config.decay * trial_time), {"long_name": "target filter"} | ONE),
            "stage_time": ("stage", [float(run.time[step]) for step in steps.values()], TIME),
        },
        {
            "time": ("time", trial_time, {"long_name": "time after the pulse", "units": "membrane time constants"}),
            "stage": list(steps),
        },
    )


def learning_times(config) -> xr.Dataset:
    """Learning time and steps of gradient descent against the decay of the target: theory, networks, descent."""
    lines = [ideal(decay) for decay in LINE]
    times = np.array([float(learning_time(setup, 0.01)) for setup in lines])
    largest = np.array([float(lr_max(setup)) for setup in lines])
    descents = [descent_steps(ideal(decay), 0.01, lr_max(ideal(decay)) / 2) for decay in DESCENTS]
    measured = [_measured_time(config, decay) for decay in NETWORKS]
    return xr.Dataset(
        {
            "predicted_time": ("decay", times, {"long_name": "learning time to 1%"} | TIME),
            "largest_rate": ("decay", largest, {"long_name": "largest stable learning rate"}),
            "descent": ("descent_decay", [int(run.steps) for run in descents], {"long_name": "gradient steps to 1%"}),
            "measured_time": ("network_decay", measured, {"long_name": "learning time to 1%"} | TIME),
            "collapse_time": float(collapse_time(1.0)),
        },
        {"decay": LINE, "descent_decay": list(DESCENTS), "network_decay": list(NETWORKS)},
    )


def _measured_time(config, decay: float) -> float:
    """Learning time of one network, on a grid that is fine around the predicted one."""
    guess = float(learning_time(ideal(decay), 0.01))
    time = np.concatenate([[0.0], np.linspace(0.5, 1.3, SAVED - 1) * guess])
    setup = problem(random_start(config.seed, 0, config.units, config.gain), decay)
    run = flow(setup, time, project=config.depth)
    level = np.log(np.maximum(np.asarray(run.loss), 1e-300)) - np.log(0.01 * float(run.loss[0]))
    below = int(np.argmax(level <= 0))
    if below == 0:
        return np.nan
    share = level[below - 1] / (level[below - 1] - level[below])
    return float(time[below - 1] + share * (time[below] - time[below - 1]))
