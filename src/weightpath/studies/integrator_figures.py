"""Figures of the study `integrate-white-noise`; their docstrings are the captions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib


def outlier_path(dataset: Dataset) -> Figure:
    """Learning as one outlier. Left: the outlier eigenvalue of the recurrent weights along learning, of several
    networks with random initial weights (markers: mean; shade: one standard deviation) and of the theory (line), which
    starts from zero weights and has no free parameter. Dashed: the pole of the target, 1 - decay. Grey: the disk of the
    initial eigenvalues, in which no outlier can be told apart. Right: the loss of the same networks and of the theory.
    """
    from weightpath.plot import integrator, style

    drawn, (left, right) = style.figure(1, 2, width=7.2, height=3.0)
    integrator.plot_outlier(dataset, ax=left)
    integrator.plot_loss(dataset, ax=right)
    style.letter((left, right))
    return drawn


def eigenvalues(dataset: Dataset) -> Figure:
    """Eigenvalues of the recurrent weights of one network in the complex plane, before learning (open circles) and
    after it (dots). Left: one eigenvalue leaves the bulk for the pole of the target (cross) along the path that the
    theory predicts (line, where the theory is inside its regime; ticks: the network at equal steps of learning time).
    Right: the bulk enlarged, with the disk
    whose radius is the gain of the initial weights; the other eigenvalues shift inside it and stay there.
    """
    from weightpath.plot import integrator, style

    drawn, (left, right) = style.figure(1, 2, width=7.2, height=3.1, width_ratios=[1.7, 1])
    integrator.plot_spectrum(dataset, ax=left, whole=True)
    integrator.plot_spectrum(dataset, ax=right, whole=False)
    style.letter((left, right))
    return drawn


def filters(dataset: Dataset) -> Figure:
    """What the network learned. Left: its response to a pulse of input before learning, half-way through and after it
    (markers), and the target filter exp(-decay s) (line). Right: the difference that is left after learning.
    """
    from weightpath.plot import integrator, style

    drawn, (left, right) = style.figure(1, 2, width=7.2, height=3.0)
    integrator.plot_filters(dataset, ax=left)
    integrator.plot_filter_error(dataset, ax=right)
    style.letter((left, right))
    return drawn


def any_size(dataset: Dataset) -> Figure:
    """Beyond small initial weights, at any size. Left: largest error of the loss of the word-Krylov projection against
    the length of its longest word, at gain .3 and 100 units (dots: random starts; bars: the stated ranges); each letter
    gains about a digit. Right: rms deviation of the outlier from the theory of zero initial weights at learning time 1,
    the steepest part, against the gain of the initial weights (markers: measured, by size; lines: the stated values).
    From gain .1 on the deviation no longer falls with size: it is the bulk's own contribution, of second order in the
    gain, which the projection follows.
    """
    from weightpath.plot import integrator, style

    drawn, (left, right) = style.figure(1, 2, width=7.2, height=3.0)
    integrator.plot_projection(dataset, ax=left)
    integrator.plot_deviation(dataset, ax=right)
    style.letter((left, right))
    return drawn


def saturation(dataset: Dataset) -> Figure:
    """The same task learned by units with tanh saturation, on the same noise. Left: the outlier eigenvalue along
    learning for several amplitudes of the input (colours, dark to light) and for linear units (line). Right: what
    saturation changes against the amplitude, in the outlier's path, the loss and the learned filter; it grows as the
    amplitude squared (dotted: that slope). Grey bands: within 1% and within 10%. Above: rms state of a unit.
    """
    from weightpath.plot import nonlinear, style

    drawn, (left, right) = style.figure(1, 2, width=7.2, height=3.3)
    nonlinear.plot_paths(dataset, ax=left)
    nonlinear.plot_errors(dataset, ax=right)
    style.letter((left, right))
    return drawn


def time_and_steps(dataset: Dataset) -> Figure:
    """How long learning takes, against the decay rate of the target. Left: learning time to 1% of the initial loss, of
    the theory (line) and of networks (markers); it stays finite as the time constant of the target grows (dotted: the
    collapse time of the limit). Right: steps of gradient descent at half the largest stable rate (markers) and
    twice the learning time over that rate (line); they grow as decay^-3 (dotted: that slope), because the
    loss becomes stiff.
    """
    from weightpath.plot import integrator, style

    drawn, (left, right) = style.figure(1, 2, width=7.2, height=3.0)
    integrator.plot_learning_time(dataset, ax=left)
    integrator.plot_steps(dataset, ax=right)
    style.letter((left, right))
    return drawn
