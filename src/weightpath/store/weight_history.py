"""Weight histories that other programs saved: which array is which, and which axis is which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weightpath.store.array_files import EXPECTED, read_arrays
from weightpath.trajectory import Trajectory

#: Names under which programs keep their weights, compared without regard to case; the earlier ones win.
USUAL = {
    "w_rec": ("w_rec", "wrec", "w_hh", "whh", "weight_hh_l0", "weight_hh", "recurrent_kernel", "recurrent_weights",
              "recurrent", "w_h", "wh", "w_r", "wr", "j", "w", "weights"),
    "w_in": ("w_in", "win", "w_ih", "wih", "weight_ih_l0", "weight_ih", "input_weights", "kernel", "w_x", "wx", "w_i",
             "wi", "b", "u", "readin", "read_in"),
    "w_out": ("w_out", "wout", "w_ho", "who", "w_oh", "output_weights", "readout", "read_out", "decoder", "w_o", "wo",
              "w_y", "wy", "a", "c", "v", "fc.weight", "readout.weight", "linear.weight", "out.weight"),
    "time": ("time", "learning_time", "t", "step", "steps", "iteration", "iterations", "iter", "epoch", "epochs",
             "update", "updates"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class WeightHistory:
    """What was read: a trajectory, and lines that say how the file was understood."""

    trajectory: Trajectory
    understood: tuple[str, ...]


def read_weight_history(
    path: str | Path,
    *,
    w_rec: str | None = None,
    w_in: str | None = None,
    w_out: str | None = None,
    time: str | None = None,
) -> WeightHistory:
    """Read a weight history from a NumPy (.npz), netCDF, zarr or MATLAB file, also one that `wp.save` wrote.

    `w_rec`, `w_in`, `w_out`, `time`: names of the arrays in the file, where they are not usual ones (such as w_rec, W,
    W_hh, weight_hh_l0). The recurrent weights must be (step, post, pre); a last axis of steps is moved, and a read-in
    or read-out with its axes the other way round is turned, where the shapes tell. Read-in or read-out without steps is
    taken as fixed.

    **Raises:** ValueError that says what the file holds and what is expected.
    """
    path = Path(path)
    stored = _stored_trajectory(path)
    if stored is not None:
        return WeightHistory(stored, (f"{path.name}: a trajectory written by weightpath", *_shapes(stored)))
    arrays, kind = read_arrays(path)
    asked = {"w_rec": w_rec, "w_in": w_in, "w_out": w_out, "time": time}
    names = _named(arrays, asked, path)
    rec, rec_said = _recurrent(arrays[names["w_rec"]], names["w_rec"])
    steps, units = rec.shape[:2]
    said, found = [], {}
    for key, last in (("w_in", False), ("w_out", True)):
        missing = f"not found: --{key.replace('_', '-')} NAME names it"
        try:
            if key in names:
                found[key], words = _side(arrays[names[key]], names[key], key, steps, units, last)
        except ValueError:
            if asked[key] is not None:
                raise
            missing += f" ({names[key]!r} {arrays[names.pop(key)].shape} does not fit)"
        said.append(f"  {key:<8} {names[key]!r} as {_axes(key)} {found[key].shape}{words}" if key in found else
                    f"  {key:<8} {missing}")  # fmt: skip
    line, found["time"] = _time(arrays, names, steps)
    unused = [name for name in arrays if name not in names.values()]
    left = [f"  left out {', '.join(f'{name}{arrays[name].shape}' for name in unused)}"] if unused else []
    head = f"{path.name}: {kind} file"
    first = f"  w_rec    {names['w_rec']!r} as (step, post, pre) {rec.shape}{rec_said}"
    return WeightHistory(Trajectory.from_arrays(rec, **found), (head, first, *said, line, *left))


def _stored_trajectory(path: Path) -> Trajectory | None:
    """The trajectory of an object file of weightpath; None for any other file."""
    if path.suffix != ".npz" or not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            if "structure" not in file.files:
                return None
    except (ValueError, EOFError, OSError):
        return None
    from weightpath.store import load

    loaded = load(path)
    if not isinstance(loaded, Trajectory):
        loaded = getattr(loaded, "trajectory", None)
    if not isinstance(loaded, Trajectory):
        raise ValueError(f"{path.name!r} was written by weightpath, and holds no trajectory.")
    return loaded


def _shapes(trajectory: Trajectory) -> list[str]:
    weights = trajectory.network(-1)
    return [f"  {len(trajectory)} steps of a {type(weights).__name__} with {weights.w_rec.shape[0]} units"]


def _named(arrays: dict[str, np.ndarray], asked: dict[str, str | None], path: Path) -> dict[str, str]:
    """Which array is which: as asked, else by usual names, and w_rec also by being the only one of its shape."""
    held = ", ".join(f"{name}{array.shape}" for name, array in arrays.items()) or "no arrays of numbers"
    names: dict[str, str] = {}
    for key, name in asked.items():
        if name is not None:
            if name not in arrays:
                raise ValueError(f"{path.name!r} has no array {name!r}; it holds {held}.")
            names[key] = name
    for key, usual in USUAL.items():
        if key in names:
            continue
        free = [name for name in arrays if name not in names.values() and _fits(arrays[name], key)]
        plain = {name: (name.casefold(), name.casefold().replace("/", ".").rsplit(".", 1)[-1]) for name in free}
        # A single letter can be anything; only a history with two more axes is taken by it.
        found = [
            name for word in usual for name in free
            if word in plain[name] and (len(word) > 1 or key == "time" or arrays[name].ndim == 3)
        ]  # fmt: skip
        if found:
            names[key] = found[0]
    if "w_rec" not in names:
        square = [name for name, array in arrays.items() if array.ndim == 3 and len(set(array.shape[1:])) == 1]
        if len(square) != 1:
            several = f"several arrays may be ({', '.join(square)})" if square else "none is (step, post, pre)"
            raise ValueError(
                f"{path.name!r} has no array with a usual name of recurrent weights, and {several}; it holds {held}. "
                "Name them with --w-rec NAME."
            )
        names = {key: name for key, name in names.items() if name != square[0]} | {"w_rec": square[0]}
    return names


def _fits(array: np.ndarray, key: str) -> bool:
    """Whether an array of this number of axes can be what a usual name says."""
    return array.ndim == 1 if key == "time" else array.ndim in (2, 3)


def _recurrent(array: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    """(step, post, pre) and a remark."""
    shape = array.shape
    if array.ndim == 2 and shape[0] == shape[1]:
        raise ValueError(
            f"{name!r} is a single matrix {shape}; a weight history has one for every step, (step, post, pre). Save "
            "them all, e.g. numpy.savez(path, w_rec=numpy.stack(list_of_matrices))."
        )
    if array.ndim == 3 and shape[1] == shape[2]:
        return array, "; all three axes are alike, the first is taken as steps" if shape[0] == shape[1] else ""
    if array.ndim == 3 and shape[0] == shape[1]:
        return np.moveaxis(array, 2, 0), f"; the steps were the last axis of {shape}"
    raise ValueError(f"{name!r} must be (step, post, pre) with post = pre; got {shape}.")


def _side(array: np.ndarray, name: str, key: str, steps: int, units: int, last: bool) -> tuple[np.ndarray, str]:
    """Read-in (step, post, in) or read-out (step, out, pre; `last`: units last) from the shapes it may have come in."""
    shape = array.shape
    if array.ndim == 2 and shape == (steps, units):
        return (array[:, None, :] if last else array[:, :, None]), "; one channel"
    if array.ndim == 2 and units in shape:
        turned = (shape[1] if last else shape[0]) != units
        fixed = np.broadcast_to(array.T if turned else array, (steps, *(shape[::-1] if turned else shape)))
        return fixed, "; without steps, taken as fixed" + (", and turned" if turned else "")
    if array.ndim == 3 and shape[0] != steps and shape[2] == steps:
        array, remark = np.moveaxis(array, 2, 0), f"; the steps were the last axis of {shape}"
    else:
        remark = ""
    if array.ndim == 3 and array.shape[0] == steps and units in array.shape[1:]:
        if (array.shape[2] if last else array.shape[1]) == units:
            return array, remark
        return np.swapaxes(array, 1, 2), f"{remark}; it came as {shape} and was turned"
    raise ValueError(f"{name!r} must be {_axes(key)} for {steps} steps and {units} units; got {shape}.")


def _axes(key: str) -> str:
    return "(step, post, in)" if key == "w_in" else "(step, out, pre)"


def _time(arrays: dict[str, np.ndarray], names: dict[str, str], steps: int) -> tuple[str, np.ndarray | None]:
    if "time" not in names:
        return "  time     not found: the number of the record", None
    values, name = arrays[names["time"]].astype(float).ravel(), names["time"]
    if values.shape != (steps,):
        return f"  time     {name!r} has {values.size} entries for {steps} steps and was left out", None
    if not np.all(np.isfinite(values)) or np.any(np.diff(values) < 0):
        return f"  time     {name!r} decreases or is not finite and was left out", None
    return f"  time     {name!r} from {values[0]:g} to {values[-1]:g}", values


__all__ = ["EXPECTED", "WeightHistory", "read_weight_history"]
