"""Study: a linear network learns a damped oscillation; two real outliers meet and leave as a conjugate pair."""

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


class LearnDampedOscillator(Settings):
    """Settings of the study: the target, the networks that learn it, and the size of the reference checks."""

    decay: float = Field(0.2, gt=0, description="decay rate of the target filter c* [1/membrane time constant]")
    frequency: float = Field(1.0, gt=0, description="frequency of the target filter [radians/membrane time constant]")
    cosine: float = Field(1.0, description="cosine amplitude of the target filter [1]")
    sine: float = Field(0.0, description="sine amplitude of the target filter [1]")
    units: int = Field(40, ge=3, le=20_000, description="number of units of each network")
    size: float = Field(
        0.01, gt=0, lt=1, description="largest gain of initial recurrent weights and norm of initial read-outs [1]"
    )
    decades: int = Field(3, ge=1, le=6, description="sizes among the networks, each a tenth of the one before")
    networks: int = Field(9, ge=1, le=1000, description="number of networks, each from its own random start")
    time: float = Field(0.0, ge=0, description="length of learning, 0 to go to 0.01% loss [learning time]")
    depth: int = Field(2, ge=0, le=6, description="length of the longest word of the word-Krylov projection")
    check_units: int = Field(40, ge=4, le=200, description="units of the unprojected networks of check I8")
    check_starts: int = Field(6, ge=1, description="random starts of check I8b")


def run(config: LearnDampedOscillator, *, progress=None, workspace=None) -> Dataset:
    """Train networks of the given settings, set the theory beside them, and compute the reference checks."""
    from weightpath.studies import oscillator_networks, oscillator_references

    parts = {
        "networks": lambda: oscillator_networks.own_networks(config),
        "check R5": oscillator_references.table,
        "check I8a": lambda: oscillator_references.exact_reduction(config.check_units),
        "check I8b": lambda: oscillator_references.escape_times(config.check_starts, config.check_units),
    }
    return assembled("damped-oscillator", parts, progress=progress, workspace=workspace)


def predict(config: LearnDampedOscillator) -> dict[str, Any]:
    """The theory alone, without any simulation."""
    from weightpath.studies.oscillator_networks import prediction

    return prediction(config)


def _spec(name: str) -> str:
    return f"{name}; {PAPER}, re-derived"


CHECKS = (
    Check("R5 plateau and escape rate of three targets, largest error", "derived: best single exponential, closed form",
          lambda ds: ds.closed_form_error.max(), 1e-8, compare="at_most"),
    Check("R5 escape rate where the plateau is the start (decay .2, frequency .6)", "derived: 10/81",
          lambda ds: ds.regular_escape_rate, 10 / 81, 1e-8),
    Check("R5 times of collision and half plateau, largest error", _spec("six equations of the conjugate pair"),
          lambda ds: ds.event_error.max(), 1e-3, compare="at_most"),
    Check("R5 place of the collision, largest error", _spec("six equations of the conjugate pair"),
          lambda ds: ds.collision_place_error.max(), 1e-4, compare="at_most"),
    Check("R5 delay by a start 100 times smaller", "derived: ln(100) / escape rate",
          lambda ds: ds.delay_of_factor_100, 49.331, 1e-3),
    Check("I8a half-plateau time of a network from zero recurrent weights", _spec("conjugate pair of outliers"),
          lambda ds: ds.reduction_half_time, 102.0021, 1e-3),
    Check("I8a loss of the six equations against the full flow", "identity: the plane of read-in and read-out",
          lambda ds: ds.reduction_loss_error, 1e-6, compare="at_most"),
    Check("I8a drift of the conserved quantity along the six equations", "identity: conservation law",
          lambda ds: ds.conserved_drift, 1e-9, compare="at_most"),
    Check("I8b escape from random weights, measured over predicted minus 1, largest", _spec("derived: linear escape"),
          lambda ds: abs(ds.check_measured / ds.check_predicted - 1).max(), 0.02, compare="at_most"),
    Check("I8b pair of eigenvalues after learning", _spec("poles of the target, 1 - decay ± i frequency"),
          lambda ds: ds.check_end_error.max(), 1e-3, compare="at_most"),
    Check("escape times of these settings, largest relative error of the theory", "finding at the chosen settings",
          lambda ds: ds.own_error, required=False),
    Check("pair of eigenvalues after learning at these settings, distance to target", "finding at the chosen settings",
          lambda ds: ds.own_end_error, required=False),
    Check("theory at these settings", "finding at the chosen settings",
          lambda ds: ds.attrs["regime"], required=False),
)  # fmt: skip


