"""Study: networks that learn by local rules: alignment that emerges, and the rank of what is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from weightpath.studies.base import Settings, Study
from weightpath.studies.local_rules_checks import RULES, checks

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

PAPER = "Williams, Payeur, Lajoie 2026 (arXiv 2606.00243)"


class LocalRules(Settings):
    """Settings of the study; networks, tasks and learning rates are fixed."""

    alignment_runs: int = Field(10, ge=1, le=100, description="networks of each rule whose alignment is followed")
    rank_runs: int = Field(20, ge=1, le=200, description="networks of each rule whose change is measured")
    tanh_runs: int = Field(5, ge=1, le=50, description="tanh networks of each rule, size and number of outputs")
    other_sizes: bool = Field(True, description="also tanh networks with small and with strong weights")


def run(config: LocalRules, *, progress=None, workspace=None) -> Dataset:
    """Linear networks that align, linear networks whose ranks are counted, tanh networks."""
    from weightpath._precision import require_x64
    from weightpath.studies import local_rules_tables as tables
    from weightpath.studies.pieces import assembled

    require_x64("the study local-rules")

    def seeds(count):
        return range(config.seed, config.seed + count)

    parts = {
        "alignment": lambda: tables.emerging(seeds(config.alignment_runs)),
        "ranks": lambda: tables.ranks(seeds(config.rank_runs)),
        "tanh units": lambda: tables.saturating(
            seeds(config.tanh_runs), ("usual", "small", "strong") if config.other_sizes else ("usual",)
        ),
    }
    return assembled("local-rules", parts, progress=progress, workspace=workspace)


def alignment(dataset: Dataset) -> Figure:
    """Alignment with the four modes of a teacher while linear networks learn it from small random weights, by rule:
    means over networks, shaded from least to largest; mode 1 is the strongest. Whatever the rule, read-out and read-in
    of a mode come to share a direction, and the recurrent weights carry it, less exactly for weaker modes. Fixed
    feedback pulls the read-out to its side (RFLO, e-prop); the same feedback, unused, means nothing to BPTT and
    tBPTT(1). Nothing turns after the times shown.
    """
    from weightpath.plot import local_rules as plots
    from weightpath.plot import style

    drawn, axes = style.figure(3, 4, width=9.2, height=6.4, sharex=True, sharey=True)
    for row, (measure, words) in zip(axes, plots.MEASURES.items(), strict=True):
        for ax, rule in zip(row, RULES, strict=True):
            plots.plot_alignment(dataset, measure, rule, ax=ax)
        row[0].set_ylabel(words, fontsize=style.FONT_SIZE)
    for ax, rule in zip(axes[0], RULES, strict=True):
        style.finish(ax, title=rule)
    axes[0, 0].set_ylabel(plots.MEASURES["input_output"], fontsize=style.FONT_SIZE)
    for ax in axes[-1]:
        ax.set_xlabel("learning time", fontsize=style.FONT_SIZE)
    axes[0, -1].legend(frameon=False, fontsize=style.FONT_SIZE - 0.5, loc="lower right", ncols=2, handlelength=1.0)
    return drawn


def spectra(dataset: Dataset) -> Figure:
    """The change of the recurrent weights of linear networks with one output after learning, one dot a network.
    Left: its singular values over the largest. RFLO adds multiples of one fixed vector and leaves nothing but rounding
    beyond the first; tBPTT(1) stays close to it, e-prop and BPTT use more directions. Right: effective ranks, with
    their medians.
    """
    from weightpath.plot import local_rules as plots
    from weightpath.plot import style

    drawn, (left, right) = style.figure(1, 2, width=8.8, height=3.6, width_ratios=(1.35, 1))
    plots.plot_rule_spectra(dataset, ax=left)
    plots.plot_effective_rank(dataset, ax=right)
    style.letter((left, right))
    return drawn


def energies(dataset: Dataset) -> Figure:
    """How much of the change of tanh networks lies in as many directions as there are outputs o, one dot a network:
    filled for one output, open for two. Left: the directions of its own largest singular values; right: those of the
    feedback, with what chance would give (lines; solid for one output, dashed for two). The slope of the units in
    RFLO's trace makes the rank full and leaves the change low-dimensional; without it the rank is o.
    """
    from weightpath.plot import local_rules as plots
    from weightpath.plot import style

    drawn, (left, right) = style.figure(1, 2, width=8.8, height=3.6, sharey=True)
    plots.plot_energy(dataset, "top", "usual", ax=left)
    plots.plot_energy(dataset, "inside", "usual", ax=right)
    style.letter((left, right))
    return drawn


def tables(dataset: Dataset) -> list[Any]:
    """The table of ranks."""
    from weightpath.studies.local_rules_tables import rank_table

    return [rank_table(dataset)]


STUDY = Study(
    name="local-rules",
    title="Local learning rules: alignment that emerges, and the rank of what is learned",
    paper=PAPER,
    claim=(
        "Reproduces the stated findings of Williams, Payeur and Lajoie 2026 (arXiv 2606.00243) on linear networks that "
        "learn from a teacher by BPTT, one-step truncated BPTT, RFLO and e-prop: networks that start without alignment "
        "become aligned with the modes of their teacher, and with their feedback where they use it; RFLO changes the "
        "recurrent weights by a matrix of rank at most the number of outputs, BPTT by the highest effective rank. "
        "Networks, rates and seeds are choices made here. The exact updates for any network, the ranks of the whole "
        "path and the limits for tanh units, where the bound on the rank does not hold, are derived here."
    ),
    config=LocalRules,
    presets={"quick": {"alignment_runs": 3, "rank_runs": 6, "tanh_runs": 1, "other_sizes": False}, "full": {}},
    run=run,
    checks=checks,
    figures={"alignment": alignment, "spectra": spectra, "energies": energies},
    tables=tables,
)
