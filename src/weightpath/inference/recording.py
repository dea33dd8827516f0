"""A recording of a population over trials: checked once at the border, with named axes ever after."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightpath._types import Bool, Float, Int
from weightpath.inference.arrange import AXES, checked_time, encode, named_axes, to_order, trial_order
from weightpath.inference.clean import as_missing, dropped, label_list, silent_neurons


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Recording:
    """Activity of recorded neurons, (trial, time, neuron), with the labels that a fit over learning needs.

    Arguments: `data`: numpy array with the axes `dims`, or an xarray array whose names are authoritative; missing
    bins are NaN. `time` (time,): seconds of the bins within the trial. `condition` (trial,): task condition, any
    labels. `epoch` (trial,): phase of the experiment (baseline, perturbation, ...), any labels, numbered in the order
    of appearance. `trial_id` (trial,): position of the trial in the session; trials are sorted by it. `neuron`
    (neuron,): names. `covariates`: further arrays with the trial as first axis. `name`: what to call the recording.
    `counts`: True for numbers of spikes per bin (checked to be whole), False for rates, None to judge by the values.

    **Raises:** ValueError when axes, lengths or labels do not fit, with the order of axes that would fit.
    """

    values: Float[np.ndarray, "trial time neuron"]
    time: Float[np.ndarray, " time"]
    condition: Int[np.ndarray, " trial"]
    epoch: Int[np.ndarray, " trial"]
    trial_id: Float[np.ndarray, " trial"]
    neuron: np.ndarray
    #: Labels that the codes in `condition` and `epoch` stand for; ("all",) where none were given.
    conditions: tuple[Any, ...]
    epochs: tuple[Any, ...]
    covariates: dict[str, np.ndarray]
    #: Neurons that never vary: kept, not scaled, not scored.
    silent: Bool[np.ndarray, " neuron"]
    #: Original units: `values * scale + centre`.
    centre: Float[np.ndarray, " neuron"]
    scale: Float[np.ndarray, " neuron"]
    #: Position in the given array of each kept trial and neuron.
    source_trial: Int[np.ndarray, " trial"]
    source_neuron: Int[np.ndarray, " neuron"]
    name: str
    time_unit: str
    #: Whether the values were declared to be counts; None where nothing was said.
    counts: bool | None
    notes: tuple[str, ...]

    def __init__(
        self,
        data: Any,
        *,
        dims: tuple[str, ...] = AXES,
        time: Any = None,
        condition: Any = None,
        epoch: Any = None,
        trial_id: Any = None,
        neuron: Any = None,
        name: str | None = None,
        covariates: Mapping[str, Any] | None = None,
        counts: bool | None = None,
    ):
        values, dims, coords = named_axes(data, tuple(dims))
        name = name or str(getattr(data, "name", None) or "recording")
        given = dict(time=time, condition=condition, epoch=epoch, trial_id=trial_id, neuron=neuron)
        given = {key: coords.get(key) if value is None else value for key, value in given.items()}
        given["trial_id"] = coords.get("trial") if given["trial_id"] is None else given["trial_id"]
        covariates = {key: np.asarray(value) for key, value in (covariates or {}).items()}
        values = to_order(values, dims, _lengths(given, covariates))
        self.__dict__.update(_build(values, given, covariates, name, counts))

    @property
    def observed(self) -> Bool[np.ndarray, "trial time neuron"]:
        """Entries that were recorded."""
        return np.isfinite(self.values)

    @property
    def is_counts(self) -> bool:
        """Whether the values can be counts, as a count likelihood needs: whole, not negative, not given as rates."""
        if self.counts is False:
            return False
        return all(np.all((trial >= 0) & (trial == np.round(trial)) | np.isnan(trial)) for trial in self.values)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of trials, time bins and neurons."""
        trials, bins, neurons = self.values.shape
        return trials, bins, neurons

    @property
    def boundaries(self) -> tuple[int, ...]:
        """First trial of every epoch but the first."""
        return tuple(int(i) + 1 for i in np.flatnonzero(np.diff(self.epoch)))

    def standardised(self, how: str = "global", *, mask: Any = None) -> "Recording":
        """The recording centred per neuron, and scaled, by the means and spread of its observed bins.

        `how`: "global" divides all neurons by one standard deviation, "neuron" each by its own (silent ones by 1),
        "centre" does not divide. `mask` (trial, time, neuron): only these entries enter means and spread, so that
        nothing of held-out ones does; neurons without any are not centred. The new `centre` and `scale` lead back to
        the original units.

        `wp.fit` centres and scales again by its own training entries. Without a mask, what held-out entries have a say
        in is the unit of a score and, with "neuron", how much each neuron counts in it: alike for all models.

        **Raises:** ValueError for any other word, or a mask of another shape or without an observed entry.
        """
        used = self.observed if mask is None else self.observed & (self._checked(mask) | self.silent)
        seen = used.any(axis=(0, 1))
        kept = np.where(used, self.values, np.nan)
        centre = np.zeros(self.shape[2])
        centre[seen] = np.nanmean(kept[..., seen], axis=(0, 1))
        varying = seen & ~self.silent
        scale = np.ones(self.shape[2])
        if how == "global":
            scale[:] = np.nanstd((kept - centre)[..., varying]) if varying.any() else 1.0
        elif how == "neuron":
            scale[varying] = np.nanstd((kept - centre)[..., varying], axis=(0, 1))
        elif how != "centre":
            raise ValueError(f'how must be "global", "neuron" or "centre"; got {how!r}.')
        scale = np.where(scale > 0, scale, 1.0)  # neurons that vary, but not in these entries
        centred = self.values - centre
        # Rounding must not turn the constant of a silent neuron into a varying one.
        values = np.where(self.silent & self.observed, 0.0, centred / scale)
        counts = None if self.counts is None else False
        return self._with(
            values=values, centre=self.centre + self.scale * centre, scale=self.scale * scale, counts=counts
        )

    def _checked(self, mask: Any) -> np.ndarray:
        """A mask of entries as an array."""
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.shape != self.shape:
            raise ValueError(f"mask must be boolean of shape {self.shape}; got {mask.dtype} of shape {mask.shape}.")
        if not (mask & self.observed).any():
            raise ValueError("mask holds no observed entry; there is nothing to take means and spread from.")
        return mask

    def restored(self, values: np.ndarray) -> np.ndarray:
        """`values` (..., neuron) of a prediction in the original units of the recording."""
        return np.asarray(values) * self.scale + self.centre

    def with_epoch(self, epoch: Any) -> "Recording":
        """The same recording with other epoch labels (trial,), numbered in the order of appearance."""
        codes, labels = encode("epoch", epoch, self.shape[0], by_appearance=True)
        if len(codes) != self.shape[0]:
            raise ValueError(f"epoch has {len(codes)} entries and the recording {self.shape[0]} trials.")
        return self._with(epoch=codes, epochs=labels)

    def digest(self) -> str:
        """Hash of all that a fit or a score can depend on (sha256, hexadecimal)."""
        sha = hashlib.sha256()
        for array in (self.values, self.time, self.condition, self.epoch, self.trial_id, self.centre, self.scale):
            sha.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()

    def describe(self) -> str:
        """What was understood, in a few lines for the user to read before any work is done."""
        from weightpath.inference.describe import describe

        return describe(self)

    @classmethod
    def from_spikes(cls, spikes: Any, trials: Any = None, **options: Any) -> "Recording":
        """A recording from spike times and a table of trials; see `weightpath.inference.spikes_to_recording`."""
        from weightpath.inference.spikes import spikes_to_recording

        return spikes_to_recording(spikes, trials, **options)

    @classmethod
    def from_series(cls, time: Any, values: Any, trials: Any, **options: Any) -> "Recording":
        """A recording from samples of the whole session; see `weightpath.inference.series_to_recording`."""
        from weightpath.inference.series import series_to_recording

        return series_to_recording(time, values, trials, **options)

    def to_dataset(self):
        """The recording as an `xarray.Dataset` with the dims trial, time, neuron."""
        from weightpath.inference.exchange import to_dataset

        return to_dataset(self)

    @classmethod
    def from_dataset(cls, dataset) -> "Recording":
        """A recording from the dataset written by `to_dataset`."""
        from weightpath.inference.exchange import from_dataset

        return from_dataset(cls, dataset)

    def __repr__(self) -> str:
        trials, bins, neurons = self.shape
        labels = f"{len(self.conditions)} conditions, {len(self.epochs)} epochs"
        return f"Recording({self.name!r}: {trials} trials x {bins} bins x {neurons} neurons, {labels})"

    def _with(self, **changes: Any) -> "Recording":
        new = object.__new__(Recording)
        new.__dict__.update(self.__dict__ | changes)
        return new