def loss(dataset: Dataset) -> Figure:
    """Loss along learning of networks with random small initial weights (markers, one colour a network) and of the
    theory for each start (lines, no free parameter). Learning halts at the plateau of the best single exponential
    (dashed), leaves it the later the smaller the start, and ends at the target. Diamonds: predicted collision
    of the two outliers; bars: predicted time of half the plateau's loss.
    """
    from weightpath.plot import oscillator, style

    drawn, ax = style.figure(1, 1, width=6.8, height=3.4)
    oscillator.plot_loss(dataset, ax=ax)
    return drawn


def eigenvalues(dataset: Dataset) -> Figure:
    """Two outlier eigenvalues of one network along learning. Left: in the complex plane; one real outlier goes to the
    plateau (square), a second one follows, they meet (diamond) and leave the real axis as a conjugate pair for the
    poles of the target (crosses). Grey: the disk of the initial eigenvalues. Right: real and imaginary parts against
    learning time; dashed: the target, dotted: the predicted collision. Markers: network, lines: theory.
    """
    from weightpath.plot import oscillator, style

    drawn, axes = style.figure(2, 2, width=7.2, height=4.4, width_ratios=[1, 1.15])
    plane = _joined(axes)
    oscillator.plot_plane(dataset, ax=plane)
    oscillator.plot_part(dataset, ax=axes[0, 1], part="re")
    oscillator.plot_part(dataset, ax=axes[1, 1], part="im")
    style.letter((plane, axes[0, 1], axes[1, 1]))
    return drawn


def _joined(axes):
    """The two axes of the left column as one."""
    upper, lower = axes[:, 0]
    upper.set_subplotspec(upper.get_gridspec()[:, 0])
    lower.remove()
    return upper


def escape_times(dataset: Dataset) -> Figure:
    """When each random start leaves the plateau. Left: time to half the plateau's loss as measured in networks against
    the prediction from their initial weights alone. Right: the difference in per cent against the size of the start.
    Circles: these settings, squares: the fixed reference starts of the checks.
    """
    from weightpath.plot import oscillator, style

    drawn, (left, right) = style.figure(1, 2, width=7.2, height=3.3)
    oscillator.plot_escape_times(dataset, ax=left)
    oscillator.plot_escape_errors(dataset, ax=right)
    style.letter((left, right))
    return drawn


def filters(dataset: Dataset) -> Figure:
    """What one network learned: its response to a pulse of input before learning, at the plateau and after learning
    (markers); the target (line) and the best single exponential (dashed), at which the plateau lies.
    """
    from weightpath.plot import oscillator, style

    drawn, ax = style.figure(1, 1, width=6.0, height=3.2)
    oscillator.plot_filters(dataset, ax=ax)
    return drawn


STUDY = Study(
    name="damped-oscillator",
    title="A linear network learns a damped oscillation",
    paper=PAPER,
    claim=(
        "A linear recurrent network with small initial weights, trained by gradient descent to filter white noise with "
        "a damped oscillation, first learns the best single exponential through one real outlier. From that plateau a "
        "second outlier grows; the two meet and leave the real axis as a conjugate pair for the poles of the target. "
        "Six equations predict the path from the initial weights, with the time at which a given random start escapes. "
        "Reproduces the stated finding of the paper, a conjugate pair of outliers; equations, plateau and escape times "
        "are derived for the normalisation given here (read-in of norm 1, exact expected loss), and none of its "
        "figures is claimed in numbers."
    ),
    config=LearnDampedOscillator,
    presets={
        "quick": {"networks": 4, "check_starts": 2},
        "full": {"networks": 24, "check_starts": 6},
    },
    run=run,
    checks=CHECKS,
    figures={
        "loss": loss,
        "eigenvalue-paths": eigenvalues,
        "escape-times": escape_times,
        "filters": filters,
    },
    predict=predict,
    units={
        "plateau_rate": "1/membrane time constant",
        "escape_rate": "1/learning time",
        "collision_time": "learning rate × steps",
        "half_plateau_time": "learning rate × steps",
        "learning_time_to_1_percent": "learning rate × steps",
    },
)
