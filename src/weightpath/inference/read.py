"""Read a recording from a file, and say what was understood before anything is computed."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from weightpath.inference.arrange import AXES
from weightpath.inference.rebin import rebinned
from weightpath.inference.recording import Recording

#: Arrays by which the layout of the shipped brain-computer-interface session is known.
BCI_ARRAYS = frozenset({"latents", "phase", "condition", "trial_id", "bin_s"})

#: Names under which labels are looked for when none are given.
USUAL = {
    "condition": ("condition", "conditions", "target", "stimulus"),
    "epoch": ("epoch", "epochs", "phase"),
    "trial_id": ("trial_id", "trial_ids"),
    "time": ("time", "times"),
}


@dataclass(frozen=True, eq=False)
class Reading:
    """A recording read from a file.

    `layout`: "bci", "npz", "npy" or "netcdf"; `scaling`: the standardisation that suits it (see
    `Recording.standardised`); `understood`: lines for the user; `extras`: arrays of the file that are not per trial.
    """

    recording: Recording
    layout: str
    scaling: Literal["global", "neuron"]
    understood: tuple[str, ...]
    extras: dict[str, np.ndarray]


def read_recording(
    path: str | Path,
    *,
    array: str | None = None,
    dims: tuple[str, ...] | None = None,
    condition: str | None = None,
    epoch: str | None = None,
    bin: float | None = None,
) -> Reading:
    """Read a recording from an .npz, .npy or netCDF file.

    `array`: name of the activity in the file; `dims`: order of its axes; `condition`, `epoch`: names of the labels;
    `bin`: width of the bins in seconds, wider than in the file to average neighbouring bins.

    **Raises:** ValueError that says what was found and what is expected.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{str(path)!r} is a directory; give the path of an .npz, .npy or netCDF (.nc) recording.")
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}; give the path of an .npz, .npy or netCDF (.nc) recording.")
    names = {"condition": condition, "epoch": epoch}
    if path.suffix in (".nc", ".netcdf", ".h5nc"):
        reading = _read_netcdf(path, array, dims, names)
    elif path.suffix in (".npz", ".npy"):
        arrays = _load_arrays(path)
        known = BCI_ARRAYS <= arrays.keys()
        reading = (
            _read_bci(path, arrays, array, names)
            if known and dims is None
            else _read_arrays(path, arrays, array, dims, names)
        )
    else:
        raise ValueError(f"{path.name!r} ends in {path.suffix!r}; expected .npz, .npy or .nc (netCDF).")
    if bin is None:
        return reading
    recording = rebinned(reading.recording, bin)
    return _reading(recording, reading.layout, reading.scaling, [*reading.understood[:1]], reading.extras)


def sample_path() -> Path:
    """Path of the recording that is shipped with the package."""
    return Path(__file__).resolve().parents[1] / "data" / "bci_learning_hennig2021.npz"


def _reading(recording: Recording, layout: str, scaling: Any, head: list[str], extras: dict) -> Reading:
    return Reading(recording, layout, scaling, (*head, *recording.describe().splitlines()), extras)


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        return {"activity": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path.name!r} cannot be read as plain numpy arrays ({_first_sentence(error)}); write it with "
            "numpy.savez, without objects."
        ) from error


def _first_sentence(error: Exception) -> str:
    # NumPy goes on to advise loading pickles, which run code.
    return str(error).split(". ")[0].rstrip(".")


def _read_bci(path: Path, arrays: dict[str, np.ndarray], array: str | None, names: dict[str, str | None]) -> Reading:
    """The layout of the shipped session: (trial, neuron, time), phases as epochs, targets as conditions."""
    array = array or "latents"
    data = _named(arrays, array, path)
    phase = arrays["phase"]
    if "phase_names" in arrays:
        # The names carry an explanation in brackets, which is no part of a label.
        phase = np.array([str(name).split(" (")[0] for name in arrays["phase_names"]])[phase]
    wanted: dict[str, Any] = {"condition": arrays["condition"], "epoch": phase}
    wanted |= {key: _named(arrays, name, path) for key, name in names.items() if name is not None}
    trials, bins = len(arrays["trial_id"]), data.shape[-1]
    per_trial = {
        name: _time_second(value, bins)
        for name, value in arrays.items()
        if value.ndim
        and value.shape[0] == trials
        and name not in ("latents", "rates", "phase", "condition", "trial_id")
    }
    recording = Recording(
        data,
        dims=("trial", "neuron", "time"),
        time=np.arange(bins) * float(arrays["bin_s"]),
        trial_id=arrays["trial_id"],
        covariates=per_trial,
        name=path.stem,
        **wanted,
    )
    head = [f"{path.name}: brain-computer-interface learning session, array {array!r} (trial, neuron, time)"]
    extras = {name: value for name, value in arrays.items() if "decoder" in name or name in ("bin_s", "freeze_bins")}
    return _reading(recording, "bci", "global" if array == "latents" else "neuron", head, extras)


