"""Study: rich or lazy: does learning make a new eigenvalue, or does the read-out find the target in the bulk?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from weightpath.studies.base import Check, Settings, Study
from weightpath.studies.pieces import assembled

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

PAPER = "Bordelon et al. 2025 (arXiv 2503.18754)"


class LazyLearning(Settings):
    """Settings of the study. The first block is the user's own question, the second sizes of maps and checks."""

    gain: float = Field(0.5, gt=0, lt=1, description="spread of the initial recurrent weights times sqrt(units) [1]")
    decay: float = Field(0.6, gt=0, description="decay rate of the target c* [1/membrane time constant]")
    slow_decay: float = Field(0.2, gt=0, description="a second target, slower [1/membrane time constant]")
    ratio: float = Field(0.1, gt=0, description="rate of the recurrent weights over that of the read-out [1]")
    units: int = Field(400, ge=50, le=5000, description="units of the networks whose read-out learns alone")
    networks: int = Field(16, ge=2, le=200, description="number of such networks, each from its own random start")
    spectrum_units: int = Field(400, ge=50, le=1500, description="units of the networks whose spectra are drawn")
    depth: int = Field(4, ge=1, le=7, description="longest word of the limit network in the phase diagram")
    map_size: int = Field(20, ge=2, le=60, description="gains and decays of the phase diagram, each")
    map_ratios: int = Field(3, ge=1, le=3, description="ratios of rates of the phase diagram: 1, .01 and .1")
    error_bars: bool = Field(True, description="compare the phase diagram with one of words shorter by 1")
    check_networks: int = Field(24, ge=4, description="random starts of 100 units of check I10")
    size_networks: int = Field(32, ge=2, description="random starts at the other numbers of units")
    lazy_networks: int = Field(16, ge=4, description="random starts of check I5")


def run(config: LazyLearning, *, progress=None, workspace=None) -> Dataset:
    """Read-outs that learn alone, the threshold, the phase diagram, spectra, finite against infinite N, other modes."""
    from weightpath.studies import lazy_networks, lazy_references

    pieces: dict[str, Dataset] = {}
    parts = {
        "reference table": lambda: lazy_references.table(),
        "chosen settings": lambda: lazy_references.chosen(config),
        "read-out alone": lambda: lazy_networks.readout_alone(config),
        "threshold": lazy_networks.threshold,
        "check I5": lambda: lazy_networks.lazy_reference(config.lazy_networks),
        "spectra": lambda: lazy_networks.spectra(config, _times(pieces["reference table"])),
        "finite against infinite": lambda: lazy_networks.finite_sizes(config),
        "other modes": lazy_references.other_modes,
        "phase diagram": lambda: lazy_references.diagram(config, progress, workspace),
    }
    return assembled("lazy-learning", parts, progress=progress, workspace=workspace, pieces=pieces)


def _times(table: Dataset) -> dict[str, float]:
    """Learning times to 1% of the two settings whose spectra are drawn."""
    cells = {"rich": (0.3, 0.2, 1.0), "lazy": (0.6, 0.5, 0.01)}
    return {
        name: float(table.table_time.sel(table_gain=gain, table_decay=decay, table_ratio=ratio))
        for name, (gain, decay, ratio) in cells.items()
    }


def predict(config: LazyLearning) -> dict[str, Any]:
    """The theory of a read-out that learns alone, in closed form; `run` adds richness by the limit network."""
    from weightpath.studies.lazy_networks import prediction

    return prediction(config)


def _stated(what: str) -> str:
    return f"{what}; {PAPER}, re-derived"


def _growth(ds: Dataset, decay: float) -> float:
    late = ds.threshold_norm.sel(check_decay=decay)
    return float(late.sel(check_time=1e5) / late.sel(check_time=1e4))


def _late(ds: Dataset) -> float:
    """Largest relative distance of the late read-out norm from its limit, decays from .6 up."""
    inside = ds.sel(check_decay=[0.6, 0.7, 0.8, 0.9])
    return float(abs(inside.threshold_norm.sel(check_time=1e5) / inside.threshold_limit - 1).max())


def _at(ds: Dataset, time: float) -> float:
    ratio = ds.lazy_loss.sel(lazy_time=time).mean() / ds.lazy_predicted.sel(lazy_time=time)
    return float(abs(ratio - 1))


def _gap(ds: Dataset, time: float) -> float:
    row = ds.finite_loss.sel(size_time=time, method="nearest").mean()
    return float(abs(row - {0.5: 0.9317652, 1.0: 0.5400878, 2.0: 0.0033011}[time]))


def _falls(ds: Dataset) -> bool:
    table = ds.table_richness
    slower = table.sel(table_ratio=[1.0, 0.1, 0.01]).diff("table_ratio").max() < 0
    return bool(slower and table.diff("table_gain").max() < 0)


