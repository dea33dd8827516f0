"""The networks of the study `damped-oscillator` at the chosen settings, and the theory for them."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from weightpath._types import Float
from weightpath.analysis.spectrum import spectrum
from weightpath.comparison import compare
from weightpath.learn.flow import flow
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.init import gaussian
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.studies.integrator_networks import impulse_response
from weightpath.tasks.oscillator import DampedOscillator
from weightpath.theory import Escape, escape, escape_rate, plateau
from weightpath.trajectory import Trajectory

TRAINED = ("w_rec", "w_out")
#: Saved times of every flow: one shape, one compiled program for each size of network.
SAVED = 321
#: Loss, as a fraction of the first, to which the automatic length of learning goes, and what is added to its time.
END, MARGIN = 1e-4, 1.05
ONE = {"units": "1"}
TIME = {"long_name": "learning time", "units": "learning rate x steps"}
STAGES = ("before", "at the plateau", "after")


def problem(network: AbstractNetwork, config) -> Setup:
    """The learning problem of the study: recurrent and read-out weights trained at rate 1."""
    return Setup(network, DampedOscillator(config.decay, config.frequency, config.cosine, config.sine), BPTT(), TRAINED)


def ideal(config, size: float) -> Setup:
    """The same from zero recurrent weights and a read-out of this size across the read-in."""
    return problem(ContinuousLinearRNN(np.zeros((2, 2)), np.array([1.0, 0.0]), np.array([0.0, size])), config)


def random_problem(config, seed: int, index: int, units: int, size: float) -> Setup:
    """Problem number `index` of a family: Gaussian recurrent weights of this gain, a random read-out of this norm."""
    target = np.array([config.decay, config.frequency, config.cosine, config.sine], float)
    return _random_problem(target, np.uint32(seed), np.uint32(index), np.float64(size), units)


@eqx.filter_jit
def _random_problem(target, seed, index, size, units: int) -> Setup:
    # Compiled as a whole: eager constructors with their checks would take longer than the theory.
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), units), index)
    unit = gaussian(key, units, gain=0.5, read_in_norm=1.0, readout="random", readout_norm=0.5)
    network = eqx.tree_at(lambda net: (net.w_rec, net.w_out), unit, (2 * size * unit.w_rec, 2 * size * unit.w_out))
    return Setup(network, DampedOscillator(*target), BPTT(), TRAINED)


def own_networks(config) -> xr.Dataset:
    """Networks of the chosen settings from several random starts, each with its prediction."""
    sizes = [config.size * 10.0 ** -(index % config.decades) for index in range(config.networks)]
    setups = [random_problem(config, config.seed, i, config.units, size) for i, size in enumerate(sizes)]
    escapes = [_escape(setup, END) for setup in setups]
    end = config.time or MARGIN * max(_finite(found.times.learned) for found in escapes)
    time = np.linspace(0.0, end, SAVED)
    half = float(plateau(setups[0]).loss) / 2
    rows = [_row(setup, found, time, config.depth, half) for setup, found in zip(setups, escapes, strict=True)]
    data = xr.concat([row for row, _ in rows], "seed")
    first, run = escapes[0], rows[0][1]
    attrs = {
        "decay": config.decay, "frequency": config.frequency, "cosine": config.cosine, "sine": config.sine,
        "size": config.size, "units": config.units, "regime": _words(first.regime.reason),
    }  # fmt: skip
    best = plateau(setups[0])
    data = data.assign(
        plateau_loss=float(best.loss), plateau_rate=float(best.rate), plateau_amplitude=float(best.amplitude),
        own_error=float(np.nanmax(np.abs(data.half_time / data.predicted_half_time - 1))),
        own_end_error=float(np.abs(data.eigenvalue[:, -1, 0] - (1 - config.decay + 1j * config.frequency)).max()),
    )  # fmt: skip
    split = xr.Dataset({f"{name}_{part}": getattr(data[name], side) for name in ("eigenvalue", "predicted_eigenvalue")
                        for part, side in (("re", "real"), ("im", "imag"))})  # fmt: skip
    data = data.drop_vars(["eigenvalue", "predicted_eigenvalue"]).merge(split)
    data = data.assign_coords(learning_time=("step", time, TIME), start_size=("seed", sizes)).assign_attrs(attrs)
    return data.merge(_filters(run, config, float(best.loss)))


def _escape(setup: Setup, fraction: float) -> Escape:
    with warnings.catch_warnings():  # the dataset itself says what the regime is
        warnings.simplefilter("ignore", UserWarning)
        return escape(setup, fraction)


def _finite(time) -> float:
    return float(time) if np.isfinite(float(time)) else 200.0


def _row(setup: Setup, found: Escape, time: np.ndarray, depth: int, half: float) -> tuple[xr.Dataset, Trajectory]:
    run = flow(setup, time, project=depth)
    comparison = compare(found.pair, run)
    values = spectrum(run, bulk_radius=0.0).eigenvalues[:, :2]
    predicted = np.asarray(found.pair.eigenvalues(jnp.asarray(comparison.predicted)))
    loss = np.asarray(run.loss)
    apart = np.real((values[:, 0] - values[:, 1]) ** 2) / 4
    one = {
        "loss": ("step", loss, {"long_name": "loss"}),
        "predicted_loss": ("step", comparison.predicted_loss, {"long_name": "loss"}),
        "eigenvalue": (("step", "which"), values),
        "predicted_eigenvalue": (("step", "which"), predicted),
        "half_time": last_fall(time, np.log(np.maximum(loss, 1e-300) / half)),
        "collision_time": last_fall(time, apart),
        "predicted_half_time": float(found.times.half_plateau),
        "predicted_collision_time": float(found.times.collision),
    }
    return xr.Dataset(one), run


def last_fall(time: Float[np.ndarray, " step"], height: Float[np.ndarray, " step"]) -> float:
    """When a sampled function last falls through zero, by a cubic through its samples; NaN if it does not."""
    from scipy.interpolate import CubicSpline
    from scipy.optimize import brentq

    falls = np.nonzero((height[:-1] >= 0) & (height[1:] < 0))[0]
    if falls.size == 0:
        return np.nan
    at = falls[-1]
    near = slice(max(at - 4, 0), at + 6)
    return float(np.asarray(brentq(CubicSpline(time[near], height[near]), time[at], time[at + 1])))


def _words(reason: str) -> str:
    return f"outside its regime: {reason}" if reason else "inside its regime"


def _filters(run: Trajectory, config, level: float) -> xr.Dataset:
    """Impulse responses before learning, at the plateau and after; the target and the best single exponential."""
    trial_time = np.linspace(0.0, min(60.0, 6.0 / config.decay), 361)
    steps = dict(zip(STAGES, (0, int(np.argmin(np.abs(np.asarray(run.loss) - level))), -1), strict=True))
    responses = [impulse_response(run.network(step), trial_time) for step in steps.values()]
    best, turn = plateau(problem(run.network(0), config)), config.frequency * trial_time
    target = np.exp(-config.decay * trial_time) * (config.cosine * np.cos(turn) + config.sine * np.sin(turn))
    single = float(best.amplitude) * np.exp(-float(best.rate) * trial_time)
    return xr.Dataset(
        {
            "filter": (("stage", "time"), np.stack(responses), {"long_name": "response to a unit pulse"} | ONE),
            "target_filter": ("time", target, {"long_name": "target filter"} | ONE),
            "best_exponential": ("time", single, {"long_name": "best single exponential"} | ONE),
            "stage_time": ("stage", [float(run.time[step]) for step in steps.values()], TIME),
        },
        {
            "time": ("time", trial_time, {"long_name": "time after the pulse", "units": "membrane time constants"}),
            "stage": list(STAGES),
        },
    )


def prediction(config) -> dict[str, Any]:
    """What the theory says about the chosen settings and the first network of this seed, without any simulation."""
    setup = random_problem(config, config.seed, 0, config.units, config.size)
    best, own = plateau(setup), _escape(setup, 0.01)
    return {
        "regime": _words(own.regime.reason),
        "plateau_rate": float(best.rate),
        "plateau_outlier": 1 - float(best.rate),
        "plateau_amplitude": float(best.amplitude),
        "plateau_loss": float(best.loss),
        "escape_rate": float(escape_rate(setup)),
        "collision_time": float(own.times.collision),
        "half_plateau_time": float(own.times.half_plateau),
        "learning_time_to_1_percent": float(own.times.learned),
        "collision_real_part": float(np.asarray(own.times.coords)[0, [0, 3]].mean()),
        "final_real_part": 1 - config.decay,
        "final_imaginary_part": config.frequency,
    }
