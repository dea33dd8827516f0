"""Settings of the analysis of a recording, and the models that they describe."""

from typing import Annotated, Any, Literal

from pydantic import Field

from weightpath.studies.base import Settings


class FitSettings(Settings):
    """What is fitted, how, and on which entries it is tested."""

    ranks: tuple[int, ...] = Field((1, 2, 3, 5), min_length=1, description="tensor ranks to compare")
    seeds: int = Field(1, ge=1, description="fits of each model, from different initial values")
    schemes: tuple[str, ...] = Field(
        ("trials", "blocks"),
        min_length=1,
        description="held out: trials (= even and runs), odd, blocks, bin_blocks, units, future",
    )
    control_ranks: tuple[int, ...] = Field((), description="ranks that get controls besides the chosen one")
    comparisons: tuple[str, ...] = Field((), description="further comparison networks: all, per_trial, per_epoch, ...")
    baselines: bool = Field(False, description="a linear dynamical system and a CP decomposition of the data beside")
    units: int = Field(60, ge=2, description="model units")
    iterations: int = Field(800, ge=1, description="iterations of each fit")
    learning_rate: float = Field(1e-2, gt=0, description="of Adam at the start; it falls to a twentieth")
    prior_multiplier: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        40.0, description="times the automatic prior weight; auto: chosen by held-out training trials"
    )
    trial_offset: bool = Field(True, description="a slow offset of each neuron, common to all conditions")
    likelihood: Literal["gaussian", "poisson", "negative_binomial"] = Field(
        "gaussian", description="of the data given the model; the others are for spike counts"
    )


def model_of(rank: int, config: FitSettings):
    """The model of a rank with the settings recommended for recordings of learning."""
    from weightpath.networks.low_tensor_rank import LowTensorRankRNN, SmoothOffset

    options: dict[str, Any] = {} if config.likelihood == "gaussian" else {"likelihood": config.likelihood}
    return LowTensorRankRNN(
        rank=rank,
        units=config.units,
        prior_multiplier=1.0 if config.prior_multiplier == "auto" else config.prior_multiplier,
        trial_offset=SmoothOffset() if config.trial_offset else None,
        **options,
    )


def fit_options(config: FitSettings) -> dict[str, Any]:
    """Options of `wp.fit` for one fit."""
    return {"seed": config.seed, "iterations": config.iterations, "learning_rate": config.learning_rate}


def with_multiplier(recording, config: FitSettings, *, progress, workspace) -> FitSettings:
    """The same settings with a number for `prior_multiplier`.

    "auto" is resolved at the largest rank on the training trials of the first scheme that holds out whole trials (the
    one on which the rank is chosen), by `inference.tune_prior`; one number then serves all schemes, ranks and controls.
    """
    from weightpath.inference.choose_prior import tune_prior
    from weightpath.inference.masks import SCHEMES, WHOLE_TRIALS, scheme_names

    if config.prior_multiplier != "auto":
        return config
    names = scheme_names(config.schemes)
    deciding = next((name for name in names if name in WHOLE_TRIALS), names[0])
    options = fit_options(config)
    choice = tune_prior(
        model_of(max(config.ranks), config),
        recording,
        SCHEMES[deciding](recording, seed=0),
        seeds=(options.pop("seed"),),
        checkpoint_dir=None if workspace is None else workspace / "multiplier",
        progress=progress,
        **options,
    )
    return config.model_copy(update={"prior_multiplier": float(choice.model.prior_multiplier)})