LAZY = "lazy learning, the spectrum hardly moves"
THRESHOLD = "lazy learnability threshold |1 - decay| < gain"
CHECKS = (
    *(Check(f"I5 loss of 400 units at time {time:g}, mean relative to the theory of infinitely many", _stated(LAZY),
            lambda ds, time=time: _at(ds, time), bound, compare="at_most")
      for time, bound in ((1.0, 0.05), (10.0, 0.25), (100.0, 0.7))),
    Check("I5 recurrent weights while the read-out learns alone, largest change", "identity",
          lambda ds: ds.lazy_moved, 0.0, compare="at_most"),
    Check("I5 richness at gain .6, decay .5, w_rec 100 times slower", _stated(LAZY),
          lambda ds: ds.table_richness.sel(table_gain=0.6, table_decay=0.5, table_ratio=0.01), 0.06, compare="at_most"),
    Check("I6 read-out norm at time 1e5 against its limit, decays .6 to .9", _stated(THRESHOLD),
          _late, 0.02, compare="at_most"),
    Check("I6 read-out norm grows per decade at decay .3", _stated(THRESHOLD),
          lambda ds: _growth(ds, 0.3), 1.45, compare="at_least"),
    Check("I6 read-out norm grows per decade at decay .35", _stated(THRESHOLD),
          lambda ds: _growth(ds, 0.35), 1.45, compare="at_least"),
    Check("I6 complex poles inside the disk: norm at time 1e6 over its limit, least", "derived: max |p_j| < gain",
          lambda ds: ds.pole_share.where(ds.pole_bounded > 0).min(), (0.95, 1.0), compare="between"),
    Check("I6 complex poles outside the disk: growth from time 1e2 to 1e6, least", "derived: max |p_j| < gain",
          lambda ds: ds.pole_growth.where(ds.pole_bounded == 0).min(), 2.0, compare="at_least"),
    Check("I7 richness of the 18 reference settings, largest difference", _stated("rich and lazy regimes"),
          lambda ds: abs(ds.table_richness - ds.reference_richness).max(), 0.01, compare="at_most"),
    Check("I7 learning times of the 18 reference settings, largest relative difference", "derived",
          lambda ds: abs(ds.table_time / ds.reference_time - 1).max(), 0.01, compare="at_most"),
    Check("I7 richness falls with the gain and with the rate of w_rec", _stated("rich and lazy regimes"),
          _falls, compare="true"),
    *(Check(f"I10 mean loss of 100 units at time {time:g} against infinitely many", "derived: circular element",
            lambda ds, time=time: _gap(ds, time), bound, compare="at_most")
      for time, bound in ((0.5, 0.012), (1.0, 0.05), (2.0, 0.0005))),
    Check("I12 learning time per ln(1/eps), eps .01 to 1e-4 (all weights learn)", "derived: (1 + decay)",
          lambda ds: ds.plateau_slope.mean(), 1.2, 1e-3, compare="rel"),
    Check("I13 w_rec alone, read-out across the read-in: loss at times 5 to 1000", "derived: two-pole system",
          lambda ds: abs(ds.across_loss - ds.across_reference).max(), 1e-4, compare="at_most"),
    Check("I13 the two-pole system against the flow", "identity",
          lambda ds: ds.across_flow_error, 1e-7, compare="at_most"),
    Check("I13 both units keep the same weight onto themselves", "identity: reversal symmetry",
          lambda ds: ds.across_asymmetry, 1e-10, compare="at_most"),
    Check("w_rec alone, read-out along the read-in: where the outlier ends", "derived: c = c* sqrt(A)/(2 - sqrt(A))",
          lambda ds: abs(ds.along_end - ds.along_predicted), 1e-6, compare="at_most"),
    Check("bulk eigenvalues, median shift in lazy learning", "finding", lambda ds: ds.bulk_shift.sel(regime="lazy"),
          required=False),
    Check("outliers after rich and after lazy learning", "finding",
          lambda ds: f"{int(ds.outlier_count[0])} and {int(ds.outlier_count[1])}", required=False),
    Check("richness at the chosen settings", "finding", lambda ds: ds.own_richness, required=False),
    Check("learning time to 1% at the chosen settings", "finding", lambda ds: ds.own_time, required=False),
    Check("complex poles at 400 units, growth of the norm from time 100 to 1000, inside", "finding",
          lambda ds: ds.finite_growth[0], required=False),
    Check("complex poles at 400 units, growth of the norm from time 100 to 1000, outside", "finding",
          lambda ds: ds.finite_growth[1], required=False),
    Check("settings of the phase diagram that did not reach 1% of the loss", "finding",
          lambda ds: int((ds.outcome != "successful").sum()), required=False),
)  # fmt: skip


