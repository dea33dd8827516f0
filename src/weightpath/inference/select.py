"""Which trials and which neurons to take: by name, by number, or by a condition on what is known of them."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from weightpath._types import Bool
from weightpath.inference.clean import of_values
from weightpath.inference.recording import Recording

#: What pandas raises for a condition that it cannot understand or apply.
WRONG = (NameError, SyntaxError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError)


def chosen_rows(frame: Any, wanted: Any, what: str) -> Bool[np.ndarray, " row"]:
    """Rows of a data frame that are wanted.

    `wanted`: a condition on the columns in the notation of `pandas.DataFrame.query`, such as
    `"quality == 'good' and depth < 800"`; or entries of the index, as a list or separated by commas in one string; or
    one truth value a row. `what` (trials, neurons) names the rows in messages.

    **Raises:** ValueError for a condition that cannot be applied, unknown entries, and when no row is left.
    """
    if wanted is None:
        return np.ones(len(frame), bool)
    index = [str(entry) for entry in frame.index]
    named = re.split(r"\s*,\s*", wanted.strip()) if isinstance(wanted, str) else None
    if named is not None and set(named) <= set(index):
        keep = np.isin(index, named)
    elif isinstance(wanted, str):
        keep = _condition(frame, wanted, what)
    elif isinstance(wanted, Iterable):
        keep = _listed(index, list(wanted), what)
    else:
        raise ValueError(f"{what}= takes a condition, a list of names or numbers; got {type(wanted).__name__}.")
    if not keep.any():
        raise ValueError(f"no row of {len(frame)} fits {what}={_short(wanted)}; nothing would be left.")
    return keep


def selected(recording: Recording, trials: Any = None, neurons: Any = None) -> Recording:
    """The recording with some of its trials and neurons.

    Conditions may use trial_id, condition, epoch and covariates with one number a trial; and neuron, mean (of the
    activity) and silent. Lists hold trial numbers and names of neurons.

    **Raises:** ValueError as `chosen_rows` does.
    """
    import pandas as pd

    if trials is None and neurons is None:
        return recording
    labels = {
        "condition": np.asarray(recording.conditions)[recording.condition],
        "epoch": np.asarray(recording.epochs)[recording.epoch],
    }
    known = {key: value for key, value in recording.covariates.items() if value.ndim == 1}
    rows = pd.DataFrame({**known, **labels, "trial_id": recording.trial_id}, index=_numbers(recording.trial_id))
    columns = pd.DataFrame(
        {"neuron": recording.neuron, "mean": _means(recording), "silent": recording.silent},
        index=recording.neuron,
    )
    return _part(recording, chosen_rows(rows, trials, "trials"), chosen_rows(columns, neurons, "neurons"), labels)


def _means(recording: Recording) -> np.ndarray:
    """Mean of the observed entries of each neuron, NaN where there is none."""
    number = recording.observed.sum(axis=(0, 1))
    total = np.where(recording.observed, recording.values, 0.0).sum(axis=(0, 1))
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _part(recording: Recording, rows: np.ndarray, columns: np.ndarray, labels: dict[str, np.ndarray]) -> Recording:
    part = Recording(
        recording.values[rows][:, :, columns],
        time=recording.time if recording.time_unit == "s" else None,
        trial_id=recording.trial_id[rows],
        neuron=recording.neuron[columns],
        name=recording.name,
        covariates={key: value[rows] for key, value in recording.covariates.items()},
        condition=None if recording.conditions == ("all",) else labels["condition"][rows],
        epoch=None if recording.epochs == ("all",) else labels["epoch"][rows],
        counts=recording.counts,
    )
    notes = [
        f"{int(keep.sum())} of {len(keep)} {what} chosen"
        for keep, what in ((rows, "trials"), (columns, "neurons"))
        if not keep.all()
    ]
    return part._with(
        centre=recording.centre[columns][part.source_neuron],
        scale=recording.scale[columns][part.source_neuron],
        source_trial=recording.source_trial[rows][part.source_trial],
        source_neuron=recording.source_neuron[columns][part.source_neuron],
        notes=tuple([note for note in recording.notes if not of_values(note)] + notes + list(part.notes)),
    )


def _condition(frame: Any, wanted: str, what: str) -> np.ndarray:
    try:
        # No names but those of the columns: a condition cannot reach into the program.
        found = np.asarray(frame.eval(wanted, local_dict={}, global_dict={}))
    except WRONG as error:
        columns = ", ".join(map(str, frame.columns)) or "none"
        raise ValueError(
            f"{what}={wanted!r} is neither a list of names nor a condition on the columns ({error}); "
            f"columns: {columns}."
        ) from error
    if found.shape != (len(frame),) or found.dtype != bool:
        raise ValueError(f"{what}={wanted!r} must be true or false for each row, e.g. \"column == 'value'\".")
    return found


def _listed(index: list[str], wanted: list[Any], what: str) -> np.ndarray:
    if len(wanted) == len(index) and all(isinstance(entry, bool | np.bool_) for entry in wanted):
        return np.asarray(wanted, bool)
    names = [str(entry) for entry in wanted]
    unknown = [name for name in names if name not in set(index)]
    if unknown:
        known = ", ".join(index[:8]) + (", ..." if len(index) > 8 else "")
        raise ValueError(f"{what}= names {', '.join(unknown[:8])}, which are not there; there are {known}.")
    return np.isin(index, names)


def _numbers(trial_id: np.ndarray) -> list[str]:
    return [str(int(number)) if number == round(number) else str(number) for number in trial_id.tolist()]


def _short(wanted: Any) -> str:
    text = repr(wanted)
    return text if len(text) <= 60 else text[:57] + "..."
