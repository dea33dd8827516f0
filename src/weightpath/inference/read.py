"""Read a recording from a file, and say what was understood before anything is computed."""

from pathlib import Path
from typing import Any

from weightpath.inference.binning import Binning
from weightpath.inference.file_reading import Asked, Reading
from weightpath.inference.read_arrays import load_arrays, read_arrays, read_netcdf
from weightpath.inference.read_bci import BCI_ARRAYS, read_bci
from weightpath.inference.read_spike_arrays import read_spike_arrays, spike_columns
from weightpath.inference.recording import Recording

__all__ = ["Reading", "read_nwb", "read_recording", "sample_path"]

NETCDF = (".nc", ".netcdf", ".h5nc")
EXPECTED = ".npz, .npy, .nc (netCDF), .nwb, .mat (MATLAB), or .csv (table of spikes)"


def read_recording(
    path: str | Path,
    *,
    array: str | None = None,
    dims: tuple[str, ...] | None = None,
    condition: str | None = None,
    epoch: str | None = None,
    bin: float | None = None,
    align: str | None = None,
    window: tuple[float, float] | None = None,
    smooth: float | None = None,
    counts: bool = False,
    clip: bool = False,
    trials: Any = None,
    neurons: Any = None,
    trial_table: str | None = None,
) -> Reading:
    """Read a recording from a NumPy, netCDF, NWB or MATLAB file, or a table of spikes.

    `array`: name of the activity in the file; `dims`: order of its axes; `condition`, `epoch`: names of the labels;
    `bin`: width of the bins in seconds; `smooth`: standard deviation of a Gaussian along time [s]; `counts`: whole
    counts, for a count likelihood; `window`: bins from (-pre, post) seconds.

    Files of spike times or of a series of the whole session (NWB, .csv) are cut into trials: `align`: the column of the
    trial table with the event that becomes time 0 (default: the start); `window` is around it (default: each whole
    trial); `clip`: bins outside the trial are missing; `trial_table`: name of that table, or a second .csv file. In
    files that hold bins, neighbouring bins are averaged (counts: added) where `bin` is wider than they are.

    `trials`, `neurons`: which to take, as a condition on columns (`"quality == 'good'"`) or as a list. In files that
    hold bins these are trial_id, condition, epoch and covariates, and neuron, mean (of the window) and silent.

    **Raises:** ValueError that says what was found and what is expected.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{str(path)!r} is a directory; give the path of a recording: {EXPECTED}.")
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}; give the path of a recording: {EXPECTED}.")
    asked = Asked(
        array, tuple(dims) if dims else None, condition, epoch, Binning(align, window, bin, smooth, counts, clip),
        trials, neurons, trial_table,
    )  # fmt: skip
    suffix = path.suffix.lower()
    if suffix in NETCDF:
        return read_netcdf(path, asked)
    if suffix in (".npz", ".npy"):
        arrays = load_arrays(path)
        if BCI_ARRAYS <= arrays.keys() and dims is None:
            return read_bci(path, arrays, asked)
        if (table := spike_columns(arrays)) is not None and array is None:
            what = f"{len(next(iter(table.values())))} spikes in columns ({', '.join(table)})"
            return read_spike_arrays(path, table, what, arrays, asked, "spikes")
        return read_arrays(path, arrays, asked, suffix[1:])
    if suffix == ".nwb":
        from weightpath.inference.nwb import nwb_reading

        return nwb_reading(path, asked)
    if suffix == ".mat":
        from weightpath.inference.read_matlab import read_matlab

        return read_matlab(path, asked)
    if suffix in (".csv", ".tsv"):
        from weightpath.inference.read_table import read_table

        return read_table(path, asked)
    raise ValueError(f"{path.name!r} ends in {path.suffix!r}; expected {EXPECTED}.")


def read_nwb(
    path: str | Path,
    *,
    array: str | None = None,
    condition: str | None = None,
    epoch: str | None = None,
    bin: float | None = None,
    align: str | None = None,
    window: tuple[float, float] | None = None,
    smooth: float | None = None,
    counts: bool = False,
    clip: bool = False,
    trials: Any = None,
    neurons: Any = None,
    trial_table: str | None = None,
) -> Recording:
    """`wp.read_nwb`: the recording of an NWB file, cut into trials around an event.

    The arguments are those of `read_recording`, which also says in words what was understood: `align` the column of the
    trial table with the event at time 0, `window` (-pre, post) around it and `bin` width in seconds, `smooth` the
    standard deviation of a Gaussian along time [s], `array` the name of a series instead of the units' spike times.

    **Raises:** ValueError for a file of another kind, or what `read_recording` refuses.
    """
    if Path(path).suffix.lower() != ".nwb":
        raise ValueError(
            f"wp.read_nwb reads .nwb files; got {Path(path).name!r}. wp.inference.read_recording reads {EXPECTED}."
        )
    asked: dict[str, Any] = dict(
        array=array, condition=condition, epoch=epoch, bin=bin, align=align, window=window, smooth=smooth,
        counts=counts, clip=clip, trials=trials, neurons=neurons, trial_table=trial_table,
    )  # fmt: skip
    return read_recording(path, **asked).recording


def sample_path() -> Path:
    """Path of the recording that is shipped with the package."""
    return Path(__file__).resolve().parents[1] / "data" / "bci_learning_hennig2021.npz"
