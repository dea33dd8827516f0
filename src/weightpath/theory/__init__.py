"""Theories of learning: what they predict, how to see it in a network, and when they hold."""

from weightpath.rules.edge import scaled_hessian
from weightpath.theory.approximation import Approximations, best_approximation, interpolation_error
from weightpath.theory.base import AbstractBound, AbstractReducedDynamics, AbstractTheory, Regime
from weightpath.theory.closed_forms import (
    collapse_amplitude,
    collapse_time,
    detached_overlap,
    fast_readout_time,
    saddle_rate,
)
from weightpath.theory.collision import Milestones, collision_time, half_plateau_time, milestones
from weightpath.theory.escape import Escape, escape, escape_weights
from weightpath.theory.escape_rates import escape_rates
from weightpath.theory.finite_outlier import FiniteOutlier
from weightpath.theory.learning import (
    Descent,
    descent_steps,
    detachment_time,
    learning_time,
    lr_max,
    steps_at_edge,
)
from weightpath.theory.mode_advice import mode_advice
from weightpath.theory.mode_basin import Basin, basin, basin_grid
from weightpath.theory.mode_end import FinalState, final_state
from weightpath.theory.mode_equations import mode_loss, mode_velocity
from weightpath.theory.mode_laws import conserved, invariant
from weightpath.theory.mode_manifold import (
    KINDS,
    HopfWindow,
    Linearisation,
    hopf_window,
    linearise,
    max_stable_rate,
    optimal_manifold,
    stability_diagram,
)
from weightpath.theory.mode_outcomes import MODE_OUTCOMES
from weightpath.theory.mode_path import ModeArrival, ModePath, mode_path, mode_time_to
from weightpath.theory.mode_roots import ModeRoots, mode_roots
from weightpath.theory.mode_rule import ModeRule, mode_name, mode_rule
from weightpath.theory.mode_saddles import mode_escape_time, mode_saddle_rate
from weightpath.theory.modes import Modes
from weightpath.theory.optimisers import keeps_columns, keeps_subspace
from weightpath.theory.outlier import Outlier
from weightpath.theory.pair import ConjugatePair
from weightpath.theory.plateau import Plateau, escape_rate, plateau
from weightpath.theory.rank_bound import RankBound, RankBounds, rank_bound, shared_terms
from weightpath.theory.rank_bound_local import ColumnBounds, column_bounds, step_rank
from weightpath.theory.recurrent_only import RecurrentOnly
from weightpath.theory.reservoir import ReadoutPath, Reservoir, bounded_readout
from weightpath.theory.solve import Arrival, Solution, first_time, solve
from weightpath.theory.staircase import Stair, Staircase, staircase
from weightpath.theory.stationary import (
    Stability,
    StationaryPoints,
    jacobian,
    rates,
    stability,
    stationary_points,
)

__all__ = [
    "KINDS",
    "MODE_OUTCOMES",
    "AbstractBound",
    "AbstractReducedDynamics",
    "AbstractTheory",
    "Approximations",
    "Arrival",
    "Basin",
    "ColumnBounds",
    "ConjugatePair",
    "Descent",
    "Escape",
    "FinalState",
    "FiniteOutlier",
    "HopfWindow",
    "Linearisation",
    "Milestones",
    "ModeArrival",
    "ModePath",
    "ModeRoots",
    "ModeRule",
    "Modes",
    "Outlier",
    "Plateau",
    "RankBound",
    "RankBounds",
    "ReadoutPath",
    "RecurrentOnly",
    "Regime",
    "Reservoir",
    "Solution",
    "Stability",
    "Stair",
    "Staircase",
    "StationaryPoints",
    "basin",
    "basin_grid",
    "best_approximation",
    "bounded_readout",
    "collapse_amplitude",
    "collapse_time",
    "collision_time",
    "column_bounds",
    "conserved",
    "descent_steps",
    "detached_overlap",
    "detachment_time",
    "escape",
    "escape_rate",
    "escape_rates",
    "escape_weights",
    "fast_readout_time",
    "final_state",
    "first_time",
    "half_plateau_time",
    "hopf_window",
    "interpolation_error",
    "invariant",
    "jacobian",
    "keeps_columns",
    "keeps_subspace",
    "learning_time",
    "linearise",
    "lr_max",
    "max_stable_rate",
    "milestones",
    "mode_advice",
    "mode_escape_time",
    "mode_loss",
    "mode_name",
    "mode_path",
    "mode_roots",
    "mode_rule",
    "mode_saddle_rate",
    "mode_time_to",
    "mode_velocity",
    "optimal_manifold",
    "plateau",
    "rank_bound",
    "rates",
    "saddle_rate",
    "scaled_hessian",
    "shared_terms",
    "solve",
    "stability",
    "stability_diagram",
    "staircase",
    "stationary_points",
    "step_rank",
    "steps_at_edge",
]
