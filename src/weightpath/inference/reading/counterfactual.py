"""What the fitted network would do without one of its parts: without learning, inputs, recurrence, or slow offset.

These are statements about the fitted model. That removing the change of the weights changes the model's prediction
does not show that weights changed: other models predict the same data with constant weights.
"""

from dataclasses import dataclass, replace

import numpy as np

from weightpath._types import Float
from weightpath.inference.reading.in_span import InSpan, in_span
from weightpath.inference.result import Fit

#: What is taken out, in the order in which it is shown.
REMOVED = ("learning", "input", "recurrence", "offset")


@dataclass(frozen=True, eq=False)
class Counterfactuals:
    r"""Predictions with one part taken out, and shares $\|y - y_{without}\|^2 / \|y - \bar y\|^2$ of the full one.

    Sums run over recorded entries, $\bar y$ is the mean of each neuron. Parts interact: shares may add up to more or
    less than one, and what is left to one is the `remainder`, which may be negative.
    """

    full: Float[np.ndarray, "trial time neuron"]
    without: dict[str, Float[np.ndarray, "trial time neuron"]]
    shares: dict[str, float]
    reference: str
    """Name of the epoch at whose mean factors (and offset) learning (and the offset) are held."""

    @property
    def remainder(self) -> float:
        """One minus the sum of the shares."""
        return 1.0 - sum(self.shares.values())


def counterfactuals(fit: Fit, *, reference: int = 0) -> Counterfactuals:
    """Predictions of a fit with each part of `REMOVED` taken out alone.

    `learning`: the factors of all trials are the mean over the epoch `reference` (its number). `input`: inputs are the
    mean over conditions; initial states stay. `recurrence`: the factors are zero. `offset` (where the fit has one):
    the slow offset is its mean over the reference epoch.

    **Raises:** ValueError when there is no such epoch.
    """
    chosen = _trials_of(fit, reference)
    system = in_span(fit)
    mean = system.mixing[chosen].mean(axis=0)
    full = _decoded(fit, system, system.states)
    states = {
        "learning": system.integrate(mixing=np.broadcast_to(mean, system.mixing.shape)),
        "input": system.integrate(inputs=_common_input(fit) @ system.to_basis.T),
        "recurrence": system.integrate(mixing=np.zeros_like(system.mixing)),
    }
    without = {name: _decoded(fit, system, one) for name, one in states.items()}
    if fit.offset is not None:
        held = np.broadcast_to(fit.offset[chosen].mean(axis=0), fit.offset.shape)
        without["offset"] = _decoded(replace(fit, offset=held), system, system.states)
    scored = fit.recording.observed & ~fit.recording.silent
    centre = np.where(scored, full, 0).sum(axis=(0, 1)) / np.maximum(scored.sum(axis=(0, 1)), 1)
    total = float(np.sum((full - centre)[scored] ** 2))
    shares = {name: float(np.sum((full - one)[scored] ** 2)) / total for name, one in without.items()}
    return Counterfactuals(full, without, shares, str(fit.recording.epochs[reference]))


@dataclass(frozen=True, eq=False)
class StartSwap:
    r"""States run from the initial states of one epoch under the flow of another, for two epochs.

    `states[i, j]`: starts of epoch i, factors and inputs of epoch j, mean over trials of a condition. The change
    $\|w_{11} - w_{00}\|^2$ is compared with that by the start alone, $\|w_{10} - w_{00}\|^2$, and by the flow alone,
    $\|w_{01} - w_{00}\|^2$; the two shares need not add up to one.
    """

    states: Float[np.ndarray, "two flows condition time coord"]
    conditions: tuple
    epochs: tuple[str, str]
    at: int
    """Bin of a trial that counts as its start."""

    @property
    def start_share(self) -> float:
        """Share of the change that other starts alone make."""
        return self._share(self.states[1, 0])

    @property
    def flow_share(self) -> float:
        """Share of the change that another flow alone makes."""
        return self._share(self.states[0, 1])

    def _share(self, moved: np.ndarray) -> float:
        total = float(np.sum((self.states[1, 1] - self.states[0, 0]) ** 2))
        return float(np.sum((moved - self.states[0, 0]) ** 2)) / total if total > 0 else 0.0


def swap_starts(fit: Fit, first: int = 0, second: int = 1, *, at: int = 0) -> StartSwap:
    """Run the states of epoch `first` at bin `at` under the flow of epoch `second`, and the reverse.

    The flow of an epoch has the mean factors and, for each condition, the mean inputs of its trials. With one initial
    state a condition for the whole session the starts of bin 0 are equal, and only a later bin `at` (the go cue, say)
    tells epochs apart.

    **Raises:** ValueError for an epoch or a bin that is not there, or epochs without a common condition.
    """
    recording, bins = fit.recording, fit.recording.shape[1]
    if not 0 <= at < bins - 1:
        raise ValueError(f"at must be a bin from 0 to {bins - 2}, so that a bin follows; got {at}.")
    parts = [_trials_of(fit, one) for one in (first, second)]
    common = np.intersect1d(recording.condition[parts[0]], recording.condition[parts[1]])
    if not len(common):
        raise ValueError(f"epochs {first} and {second} have no condition in common; their starts cannot be swapped.")
    system = in_span(fit)
    starts, inputs, mixings = [], [], []
    for part in parts:
        groups = [part[recording.condition[part] == one] for one in common]
        starts.append(np.stack([system.states[group, at].mean(axis=0) for group in groups]))
        inputs.append(np.stack([system.inputs[group, at:].mean(axis=0) for group in groups]))
        mixings.append(np.broadcast_to(system.mixing[part].mean(axis=0), (len(common), *system.mixing.shape[1:])))
    states = [
        [
            system.integrate(start=start, inputs=held, mixing=mixing)
            for held, mixing in zip(inputs, mixings, strict=True)
        ]
        for start in starts
    ]
    names = tuple(str(recording.epochs[one]) for one in (first, second))
    labels = tuple(recording.conditions[one] for one in common)
    return StartSwap(np.array(states), labels, (names[0], names[1]), at)


def _trials_of(fit: Fit, epoch: int) -> np.ndarray:
    """Indices of the trials of an epoch."""
    epochs = fit.recording.epochs
    if not 0 <= epoch < len(epochs):
        raise ValueError(
            f"there is no epoch {epoch}; the epochs are {', '.join(f'{i} {e}' for i, e in enumerate(epochs))}."
        )
    return np.flatnonzero(fit.recording.epoch == epoch)


def _common_input(fit: Fit) -> np.ndarray:
    """Inputs of every trial when all conditions have the mean input, measured inputs their mean over trials."""
    table, known = fit.inputs, fit.known
    if table is not None:
        table = np.broadcast_to(table.mean(axis=1, keepdims=True), table.shape)
    if known is not None:
        known = np.broadcast_to(known.mean(axis=0), known.shape).copy()
    return replace(fit, inputs=table, known=known).trial_inputs().astype(np.float64)


def _decoded(fit: Fit, system: InSpan, states: np.ndarray) -> np.ndarray:
    return replace(fit, z=system.to_factors(states)).predict()
