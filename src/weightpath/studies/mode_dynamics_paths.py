"""Learning paths of one mode in the study: portraits, the wait beside the saddles, a detour, and long memory."""

import numpy as np
import xarray as xr

from weightpath.studies import mode_dynamics_references as reference
from weightpath.studies.mode_dynamics_manifold import own_rules, teacher
from weightpath.studies.mode_dynamics_rules import POINTS, TEACHER, rflo, rule
from weightpath.theory.mode_end import final_state
from weightpath.theory.mode_equations import mode_loss, mode_velocity
from weightpath.theory.mode_manifold import linearise
from weightpath.theory.mode_outcomes import MODE_OUTCOMES
from weightpath.theory.mode_path import mode_path, mode_time_to

#: Read-out and read-in of the starts of the portraits, all with recurrent weight 0.
STARTS = ((1.6, 0.4), (0.4, 1.6), (-0.5, 1.6), (-1.6, 1.0), (-1.6, -0.4), (-0.4, -1.6), (0.5, -1.6), (1.6, -1.0),
          (0.1, 0.05), (-0.1, -0.05))  # fmt: skip
#: Plane on which the velocity of the portraits is shown.
PLANE = np.linspace(-2.1, 2.1, 29)
#: Points of a path that are drawn.
DRAWN = 200
#: Learning times of the paths, dense where something happens.
TIME = np.concatenate([np.linspace(0, 10, POINTS - 500), np.linspace(10, 60, 501)[1:]])
COORDS = ["read_out", "read_in", "recurrent"]


def portraits(config) -> xr.Dataset:
    """E1: paths from several starts under every rule, and the velocity in the plane of the teacher's recurrent weight.

    Both are on the manifold's scale of read-out and read-in, the square root of the teacher's gain.
    """
    names, taught, scale = own_rules(config), teacher(config), np.sqrt(config.gain)
    starts = np.array([(scale * a, scale * b, 0.0) for a, b in STARTS])
    found = [[mode_path(rule(name), start, taught, TIME / scale**2) for start in starts] for name in names]
    shown = np.stack([[_even(np.asarray(one.coords), np.asarray(one.end)) for one in row] for row in found])
    plane = np.stack(np.meshgrid(scale * PLANE, scale * PLANE, [config.recurrent], indexing="ij"), axis=-1)[:, :, 0]
    flow = [np.asarray(mode_velocity(rule(name), plane, taught)) for name in names]
    return xr.Dataset(
        {
            "portrait": (("rule", "start", "point", "coord"), shown),
            "portrait_outcome": (("rule", "start"), [[int(one.outcome) for one in row] for row in found]),
            "flow": (("rule", "plane_read_out", "plane_read_in", "coord"), np.stack(flow)),
        },
        {"rule": list(names), "coord": COORDS, "plane_read_out": scale * PLANE, "plane_read_in": scale * PLANE},
        attrs={"outcomes": ", ".join(MODE_OUTCOMES), "gain": config.gain, "recurrent": config.recurrent,
               "feedback": config.feedback, "trace_decay": config.trace_decay},
    )  # fmt: skip


