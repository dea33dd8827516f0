"""The networks of the study `pole-by-pole`: learning from small random weights, and how it rests on its plateaus."""

import numpy as np
import xarray as xr

from weightpath._types import Float
from weightpath.analysis.spectrum import spectrum
from weightpath.learn.flow import flow
from weightpath.setup import Setup
from weightpath.studies.poles_prediction import duration, kind_of, problem, task_of
from weightpath.studies.poles_targets import terms_of
from weightpath.studies.poles_visits import Visit, condition, crossing_times, pole_distance, visits
from weightpath.theory.staircase import Staircase
from weightpath.trajectory import Trajectory

#: Saved times of every flow: one shape, one compiled program for each kind of network.
SAVED = 401
TIME = {"long_name": "learning time", "units": "learning rate x steps"}
TOLERANCES = {"rtol": 1e-7, "atol": 1e-10, "solver": "explicit"}


def learn(setup: Setup, time: float, saved: int = SAVED) -> Trajectory:
    """The flow of all weights, saved at equal steps."""
    return flow(setup, np.linspace(0.0, time, saved), **TOLERANCES)


def own_networks(config, stairs: Staircase) -> xr.Dataset:
    """Networks from several random starts, their plateaus, the poles of the first one and its filters."""
    task, time = task_of(config), config.time or duration(stairs, config.size)
    runs = [learn(problem(task, config.seed, i, config.units, config.size), time) for i in range(config.networks)]
    seen = [visits(run, stairs) for run in runs]
    by_plateau = ("seed", "visited")
    data = {
        "loss": (("seed", "step"), np.stack([np.asarray(run.loss) for run in runs]), {"long_name": "loss"}),
        "slowest_time": (by_plateau, _table(seen, lambda visit, run: float(run.time[visit.step]), runs)),
        "slowest_loss": (by_plateau, _table(seen, lambda visit, run: float(run.loss[visit.step]), runs)),
        "deviation": (by_plateau, _table(seen, lambda visit, _: visit.deviation, runs)),
        "tolerance": (by_plateau, _table(seen, lambda visit, _: visit.tolerance, runs)),
        "pole_distance": (by_plateau, _table(seen, lambda visit, _: visit.pole_distance, runs)),
        "pole_tolerance": (by_plateau, _table(seen, lambda visit, _: visit.pole_tolerance, runs)),
        "final_pole_distance": ("seed", [pole_distance(run.network(-1), stairs[-1].poles) for run in runs]),
        "leaving_times_own": ("visited", crossing_times(runs[0], stairs)),
        "final_pole_tolerance": ("seed", [_pole_allowed(float(run.loss[-1]), stairs) for run in runs]),
        "final_allowed": ("seed", [_final_allowed(run, stairs) for run in runs]),
    }  # fmt: skip
    own = xr.Dataset(data, {"learning_time": ("step", np.linspace(0.0, time, SAVED), TIME)})
    return own.merge(_poles(runs[0], config, stairs)).merge(_filters(runs[0], seen[0], config, stairs))


def response(network, trial_time: Float[np.ndarray, " time"], dt: float | None) -> Float[np.ndarray, " time"]:
    """First output to a unit pulse in the first input; discrete networks at their steps, `trial_time` being those."""
    from scipy.linalg import expm

    w_rec, state = np.asarray(network.w_rec), np.asarray(network.w_in)[:, 0]
    step = w_rec if dt is not None else expm((w_rec - np.eye(len(w_rec))) * (trial_time[1] - trial_time[0]))
    values = []
    for _ in trial_time:
        values.append(float(np.asarray(network.w_out)[0] @ state))
        state = step @ state
    return np.array(values)


def _table(seen: list[list[Visit]], read, runs: list[Trajectory]) -> list[list[float]]:
    return [[read(visit, run) for visit in row] for row, run in zip(seen, runs, strict=True)]


def _pole_allowed(loss: float, stairs: Staircase) -> float:
    r"""Distance of poles from the target's that this loss allows: $L \ge \tfrac12\mu|x|^2$, times their condition."""
    return condition(stairs[-1].network) * float(np.sqrt(2 * loss / stairs[-1].settling))


def _final_allowed(run: Trajectory, stairs: Staircase) -> float:
    r"""Loss that may be left: twice the last plateau's, shrunk at $2\mu$ since it was left, $\mu$ the slowest rate."""
    left = crossing_times(run, stairs)[-1]
    spent = float(run.time[-1]) - left
    return float(max(2 * stairs[-2].loss * np.exp(-2 * stairs[-1].settling * spent), 1e-7 * stairs.start_loss))


def _poles(run: Trajectory, config, stairs: Staircase) -> xr.Dataset:
    """Eigenvalues that become the target's poles, matched along learning."""
    paths = spectrum(run, bulk_radius=config.size)
    count = stairs[-1].order
    kept = paths.eigenvalues[:, :count]
    return xr.Dataset(
        {"pole_re": (("step", "pole"), np.real(kept)), "pole_im": (("step", "pole"), np.imag(kept))},
    )


def _filters(run: Trajectory, seen: list[Visit], config, stairs: Staircase) -> xr.Dataset:
    """Responses of the first network at its plateaus and at the end, of the predicted filters, and the target."""
    terms, dt = terms_of(config), config.dt or None
    length = min(30.0, 5.0 / min(terms[0]))
    trial_time = np.linspace(0.0, length, 241) if dt is None else np.arange(0.0, length, dt)
    steps = [*(visit.step for visit in seen), -1]
    target = task_of(config).population()
    exact = kind_of(target)(
        target.transition + (np.eye(len(target.transition)) if dt is None else 0), target.drive, target.output
    )
    pair, best = ("plateau", "time"), [plateau.network for plateau in stairs.plateaus]
    return xr.Dataset(
        {
            "filter": (pair, np.stack([response(run.network(step), trial_time, dt) for step in steps])),
            "predicted_filter": (pair, np.stack([response(network, trial_time, dt) for network in best])),
            "target_filter": ("time", response(exact, trial_time, dt)),
        },
        {"time": ("time", trial_time, {"long_name": "time after the pulse", "units": "membrane time constants"})},
    )  # fmt: skip