def phase_diagram(dataset: Dataset) -> Figure:
    """Rich or lazy, for networks of infinitely many units, over the gain of the initial recurrent weights and the decay
    of the target, with recurrent weights as fast as the read-out (top) and slower. Left: richness R, the change of the
    recurrent weights over the size of the pole to be made, when the loss has fallen to 1%: near 1 a new eigenvalue is
    made, near 0 the read-out finds the target among the modes that are there. Right: learning time to 1%. Line: the
    target's pole lies on the edge of the bulk, |1 - c*| = gain. White dots: words up to K and up to K - 1 differ
    by more than 0.05 in R or 5% in time, so that longer words are wanted.
    """
    from weightpath.plot import lazy, style

    ratios = [float(ratio) for ratio in dataset.ratio.values if ratio != 0.1 or dataset.ratio.size < 3]
    drawn, axes = style.figure(len(ratios), 2, width=7.2, height=2.9 * len(ratios) + 0.3, squeeze=False)
    for row, ratio in zip(axes, ratios, strict=True):
        lazy.plot_map(dataset, "richness", ratio, ax=row[0])
        lazy.plot_map(dataset, "time_to_fraction", ratio, ax=row[1])
    style.letter(axes)
    return drawn


def lazy_learning(dataset: Dataset) -> Figure:
    """A read-out that learns alone. Left: loss of finite networks (markers: mean of logarithms; shade: s.d.) and of the
    theory of infinitely many units (lines), for two targets. Middle: norm of the read-out; it settles at the predicted
    limit (dashed) where the target's pole lies inside the bulk, and grows without bound where it lies outside. Right:
    the norm at three late times against the pole of the target, at gain 0.5: the threshold.
    """
    from weightpath.plot import lazy, style

    drawn, axes = style.figure(1, 3, width=9.6, height=3.1)
    lazy.plot_readout(dataset, "loss", ax=axes[0])
    lazy.plot_readout(dataset, "norm", ax=axes[1])
    lazy.plot_threshold(dataset, ax=axes[2])
    style.letter(axes)
    return drawn


def spectra(dataset: Dataset) -> Figure:
    """Eigenvalues of the recurrent weights of one network before learning (circles) and when its loss has fallen to 1%
    (dots). Left, rich: one eigenvalue leaves the bulk for the pole of the target (cross). Right, lazy: the target's
    pole lies inside the bulk and the recurrent weights learn 100 times more slowly than the read-out; the spectrum
    hardly moves.
    """
    from weightpath.plot import lazy, style

    drawn, (left, right) = style.figure(1, 2, width=7.2, height=3.6)
    lazy.plot_spectrum(dataset, "rich", ax=left)
    lazy.plot_spectrum(dataset, "lazy", ax=right)
    handles, labels = left.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=style.FONT_SIZE)
    style.letter((left, right))
    return drawn


def infinitely_many_units(dataset: Dataset) -> Figure:
    """Networks at gain 0.3, decay 0.2. Left: loss of networks of 100 units (markers: mean; shade: s.d.), of infinitely
    many (line), and of the single outlier that small gain leaves (dotted). Right: scatter of the loss over networks at
    learning time 1 against their number of units, and the distance of the mean from the limit, with standard errors.
    """
    from weightpath.plot import lazy, style

    drawn, (left, right) = style.figure(1, 2, width=7.2, height=3.0)
    lazy.plot_sizes(dataset, ax=left)
    lazy.plot_spread(dataset, ax=right)
    style.letter((left, right))
    return drawn


STUDY = Study(
    name="lazy-learning",
    title="Rich or lazy: a new eigenvalue, or a read-out of the modes that are there",
    paper=PAPER,
    claim=(
        "Whether a linear recurrent network learns to integrate by making a new eigenvalue (rich) or by reading out "
        "the modes of its random initial weights (lazy) depends on the gain of these weights beside the pole of the "
        "target, and on how fast they learn beside the read-out. A read-out that learns alone stays bounded only if "
        "the target's pole lies inside the disk of the initial eigenvalues. Reproduces the stated findings of the "
        "paper; the theory of infinitely many units is derived here (operators on words in place of dynamical "
        "mean-field theory), exact up to the length of the words."
    ),
    config=LazyLearning,
    presets={
        "quick": {
            "networks": 6,
            "map_size": 4,
            "map_ratios": 2,
            "error_bars": False,
            "check_networks": 12,
            "size_networks": 4,
            "spectrum_units": 200,
            "lazy_networks": 8,
        },
        "full": {},
    },
    run=run,
    checks=CHECKS,
    figures={
        "phase-diagram": phase_diagram,
        "lazy-learning": lazy_learning,
        "spectra": spectra,
        "infinitely-many-units": infinitely_many_units,
    },
    predict=predict,
    units={"learning_time": "learning rate × steps"},
)
