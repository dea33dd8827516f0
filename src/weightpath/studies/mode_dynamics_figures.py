"""Figures of the study `mode-dynamics`; their docstrings are the captions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib


def portraits(dataset: Dataset) -> Figure:
    """How one mode learns under four rules: BPTT, one-step BPTT, RFLO(feedback, trace decay) and EProp(feedback). Upper
    row: read-in against read-out; grey: the direction of learning at the teacher's recurrent weight; black: networks of
    zero loss, ab = κ, solid where stable, dashed where not; coloured: paths from recurrent weight 0. Lower row: the
    same paths, recurrent weight against read-out. Under BPTT and one-step BPTT both branches attract, and the networks
    without read-out and read-in (diamond, dashed line) are saddles. Under fixed feedback there are no such saddles and
    one branch attracts; paths from the other side cross over or lose stability (crosses, |w| = 1).
    """
    from weightpath.plot import modes_phase, style

    names = dataset["rule"].values.tolist()
    drawn, axes = style.figure(2, len(names), width=9.2, height=4.9, sharex="col", height_ratios=[1.25, 1])
    for column, name in enumerate(names):
        modes_phase.plot_portrait(dataset, name, ax=axes[0, column])
        modes_phase.plot_side(dataset, name, ax=axes[1, column])
    modes_phase.tidy(axes)
    style.letter(axes)
    return drawn


def eigenvalues(dataset: Dataset) -> Figure:
    """Stability along the manifold of zero loss, (s, κ/s, w*): real parts of the two eigenvalues across it, the slower
    one thick; ticks where they are a complex pair; shaded: unstable. BPTT and one-step BPTT are stable on both
    branches, BPTT slowest at s = ±√κ. Fixed feedback makes the branch of the other sign unstable.
    """
    from weightpath.plot import modes_manifold, style

    names = dataset["rule"].values.tolist()
    drawn, axes = style.figure(2, 2, width=7.2, height=5.2, sharex=True, sharey=True)
    for ax, name in zip(axes.flat, names, strict=True):
        modes_manifold.plot_eigenvalues(dataset, name, ax=ax)
    for ax in axes[0]:
        ax.set_xlabel("")
    for ax in axes[:, 1]:
        ax.set_ylabel("")
    style.letter(axes)
    return drawn


def rates(dataset: Dataset) -> Figure:
    """How fast learning ends. Left: the slow rate along the positive branch (lines; markers: reference table). RFLO is
    faster than BPTT only for small read-out s. Right: the ratio of the two over random modes with feedback of the right
    sign.
    """
    from weightpath.plot import modes_manifold, style

    drawn, (left, right) = style.figure(1, 2, width=7.6, height=3.5)
    modes_manifold.plot_rates(dataset, ax=left)
    modes_manifold.plot_ratio(dataset, ax=right)
    style.letter((left, right))
    return drawn


def window(dataset: Dataset) -> Figure:
    """Kinds of points on the manifold of zero loss under RFLO, over position and feedback (opposite feedback: the
    mirror image). Feedback of the sign of the read-out, s > 0, is always stable. On the other side small feedback makes
    saddles and large feedback unstable points; between the saddle edge (dashed) and the Hopf edge (solid) a window is
    stable, wide for modes of long memory and short trace (right; dot: reference point).
    """
    from weightpath.plot import modes_manifold, style

    drawn, axes = style.figure(1, 2, width=7.8, height=3.7, sharey=True)
    for ax, name in zip(axes, dataset["diagram"].values.tolist(), strict=True):
        modes_manifold.plot_window(dataset, name, ax=ax)
    modes_manifold.mark_example(dataset, ax=axes[1])
    axes[1].set_ylabel("")
    modes_manifold.kinds_legend(axes)
    style.letter(axes)
    return drawn


def basins(dataset: Dataset) -> Figure:
    """Where learning ends, by first read-out (across) and read-in (up) and first recurrent weight (rows). White: the
    networks of zero loss. BPTT and one-step BPTT reach the branch on whose side they start; on the border they end at
    a saddle, or where rounding pushes them. Fixed feedback (the first number of RFLO and EProp, here positive) leads
    to the branch of its sign, or to a loss of stability, the more often the larger it is.
    """
    from weightpath.plot import modes_basins, style

    names = ["BPTT", "TruncatedBPTT(1)", "RFLO(0.2, 0.5)", "RFLO(1, 0.5)", "EProp(1)"]
    firsts = dataset["first_recurrent"].values.tolist()
    drawn, axes = style.figure(len(firsts), len(names), width=9.2, height=4.4, sharex=True, sharey=True)
    for row, first in enumerate(firsts):
        for column, name in enumerate(names):
            modes_basins.plot_basin(dataset, name, first, ax=axes[row, column])
            style.finish(axes[row, column], x="first read-out" if row else "",
                         y="" if column else f"first read-in\n(w = {first:g})", title="" if row else name)  # fmt: skip
    modes_basins.parts_legend(drawn, dataset)
    return drawn


def ends(dataset: Dataset) -> Figure:
    """The end of learning is known at its start. Left: read-out at the end of random modes that converged against the
    closed form from the conserved number of the start; off the line, the few starts of one-step BPTT whose branch the
    rule of thumb misses. Right: how learning of random modes ends; â is the feedback, a the first read-out.
    """
    from weightpath.plot import modes_basins, style

    drawn, (left, right) = style.figure(1, 2, width=7.8, height=3.9, width_ratios=[1, 1.1])
    modes_basins.plot_ends(dataset, ax=left)
    modes_basins.plot_outcomes(dataset, ax=right)
    style.letter((left, right))
    return drawn


def detour(dataset: Dataset) -> Figure:
    """Feedback of the wrong sign. From a start beside a network of zero loss (circle; κ = 1, w* = .8), RFLO with
    feedback -.5 leaves for the other branch of the manifold (dashed; dots: learning times 1 to 4). Its loss rises to
    nine times the first one, and the recurrent weight falls below zero on the way. BPTT, and RFLO with feedback 1, end
    beside the start.
    """
    from weightpath.plot import modes_phase, style

    drawn, axes = style.figure(2, 2, width=7.6, height=4.4, width_ratios=[1.1, 1])
    left = axes[0, 0]
    left.set_subplotspec(left.get_gridspec()[:, 0])
    axes[1, 0].remove()
    modes_phase.plot_detour(dataset, ax=left)
    modes_phase.plot_detour_loss(dataset, ax=axes[0, 1])
    modes_phase.plot_detour_recurrent(dataset, ax=axes[1, 1])
    axes[0, 1].set_xlabel("")
    style.letter((left, axes[0, 1], axes[1, 1]))
    return drawn


def plateau(dataset: Dataset) -> Figure:
    """Waiting beside the saddles. Loss over its start from read-out and read-in of 0.01, 0.001 and 0.0001 (markers:
    half of it). BPTT and one-step BPTT wait ln(10) longer for each factor of ten; with fixed feedback nothing waits.
    """
    from weightpath.plot import modes_times, style

    names = dataset["plateau_rule"].values.tolist()
    drawn, axes = style.figure(2, 2, width=7.2, height=4.6, sharex=True, sharey=True)
    for ax, name in zip(axes.flat, names, strict=True):
        modes_times.plot_plateau(dataset, name, ax=ax)
    for ax in axes[0]:
        ax.set_xlabel("")
    for ax in axes[:, 1]:
        ax.set_ylabel("")
    axes[0, 0].legend(frameon=False, fontsize=style.FONT_SIZE - 0.5, loc="lower left")
    style.letter(axes)
    return drawn


def integrator(dataset: Dataset) -> Figure:
    """Long memory, κ² = 1 - w*². Left: learning time until 1 % of the first loss is left; RFLO(feedback, trace decay)
    with a trace that decays as slowly as the target learns in a time that hardly grows. Right: the fastest rate where
    learning ends grows at the same time; the largest stable learning rate of discrete updates is 2 over it.
    """
    from weightpath.plot import modes_times, style

    drawn, (left, right) = style.figure(1, 2, width=7.6, height=3.5)
    modes_times.plot_integrator(dataset, ax=left)
    modes_times.plot_stiffness(dataset, ax=right)
    drawn.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False,
                 fontsize=style.FONT_SIZE - 0.5, columnspacing=1.2)  # fmt: skip
    style.letter((left, right))
    return drawn


def laws(dataset: Dataset) -> Figure:
    """Left: along the flow every rule conserves a number of its own; drift in ten reference cases, of the size of the
    integrator's tolerance. Middle: under discrete updates it drifts in proportion to the learning rate. Right: learning
    from the error at the last step and from the error over the whole trial differ by an amount of order 1/T.
    """
    from weightpath.plot import modes_times, style

    drawn, axes = style.figure(1, 3, width=9.0, height=3.5, width_ratios=[1.15, 1, 1])
    modes_times.plot_drift(dataset, ax=axes[0])
    modes_times.plot_discrete(dataset, ax=axes[1])
    modes_times.plot_sequence(dataset, ax=axes[2])
    style.letter(axes)
    return drawn


FIGURES = {
    "portraits": portraits,
    "eigenvalues": eigenvalues,
    "rates": rates,
    "window": window,
    "basins": basins,
    "ends": ends,
    "detour": detour,
    "plateau": plateau,
    "integrator": integrator,
    "laws": laws,
}
