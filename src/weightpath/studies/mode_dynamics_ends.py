"""Where learning of one mode ends in the study: random starts against the closed form, and maps of basins."""

import numpy as np
import xarray as xr

from weightpath.studies import mode_dynamics_references as reference
from weightpath.studies.mode_dynamics_rules import BPTT, ONE_STEP, TEACHER, eprop, stacked
from weightpath.theory.mode_basin import basin, basin_grid
from weightpath.theory.mode_end import final_state
from weightpath.theory.mode_outcomes import MODE_OUTCOMES
from weightpath.theory.mode_rule import ModeRule

#: Families of random rules: follow, tied (1 where the carry is the weight, the source the read-out).
FAMILIES = {"BPTT": (1, 1), "TruncatedBPTT(1)": (0, 1), "RFLO": (0, 0), "EProp": (1, 0)}
#: Starts that are followed together.
PIECE = 512
#: Half the width of the maps.
WIDTH = 2.0


def ends(config) -> xr.Dataset:
    """E5: where random modes end under random rules, and where the conserved number says that they end."""
    random = np.random.default_rng([config.seed, 5])
    count = config.starts
    start = random.uniform(-1, 1, (count, 3)) * (1.5, 1.5, 0.9)
    sign = random.choice([-1.0, 1.0], (2, count))
    taught = random.uniform((0.5, 0.5, -0.85), (1.5, 1.5, 0.85), (count, 3))
    taught[:, 0] *= sign[0]
    feedback, decay = sign[1] * random.uniform(0.3, 1.2, count), random.uniform(-0.8, 0.8, count)
    # every family draws the same modes; arrays (family, start)
    follow, tied = (np.array(part, float)[:, None] for part in zip(*FAMILIES.values(), strict=True))
    rules = ModeRule(
        np.broadcast_to(follow, (4, count)), (1 - follow) * (1 - tied) * decay, np.broadcast_to(tied, (4, count)),
        (1 - tied) * feedback,
    )  # fmt: skip
    predicted = final_state(rules, start, taught)
    outcome, end = _ended(rules, np.broadcast_to(start, (len(FAMILIES), *start.shape)), taught)
    pair = ("end_rule", "draw_start")
    return xr.Dataset(
        {
            "end": ((*pair, "coord"), end),
            "predicted_end": ((*pair, "coord"), np.asarray(predicted.coords)),
            "end_outcome": (pair, outcome),
            "feedback_agrees": ("draw_start", feedback * start[:, 0] > 0),
        },
        {"end_rule": list(FAMILIES), "coord": ["read_out", "read_in", "recurrent"]},
        attrs={"outcomes": ", ".join(MODE_OUTCOMES)},
    )


def basins(config) -> xr.Dataset:
    """Outcome and end of learning over a grid of first read-out and read-in, by rule and first recurrent weight."""
    names = [*reference.GRID_SHARES, eprop(1.0), BPTT, ONE_STEP]
    side = np.linspace(-WIDTH, WIDTH, config.grid)
    starts = np.stack([np.asarray(basin_grid(side, side, first)) for first in reference.GRID_RECURRENT])
    starts = np.broadcast_to(starts, (len(names), *starts.shape))
    # Orbits under fixed feedback come close to |w| = 1 and turn back; under e-prop no solver follows them there.
    margin = np.where([name in reference.GRID_SHARES for name in names], 1e-6, 1e-3)[:, None, None, None]
    outcome, end = _ended(stacked(names, 3), starts, np.array(TEACHER), margin)
    dims = ("basin_rule", "first_recurrent", "first_read_out", "first_read_in")
    return xr.Dataset(
        {
            "basin": (dims, outcome),
            "basin_end": ((*dims, "coord"), end),
            "converged": (dims[:2], (outcome == MODE_OUTCOMES.index("converged_optimal")).mean((2, 3))),
        },
        {"basin_rule": names, "first_recurrent": list(reference.GRID_RECURRENT), "first_read_out": side,
         "first_read_in": side, "coord": ["read_out", "read_in", "recurrent"]},
        attrs={"outcomes": ", ".join(MODE_OUTCOMES)},
    )  # fmt: skip


def _ended(rules: ModeRule, starts: np.ndarray, taught: np.ndarray, margin: float | np.ndarray = 1e-3):
    """Outcomes (*batch) and ends (*batch, 3) of starts (*batch, 3), with whose shape rules and teachers broadcast.

    In pieces of one size: one program serves all maps, and no start waits for the slowest of all.
    """
    shape = starts.shape[:-1]
    numbers = [np.broadcast_to(np.asarray(part), shape).ravel()
               for part in (rules.follow, rules.trace_decay, rules.tied, rules.feedback, margin)]  # fmt: skip
    starts, taught = (np.broadcast_to(modes, (*shape, 3)).reshape(-1, 3) for modes in (starts, taught))
    count = len(starts)
    pieces = np.arange(count + -count % PIECE).clip(max=count - 1).reshape(-1, PIECE)
    follow, decay, tied, feedback, margins = numbers
    found = [
        basin(
            ModeRule(follow[piece], decay[piece], tied[piece], feedback[piece]),
            starts[piece],
            taught[piece],
            margin=margins[piece],
        )
        for piece in pieces
    ]
    outcome = np.concatenate([np.asarray(one.outcome) for one in found])[:count]
    end = np.concatenate([np.asarray(one.end) for one in found])[:count]
    return outcome.reshape(shape), end.reshape(*shape, 3)
