"""Study: a linear network learns to integrate white noise, and one outlier eigenvalue tells the whole story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from weightpath.studies import integrator_figures, integrator_finite
from weightpath.studies.base import Settings, Study
from weightpath.studies.integrator_checks import CHECKS, PAPER
from weightpath.studies.pieces import assembled

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


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
    bulk_units: int = Field(1000, ge=400, description="units of the networks whose outlier Arnoldi iteration finds")
    projection_starts: int = Field(5, ge=1, description="random starts of the error of the projection")
    projection_depth: int = Field(4, ge=4, le=6, description="depth that the error of the projection is measured from")
    deviation_networks: int = Field(24, ge=2, description="random starts of the deviation at each gain and size")
    deviation_units: tuple[Literal[25, 50, 100], ...] = Field(
        (25, 50, 100), description="sizes of the deviation from theory"
    )
    nonlinear_units: int = Field(24, ge=2, le=64, description="units of the networks that saturate")
    sgd_settings: int = Field(1, ge=1, le=2, description="settings of sampled gradient descent in check I11")
    sgd_seeds: int = Field(4, ge=1, description="runs of sampled gradient descent at each setting")


def run(config: IntegrateWhiteNoise, *, progress=None, workspace=None) -> Dataset:
    """Train networks of the given settings, set the theory beside them, and compute the reference checks."""
    from weightpath.studies import integrator_networks, integrator_nonlinear, integrator_references, integrator_sizes

    parts = {
        "networks": lambda: integrator_networks.own_networks(config),
        "time against decay": lambda: integrator_networks.learning_times(config),
        "check I1": lambda: integrator_references.training(config.check_starts, config.flow_units),
        "check I2": lambda: integrator_references.outlier_paths(config.check_networks),
        "check I3": integrator_references.exact_reduction,
        "check I4": integrator_references.times_and_steps,
        "check I9": lambda: integrator_references.detachment(config.bulk_units),
        "large networks": lambda: integrator_sizes.outlier_of_the_whole(config.bulk_units),
        "projection": lambda: integrator_sizes.projection_errors(config.projection_starts, config.projection_depth),
        "gain and size": lambda: integrator_sizes.deviations(config.deviation_networks, config.deviation_units),
        "saturation": lambda: integrator_nonlinear.nonlinear(config),
        "finite data": lambda: integrator_finite.finite_data(config),
    }
    return assembled("integrate-white-noise", parts, progress=progress, workspace=workspace)


def predict(config: IntegrateWhiteNoise) -> dict[str, Any]:
    """The theory alone, without any simulation."""
    from weightpath.studies.integrator_theory import prediction

    return prediction(config)


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
            "check_networks": 5,
            "check_starts": 2,
            "flow_units": 24,
            "projection_starts": 1,
            "deviation_networks": 6,
            "deviation_units": (100,),
            "sgd_seeds": 2,
        },
        "full": {"networks": 24, "sgd_settings": 2},
    },
    run=run,
    checks=CHECKS,
    figures={
        "outlier-path": integrator_figures.outlier_path,
        "eigenvalues": integrator_figures.eigenvalues,
        "filters": integrator_figures.filters,
        "time-and-steps": integrator_figures.time_and_steps,
        "any-size": integrator_figures.any_size,
        "saturation": integrator_figures.saturation,
        "finite-data": integrator_finite.finite_data_figure,
    },
    predict=predict,
    units={
        "learning_time_to_1_percent": "learning rate × steps",
        "steps_at_largest_rate": "gradient steps to 1% loss",
        "steps_at_half_largest_rate": "gradient steps to 1% loss",
        "collapse_time_for_slow_targets": "learning rate × steps",
        "detachment_time": "learning rate × steps",
        "saddle_rate_with_read_in_trained": "1/learning time",
    },
)
