"""`inference.fit_sessions`: several recordings fitted together, with shared directions and a decoder for each session.

Sessions stand one after the other on the trial axis and side by side on the neuron axis; a neuron is missing in the
trials of other sessions. Rows of the decoder then belong to one session each, and everything else is an ordinary fit.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightpath._types import Bool, Float
from weightpath.inference.fit import fit
from weightpath.inference.recording import Recording
from weightpath.inference.result import Fit
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

#: Between the last trial of one session and the first of the next, in trial numbers.
GAP = 1.0


@dataclass(frozen=True, eq=False)
class Session:
    """Where one recording stands among the joined ones."""

    name: str
    recording: Recording
    trials: slice
    neurons: slice


@dataclass(frozen=True, eq=False, repr=False)
class JoinedFit:
    """One fit to several sessions: directions a and b are shared; factors, decoders and offsets belong to sessions."""

    fit: Fit
    """The fit to the joined recording; its epochs are pairs of session and epoch, written "session / epoch"."""
    sessions: tuple[Session, ...]

    def __getitem__(self, name: str) -> Session:
        """The session of a name.

        **Raises:** ValueError when there is none.
        """
        for one in self.sessions:
            if one.name == name:
                return one
        raise ValueError(
            f"there is no session {name!r}; there are {', '.join(repr(one.name) for one in self.sessions)}."
        )

    def c(self, name: str) -> Float[np.ndarray, "step *core"]:
        """Trial factors of one session, of the shared directions."""
        return self.fit.c[self[name].trials]

    def predict(self, name: str) -> Float[np.ndarray, "trial time neuron"]:
        """Predicted activity of one session, in the units of its recording."""
        one = self[name]
        predicted = np.asarray(self.fit.predict(np.arange(one.trials.start, one.trials.stop)), np.float64)
        return predicted[:, :, one.neurons] if self.fit.model.counts else _back(one, self.scale(name), predicted)

    def score(self, name: str, mask: Bool[np.ndarray, "trial time neuron"] | None = None) -> float:
        """R^2 of one session over the entries of `mask`; default its held-out entries, else its training ones.

        **Raises:** ValueError when no entry is left.
        """
        one = self[name]
        train = self.fit.mask[one.trials, :, one.neurons]
        held = one.recording.observed & ~train
        if mask is None:
            mask = held if held.any() else train
        mask = np.asarray(mask, bool) & one.recording.observed & ~one.recording.silent & train.any(axis=(0, 1))
        if not mask.any():
            raise ValueError(f"no observed entry of session {name!r} is left to score.")
        values = one.recording.values[mask]
        error = values - self.predict(name)[mask]
        return float(1 - np.sum(error**2) / np.sum((values - values.mean()) ** 2))

    def decoder(self, name: str) -> Float[np.ndarray, "neuron unit"]:
        """Decoder of one session, in the units of its recording; of counts on the scale inside the softplus."""
        one, w_out = self[name], np.asarray(self.fit.network.w_out)
        w_out = w_out[one.trials].mean(axis=0) if w_out.ndim == 3 else w_out
        return w_out[one.neurons] * (1.0 if self.fit.model.counts else self.scale(name))

    def scale(self, name: str) -> float:
        """By what the session was divided before the fit."""
        return _scale(self[name].recording, self.fit.model)

    def __repr__(self) -> str:
        return f"JoinedFit({', '.join(one.name for one in self.sessions)}: {self.fit!r})"


def fit_sessions(
    model: LowTensorRankRNN,
    recordings: Mapping[str, Recording] | Sequence[Recording],
    *,
    conditions: str = "shared",
    masks: Mapping[str, Any] | Sequence[Any] | None = None,
    seed: int = 0,
    iterations: int = 1000,
    learning_rate: float | int = 1e-2,
    dtype: str = "float32",
    progress: Any = None,
    checkpoint: str | os.PathLike | None = None,
) -> JoinedFit:
    r"""Fit one network to several sessions.

    $W^{(s,k)} = A\,\mathrm{diag}(c^{(s,k)})B^\top$ on trial k of session s, $y^{(s)} = Q_s\tanh(x) + d_s$. Directions
    A and B are shared. Every session has its own decoder and offsets, its own level of the factors in each epoch, and
    factors that are independent, under the prior, of those of other sessions. `conditions` "shared": equal labels mean
    equal inputs and initial states in all sessions; "own": each session has its own, which leaves less to tie the
    directions of different sessions to one another. Unless they are counts, sessions are divided by their standard
    deviation first, so that none dominates the loss by its units.

    Arguments: `recordings`: by name, or a sequence (named by their `name`, or by number where these are not distinct);
    `masks`: training entries of each session, in the same form; the others are those of `wp.fit`.

    The joined array has the sum of trials times the sum of neurons, most of it missing: time and memory grow with the
    square of the number of sessions.

    **Raises:** ValueError for fewer than two sessions, numbers of bins that differ, the identity decoder, or a kernel
    that is not `by_epoch` (levels would be shared between sessions).
    """
    named = _named(recordings, "recordings")
    _check(model, named, conditions)
    joined, sessions = join(model, named, conditions)
    mask = None if masks is None else _joined_mask(_named(masks, "masks", tuple(named)), sessions, joined)
    fitted = fit(
        model, joined, mask=mask, seed=seed, iterations=iterations, learning_rate=learning_rate, dtype=dtype,
        progress=progress, checkpoint=checkpoint,
    )  # fmt: skip
    return JoinedFit(fitted, sessions)


def join(
    model: LowTensorRankRNN, named: Mapping[str, Recording], conditions: str
) -> tuple[Recording, tuple[Session, ...]]:
    """One recording of all sessions, missing where a neuron belongs to another session, and where each one stands."""
    shapes = [one.shape for one in named.values()]
    values = np.full((sum(s[0] for s in shapes), shapes[0][1], sum(s[2] for s in shapes)), np.nan)
    sessions, labels, begin, row, column = [], dict[str, list](condition=[], epoch=[], trial_id=[]), 0.0, 0, 0
    for name, one in named.items():
        trials, neurons = slice(row, row + one.shape[0]), slice(column, column + one.shape[2])
        values[trials, :, neurons] = one.values / _scale(one, model)
        where = [str(one.conditions[code]) for code in one.condition]
        labels["condition"] += where if conditions == "shared" else [f"{name} / {label}" for label in where]
        labels["epoch"] += [f"{name} / {one.epochs[code]}" for code in one.epoch]
        labels["trial_id"] += (one.trial_id - one.trial_id[0] + begin).tolist()
        begin = labels["trial_id"][-1] + GAP
        sessions.append(Session(name, one, trials, neurons))
        row, column = trials.stop, neurons.stop
    first = next(iter(named.values()))
    # All entries that are missing here are so by construction; there is nothing to warn of.
    joined = _quiet(values, time=first.time if first.time_unit == "s" else None, name=" + ".join(named),
                    counts=model.counts or None, **labels)  # fmt: skip
    if joined.shape != values.shape:
        raise ValueError("a session has trials or neurons without any observation; make its Recording drop them first.")
    return joined, tuple(sessions)


def _quiet(values: np.ndarray, **given: Any) -> Recording:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return Recording(values, **given)


def _scale(recording: Recording, model: LowTensorRankRNN) -> float:
    if model.counts or recording.silent.all():
        return 1.0
    varying = recording.values[:, :, ~recording.silent]
    return float(np.nanstd(varying - np.nanmean(varying, axis=(0, 1))))


def _back(session: Session, scale: float, predicted: np.ndarray) -> np.ndarray:
    return predicted[:, :, session.neurons] * scale


def _named(given: Any, what: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
    if isinstance(given, Mapping):
        named = {str(name): one for name, one in given.items()}
    else:
        given = list(given)
        own = [str(getattr(one, "name", "")) for one in given]
        distinct = len(set(own)) == len(own) and all(own)
        numbered = names if len(names) == len(given) else tuple(f"session {i + 1}" for i in range(len(given)))
        named = dict(zip(own if distinct and not names else numbered, given, strict=True))
    if names and set(named) != set(names):
        raise ValueError(f"{what} must be given for {', '.join(map(repr, names))}; got {', '.join(map(repr, named))}.")
    return named


def _check(model: LowTensorRankRNN, named: dict[str, Any], conditions: str) -> None:
    if len(named) < 2:
        raise ValueError(f"joint fits need two sessions or more; got {len(named)}. Use wp.fit for one.")
    for name, one in named.items():
        if not isinstance(one, Recording):
            raise ValueError(f"session {name!r} must be a wp.Recording; got {type(one).__name__}.")
    bins = {name: one.shape[1] for name, one in named.items()}
    if len(set(bins.values())) > 1:
        raise ValueError(f"all sessions must have the same time bins; got {bins}. Cut or rebin them alike.")
    if conditions not in ("shared", "own"):
        raise ValueError(f'conditions must be "shared" or "own"; got {conditions!r}.')
    if model.decoder != "linear":
        raise ValueError(f"decoder={model.decoder!r} ties units to neurons; joint fits need decoder='linear'.")
    if model.changes == "trial" and not model.kernel.by_epoch:
        raise ValueError("the kernel must have by_epoch=True, so that sessions have levels of their own.")


def _joined_mask(masks: dict[str, Any], sessions: tuple[Session, ...], joined: Recording) -> np.ndarray:
    mask = np.zeros(joined.shape, bool)
    for one in sessions:
        part = np.asarray(masks[one.name])
        if part.shape != one.recording.shape or part.dtype != np.bool_:
            raise ValueError(
                f"the mask of session {one.name!r} must be boolean, shape {one.recording.shape}; got {part.dtype} "
                f"{part.shape}."
            )
        mask[one.trials, :, one.neurons] = part
    return mask & joined.observed