def _lengths(given: Mapping[str, Any], covariates: Mapping[str, np.ndarray]) -> dict[str, tuple[str, int]]:
    axis = dict(time="time", condition="trial", epoch="trial", trial_id="trial", neuron="neuron")
    lengths = {key: (axis[key], len(np.atleast_1d(value))) for key, value in given.items() if value is not None}
    for key, value in covariates.items():
        if value.ndim == 0:
            raise ValueError(f"covariate {key!r} is a single number; give one entry per trial.")
        lengths[f"covariate {key!r}"] = ("trial", value.shape[0])
    return lengths


def _build(
    values: np.ndarray, given: Mapping[str, Any], covariates: Mapping[str, np.ndarray], name: str, counts: bool | None
) -> dict:
    """All fields of a recording from data in the right order."""
    values, notes = as_missing(values, counts)
    trial_id, order = trial_order(given["trial_id"], values.shape[0])
    if np.any(order != np.arange(len(order))):
        notes.append("trials sorted by trial_id; source_trial keeps the given order")
    if len(np.unique(trial_id)) < len(trial_id):
        notes.append("some trial numbers occur more than once")
    time, unit = checked_time(given["time"], values.shape[1])
    neuron = label_list(given["neuron"], values.shape[2])
    keep, kept_neurons, more = dropped(values[order], trial_id, neuron)
    order, trial_id, neuron = order[keep], trial_id[keep], neuron[kept_neurons]
    values = np.ascontiguousarray(values[order][:, :, kept_neurons])
    silent, said = silent_neurons(values, neuron)
    labels = {key: None if given[key] is None else np.asarray(given[key])[order] for key in ("condition", "epoch")}
    condition, conditions = encode("condition", labels["condition"], len(order), by_appearance=False)
    epoch, epochs = encode("epoch", labels["epoch"], len(order), by_appearance=True)
    return dict(
        values=values, time=time, time_unit=unit, condition=condition, conditions=conditions, epoch=epoch,
        epochs=epochs, trial_id=trial_id, neuron=neuron, silent=silent, name=name, counts=counts,
        covariates={key: value[order] for key, value in covariates.items()},
        centre=np.zeros(len(neuron)), scale=np.ones(len(neuron)),
        source_trial=order, source_neuron=np.flatnonzero(kept_neurons), notes=tuple(notes + more + said),
    )  # fmt: skip
