"""Study: a linear network learns any filter pole by pole, resting at the best filters of fewer poles on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from weightpath.studies.base import Check, Settings, Study
from weightpath.studies.pieces import assembled

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

PAPER = "Bordelon et al. 2025 (arXiv 2503.18754)"


class PoleByPole(Settings):
    """Settings of the study: the target, the networks that learn it, and the search for the best filters."""

    target: Literal["oscillation-and-exponential", "two-tones", "three-times", "custom"] = Field(
        "oscillation-and-exponential", description="target filter by name, or custom: the terms of the four lists"
    )
    decays: tuple[float, ...] = Field((0.3, 0.5), description="custom: decay rates [1/membrane time constant]")
    frequencies: tuple[float, ...] = Field(
        (1.5, 0.0), description="custom: angular frequencies, 0 for an exponential [1/membrane time constant]"
    )
    cosines: tuple[float, ...] = Field((1.0, -1.0), description="custom: cosine amplitudes [1]")
    sines: tuple[float, ...] = Field((0.0, 0.0), description="custom: sine amplitudes [1]")
    dt: float = Field(0.0, ge=0, description="time step of discrete-time networks, 0 for continuous time [constants]")
    units: int = Field(30, ge=2, le=200, description="number of units of each network")
    size: float = Field(1e-3, gt=0, le=0.1, description="size of the start: gain of W, norm of the read-out [1]")
    networks: int = Field(3, ge=1, le=100, description="number of networks, each from its own random start")
    decades: int = Field(2, ge=1, le=6, description="how many times the start is made ten times smaller")
    time: float = Field(0.0, ge=0, description="length of learning, 0 for what the theory asks [learning time]")
    other_networks: bool = Field(
        True, description="also networks of several channels and in discrete time, fixed sizes"
    )
    starts: int = Field(8, ge=1, le=1000, description="searches for the best filters of each order")


def run(config: PoleByPole, *, progress=None, workspace=None) -> Dataset:
    """Predict the staircase, let networks learn, and set the two side by side."""
    from weightpath.studies import poles_networks, poles_prediction, poles_references

    stairs = poles_prediction.predicted(config)
    parts = {
        "networks": lambda: poles_networks.own_networks(config, stairs),
        "best filters": lambda: poles_references.best_filters(config, stairs),
        "size of the start": lambda: poles_references.delays(config, stairs),
        "closed forms": poles_references.oscillators,
    }
    if config.other_networks:
        parts["other networks"] = lambda: poles_references.other_networks(config.seed)
    pieces = {"theory": poles_prediction.theory_dataset(config, stairs)}
    return assembled("pole-by-pole", parts, progress=progress, workspace=workspace, pieces=pieces, join="outer")


def predict(config: PoleByPole) -> dict[str, Any]:
    """The theory alone, without any simulation of a network."""
    from weightpath.studies.poles_prediction import prediction

    return prediction(config)


DERIVED = "derived here"

CHECKS = (
    Check("staircase prediction ends at the target", DERIVED,
          lambda ds: bool(ds.attrs["outcome"] == "successful"), compare="true"),
    Check("loss at the slowest point of each plateau, deviation over its tolerance",
          f"{DERIVED}: best filters of fewer poles are saddles; tolerance from the speed there",
          lambda ds: abs(ds.deviation / ds.tolerance).max(skipna=False), 1.2, compare="at_most"),
    Check("poles at the slowest points, distance from the predicted ones over its tolerance",
          f"{DERIVED}; tolerance from the speed there and the condition of the poles",
          lambda ds: (ds.pole_distance / ds.pole_tolerance).max(skipna=False), 1.2, compare="at_most"),
    Check("poles at the slowest points, largest distance from the predicted ones", "finding",
          lambda ds: ds.pole_distance.max(), required=False),
    Check("loss left at the end over what the slowest rate allows", DERIVED,
          lambda ds: (ds.loss.isel(step=-1) / ds.final_allowed).max(skipna=False), 1.0, compare="at_most"),
    Check("poles at the end, distance from the target's over what the loss allows",
          f"poles of the target are learned; {PAPER}; tolerance from the loss and the condition of the poles",
          lambda ds: (ds.final_pole_distance / ds.final_pole_tolerance).max(skipna=False), 1.2, compare="at_most"),
    Check("poles at the end, largest distance from the target's", "finding",
          lambda ds: ds.final_pole_distance.max(), required=False),
    Check("predicted plateaus against the search for best filters, relative loss", "identity: both are stationary",
          lambda ds: ds.search_gap.max(), 1e-8, compare="at_most"),
    Check("interpolation conditions at the mirrored poles", "Meier and Luenberger 1967",
          lambda ds: ds.interpolation_error.max(), 1e-7, compare="at_most"),
    Check("plateaus above the best filter found of their order, largest excess of loss", "finding",
          lambda ds: ds.above_best.max(), required=False),
    Check("delay for a ten times smaller start, largest relative error",
          f"{DERIVED}: sum of ln(10)/escape rate, for plateaus that are reached within 1%",
          lambda ds: abs(ds.delay_error).max(), 0.03, compare="at_most"),
    Check("one pole for damped oscillations: loss of the plateau", "specification table, independent solver",
          lambda ds: ds.oscillator_loss_error.max(), 1e-8, compare="at_most"),
    Check("one pole for damped oscillations: escape rate", "specification table, independent solver",
          lambda ds: ds.oscillator_rate_error.max(), 1e-8, compare="at_most"),
    Check("theory at these settings", "finding at the chosen settings",
          lambda ds: ds.attrs["regime"], required=False),
)  # fmt: skip


OTHERS = (
    Check("two inputs and outputs: deviation over tolerance", DERIVED,
          lambda ds: ds.other_worst.sel(case="several channels"), 1.2, compare="at_most"),
    Check("two inputs and outputs: loss left, fraction of the start", DERIVED,
          lambda ds: ds.other_end.sel(case="several channels"), 1e-6, compare="at_most"),
    Check("discrete time: deviation over tolerance", DERIVED,
          lambda ds: ds.other_worst.sel(case="discrete time"), 1.2, compare="at_most"),
    Check("discrete time: loss left, fraction of the start", DERIVED,
          lambda ds: ds.other_end.sel(case="discrete time"), 1e-6, compare="at_most"),
)  # fmt: skip


def checks(config: PoleByPole) -> tuple[Check, ...]:
    """What is asked of a run with these settings."""
    return CHECKS + OTHERS if config.other_networks else CHECKS


def staircase(dataset: Dataset) -> Figure:
    """Learning as a staircase. Left: the loss of networks with small random initial weights along learning (colours:
    one network each; open circles: where it is slowest) and the predicted plateaus (lines, with the number of poles of
    the best filter): the loss of the best filters with fewer poles than the target. Right: the same for two inputs and
    two outputs with every weight trained, and in discrete time, each over its loss at the start.
    """
    from weightpath.plot import poles, style

    if "case" not in dataset.sizes:
        drawn, ax = style.figure(1, 1, width=4.6, height=3.2)
        poles.plot_staircase(dataset, ax=ax)
        return drawn
    drawn, (left, right) = style.figure(1, 2, width=7.6, height=3.2, width_ratios=[1.35, 1])
    poles.plot_staircase(dataset, ax=left)
    poles.plot_other_networks(dataset, ax=right)
    style.letter((left, right))
    return drawn


def pole_paths(dataset: Dataset) -> Figure:
    """Poles appear one by one. Left: eigenvalues of the recurrent weights of one network in the complex plane while it
    learns (dots, dark: late), the chain of paths between plateaus that the theory predicts (lines), the poles on the
    predicted plateaus (squares) and those of the target (crosses). Right: their real parts against learning time, with
    those of the predicted plateaus (lines) over the time that the network spends there.
    """
    from weightpath.plot import poles, style

    drawn, (left, right) = style.figure(1, 2, width=7.6, height=3.5)
    poles.plot_plane(dataset, ax=left)
    poles.plot_pole_times(dataset, ax=right)
    style.letter((left, right))
    return drawn


def filters(dataset: Dataset) -> Figure:
    """What the network has learned on each plateau: its response to a pulse of input (markers), the best filter with
    that many poles (line) and the target (dashed).
    """
    from weightpath.plot import poles, style

    count = dataset.sizes["plateau"]
    drawn, axes = style.figure(1, count, width=2.5 * count, height=2.9, sharey=True)
    poles.plot_filters(dataset, axes=axes)
    style.letter(axes)
    return drawn


def delay(dataset: Dataset) -> Figure:
    """How long the plateaus last. Time at which a network leaves each plateau against the size of its start, of the
    same direction (markers), and the slope that the escape rates predict: ln(10) divided by the rate for each plateau
    passed and each factor ten (lines through the smallest start).
    """
    from weightpath.plot import poles, style

    drawn, ax = style.figure(1, 1, width=4.4, height=3.4)
    poles.plot_delays(dataset, ax=ax)
    return drawn


STUDY = Study(
    name="pole-by-pole",
    title="A linear network learns a filter pole by pole",
    paper=PAPER,
    claim=(
        "A linear recurrent network with small initial weights learns any rational filter one pole after another. Its "
        "loss is a staircase whose plateaus lie at the best filters with fewer poles (H2-optimal model reduction), "
        "saddles that silent units leave at rates known from a small matrix. Which filters are visited, their losses, "
        "poles and escape rates are predicted without free parameters; how long a plateau lasts grows with the "
        "logarithm of the size of the start. Goes beyond the paper, whose single outlier and conjugate pair are the "
        "first steps of such staircases; derived here in its setting."
    ),
    config=PoleByPole,
    presets={
        "quick": {"networks": 2, "units": 20, "decades": 1, "starts": 6},
        "full": {"networks": 6, "units": 30, "decades": 4, "starts": 16},
    },
    run=run,
    checks=checks,
    figures={"staircase": staircase, "poles": pole_paths, "filters": filters, "delay": delay},
    predict=predict,
    units={
        "escape_rate": "1/(learning rate × steps)",
        "delay_per_tenfold_smaller_start": "learning rate × steps",
        "learning_time": "learning rate × steps",
    },
)