def _even(coords: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Points of a path, its end among them, at about equal distances along it."""
    coords = np.concatenate([coords[np.isfinite(coords).all(-1)], end[None]])
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(coords, axis=0), axis=-1).cumsum()])
    return coords[np.searchsorted(length, np.linspace(0, length[-1], DRAWN)).clip(0, len(coords) - 1)]


def plateaus() -> xr.Dataset:
    """E2: loss from ever smaller starts beside the non-optimal manifold, and the time to half of it."""
    names, scales = list(reference.PLATEAU_TIMES), reference.PLATEAU_SCALES
    time, shown = np.linspace(0, 16, POINTS), slice(None, None, 10)
    loss, half = np.empty((len(names), len(scales), POINTS)), np.empty((len(names), len(scales)))
    for i, name in enumerate(names):
        for j, scale in enumerate(scales):
            start = np.array([scale, scale, 0.0])
            loss[i, j] = np.asarray(mode_path(rule(name), start, TEACHER, time).loss)
            half[i, j] = _time_to(name, start, TEACHER, 0.5 * loss[i, j, 0])
    return xr.Dataset(
        {
            "plateau_loss": (("plateau_rule", "scale", "plateau_time"), loss[..., shown]),
            "half_time": (("plateau_rule", "scale"), half, {"long_name": "time to half the first loss"}),
            "half_time_expected": (("plateau_rule", "scale"), np.array(list(reference.PLATEAU_TIMES.values()))),
        },
        {"plateau_rule": names, "scale": list(scales), "plateau_time": time[shown]},
    )


def detours() -> xr.Dataset:
    """E4: feedback of the wrong sign drives a mode away from a network beside it, to the other branch."""
    names = [*reference.DETOUR, rflo(1.0, 0.5)]
    start, level = np.array(reference.DETOUR_START), 1e-4 / (2 * (1 - TEACHER[2] ** 2))
    found = [mode_path(rule(name), start, TEACHER, TIME) for name in names]
    coords, loss = (np.stack([np.asarray(getattr(one, part)) for one in found]) for part in ("coords", "loss"))
    shown = slice(0, POINTS - 500, 10)
    return xr.Dataset(
        {
            "detour": (("detour_rule", "detour_time", "coord"), coords[:, shown]),
            "detour_loss": (("detour_rule", "detour_time"), loss[:, shown], {"long_name": "loss"}),
            "detour_end": (("detour_rule", "coord"), coords[:, -1]),
            "detour_length": ("detour_rule", np.linalg.norm(np.diff(coords, axis=1), axis=-1).sum(-1)),
            "detour_learning_time": ("detour_rule", [_time_to(name, start, TEACHER, level) for name in names]),
            "detour_first": ("detour_rule", loss[:, 0]),
            "detour_largest": ("detour_rule", loss.max(-1)),
            "detour_peak_time": ("detour_rule", [_peak(TIME, one) for one in loss]),
        },
        {"detour_rule": names, "detour_time": TIME[shown], "coord": COORDS},
    )  # fmt: skip


def _peak(time: np.ndarray, loss: np.ndarray) -> float:
    """Where a loss is largest, by the parabola through the three highest points; the start if it only falls."""
    top = int(loss.argmax())
    if top == 0:
        return 0.0
    below, here, above = loss[top - 1 : top + 2]
    return float(time[top] + 0.5 * (time[top] - time[top - 1]) * (below - above) / (below - 2 * here + above))


def integrators() -> xr.Dataset:
    """E12: learning times of modes with long memory, and the stiffness there."""
    names, targets = list(reference.INTEGRATOR_TIMES), np.array(reference.INTEGRATOR_RECURRENT)
    start = np.array([0.1, 0.1, 0.0])
    time, fast = np.empty((len(names), targets.size)), np.empty((len(names), targets.size))
    for i, name in enumerate(names):
        for j, target in enumerate(targets):
            taught = np.array([np.sqrt(1 - target**2), 1.0, target])
            level = 0.01 * float(mode_loss(start, taught))
            time[i, j] = _time_to(name, start, taught, level)
            end = final_state(rule(name), start, taught).coords
            fast[i, j] = -np.asarray(linearise(rule(name), taught, end[0]).eigenvalues)[1].real
    return xr.Dataset(
        {
            "integrator_time": (("integrator_rule", "integrator_recurrent"), time,
                                {"long_name": "time to 1 % of the first loss", "units": "learning rate × steps"}),
            "integrator_expected": (("integrator_rule", "integrator_recurrent"),
                                    np.array(list(reference.INTEGRATOR_TIMES.values()))),
            "stiffness": (("integrator_rule", "integrator_recurrent"), fast,
                          {"long_name": "fastest rate at the end of learning"}),
        },
        {"integrator_rule": names, "integrator_recurrent": targets},
    )  # fmt: skip


def _time_to(name: str, start: np.ndarray, taught, level: float) -> float:
    return float(mode_time_to(rule(name), start, taught, level).time)
