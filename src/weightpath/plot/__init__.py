"""Figures from datasets and arrays: draw into given axes and return them; nothing is shown or set globally."""

from weightpath.plot.fit_flow import fixed_point_panels, fixed_points, flow_change, flow_field, flow_panels
from weightpath.plot.fit_states import data_components, inputs, neuron, projection, rates, start_states
from weightpath.plot.fit_summary import summary
from weightpath.plot.fit_weights import (
    behaviour_correlations,
    counterfactual_shares,
    eigenvalues,
    training,
    trial_factors,
)
from weightpath.plot.landscape import loss_plane, loss_section
from weightpath.plot.point_maps import bifurcation_diagram, eigenvalue_plane, found_points
from weightpath.plot.style import axis_label, figure, finish, letter, save_figure, simulated, theory

__all__ = [
    "axis_label",
    "behaviour_correlations",
    "bifurcation_diagram",
    "counterfactual_shares",
    "data_components",
    "eigenvalue_plane",
    "eigenvalues",
    "figure",
    "finish",
    "fixed_point_panels",
    "fixed_points",
    "flow_change",
    "flow_field",
    "flow_panels",
    "found_points",
    "inputs",
    "letter",
    "loss_plane",
    "loss_section",
    "neuron",
    "projection",
    "rates",
    "save_figure",
    "simulated",
    "start_states",
    "summary",
    "theory",
    "training",
    "trial_factors",
]
