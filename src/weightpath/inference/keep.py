"""Fits on disk: one npz file with a JSON header, the recording included."""

from dataclasses import fields
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS, outcome_name
from weightpath.inference.checkpoint import SCHEMA, read_arrays, write_arrays
from weightpath.inference.recording import Recording
from weightpath.inference.result import Fit
from weightpath.networks import kernels
from weightpath.networks.factored import FactoredRNN
from weightpath.networks.low_tensor_rank import InputNetwork, KnownInput, LowTensorRankRNN, SmoothOffset

_ARRAYS = ("inputs", "offset", "level", "c_smooth", "c_sd", "z", "known", "known_map", "own_inputs", "dispersion")
_LABELS = ("conditions", "epochs", "name", "time_unit", "notes", "counts")


def save_fit(fit: Fit, path: Path) -> None:
    """Write `fit` to `path`, atomically."""
    network = fit.network
    header = dict(
        schema=SCHEMA, kind="fit", model=fit.model.describe(), settings=fit.settings, notes=list(fit.notes),
        result=outcome_name(fit.result), reason=fit.reason, prior_weight=fit.prior_weight, n_eff=fit.n_eff,
        network={name: getattr(network, name) for name in ("core", "solver", "substeps", "link")},
        recording={name: _plain(getattr(fit.recording, name)) for name in _LABELS},
    )  # fmt: skip
    arrays = {name: getattr(fit, name) for name in _ARRAYS if getattr(fit, name) is not None}
    arrays |= {f"network_{name}": np.asarray(getattr(network, name)) for name in _network_arrays()}
    arrays |= {f"history_{name}": array for name, array in fit.history.items()}
    recorded = {name: one for name, one in vars(fit.recording).items() if isinstance(one, np.ndarray)}
    arrays |= {f"recording_{name}": array for name, array in recorded.items()}
    arrays |= {f"covariate_{name}": array for name, array in fit.recording.covariates.items()}
    arrays = {name: array.astype(str) if array.dtype == object else array for name, array in arrays.items()}
    write_arrays(path, header, arrays | {"mask": fit.mask})


def load_fit(path) -> Fit:
    """The fit written by `Fit.save`.

    **Raises:** ValueError when the file is something else.
    """
    header, arrays = read_arrays(Path(path))
    if header.get("kind") != "fit":
        raise ValueError(f"{path} holds a {header.get('kind')}, not a fit; give a file written by Fit.save.")
    network = {name: jnp.asarray(arrays[f"network_{name}"]) for name in _network_arrays()}
    return Fit(
        model=model_from(header["model"]), recording=_recording(header["recording"], arrays), mask=arrays["mask"],
        network=FactoredRNN(**network, **header["network"]), history=_group(arrays, "history_"),
        result=getattr(RESULTS, header["result"]), notes=tuple(header["notes"]),
        **{name: arrays.get(name) for name in _ARRAYS},
        **{name: header[name] for name in ("reason", "prior_weight", "n_eff", "settings")},
    )  # fmt: skip


def model_from(settings: dict) -> LowTensorRankRNN:
    """The specification that `LowTensorRankRNN.describe` gave."""
    settings = dict(settings)
    kernel = dict(settings["kernel"])
    settings["kernel"] = getattr(kernels, kernel.pop("name"))(**kernel)
    if settings["trial_offset"] is not None:
        settings["trial_offset"] = SmoothOffset(**settings["trial_offset"])
    known = settings.get("known", ())
    settings["known"] = tuple(KnownInput(one["covariate"], tuple(one["lags"]), one["behaviour"]) for one in known)
    if settings.get("input_network") is not None:
        network = dict(settings["input_network"])
        network["layers"] = tuple(network["layers"])
        settings["input_network"] = InputNetwork(**network)
    return LowTensorRankRNN(**settings)


def _network_arrays() -> list[str]:
    return [field.name for field in fields(FactoredRNN) if not field.metadata.get("static")]


def _recording(header: dict, arrays: dict) -> Recording:
    """A recording with the very same arrays, past the border checks it has been through once."""
    recording = object.__new__(Recording)
    labels = {name: tuple(value) if isinstance(value, list) else value for name, value in header.items()}
    recording.__dict__.update(
        {"counts": None} | labels | _group(arrays, "recording_") | {"covariates": _group(arrays, "covariate_")}
    )
    return recording


def _group(arrays: dict, prefix: str) -> dict:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _plain(value):
    """Labels as JSON can hold them."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value
