"""Study: how one mode of a recurrent network learns under BPTT, truncated BPTT, RFLO and e-prop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from weightpath.studies.base import Settings, Study
from weightpath.studies.mode_dynamics_checks import PAPER, checks
from weightpath.studies.mode_dynamics_figures import FIGURES
from weightpath.studies.pieces import assembled

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


class ModeDynamics(Settings):
    """Settings of the study: the mode of the portraits and curves, and how much is drawn for the random checks."""

    gain: float = Field(1.0, gt=0, le=100, description="teacher's read-out times read-in, kappa [1]")
    recurrent: float = Field(0.8, gt=-0.95, lt=0.95, description="teacher's recurrent weight w* [1/step]")
    feedback: float = Field(1.0, gt=0, le=100, description="feedback of RFLO and e-prop; its sign is a convention [1]")
    trace_decay: float = Field(0.5, gt=-1, lt=1, description="trace decay of RFLO [1/step]")
    root_starts: int = Field(500, ge=1, le=100_000, description="random starts of the search for resting points (E1)")
    starts: int = Field(1000, ge=10, le=100_000, description="random modes that learn to their end, for each rule (E5)")
    draws: int = Field(20_000, ge=100, le=10_000_000, description="random points of the manifold (E3, E8)")
    grid: int = Field(41, ge=3, le=401, description="starts along each side of the maps")


def run(config: ModeDynamics, *, progress=None, workspace=None) -> Dataset:
    """Find the resting points, integrate the paths, and compute every table that the checks ask for."""
    from weightpath._precision import require_x64
    from weightpath.studies import mode_dynamics_ends as ends
    from weightpath.studies import mode_dynamics_laws as laws
    from weightpath.studies import mode_dynamics_manifold as manifold
    from weightpath.studies import mode_dynamics_paths as paths

    require_x64("the study mode-dynamics")
    parts = {
        "resting points": lambda: manifold.roots(config),
        "eigenvalues": lambda: manifold.curves(config),
        "random points": lambda: manifold.draws(config),
        "window of stability": lambda: manifold.diagrams(config),
        "portraits": lambda: paths.portraits(config),
        "plateaus": paths.plateaus,
        "detour": paths.detours,
        "long memory": paths.integrators,
        "ends": lambda: ends.ends(config),
        "maps": lambda: ends.basins(config),
        "conserved numbers": laws.laws,
        "whole trials": laws.sequences,
    }
    return assembled("mode-dynamics", parts, progress=progress, workspace=workspace)


def predict(config: ModeDynamics) -> dict[str, Any]:
    """The theory alone: ends, rates, waits and limits at these settings, without integrating anything."""
    from weightpath.studies.mode_dynamics_prediction import prediction

    return prediction(config)


STUDY = Study(
    name="mode-dynamics",
    title="How one mode learns under BPTT, truncated BPTT, RFLO and e-prop",
    paper=PAPER,
    claim=(
        "A linear recurrent network whose teacher shares its bases learns mode by mode, each three numbers: read-out, "
        "read-in and recurrent weight. All rules share a manifold of networks of zero loss, in two branches. BPTT and "
        "truncated BPTT have a second one, without read-out and read-in, beside which learning waits; RFLO and e-prop "
        "do not, and reach the branch of the sign of their feedback alone. BPTT ends fastest from most networks, and "
        "RFLO takes a detour from the wrong branch. Reproduces these stated findings of the paper. Derived here: the "
        "window in which feedback of the wrong sign is stable, the number that each rule conserves, the end of "
        "learning in closed form, and the loss of stability on the way."
    ),
    config=ModeDynamics,
    presets={"quick": {"root_starts": 100, "starts": 200, "grid": 11}, "full": {}},
    run=run,
    checks=checks,
    figures=FIGURES,
    predict=predict,
    units={
        "slow_rate": "1/(learning rate × steps)",
        "delay_per_tenfold_smaller_start": "learning rate × steps",
        "largest_stable_learning_rate": "1",
    },
)
