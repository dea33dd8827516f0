"""Recordings in MATLAB files: an array, one matrix per trial in a cell or struct array, or a session known by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from weightpath.inference.file_reading import Asked, Reading
from weightpath.inference.matlab import flattened, load_matlab, squeezed
from weightpath.inference.read_arrays import contents, read_arrays
from weightpath.inference.read_bci import original_arrays, read_bci
from weightpath.inference.read_spike_arrays import read_spike_arrays


def read_matlab(path: Path, asked: Asked) -> Reading:
    """A recording from a .mat file of any version.

    The activity is an array with three axes, or one matrix per trial (a cell array, or a field of a struct array),
    whose length in time may differ: shorter trials are NaN at their end. A cell array of rows or columns holds the
    spike times of each unit, for trials that begin at `start_time` or have the event to align to. Fields are named as
    in MATLAB (`session.trials.spikes`), or by their last part where that is enough.

    **Raises:** ValueError when there is no such activity; it says what the file holds.
    """
    tree, version = load_matlab(path)
    if asked.dims is None:
        session = original_arrays(squeezed(tree))
        if session is not None:
            reading = read_bci(path, session, asked)
            return replace(reading, understood=(f"{reading.understood[0]}, {version}", *reading.understood[1:]))
    arrays, cells, without = flattened(tree)
    if without:
        version += f", left out (no plain array or text): {', '.join(without)}"
    matrices = {n: cell for n, cell in cells.items() if len(cell) > 1 and all(one.ndim == 2 for one in cell)}
    asked = replace(
        asked, **{key: _resolved(getattr(asked, key), (arrays, cells)) for key in ("array", "condition", "epoch")}
    )
    vectors = {} if asked.dims else {n: cell for n, cell in cells.items() if all(min(x.shape) <= 1 for x in cell)}
    matrices = {name: cell for name, cell in matrices.items() if name not in vectors}
    three = [name for name, value in arrays.items() if value.ndim == 3]
    found = [asked.array] if asked.array else [*three, *matrices] or list(vectors)
    if len(found) != 1:
        raise ValueError(_unclear(path, three, matrices or vectors, arrays))
    name = found[0]
    if name in vectors:
        times, whole = [one.ravel() for one in vectors[name]], {key: _whole_numbers(v) for key, v in arrays.items()}
        what = f"spike times of {len(times)} units in {name!r}; {version}"
        return read_spike_arrays(path, times, what, whole, asked, "matlab")
    if name in matrices:
        stacked, order = one_per_trial(matrices[name], asked.dims, name)
        arrays |= {name: stacked}
        asked = replace(asked, dims=("trial", "time", "neuron"))
        form = f"one matrix ({', '.join(order)}) a trial in {name!r}"
    else:
        form = "axes as in MATLAB"
    asked = replace(asked, array=name)
    whole = {key: _whole_numbers(value) for key, value in arrays.items()}
    reading = read_arrays(path, whole, asked, "matlab")
    return replace(reading, understood=(f"{reading.understood[0]}; {version}, {form}", *reading.understood[1:]))


def one_per_trial(
    matrices: list[np.ndarray], dims: tuple[str, ...] | None, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(trial, time, neuron) from one matrix per trial, NaN after the end of the shorter ones; and the order of axes.

    The axis with the same length in all trials is that of the neurons, unless `dims` says.

    **Raises:** ValueError when neither axis, or both, have the same length in all trials and `dims` does not say.
    """
    first, second = ({matrix.shape[axis] for matrix in matrices} for axis in (0, 1))
    given = tuple(axis for axis in dims or () if axis != "trial")
    if given in (("time", "neuron"), ("neuron", "time")):
        order = given
    elif given:
        raise ValueError(f"one matrix a trial has the dims time,neuron or neuron,time; got {dims}.")
    elif len(first) == 1 and len(second) > 1:
        order = ("neuron", "time")
    elif len(second) == 1 and len(first) > 1:
        order = ("time", "neuron")
    else:
        lengths = f"{matrices[0].shape[0]} x {matrices[0].shape[1]}" if len(first) == 1 else "no axis of equal length"
        raise ValueError(
            f"{name!r} holds {len(matrices)} matrices of {lengths}, which does not tell neurons from time; give "
            "dims=neuron,time or dims=time,neuron."
        )
    turned = [matrix.T if order == ("neuron", "time") else matrix for matrix in matrices]
    neurons = {matrix.shape[1] for matrix in turned}
    if len(neurons) > 1:
        raise ValueError(
            f"the matrices of {name!r} have {min(neurons)} to {max(neurons)} neurons as {', '.join(order)}; all trials "
            "need the same neurons."
        )
    stacked = np.full((len(turned), max(map(len, turned)), neurons.pop()), np.nan)
    for k, matrix in enumerate(turned):
        stacked[k, : len(matrix)] = matrix
    return stacked, order


def _resolved(name: str | None, held) -> str | None:
    """A name with all its parts as the shorter one under which it is held."""
    if name is None or any(name in one for one in held):
        return name
    end = name.rsplit(".", 1)[-1]
    return end if any(end in one for one in held) else name


def _whole_numbers(value: np.ndarray) -> np.ndarray:
    """Labels, which MATLAB keeps as real numbers, as whole ones."""
    if value.ndim != 1 or value.dtype.kind != "f" or not np.all(np.isfinite(value)):
        return value
    return value.astype(int) if np.all(value == value.round()) else value


def _unclear(path: Path, three: list[str], matrices: dict, arrays: dict[str, np.ndarray]) -> str:
    lists = {name: np.broadcast_to(0.0, (len(cell), *cell[0].shape)) for name, cell in matrices.items()}
    if not three and not matrices:
        return (
            f"{path.name!r} holds no array with three axes and no cell or struct array with one matrix a trial; "
            f"{contents(arrays)}."
        )
    found = [*three, *matrices]
    return (
        f"{path.name!r} holds several activities ({', '.join(found)}); {contents({**arrays, **lists})}. Name one, e.g. "
        f"--array {found[0]}."
    )
