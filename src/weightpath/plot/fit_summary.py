"""One figure of all that is read from a fit."""

from typing import TYPE_CHECKING, Any

from weightpath.plot.fit_states import data_components, epoch_lines, inputs, neuron, projection, rates, start_states
from weightpath.plot.fit_weights import counterfactual_shares, eigenvalues, training, trial_factors
from weightpath.plot.style import figure, letter

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from xarray import Dataset
else:
    Dataset = Figure = Any

#: Components that get panels of their own.
SHOWN = 2


def summary(dataset: Dataset) -> Figure:
    """Activity and its model, states, inputs, weights and their parts, in one figure of panels.

    `dataset` is that of `inference.reading.reading_dataset`, or the results of `weightpath fit`.
    """
    components = dataset["component"].values.tolist()[:SHOWN]
    drawn, axes = figure(5, 3, width=8.6, height=11.5)
    (wide, between, last), *rows = axes
    between.remove()
    wide.set_subplotspec(wide.get_gridspec()[0, :2])
    trial_factors(dataset, wide)
    eigenvalues(dataset, last)
    rates(dataset, rows[0][0])
    for place in (0, 1):
        if place < dataset.sizes["shown"]:
            neuron(dataset, rows[0][1 + place], which=place)
        else:
            rows[0][1 + place].set_visible(False)
    for row, panel in ((1, projection), (2, inputs)):
        for place in range(SHOWN):
            if place < len(components):
                panel(dataset, rows[row][place], component=components[place])
            else:
                rows[row][place].set_visible(False)
    epoch_lines(dataset, rows[1][0])
    data_components(dataset, rows[1][2])
    data_components(dataset, rows[2][2], plane=(0, 2))
    training(dataset, rows[3][0])
    counterfactual_shares(dataset, rows[3][1])
    start_states(dataset, rows[3][2])
    letter([ax for ax in drawn.axes if ax.get_visible() and ax.get_label() != "<colorbar>"])
    return drawn
