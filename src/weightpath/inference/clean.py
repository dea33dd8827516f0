"""What is missing or silent in a recording: counted, dropped or kept, and said."""

import warnings
from typing import Any

import numpy as np

from weightpath._types import Bool, Float


def as_missing(
    values: np.ndarray, counts: bool | None = None
) -> tuple[Float[np.ndarray, "trial time neuron"], list[str]]:
    """`values` in float64 with infinite entries as NaN, and notes on the numbers of both; warns about integers.

    `counts`: they are declared to be counts (True), so there is no warning.

    **Raises:** ValueError when counts are negative or not whole.
    """
    notes = []
    if counts:
        notes.append(_checked_counts(values))
    elif not np.issubdtype(values.dtype, np.floating):
        warnings.warn(
            f"the recording holds {values.dtype} values, which are taken as real numbers: a Gaussian likelihood fits "
            "rates, not counts. Smooth counts first (e.g. a Gaussian of sd 4 bins along time), or give counts=True "
            "and fit a count likelihood.",
            UserWarning,
            stacklevel=3,
        )
        notes.append(f"{values.dtype} values cast to real numbers")
    values = values.astype(np.float64)
    infinite, missing = np.isinf(values), np.isnan(values)
    values[infinite] = np.nan
    if infinite.any() or missing.any():
        share = (infinite.sum() + missing.sum()) / values.size
        detail = f"{int(missing.sum())} NaN, {int(infinite.sum())} infinite"
        notes.append(f"{share:.1%} of the entries are missing ({detail}): out of every fit and score")
    return values, notes


def _checked_counts(values: np.ndarray) -> str:
    seen = values[np.isfinite(values)]
    for wrong, what in ((seen < 0, "negative"), (seen != np.round(seen), "not whole")):
        if np.any(wrong):
            raise ValueError(
                f"counts must be whole and not negative; {int(wrong.sum())} of {seen.size} observed values are {what} "
                f"(first: {seen[wrong][0]:g}). Give the counts before smoothing or scaling, or leave counts= out."
            )
    return f"counts per bin, {seen.mean():.3g} on average: for a count likelihood" if seen.size else "counts per bin"


def dropped(
    values: Float[np.ndarray, "trial time neuron"], trial_id: np.ndarray, neuron: np.ndarray
) -> tuple[Bool[np.ndarray, " trial"], Bool[np.ndarray, " neuron"], list[str]]:
    """Which trials and neurons hold any observation, with notes naming those that do not; warns about them.

    **Raises:** ValueError when nothing at all was observed.
    """
    observed = np.isfinite(values)
    if not observed.any():
        raise ValueError("the recording has no finite entry; nothing can be fitted. Check the array that was read.")
    trials, neurons = np.any(observed, axis=(1, 2)), np.any(observed, axis=(0, 1))
    notes = []
    for what, keep, names in (("trial", trials, trial_id), ("neuron", neurons, neuron)):
        if not keep.all():
            notes.append(f"{what}s without any observation dropped: {_names(names[~keep])}")
    share = 1 - observed[trials][:, :, neurons].mean()
    if share > 0.5:
        notes.append(f"more than half of the entries are missing ({share:.0%}): fits rest on little data")
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=3)
    return trials, neurons, notes


def silent_neurons(
    values: Float[np.ndarray, "trial time neuron"], neuron: np.ndarray
) -> tuple[Bool[np.ndarray, " neuron"], list[str]]:
    """Neurons that never vary; they are predicted by their constant and left out of scaling and scores; warns."""
    silent = np.nanmax(values, axis=(0, 1)) == np.nanmin(values, axis=(0, 1))
    notes = []
    if silent.any():
        notes.append(
            f"silent (constant) neurons: {_names(neuron[silent])}; predicted by their constant, not scaled or scored"
        )
        warnings.warn(notes[0], UserWarning, stacklevel=3)
    return silent, notes


def label_list(neuron: Any, neurons: int) -> np.ndarray:
    """Names of the neurons, 0, 1, 2, ... when none are given."""
    names = np.arange(neurons) if neuron is None else np.asarray(neuron)
    return names.astype(str) if names.dtype == object else names


def of_values(note: str) -> bool:
    """Whether a note tells of the values at hand, so that a part of the recording gets its own instead."""
    return "of the entries are missing" in note or note.startswith(("counts per bin", "silent (constant)"))


def _names(names: np.ndarray) -> str:
    shown = ", ".join(f"{name:g}" if isinstance(name, float) else str(name) for name in names[:8].tolist())
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
