"""What the study `pole-by-pole` checks beside its own networks: closed forms, other sizes of start, other channels."""

import numpy as np
import xarray as xr

from weightpath.studies.poles_networks import SAVED, learn
from weightpath.studies.poles_prediction import duration, problem, task_of
from weightpath.studies.poles_targets import filter_task, sampled, several_channels
from weightpath.studies.poles_visits import crossing_times, pole_distance, visits
from weightpath.theory.approximation import best_approximation, interpolation_error
from weightpath.theory.staircase import Staircase, staircase

#: Damped oscillations (decay, frequency): loss of the one-pole plateau and its escape rate, from an independent solver.
OSCILLATORS = {
    (0.2, 1.0): (0.360246216, 0.093351997),
    (0.3, 2.0): (0.277093096, 0.046536147),
    (0.1, 0.5): (0.720492431, 0.205497760),
    (0.2, 0.6): (None, 10 / 81),
}
ALL = ("w_rec", "w_in", "w_out")
REFERENCE_UNITS, REFERENCE_SIZE = 12, 1e-3


def oscillators() -> xr.Dataset:
    """The one-pole plateau of damped oscillations against the reference numbers."""
    losses, rates = [], []
    for (decay, frequency), (loss, rate) in OSCILLATORS.items():
        task = filter_task(((decay,), (frequency,), (1.0,), (0.0,)))
        first = staircase(problem(task, 0, 0, 2, 1e-3), most=1)[0]
        losses.append(0.0 if loss is None else abs(first.loss - loss))
        rates.append(abs(first.rate - rate))
    return xr.Dataset({"oscillator_loss_error": ("oscillator", losses), "oscillator_rate_error": ("oscillator", rates)})


def best_filters(config, stairs: Staircase) -> xr.Dataset:
    """Every predicted plateau against the best filters of its order, found by a search that knows no learning."""
    task, rows = task_of(config), []
    for plateau in stairs.plateaus[:-1]:
        found = best_approximation(task, plateau.order, starts=config.starts, seed=config.seed)
        gap = np.min(np.abs(found.loss - plateau.loss)) / stairs.start_loss
        rows.append((gap, plateau.loss - found.loss[0], interpolation_error(plateau.network, task)))
    gaps, above, errors = np.array(rows).T
    return xr.Dataset(
        {
            "search_gap": ("visited", gaps),
            "above_best": ("visited", above),
            "interpolation_error": ("visited", errors),
        }
    )


def delays(config, stairs: Staircase) -> xr.Dataset:
    """When every plateau is left, for starts of the same direction and smaller and smaller size."""
    task = task_of(config)
    sizes = config.size * 10.0 ** -np.arange(config.decades + 1)
    time = (config.time or duration(stairs, config.size)) + float(stairs.delays(10.0**config.decades)[-2])
    # Between saved points the loss is a cubic, which must resolve the fall from the first plateau, the fastest.
    saved = SAVED * (1 + config.decades)
    runs = [learn(problem(task, config.seed, 0, config.units, size), time, saved) for size in sizes]
    times = np.stack([crossing_times(run, stairs) for run in runs])
    expected, steps = stairs.delays(10.0)[:-1], -np.diff(stairs.loss)
    # The law is that of small starts; it is asked where the smallest one comes close to every plateau passed.
    close = np.abs([visit.deviation for visit in visits(runs[-1], stairs)]) < 0.01 * steps
    error = np.where(np.logical_and.accumulate(close), (times[-1] - times[-2]) / expected - 1, np.nan)
    return xr.Dataset(
        {
            "leaving_time": (("size", "visited"), times, {"long_name": "time at which the plateau is left"}),
            "delay_per_decade": ("visited", times[-1] - times[-2]),
            "predicted_delay": ("visited", expected),
            "delay_error": ("visited", error),
        },
        {"size": sizes},
    )


def other_networks(seed: int) -> xr.Dataset:
    """Two inputs and two outputs with every weight trained, and discrete time: plateaus, end and poles."""
    cases = {"several channels": (several_channels(), ALL), "discrete time": (sampled(), ("w_rec", "w_out"))}
    worst, count, ends, distances, losses, rates = [], [], [], [], [], []
    for task, train in cases.values():
        setup = problem(task, seed, 0, REFERENCE_UNITS, REFERENCE_SIZE, train)
        stairs = staircase(setup)
        run = learn(setup, duration(stairs, REFERENCE_SIZE))
        seen = visits(run, stairs)
        worst.append(max(abs(visit.deviation) / visit.tolerance for visit in seen))
        count.append(len(seen))
        ends.append(float(run.loss[-1]) / stairs.start_loss)
        distances.append(pole_distance(run.network(-1), stairs[-1].poles))
        losses.append(np.asarray(run.loss))
        rates.append(np.pad(stairs.loss, (0, 5 - len(stairs)), constant_values=np.nan))
    return xr.Dataset(
        {
            "other_worst": ("case", worst),
            "other_plateaus": ("case", count),
            "other_end": ("case", ends),
            "other_pole_distance": ("case", distances),
            "other_loss": (("case", "step"), np.stack(losses)),
            "other_levels": (("case", "level"), np.stack(rates)),
        },
        {"case": list(cases)},
    )