def _time_second(value: np.ndarray, bins: int) -> np.ndarray:
    return np.moveaxis(value, -1, 1) if value.ndim == 3 and value.shape[-1] == bins else value


def _read_arrays(
    path: Path, arrays: dict[str, np.ndarray], array: str | None, dims: Any, names: dict[str, str | None]
) -> Reading:
    array = array or _only_activity(arrays, path)
    labels = _labels(arrays, names, path)
    order = tuple(dims or AXES)
    values: dict[str, Any] = {key: arrays[name] for key, name in labels.items()}
    recording = Recording(_named(arrays, array, path), dims=order, name=path.stem, **values)
    used = ", ".join(f"{key} from {name!r}" for key, name in labels.items()) or "no labels"
    head = [f"{path.name}: array {array!r} {arrays[array].shape} as ({', '.join(order)}); {used}"]
    return _reading(recording, path.suffix[1:], "neuron", head, {})


def _read_netcdf(path: Path, array: str | None, dims: Any, names: dict[str, str | None]) -> Reading:
    import xarray as xr

    try:
        dataset = xr.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name!r} cannot be read as netCDF ({error}).") from error
    if array is None and "activity" in dataset and dims is None and not any(names.values()):
        head = [f"{path.name}: recording written by weightpath"]
        return _reading(Recording.from_dataset(dataset), "netcdf", "neuron", head, {})
    every = {**dataset.data_vars, **dataset.coords}
    arrays = {str(name): value.values for name, value in every.items()}
    array = array or _only_activity(arrays, path)
    _named(arrays, array, path)
    data = dataset[array]
    if dims is not None:
        data = xr.DataArray(data.values, dims=dims)
    labels = _labels(arrays, names, path)
    values: dict[str, Any] = {key: arrays[name] for key, name in labels.items()}
    recording = Recording(data, name=path.stem, **values)
    used = ", ".join(f"{key} from {name!r}" for key, name in labels.items()) or "no labels"
    head = [f"{path.name}: variable {array!r} with the axes ({', '.join(map(str, data.dims))}); {used}"]
    return _reading(recording, "netcdf", "neuron", head, {})


def _labels(arrays: dict[str, np.ndarray], names: dict[str, str | None], path: Path) -> dict[str, str]:
    """Which array holds which label: as named by the user, else under a usual name."""
    labels = {}
    for key, usual in USUAL.items():
        asked = names.get(key)
        if asked is not None:
            _named(arrays, asked, path)
        found = asked or next((name for name in usual if name in arrays and arrays[name].ndim == 1), None)
        if found:
            labels[key] = found
    return labels


def _only_activity(arrays: dict[str, np.ndarray], path: Path) -> str:
    three = [name for name, value in arrays.items() if value.ndim == 3]
    if len(three) == 1:
        return three[0]
    if not three:
        raise ValueError(
            f"{path.name!r} holds no array with three axes; {_contents(arrays)}. The activity must be trial x time x "
            "neuron."
        )
    what = f"several arrays with three axes ({', '.join(three)})"
    raise ValueError(f"{path.name!r} holds {what}; {_contents(arrays)}. Name the activity, e.g. --array {three[0]}.")


def _named(arrays: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    if name not in arrays:
        raise ValueError(f"{path.name!r} has no array {name!r}; {_contents(arrays)}.")
    return arrays[name]


def _contents(arrays: dict[str, np.ndarray]) -> str:
    return "it holds " + (", ".join(f"{name}{value.shape}" for name, value in arrays.items()) or "nothing")
