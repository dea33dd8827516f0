"""Runs behind the finite-data part of the study `integrate-white-noise`: fixed parameters and fixed seeds."""

import warnings
from functools import cache

import jax
import numpy as np
import optax
import xarray as xr

from weightpath.comparison import compare
from weightpath.learn.record import Record
from weightpath.learn.train import train
from weightpath.networks.init import gaussian
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.studies.integrator_networks import TIME, ideal
from weightpath.tasks.base import WhiteNoise
from weightpath.tasks.filters import Integrator
from weightpath.theory import FiniteOutlier, Outlier, lr_max, solve

TRAINED = ("w_rec", "w_out")
DECAY, UNITS, GAIN, END = 0.2, 32, 0.01, 4.0
FIXED_SEED = 2503
RECORDS = 40
#: (bin, duration of a trial, trials a batch, learning rate) of the two settings of the reference table.
SETTINGS = ((0.1, 20.0, 32, 0.02), (0.05, 40.0, 64, 0.01))
TABLE_TIMES = np.array([0.5, 1.0, 1.5, 2.0, 4.0])
#: Outlier and amplitude of the flow of the finite-trial loss at those times, from an independent program.
TABLE = (
    ((0.0585, 0.2286, 0.5729, 0.8008, 0.8019), (0.3651, 0.6681, 0.9270, 1.0042, 1.0005)),
    ((0.0613, 0.2434, 0.6408, 0.8017, 0.8011), (0.3695, 0.6792, 0.9467, 0.9968, 0.9997)),
)
#: The guarded runs: decay, learning rate in units of the largest stable one, steps.
GUARD_DECAY, GUARD_MULTIPLE, GUARD_STEPS = 0.5, 3.0, 50


def sampled_descent(settings: int, seeds: int) -> xr.Dataset:
    """I11: plain gradient descent on fresh trials from several seeds, the theory of its trials, and that of none."""
    rows = [_at_setting(index, seeds) for index in range(settings)]
    time = np.linspace(0.0, END, RECORDS + 1)
    stationary = solve(Outlier(), ideal(DECAY), time)
    per_run, per_setting = ("sgd_setting", "sgd_seed", "sgd_time"), ("sgd_setting", "sgd_time")
    names = {"sgd_outlier": per_run, "sgd_amplitude": per_run, "sgd_loss": per_run}
    names |= {"sgd_predicted_outlier": per_setting, "sgd_predicted_amplitude": per_setting}
    names |= {
        "sgd_predicted_loss": per_setting,
        "sgd_end": ("sgd_setting", "sgd_coord"),
        "sgd_table_error": "sgd_setting",
    }
    arrays = {name: (dims, np.array([row[name] for row in rows])) for name, dims in names.items()}
    labels = [f"bins {dt:g}, trials of {duration:g}, {trials} a batch" for dt, duration, trials, _ in SETTINGS]
    return xr.Dataset(
        arrays
        | {
            "sgd_stationary_outlier": ("sgd_time", np.asarray(stationary.coords)[:, 2]),
            "sgd_stationary_loss": ("sgd_time", np.asarray(stationary.loss)),
        },
        {
            "sgd_time": ("sgd_time", time, TIME),
            "sgd_setting": labels[:settings],
            "sgd_seed": np.arange(seeds),
            "sgd_coord": list(FiniteOutlier.coords),
        },
    )


def guarded_descent() -> xr.Dataset:
    """Exact gradient descent at three times the largest stable rate, without guards and with them."""
    setup = ideal(GUARD_DECAY)
    edge = float(lr_max(setup))
    optimiser = _descent(GUARD_MULTIPLE * edge)
    losses, outliers, rates = (np.full((2, GUARD_STEPS + 1), np.nan) for _ in range(3))
    rejected = 0
    for row, guards in enumerate((None, "halve")):
        with warnings.catch_warnings():  # that the rate is beyond the edge is the point
            warnings.simplefilter("ignore", UserWarning)
            run = train(setup, optimiser, GUARD_STEPS, record=Record(every=1), guards=guards, throw=False)
        count = len(run)
        losses[row, :count], outliers[row, :count] = run.loss, run.networks.w_rec[:, 0, 0]
        rates[row, :count] = run.statistics["rate"] if guards else GUARD_MULTIPLE * edge
        rejected = int(run.statistics["rejected"][-1]) if guards else 0
    pair = ("guard_run", "guard_step")
    return xr.Dataset(
        {
            "guard_loss": (pair, losses),
            "guard_outlier": (pair, outliers),
            "guard_rate": (pair, rates),
            "guard_edge": edge,
            "guard_rejected": rejected,
        },
        {"guard_run": ["every step taken", "guarded"], "guard_step": np.arange(GUARD_STEPS + 1)},
    )


@cache
def _descent(rate: float) -> optax.GradientTransformation:
    """Plain gradient descent; one object for each rate, so that repeated runs share a compiled program."""
    return optax.sgd(rate)


def _at_setting(index: int, seeds: int) -> dict[str, np.ndarray]:
    dt, duration, trials, rate = SETTINGS[index]
    task = Integrator(DECAY, noise=WhiteNoise(duration, dt, trials))
    steps = round(END / rate)
    found = []
    for seed in range(seeds):
        key = jax.random.fold_in(jax.random.key(FIXED_SEED), seed)
        start = gaussian(key, UNITS, gain=GAIN, read_in_norm=1.0, readout="zero", dt=dt)
        setup = Setup(start, task, BPTT(), TRAINED)
        run = train(setup, _descent(rate), steps, record=Record(every=steps // RECORDS), key=key)
        found.append(compare(FiniteOutlier(), run))
    one = Setup(ContinuousLinearRNN([[0.0]], [1.0], [0.0], dt=dt), task, BPTT(), TRAINED)
    path = solve(FiniteOutlier(), one, np.linspace(0.0, END, RECORDS + 1))
    table = np.asarray(path.coords)[np.round(TABLE_TIMES * RECORDS / END).astype(int)][:, [2, 1]].T
    return {
        "sgd_outlier": np.stack([each.measured[:, 2] for each in found]),
        "sgd_amplitude": np.stack([each.measured[:, 0] * each.measured[:, 1] for each in found]),
        "sgd_loss": np.stack([each.loss for each in found]),
        "sgd_predicted_outlier": np.asarray(path.coords)[:, 2],
        "sgd_predicted_amplitude": np.asarray(path.coords)[:, 0] * np.asarray(path.coords)[:, 1],
        "sgd_predicted_loss": np.asarray(path.loss),
        "sgd_end": np.asarray(FiniteOutlier().endpoint(one)),
        "sgd_table_error": np.max(np.abs(table - np.array(TABLE[index]))),
    }
