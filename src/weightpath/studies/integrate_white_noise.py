"""Study: a linear network learns to integrate white noise, and one outlier eigenvalue tells the whole story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from weightpath.studies.base import Check, Settings, Study

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

PAPER = "Bordelon et al. 2025 (arXiv 2503.18754)"


class IntegrateWhiteNoise(Settings):
    """Settings of the study. The first block makes the user's own networks, the second the fixed reference checks."""

    decay: float = Field(0.2, gt=0, description="decay rate of the target filter c* [1/membrane time constant]")
    units: int = Field(100, ge=2, le=20_000, description="number of units of each network")
    gain: float = Field(0.01, ge=0, lt=1, description="spread of the initial recurrent weights times sqrt(units) [1]")
    time: float = Field(4.0, gt=0, description="length of learning [learning time]")
    networks: int = Field(6, ge=1, le=1000, description="number of networks, each from its own random start")
    depth: int = Field(3, ge=0, le=8, description="length of the longest word of the word-Krylov projection")
    check_networks: int = Field(24, ge=2, description="random starts at each size of check I2")
    check_starts: int = Field(6, ge=1, description="random starts of check I1")
    flow_units: int = Field(40, ge=8, le=200, description="units of the unprojected network of check I1")
    bulk_units: int = Field(1000, ge=400, description="units of the network of check I9")


def run(config: IntegrateWhiteNoise, *, progress=None, workspace=None) -> Dataset:
    """Train networks of the given settings, set the theory beside them, and compute the reference checks."""
    import xarray as xr

    from weightpath.studies import integrator_networks, integrator_references

    parts = [
        ("networks", lambda: integrator_networks.own_networks(config)),
        ("time against decay", lambda: integrator_networks.learning_times(config)),
        ("check I1", lambda: integrator_references.training(config.check_starts, config.flow_units)),
        ("check I2", lambda: integrator_references.outlier_paths(config.check_networks)),
        ("check I3", integrator_references.exact_reduction),
        ("check I4", integrator_references.times_and_steps),
        ("check I9", lambda: integrator_references.detachment(config.bulk_units)),
    ]
    pieces = []
    for done, (label, compute) in enumerate(parts):
        if progress is not None:
            progress(f"integrate-white-noise: {label}", done, len(parts))
        pieces.append(compute())
    if progress is not None:
        progress("integrate-white-noise", len(parts), len(parts))
    merged = xr.merge(pieces, combine_attrs="no_conflicts")
    assert isinstance(merged, xr.Dataset)
    return merged


def predict(config: IntegrateWhiteNoise) -> dict[str, Any]:
    """The theory alone, without any simulation."""
    from weightpath.studies.integrator_networks import prediction

    return prediction(config)


def _spec(name: str) -> str:
    return f"{name}; {PAPER}, re-derived"


CHECKS = (
    Check("I1 loss at time 4 (N=100, gain .01, decay .2)", _spec("training set-up"),
          lambda ds: ds.reference_loss.max(), 2e-6, compare="at_most"),
    Check("I1 outlier at time 4", _spec("pole of the target, 1 - decay"),
          lambda ds: abs(ds.reference_outlier - 0.8).max(), 1e-3, compare="at_most"),
    Check("I1 learned filter against the target, largest difference", _spec("filter after learning"),
          lambda ds: ds.reference_filter_error.max(), 3e-3, compare="at_most"),
    Check("I1 word-Krylov projection against the full flow, loss", "identity up to the projection (depth 3)",
          lambda ds: ds.projection_error, 1e-6, compare="at_most"),
    Check("I2 outlier path, rms deviation from theory, any N", _spec("single outlier"),
          lambda ds: ds.outlier_rms.max(), 0.02, compare="at_most"),
    Check("I2 outlier path, rms deviation from theory, N=100", _spec("single outlier"),
          lambda ds: ds.outlier_rms.sel(check_units=100).max(), 5e-3, compare="at_most"),
    Check("I3 loss of the reduced system against the full flow", "identity: W0 = v0 = 0 is an invariant subspace",
          lambda ds: ds.reduction_loss_error, 1e-8, compare="at_most"),
    Check("I3 outlier of the reduced system against the full flow", "identity: W0 = v0 = 0 is an invariant subspace",
          lambda ds: ds.reduction_outlier_error, 1e-8, compare="at_most"),
    Check("I4 learning times against decay, largest relative error", _spec("time to 1% of the initial loss"),
          lambda ds: ds.learning_time_error.max(), 1e-4, compare="at_most"),
    Check("I4 gradient steps to 1% at decay .05", _spec("half the largest stable rate"),
          lambda ds: ds.check_steps.sel(check_decay=0.05), 2092, 1e-3, compare="rel"),
    Check("I4 gradient steps to 1% at decay .02", _spec("half the largest stable rate"),
          lambda ds: ds.check_steps.sel(check_decay=0.02), 30120, 1e-3, compare="rel"),
    Check("I4 exponent of steps against decay", _spec("steps grow as decay^-3"),
          lambda ds: ds.steps_exponent, (-3.2, -2.7), compare="between"),
    Check("I9 outlier detached from the bulk (gain .3, w = .5)", _spec("outlier at w"),
          lambda ds: ds.detached_outlier, 0.5, 0.03),
    Check("I9 overlap of its eigenvector with the read-in", _spec("1 - gain^2/w^2"),
          lambda ds: ds.detached_overlap, 0.64, 0.05),
    Check("outlier of these settings, rms deviation from theory after detachment", "finding at the chosen settings",
          lambda ds: ds.own_outlier_rms, required=False),
    Check("theory at these settings", "finding at the chosen settings",
          lambda ds: ds.attrs["regime"], required=False),
)  # fmt: skip


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


STUDY = Study(
    name="integrate-white-noise",
    title="A linear network learns to integrate white noise",
    paper=PAPER,
    claim=(
        "A linear recurrent network with small initial weights, trained by gradient descent to integrate white noise "
        "with a leak, learns through one eigenvalue that leaves the bulk of the spectrum for the pole of the target. "
        "Two coupled equations predict its path, the loss and the learning time without free parameters. Reproduces "
        "the stated findings of the paper; the equations are re-derived for the normalisation given here (read-in of "
        "norm 1, read-out from zero, exact expected loss), and none of its figures is claimed in numbers."
    ),
    config=IntegrateWhiteNoise,
    presets={
        "quick": {
            "networks": 4,
            "check_networks": 8,
            "check_starts": 2,
        },
        "full": {"networks": 24},
    },
    run=run,
    checks=CHECKS,
    figures={
        "outlier-path": outlier_path,
        "eigenvalues": eigenvalues,
        "filters": filters,
        "time-and-steps": time_and_steps,
    },
    predict=predict,
    units={
        "learning_time_to_1_percent": "learning rate × steps",
        "steps_at_largest_rate": "gradient steps to 1% loss",
        "steps_at_half_largest_rate": "gradient steps to 1% loss",
        "collapse_time_for_slow_targets": "learning rate × steps",
        "detachment_time": "learning rate × steps",
    },
)
