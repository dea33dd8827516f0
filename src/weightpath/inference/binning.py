"""How spike times or samples become bins around an event: the choices, checked, and in words."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from weightpath._types import Float
from weightpath.inference.time_bins import TOLERANCE, bin_count, bin_edges, smoothed

#: Width of bins when none is given [s].
DEFAULT_BIN = 0.02

#: Most entries (trials x bins x neurons) that are made without asking: 2 GB of numbers.
LARGEST = 250_000_000


@dataclass(frozen=True)
class Binning:
    """Window, bins and smoothing of a recording made from times.

    `align`: column of the trial table with the event that becomes time 0; `window`: seconds from it, (-pre, post),
    None for the whole of each trial; `bin`: width of a bin [s]; `smooth`: standard deviation of a Gaussian along time
    [s], None for none; `counts`: whole counts instead of rates; `clip`: bins outside the trial's own start and stop
    are missing.

    **Raises:** ValueError for values that cannot be used.
    """

    align: str | None = None
    window: tuple[float, float] | None = None
    bin: float | None = None
    smooth: float | None = None
    counts: bool = False
    clip: bool = False

    def __post_init__(self):
        for name, value in (("bin", self.bin), ("smooth", self.smooth)):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number of seconds; got {value}.")
        if self.window is not None:
            window = tuple(self.window)
            if len(window) != 2 or not np.all(np.isfinite(window)) or window[0] >= window[1]:
                raise ValueError(
                    f"window must be two times in seconds, the first before the second, e.g. (-0.2, 0.8); got {window}."
                )
        if self.counts and self.smooth is not None:
            raise ValueError("counts=True keeps whole counts and smooth= makes them fractions; give one of the two.")

    def grid(self, trials, width: float, neurons: int, whole: tuple[float, float] | None = None) -> "Grid":
        """The bins of every trial of a `Trials`; `whole` is the window where none and no end of the trials is given.

        **Raises:** ValueError when the window holds no whole number of bins, or too many to be meant.
        """
        events = trials.events(self.align)
        if self.window is not None:
            window = (float(self.window[0]), float(self.window[1]))
        else:
            window = _whole(trials, events, width, whole)
        bins = bin_count(window, width)
        if len(events) * bins * neurons > LARGEST:
            raise ValueError(
                f"{len(events)} trials x {bins} bins x {neurons} neurons is more than {LARGEST:,} entries; give a "
                "shorter window= around the event, or wider bins."
            )
        centres = window[0] + width * (np.arange(bins) + 0.5)
        return Grid(bin_edges(events, window, width), centres, window, width)

    @property
    def clipped(self) -> bool:
        """Whether bins outside a trial are missing: always so when no window was given."""
        return self.clip or self.window is None

    def words(self, grid: "Grid", what: str) -> str:
        """What was done, for the user: event, window, width of the bins, unit and smoothing."""
        first, last = grid.window
        clipped = "; missing outside the trial" if self.clipped else ""
        return (
            f"time 0 = {self.align or 'start of the trial'}, window {first:.6g} to {last:.6g} s, bins of "
            f"{grid.width:.6g} s{clipped}; {what}, {self._smoothing()}"
        )

    def _smoothing(self) -> str:
        if self.smooth is not None:
            return f"smoothed over time (Gaussian, sd {self.smooth:g} s)"
        return "for a count likelihood" if self.counts else "not smoothed"


@dataclass(frozen=True, eq=False)
class Grid:
    """Bins of every trial. `edges`: in the time of the events; `time`: centres, from the event; `width`: of a bin."""

    edges: Float[np.ndarray, "trial edge"]
    time: Float[np.ndarray, " time"]
    window: tuple[float, float]
    width: float

    def within(self, trials) -> np.ndarray:
        """Bins (trial, time) that lie between the start and the stop of their own trial."""
        slack = TOLERANCE * self.width
        # Where times run within trials there is no start to compare with: bins before time 0 belong to the trial.
        inside = (self.edges[:, :-1] >= trials.start[:, None] - slack) | (not trials.timed)
        return inside if trials.stop is None else inside & (self.edges[:, 1:] <= trials.stop[:, None] + slack)

    def smoothed(self, values: Float[np.ndarray, "trial time neuron"], sd: float | None) -> np.ndarray:
        """`values` after a Gaussian of `sd` seconds along time, where one is asked for."""
        return values if sd is None else smoothed(values, sd / self.width)


def _whole(trials, events: np.ndarray, width: float, whole: Any) -> tuple[float, float]:
    """The window, in whole bins counted from the event, that the longest trials fill."""
    if trials.stop is None:
        if whole is None:
            raise ValueError(
                "the trial table has no stop_time, so the length of the trials is not known; give window=(-pre, post) "
                "in seconds."
            )
        first, last = whole
    else:
        first, last = np.nanmin(trials.start - events), np.nanmax(trials.stop - events)
    before, after = int(np.ceil(first / width - TOLERANCE)), int(np.floor(last / width + TOLERANCE))
    if after - before < 1:
        raise ValueError(f"no trial is as long as one bin of {width:g} s; check that times are in seconds.")
    return before * width, after * width
