"""Theories of learning: what they predict, how to see it in a network, and when they hold."""

from weightpath.rules.edge import scaled_hessian
from weightpath.theory.base import AbstractReducedDynamics, AbstractTheory, Regime
from weightpath.theory.closed_forms import (
    collapse_amplitude,
    collapse_time,
    detached_overlap,
    fast_readout_time,
    saddle_rate,
)
from weightpath.theory.learning import (
    Descent,
    descent_steps,
    detachment_time,
    learning_time,
    lr_max,
    steps_at_edge,
)
from weightpath.theory.outlier import Outlier
from weightpath.theory.solve import Arrival, Solution, first_time, solve
from weightpath.theory.stationary import (
    Stability,
    StationaryPoints,
    jacobian,
    rates,
    stability,
    stationary_points,
)

__all__ = [
    "AbstractReducedDynamics",
    "AbstractTheory",
    "Arrival",
    "Descent",
    "Outlier",
    "Regime",
    "Solution",
    "Stability",
    "StationaryPoints",
    "collapse_amplitude",
    "collapse_time",
    "descent_steps",
    "detached_overlap",
    "detachment_time",
    "fast_readout_time",
    "first_time",
    "jacobian",
    "learning_time",
    "lr_max",
    "rates",
    "saddle_rate",
    "scaled_hessian",
    "solve",
    "stability",
    "stationary_points",
    "steps_at_edge",
]
