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
from weightpath.theory.optimisers import keeps_subspace
from weightpath.theory.outlier import Outlier
from weightpath.theory.pair import ConjugatePair
from weightpath.theory.plateau import Plateau, escape_rate, plateau
from weightpath.theory.rank_bound import RankBound, RankBounds, rank_bound, shared_terms
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
    "AbstractBound",
    "AbstractReducedDynamics",
    "AbstractTheory",
    "Approximations",
    "Arrival",
    "ConjugatePair",
    "Descent",
    "Escape",
    "FiniteOutlier",
    "Milestones",
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
    "best_approximation",
    "bounded_readout",
    "collapse_amplitude",
    "collapse_time",
    "collision_time",
    "descent_steps",
    "detached_overlap",
    "detachment_time",
    "escape",
    "escape_rate",
    "escape_rates",
    "escape_weights",
    "fast_readout_time",
    "first_time",
    "half_plateau_time",
    "interpolation_error",
    "jacobian",
    "keeps_subspace",
    "learning_time",
    "lr_max",
    "milestones",
    "plateau",
    "rank_bound",
    "rates",
    "saddle_rate",
    "scaled_hessian",
    "shared_terms",
    "solve",
    "stability",
    "staircase",
    "stationary_points",
    "steps_at_edge",
]
