"""Reading a fit: its flow, fixed points, counterfactuals, epochs and behaviour, and all of it as one dataset."""

from weightpath.inference.reading.behaviour_factors import behaviour_covariates, correlate_behaviour
from weightpath.inference.reading.branches import follow, followed_trials
from weightpath.inference.reading.counterfactual import counterfactuals, swap_starts
from weightpath.inference.reading.dataset import reading_dataset
from weightpath.inference.reading.epochs import compare_epochs
from weightpath.inference.reading.fixed_points import fixed_points, starting_points
from weightpath.inference.reading.flow_field import flow_field
from weightpath.inference.reading.in_span import held_input, in_span
from weightpath.inference.reading.learning_curves import learning_curves
from weightpath.inference.reading.savings import savings

__all__ = [
    "behaviour_covariates",
    "compare_epochs",
    "correlate_behaviour",
    "counterfactuals",
    "fixed_points",
    "flow_field",
    "follow",
    "followed_trials",
    "held_input",
    "in_span",
    "learning_curves",
    "reading_dataset",
    "savings",
    "starting_points",
    "swap_starts",
]
