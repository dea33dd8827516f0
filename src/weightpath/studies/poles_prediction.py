"""What theory says about the settings of the study `pole-by-pole`: the problem, its staircase and how long it takes."""

import jax
import numpy as np
import xarray as xr

from weightpath._results import outcome_name
from weightpath._types import Complex
from weightpath.analysis.spectrum import match
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.studies.poles_targets import filter_task, terms_of
from weightpath.theory.staircase import Stair, Staircase, staircase

TRAINED = ("w_rec", "w_out")


def task_of(config):
    """The target of the settings."""
    return filter_task(terms_of(config), config.dt or None)


def problem(task, seed: int, index: int, units: int, size: float, train=TRAINED) -> Setup:
    """Random start number `index`: Gaussian weights of gain `size`, read-out and trained read-in of norm `size`."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), units), index)
    recurrent, inward, outward = jax.random.split(key, 3)
    target = task.population()
    w_in = np.linalg.qr(np.asarray(jax.random.normal(inward, (units, target.drive.shape[1]))))[0]
    w_out = np.linalg.qr(np.asarray(jax.random.normal(outward, (units, target.output.shape[0]))))[0].T
    w_rec = size * jax.random.normal(recurrent, (units, units)) / np.sqrt(units)
    kind = ContinuousLinearRNN if target.dt is None else LinearRNN
    return Setup(kind(w_rec, w_in * (size if "w_in" in train else 1.0), size * w_out), task, BPTT(), train)


def kind_of(target):
    """Class of network that runs in the target's time."""
    return ContinuousLinearRNN if target.dt is None else LinearRNN


def predicted(config) -> Staircase:
    """The staircase for a network of the settings."""
    return staircase(problem(task_of(config), config.seed, 0, config.units, config.size))


def duration(stairs: Staircase, size: float) -> float:
    r"""Time for a start of this size to reach the target: $(\ln(1/\epsilon) + 3)\sum 1/\gamma$, and a tail."""
    rates = stairs.rates[stairs.rates > 0]
    settling = min(plateau.settling for plateau in stairs.plateaus)
    return float(
        (np.log(1 / size) + 3) * np.sum(1 / rates) + min(6 / stairs[-1].settling, 150.0) + min(3 / settling, 30)
    )


def prediction(config) -> dict:
    """What the theory says about the chosen settings, without any simulation."""
    stairs = predicted(config)
    return {
        "regime": _words(stairs),
        "start_loss": stairs.start_loss,
        "number_of_poles": [plateau.order for plateau in stairs.plateaus],
        "plateau_loss": stairs.loss.tolist(),
        "poles": [plateau_words(plateau) for plateau in stairs.plateaus],
        "escape_rate": stairs.rates.tolist(),
        "delay_per_tenfold_smaller_start": stairs.delays(10.0)[:-1].tolist(),
        "learning_time": duration(stairs, config.size),
    }


def theory_dataset(config, stairs: Staircase) -> xr.Dataset:
    """The staircase as a dataset: plateaus padded to the order of the last one, and the paths between them."""
    count, pair = stairs[-1].order, ("plateau", "pole")
    padded = np.full((len(stairs), count), np.nan, complex)
    for row, plateau in zip(padded, stairs.plateaus, strict=True):
        row[: plateau.order] = plateau.poles
    shown = [_continuous(plateau) for plateau in stairs.plateaus]
    paths = np.concatenate([np.pad(part, ((0, 1), (0, 0)), constant_values=np.nan).T.ravel() for part in shown])
    return xr.Dataset(
        {
            "plateau_loss": ("plateau", stairs.loss, {"long_name": "loss of the plateau"}),
            "plateau_order": ("plateau", [plateau.order for plateau in stairs.plateaus]),
            "escape_rate": ("plateau", stairs.rates, {"long_name": "escape rate"}),
            "plateau_pole_re": (pair, np.real(padded)),
            "plateau_pole_im": (pair, np.imag(padded)),
            "path_re": ("point", np.real(paths)),
            "path_im": ("point", np.imag(paths)),
        },
        attrs={
            "regime": _words(stairs), "outcome": outcome_name(stairs.result), "size": config.size,
            "units": config.units, "dt": config.dt, "start_loss": stairs.start_loss,
        },
    )  # fmt: skip


def plateau_words(plateau: Stair) -> str:
    """The poles of a plateau in words."""
    return ", ".join(f"{pole.real:.3g}{pole.imag:+.3g}i" if pole.imag else f"{pole.real:.3g}" for pole in plateau.poles)


def _continuous(plateau: Stair, most: int = 200) -> Complex[np.ndarray, "time k"]:
    """Poles on the way to a plateau, about `most` of them evenly spread along it, each column one path."""
    poles = plateau.path_poles
    if poles.size == 0:
        return poles
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(poles, axis=0)).sum(1))])
    steps = np.unique(np.searchsorted(length, np.linspace(0, length[-1], most)).clip(0, len(poles) - 1))
    return np.take_along_axis(poles[steps], match(poles[steps], np.arange(float(steps.size))), 1)


def _words(stairs: Staircase) -> str:
    return f"outside its regime: {stairs.reason}" if stairs.reason else "inside its regime"
