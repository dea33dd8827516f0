"""The settings of the released low-tensor-rank program, by its own names, as a model and a fit of this library."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightpath.networks.kernels import RationalQuadratic
from weightpath.networks.low_tensor_rank import InputNetwork, LowTensorRankRNN

#: Every setting of that program with its default.
DEFAULTS: dict[str, Any] = dict(
    seed=1, rnn_dim=200, rank=5, time_constant=1.0, noise=0.0, bias=False, duration=2, orthogonal_decoder=True,
    decoder_bias=False, sigma_observation=0.1, l=15, sigma=0.1, discontinuous_covariance=False,
    control_preparatory=True, control_execution=False, fit_preparatory=False, condition_specific_init=False,
    in_space_control=True, control_dim=3, control_dnn_dim=[150, 150], control_hidden_dim=150, time_constant_control=2,
    trial_rank_control=-1, fraction_masked=0.2, fraction_test=0.2, learning_rate=0.001, test_freq=50,
    regularization=0.01, regularization_function="square", training_iterations=3000, min_std_convergence=0.001,
    steps_std_convergence=200, optimize=True,
)  # fmt: skip

#: What always differs.
DIFFERENT = (
    "the trial factors have a prior (that program has no such term): prior_weight=0 leaves it out",
    "the read-out has an offset and, where it is orthogonal, one gain, which are trained",
    "the learning rate falls along a cosine, and the fit runs all its iterations",
)


@dataclass(frozen=True)
class ImportedSettings:
    """What the settings are here: `wp.fit(model, recording, **fit)`."""

    model: LowTensorRankRNN
    fit: dict[str, Any]
    """`seed`, `iterations` and `learning_rate` of `wp.fit`."""
    test_fraction: float
    """Share of the entries that blocks hold out; the `fraction` of `inference.blocks`."""
    notes: tuple[str, ...]
    """What differs here, and what was set and has no counterpart."""


def from_ltrrnn_params(source: str | Path | Mapping[str, Any], bins: int) -> ImportedSettings:
    r"""The model and the fit that the settings of the released program of Pellegrino et al. 2023 describe.

    `source`: its `parameters.yaml`, or a mapping with the names in it; what is left out has its default (`DEFAULTS`).
    `bins`: time bins of the execution period, which last `duration` there: bins are `duration / (bins - 1)` apart and
    $\tau$ is `time_constant` over that. Noise of amplitude $s$ in $\tau\,dx = \ldots + s\,dB$ is
    `process_noise` $s / \sqrt\tau$ with $\tau$ in the units of `duration`, here within the span of the directions.

    **Raises:** ValueError for a file that cannot be read as such settings, a name that is none of them, fewer than two
    bins, settings without counterpart that change the model, or what `LowTensorRankRNN` refuses.
    """
    given = dict(source) if isinstance(source, Mapping) else _read(Path(source))
    if unknown := sorted(set(map(str, given)) - DEFAULTS.keys()):
        raise ValueError(f"unknown settings {', '.join(unknown)}; that program has: {', '.join(DEFAULTS)}.")
    if not isinstance(bins, int) or bins < 2:
        raise ValueError(f"bins must be the number of time bins of the execution period, at least 2; got {bins!r}.")
    asked = DEFAULTS | given
    _refuse(asked)
    tau = float(asked["time_constant"])
    model = LowTensorRankRNN(
        rank=asked["rank"],
        units=asked["rnn_dim"],
        decoder="orthogonal" if asked["orthogonal_decoder"] else "linear",
        inputs="ode",
        initial_state="condition" if asked["condition_specific_init"] else "shared",
        kernel=RationalQuadratic(
            length=asked["l"], sd=asked["sigma"], noise_sd=asked["sigma_observation"],
            by_epoch=asked["discontinuous_covariance"],
        ),
        time_constant=tau * (bins - 1) / float(asked["duration"]),
        input_network=InputNetwork(
            hidden=asked["control_hidden_dim"], layers=tuple(asked["control_dnn_dim"]),
            time_constant=float(asked["time_constant_control"]) / tau, throughout=asked["control_execution"],
        ),
        input_penalty=asked["regularization"],
        activity_penalty=asked["regularization"],
        trial_dropout=asked["fraction_masked"],
        process_noise=float(asked["noise"]) / math.sqrt(tau),
    )  # fmt: skip
    fit = dict(seed=asked["seed"], iterations=asked["training_iterations"], learning_rate=asked["learning_rate"])
    return ImportedSettings(model, fit, float(asked["fraction_test"]), (*DIFFERENT, *_notes(asked)))


def _read(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}; give the parameters.yaml that the program wrote.")
    try:
        found = YAML(typ="safe").load(path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name!r} cannot be read as YAML ({str(error).splitlines()[0]}).") from error
    if not isinstance(found, Mapping):
        raise ValueError(f"{path.name!r} holds no names with values, as parameters.yaml does; got {found!r}"[:200])
    return dict(found)


def _refuse(asked: Mapping[str, Any]) -> None:
    """What would silently become another model."""
    if not asked["in_space_control"]:
        raise ValueError(
            "in_space_control=False pushes the state out of the span of its directions, which no model here does; "
            "import with in_space_control=True, whose inputs act along the directions."
        )
    if asked["regularization_function"] != "square":
        raise ValueError(
            f"regularization_function={asked['regularization_function']!r} has no counterpart; penalties here are of "
            "squares: import with 'square'."
        )
    for name in ("duration", "time_constant", "time_constant_control"):
        if not asked[name] > 0:
            raise ValueError(f"{name} must be positive; got {asked[name]!r}.")


def _notes(asked: Mapping[str, Any]) -> list[str]:
    """What was set and does nothing here."""
    notes = ["the penalty on activity is of tanh(x) here, of x there"] if asked["regularization"] else []
    if not asked["fit_preparatory"]:
        notes.append("fit_preparatory=False: leave bins with time < 0 out of the training mask")
    if asked["bias"]:
        notes.append("bias=True has no effect there (it is never trained) and no counterpart here")
    if not asked["optimize"]:
        notes.append("optimize=False: that program only evaluated a stored model, whose arrays are not imported")
    return notes
