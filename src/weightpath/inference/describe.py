"""A recording in words."""

import numpy as np


def describe(recording) -> str:
    """What was understood of a recording: axes, times, labels, missing bins, covariates and notes, one per line."""
    trials, bins, neurons = recording.shape
    lines = [
        f"{recording.name}: {trials} trials x {bins} time bins x {neurons} neurons",
        f"  time        {_times(recording)}",
        f"  condition   {_conditions(recording)}",
        f"  epoch       {_epochs(recording)}",
        f"  observed    {recording.observed.mean():.1%} of the entries",
    ]
    if recording.covariates:
        lines.append(f"  covariates  {', '.join(sorted(recording.covariates))}")
    return "\n".join(lines + [f"  note        {note}" for note in recording.notes])


def _times(recording) -> str:
    time = recording.time
    if len(time) == 1:
        return f"one bin at {time[0]:g} {recording.time_unit}"
    return f"{time[0]:g} to {time[-1]:g} {recording.time_unit}, bins of {np.diff(time).mean():.4g}"


def _conditions(recording) -> str:
    if recording.conditions == ("all",):
        return "none given: all trials share one condition"
    counts = np.bincount(recording.condition, minlength=len(recording.conditions))
    labels = ", ".join(map(str, recording.conditions[:12])) + (", ..." if len(recording.conditions) > 12 else "")
    return f"{len(recording.conditions)} ({labels}), {counts.min()} to {counts.max()} trials each"


def _epochs(recording) -> str:
    if recording.epochs == ("all",):
        return "none given: one epoch"
    counts = np.bincount(recording.epoch, minlength=len(recording.epochs))
    return ", then ".join(f"{label} ({n} trials)" for label, n in zip(recording.epochs, counts, strict=True))
