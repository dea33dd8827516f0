"""What is asked of a file, and what was read from it."""

import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from weightpath.inference.binning import Binning
from weightpath.inference.rebin import rebinned, smoothed_in_time, windowed
from weightpath.inference.recording import Recording
from weightpath.inference.select import selected


@dataclass(frozen=True, eq=False)
class Reading:
    """A recording read from a file.

    `layout`: "bci", "npz", "npy", "netcdf", "nwb", "matlab" or "spikes"; `scaling`: the standardisation that suits it
    (see `Recording.standardised`; counts for a count likelihood are not standardised); `understood`: lines for the
    user; `extras`: arrays of the file that are not per trial.
    """

    recording: Recording
    layout: str
    scaling: Literal["global", "neuron"]
    understood: tuple[str, ...]
    extras: dict[str, np.ndarray]


@dataclass(frozen=True)
class Asked:
    """How a file is to be read; see `weightpath.inference.read.read_recording`."""

    array: str | None = None
    dims: tuple[str, ...] | None = None
    condition: str | None = None
    epoch: str | None = None
    binning: Binning = field(default_factory=Binning)
    trials: Any = None
    neurons: Any = None
    trial_table: Any = None

    @property
    def part(self) -> bool:
        """Whether only a part of the trials, neurons or time is wanted."""
        return self.binning.window is not None or self.trials is not None or self.neurons is not None

    @property
    def labels(self) -> dict[str, str | None]:
        """Names of the labels, where they were given."""
        return {"condition": self.condition, "epoch": self.epoch}


def built(data: Any, asked: Asked, **options: Any) -> Recording:
    """The recording of all that a file holds, before the wishes for its trials, neurons and time.

    Warnings about its values wait where only a part is wanted: `binned_reading` looks at that again.
    """
    with warnings.catch_warnings():
        if asked.part:
            warnings.simplefilter("ignore", UserWarning)
        return Recording(data, counts=asked.binning.counts or None, **options)


def reading_of(recording: Recording, layout: str, scaling: Any, head: list[str], extras: dict) -> Reading:
    """A reading whose `understood` is `head` and the description of the recording."""
    return Reading(recording, layout, scaling, (*head, *recording.describe().splitlines()), extras)


def binned_reading(
    recording: Recording, layout: str, scaling: Any, head: list[str], extras: dict, asked: Asked
) -> Reading:
    """A reading of activity that the file already holds in bins, with the wishes for its trials, neurons and time.

    **Raises:** ValueError for wishes that need spike times.
    """
    binning = asked.binning
    for name, value in (("align", binning.align), ("clip", binning.clip or None), ("trial_table", asked.trial_table)):
        if value is not None:
            raise ValueError(
                f"{name}= needs spike times or a series of the whole session; {recording.name!r} holds activity that "
                "is already in bins of trials. Leave it out."
            )
    if binning.bin is not None:
        recording = rebinned(recording, binning.bin, counts=binning.counts)
    if binning.window is not None:
        before = recording.time[0]
        recording = windowed(recording, binning.window)
        if recording.time[0] > before:  # what counts bins from the start of the trial no longer holds
            extras = {name: value for name, value in extras.items() if name != "freeze_bins" and "decoder" not in name}
    if asked.part:  # trials that end before the window, and neurons silent in it, are found here too
        everything = [True] * recording.shape[0]
        recording = selected(recording, everything if asked.trials is None else asked.trials, asked.neurons)
    if binning.smooth is not None:
        recording = smoothed_in_time(recording, binning.smooth)
        extras = {name: value for name, value in extras.items() if "decoder" not in name}
    return reading_of(recording, layout, scaling, head, extras)
