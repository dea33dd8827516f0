"""Means of states, inputs and activity by epoch and condition, as figures show them."""

from functools import cached_property
from typing import Any

import numpy as np

from weightpath._types import Float
from weightpath.inference.reading.in_span import InSpan
from weightpath.inference.result import Fit

#: Principal components of the activity that are kept.
COMPONENTS = 3


class Views:
    """What is seen of one fit; `system` is in principal axes."""

    def __init__(self, fit: Fit, system: InSpan, at: int):
        self.fit, self.system, self.at = fit, system, at
        self.canonical = fit.canonical()
        self.order = list(self.canonical.order)

    def variables(self) -> dict[str, Any]:
        """Variables of the dataset."""
        fit, by = self.fit, ("epoch", "condition", "time")
        rate, example = self._rates()
        neurons = self._neurons()
        data, model, directions = self._principal_components()
        along = self.system.basis.T @ self.canonical.a
        names = np.array([str(fit.recording.neuron[one]) for one in neurons])
        return {
            "rate": (("sorted_unit", "time"), rate, {"long_name": f"rates of trial {example:g}"}),
            "projection": ((*by, "component"), self._mean(self.system.states @ along)),
            "input": ((*by, "component"), self._mean(self.system.inputs @ along)),
            "state": ((*by, "axis"), self._mean(self.system.states)),
            "state_at": (("trial", "axis"), self.system.states[:, self.at]),
            "neuron_data": ((*by, "shown"), self._mean(fit.recording.values[..., neurons])),
            "neuron_model": ((*by, "shown"), self._mean(self._prediction[..., neurons])),
            "shown": ("shown", names),
            "data_component": ((*by, "principal"), data),
            "model_component": ((*by, "principal"), model),
            "component_share": ("principal", directions),
            "eigenvalue": (("trial", "eig"), fit.eigenvalues()),
            "epoch_number": ("trial", fit.recording.epoch),
            "fit_r2": ("iteration", np.asarray(fit.history["r2"], float), {"long_name": "R^2 of the training entries"}),
        }

    @cached_property
    def _prediction(self) -> np.ndarray:
        return self.fit.predict().astype(np.float64)

    def _mean(self, values: Float[np.ndarray, "trial time axis"]) -> Float[np.ndarray, "epoch condition time axis"]:
        """Mean over the trials of each epoch and condition of what is finite; NaN where there is nothing."""
        recording = self.fit.recording
        shape = (len(recording.epochs), len(recording.conditions), *values.shape[1:])
        group = recording.epoch * shape[1] + recording.condition
        member = (np.arange(shape[0] * shape[1])[:, None] == group).astype(float)
        finite = np.isfinite(values)
        count = np.tensordot(member, finite.astype(float), axes=1)
        total = np.tensordot(member, np.where(finite, values, 0.0), axes=1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(shape)

    def _rates(self) -> tuple[np.ndarray, float]:
        """Rates tanh(x) of the middle trial, units sorted by the time of their peak, and the trial's number."""
        trial = len(self.system.states) // 2
        rate = np.tanh(self.system.states[trial] @ self.system.basis.T).T
        return rate[np.argsort(rate.argmax(axis=1), kind="stable")], float(self.fit.recording.trial_id[trial])

    def _neurons(self) -> np.ndarray:
        """The two neurons that vary most in the prediction (or the only one)."""
        return np.argsort(-self._prediction.var(axis=(0, 1)), kind="stable")[:2]

    def _principal_components(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean data and prediction in the principal components of the mean data, and the share of each component."""
        data, model = self._mean(self.fit.recording.values), self._mean(self._prediction)
        flat = data.reshape(-1, data.shape[-1])
        seen = flat[np.isfinite(flat).all(axis=1)]
        if not len(seen):  # no bin has all neurons: the prediction stands in
            seen = model.reshape(-1, model.shape[-1])
            seen = seen[np.isfinite(seen).all(axis=1)]
        centre = seen.mean(axis=0)
        _, values, vectors = np.linalg.svd(seen - centre, full_matrices=False)
        kept = vectors[:COMPONENTS].T
        share = values**2 / max(float(np.sum(values**2)), np.finfo(float).tiny)
        return (data - centre) @ kept, (model - centre) @ kept, share[:COMPONENTS]


def axis_names(system: InSpan) -> tuple[str, ...]:
    """Names of the principal axes with the share of the variance of the visited states that each carries."""
    variance = system.states.reshape(-1, system.basis.shape[1]).var(axis=0)
    share = variance / max(float(variance.sum()), np.finfo(float).tiny)
    return tuple(f"axis {number + 1} ({value:.0%})" for number, value in enumerate(share))
