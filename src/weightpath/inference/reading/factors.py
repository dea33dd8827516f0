"""Trial factors of a fit as they are shown: canonical scale and order, with their smooth part and its spread."""

from typing import Any

import numpy as np

from weightpath.inference.canonical import Canonical
from weightpath.inference.result import Fit


def factor_variables(fit: Fit, canonical: Canonical) -> dict[str, Any]:
    """Variables of a dataset with the dims trial and component: the factors, their smooth part, its sd, the labels."""
    order = list(canonical.order)
    factor = np.asarray(fit.c, float)[:, order]
    scale = np.sum(canonical.c * factor, axis=0) / np.maximum(np.sum(factor**2, axis=0), np.finfo(float).tiny)
    recording, dims = fit.recording, ("trial", "component")
    return {
        "factor": (dims, factor * scale, {"long_name": "trial factor"}),
        "factor_smooth": (dims, fit.c_smooth[:, order] * scale, {"long_name": "smooth part of the factor"}),
        "factor_sd": (dims, fit.c_sd[:, order] * np.abs(scale), {"long_name": "sd of the smooth part"}),
        "epoch_name": ("trial", np.array([str(recording.epochs[code]) for code in recording.epoch])),
        "condition_name": ("trial", np.array([str(recording.conditions[code]) for code in recording.condition])),
        "fit_loss": ("iteration", np.asarray(fit.history["loss"], float)),
        "fit_settled": ((), int(fit.converged)),
    }
