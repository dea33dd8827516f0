"""Bring data given in any order to (trial, time, neuron), and labels to integer codes, with messages for the user."""

from itertools import permutations
from typing import Any

import numpy as np

from weightpath._types import Float, Int

#: The order of axes of every recording inside the library.
AXES = ("trial", "time", "neuron")


def named_axes(data: Any, dims: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...], dict[str, np.ndarray]]:
    """Values of `data`, the names of its axes, and the one-dimensional coordinates it brings along.

    The names of an xarray array win over `dims`; any other array is taken to have the axes `dims`.

    **Raises:** ValueError when there are not three axes named trial, time and neuron.
    """
    coords: dict[str, np.ndarray] = {}
    if hasattr(data, "dims") and hasattr(data, "coords"):
        dims = tuple(str(name) for name in data.dims)
        coords = {str(name): np.asarray(c.values) for name, c in data.coords.items() if c.dims and c.ndim == 1}
        data = data.values
    values = np.asarray(data)
    if values.ndim != 3:
        raise ValueError(f"a recording has three axes, {', '.join(AXES)}; got an array of shape {values.shape}.")
    if sorted(dims) != sorted(AXES):
        raise ValueError(f"the axes must be named trial, time and neuron, in any order; got {tuple(dims)}.")
    if not (np.issubdtype(values.dtype, np.number) or values.dtype == bool) or np.iscomplexobj(values):
        raise ValueError(f"a recording holds real numbers; got an array of type {values.dtype}.")
    if np.ma.is_masked(data):
        values = np.where(np.ma.getmaskarray(data), np.nan, values)
    return values, tuple(dims), coords


def to_order(values: np.ndarray, dims: tuple[str, ...], lengths: dict[str, tuple[str, int]]) -> np.ndarray:
    """`values` with its axes in the order (trial, time, neuron), after the lengths of all labels were compared.

    `lengths` maps a label's name to the axis it belongs to and its length.

    **Raises:** ValueError when a length does not fit; it names the one order of axes that would fit, if there is one.
    """
    sizes = dict(zip(dims, values.shape, strict=True))
    wrong = {name: (axis, n) for name, (axis, n) in lengths.items() if sizes[axis] != n}
    if wrong:
        name, (axis, n) = next(iter(wrong.items()))
        raise ValueError(
            f"{name} has {n} entries and the data have {sizes[axis]} along {axis!r} "
            f"(shape {values.shape} read as {dims}). {_suggestion(values.shape, dims, lengths)}"
        )
    return np.transpose(values, [dims.index(axis) for axis in AXES])


def _suggestion(shape: tuple[int, ...], dims: tuple[str, ...], lengths: dict[str, tuple[str, int]]) -> str:
    fits = [
        order
        for order in permutations(dims)
        if order != dims and all(shape[order.index(axis)] == n for axis, n in lengths.values())
    ]
    if len(fits) == 1:
        return f"The order of axes that fits all labels is dims={fits[0]}."
    if fits:
        return f"Several orders of axes fit ({' or '.join(map(str, fits))}); give the right one as dims=."
    return "No order of axes fits all labels; check their lengths."


def encode(
    name: str, labels: Any, trials: int, by_appearance: bool
) -> tuple[Int[np.ndarray, " trial"], tuple[Any, ...]]:
    """Integer code of each trial and the labels the codes stand for.

    Labels are numbered in the order of appearance (epochs) or sorted as `numpy.unique` does (conditions). Without
    labels all trials belong to one class named "all".

    **Raises:** ValueError when a label is missing.
    """
    if labels is None:
        return np.zeros(trials, int), ("all",)
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"{name} must hold one label a trial, ({trials},); got shape {labels.shape}.")
    if labels.dtype == object:
        missing = np.array([label is None or label != label for label in labels])
        labels = np.array([str(label) for label in labels])
    else:
        missing = labels != labels
    if missing.any():
        raise ValueError(
            f"{name} has no label for {int(missing.sum())} trials (first: position {int(np.argmax(missing))}); "
            "label every trial, or leave those trials out."
        )
    found, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    if by_appearance:
        order = np.argsort(first, kind="stable")
        found, codes = found[order], np.argsort(order, kind="stable")[codes]
    return codes.astype(int).reshape(-1), tuple(label.item() for label in found)


def checked_time(time: Any, bins: int) -> tuple[Float[np.ndarray, " time"], str]:
    """Times of the bins and their unit: "s" when given, "bin" (0, 1, 2, ...) when not.

    **Raises:** ValueError when times are not finite and increasing.
    """
    if time is None:
        return np.arange(bins, dtype=float), "bin"
    time = np.asarray(time, dtype=float)
    if not np.all(np.isfinite(time)) or np.any(np.diff(time) <= 0):
        raise ValueError("time must hold finite, strictly increasing values (seconds of the bins within a trial).")
    return time, "s"


def trial_order(trial_id: Any, trials: int) -> tuple[Float[np.ndarray, " trial"], Int[np.ndarray, " trial"]]:
    """Numbers of the trials in increasing order, and the order in which the given trials are to be taken.

    **Raises:** ValueError when a trial number is not a finite number.
    """
    if trial_id is None:
        return np.arange(trials, dtype=float), np.arange(trials)
    try:
        ids = np.asarray(trial_id, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError("trial_id must hold numbers (the position of each trial in the session).") from error
    if not np.all(np.isfinite(ids)):
        raise ValueError("trial_id holds NaN or infinite entries; number every trial.")
    order = np.argsort(ids, kind="stable")
    return ids[order], order
