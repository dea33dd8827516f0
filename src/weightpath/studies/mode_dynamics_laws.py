"""What the study asks of conserved numbers, and of the loss over whole trials."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from weightpath.studies import mode_dynamics_references as reference
from weightpath.studies.mode_dynamics_rules import CASES, POINTS, rule, stacked
from weightpath.theory.mode_equations import mode_velocity
from weightpath.theory.mode_laws import invariant
from weightpath.theory.mode_manifold import optimal_manifold
from weightpath.theory.mode_path import mode_path

#: Steps and learning rate of the comparison of losses, and steps after which learning has ended.
STEPS, RATE, LATE = 60, 0.05, 460
END_TIME = 20.0


def laws() -> xr.Dataset:
    """E10: drift of what each rule conserves, along the flow and under discrete updates of three learning rates."""
    time = np.linspace(0, END_TIME, POINTS)
    drift = np.empty((len(CASES), time.size))
    for row, (name, taught, start) in enumerate(CASES.values()):
        path = mode_path(rule(name), np.array(start), np.array(taught), time, rtol=1e-10, atol=1e-12)
        kept = np.asarray(invariant(rule(name), path.coords))
        drift[row] = np.abs(kept - kept[0])
    name, taught, start = CASES["R4"]
    rates = np.array(reference.DRIFT_RATES)
    steps = np.rint(END_TIME / rates).astype(int)
    paths = euler(rule(name), np.tile(start, (rates.size, 1)), taught, rates[:, None], int(steps.max()))
    kept = np.asarray(invariant(rule(name), paths))
    discrete = [abs(kept[last, one] - kept[0, one]) for one, last in enumerate(steps)]
    return xr.Dataset(
        {
            "drift": (("case", "law_time"), drift[:, ::20]),
            "discrete_drift": ("rate", discrete),
            "discrete_expected": ("rate", list(reference.DRIFTS)),
            "largest_drift": ("case", drift.max(-1)),
            "case_rule": ("case", [name for name, _, _ in CASES.values()]),
        },
        {"case": list(CASES), "law_time": time[::20], "rate": rates},
    )


def sequences() -> xr.Dataset:
    """E9: the loss at the last step against that over the whole trial, on trials of two lengths."""
    names = list(reference.SEQUENCE_GAPS)
    _, taught, start = CASES["R1"]
    both = stacked(names)
    starts = np.tile(start, (len(names), 1))
    gaps, left = [], []
    for horizon in reference.SEQUENCE_HORIZONS:
        last, whole = (euler(both, starts, taught, RATE, LATE, horizon, loss) for loss in ("final", "sequence"))
        gaps.append(np.abs(np.asarray(last - whole)[: STEPS + 1]).max((0, 2)))
        left.append(np.abs(np.asarray(whole[-1] - optimal_manifold(taught, whole[-1, :, 0]))).max(-1))
    pair = ("sequence_rule", "horizon")
    return xr.Dataset(
        {
            "sequence_gap": (pair, np.stack(gaps, axis=-1)),
            "sequence_expected": (pair, np.array(list(reference.SEQUENCE_GAPS.values()))),
            "sequence_left": (pair, np.stack(left, axis=-1)),
        },
        {"sequence_rule": names, "horizon": list(reference.SEQUENCE_HORIZONS)},
    )


def euler(rules, starts, taught, rate, steps: int, horizon: int | None = None, loss: str = "final"):
    """States (step, mode, 3) of several modes under discrete updates, the start first."""
    starts, taught = jnp.asarray(starts, float), jnp.asarray(taught, float)

    def update(state, _):
        new = state + rate * mode_velocity(rules, state, taught, horizon, loss)
        return new, new

    return jnp.concatenate([starts[None], jax.lax.scan(update, starts, None, length=steps)[1]])
