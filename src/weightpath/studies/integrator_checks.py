"""What the study `integrate-white-noise` asks of its dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weightpath.studies import integrator_finite
from weightpath.studies.base import Check

if TYPE_CHECKING:
    from xarray import Dataset
else:
    from typing import Any

    Dataset = Any

#: Largest difference of the loss from the unprojected flow (N = 100, gain .3) at each word length: ranges over starts.
RANGES = {1: (0.055, 0.12), 2: (3e-3, 1.3e-2), 3: (7e-4, 1.1e-3)}

PAPER = "Bordelon et al. 2025 (arXiv 2503.18754)"


def _spec(name: str) -> str:
    return f"{name}; {PAPER}, re-derived"


CHECKS = (
    Check("I1 loss at time 4 (N=100, gain .01, decay .2)", _spec("training set-up"),
          lambda ds: ds.reference_loss.max(), 2e-6, compare="at_most"),
    Check("I1 outlier at time 4", _spec("pole of the target, 1 - decay"),
          lambda ds: abs(ds.reference_outlier - 0.8).max(), 1e-3, compare="at_most"),
    Check("I1 learned filter against the target, largest difference", _spec("filter after learning"),
          lambda ds: ds.reference_filter_error.max(), 3e-3, compare="at_most"),
    Check("I1 word-Krylov projection against the full flow, loss", "identity up to the projection (depth 3)",
          lambda ds: ds.projection_error, 1e-6, compare="at_most"),
    Check("I2 outlier path, rms deviation from theory, any N", _spec("single outlier"),
          lambda ds: ds.outlier_rms.max(), 0.02, compare="at_most"),
    Check("I2 outlier path, rms deviation from theory, N=100", _spec("single outlier"),
          lambda ds: ds.outlier_rms.sel(check_units=100).max(), 5e-3, compare="at_most"),
    Check("I3 loss of the reduced system against the full flow", "identity: W0 = v0 = 0 is an invariant subspace",
          lambda ds: ds.reduction_loss_error, 1e-8, compare="at_most"),
    Check("I3 outlier of the reduced system against the full flow", "identity: W0 = v0 = 0 is an invariant subspace",
          lambda ds: ds.reduction_outlier_error, 1e-8, compare="at_most"),
    Check("I4 learning times against decay, largest relative error", _spec("time to 1% of the initial loss"),
          lambda ds: ds.learning_time_error.max(), 1e-4, compare="at_most"),
    Check("I4 gradient steps to 1% at decay .05", _spec("half the largest stable rate"),
          lambda ds: ds.check_steps.sel(check_decay=0.05), 2092, 1e-3, compare="rel"),
    Check("I4 gradient steps to 1% at decay .02", _spec("half the largest stable rate"),
          lambda ds: ds.check_steps.sel(check_decay=0.02), 30120, 1e-3, compare="rel"),
    Check("I4 exponent of steps against decay", _spec("steps grow as decay^-3"),
          lambda ds: ds.steps_exponent, (-3.2, -2.7), compare="between"),
    Check("I9 outlier detached from the bulk (gain .3, w = .5)", _spec("outlier at w"),
          lambda ds: ds.detached_outlier, 0.5, 0.03),
    Check("I9 overlap of its eigenvector with the read-in", _spec("1 - gain^2/w^2"),
          lambda ds: ds.detached_overlap, 0.64, 0.05),
    *(
        Check(f"projection on words of length {depth}, error of the loss (N=100, gain .3)",
              "derived: upper end over nine other starts; here the geometric mean",
              lambda ds, depth=depth: _middle(ds.depth_error.sel(word_depth=depth)), high, compare="at_most")
        for depth, (_, high) in RANGES.items()
    ),
    Check("what one more letter gains, smallest factor of the mean error", "derived: about 10 on average, 3.6 seen",
          lambda ds: _gain_of_a_letter(ds), 3.0, compare="at_least"),
    Check("outlier of a large network by Arnoldi iteration, minus that of its projection",
          "derived: below what the last word length changes",
          lambda ds: ds.whole_outlier_error / ds.outlier_depth_difference, 1.0, compare="at_most"),
    Check("deviation from theory at time 1 against the stated table, largest factor",
          "derived: rms over 24 starts; fewer starts, wider band",
          lambda ds: _factor(ds.deviation / ds.stated_deviation), 2.0, compare="at_most"),
    Check("saturating units, order of the outlier's error in the amplitude", "derived: 2",
          lambda ds: _order(ds, "outlier"), (1.9, 2.05), compare="between"),
    Check("saturating units, order of the filter's error in the amplitude", "derived: 2",
          lambda ds: _order(ds, "filter"), (1.9, 2.05), compare="between"),
    Check("saturating units, order of the loss's error in the amplitude", "derived: 2",
          lambda ds: _order(ds, "loss"), (1.9, 2.05), compare="between"),
    Check("amplitude up to which the outlier stays within 1% of the linear one", "finding (decay .5)",
          lambda ds: _reach(ds, 0.01), required=False),
    Check("amplitude up to which the outlier stays within 10%", "finding (decay .5)",
          lambda ds: _reach(ds, 0.1), required=False),
    Check("rms state of a unit at the 10% amplitude (tanh bends near 1)", "finding (decay .5)",
          lambda ds: _at_amplitude(ds, "saturation_state", _reach(ds, 0.1)), required=False),
    *integrator_finite.CHECKS,
    Check("largest real part before learning over the gain (the edge of the bulk, not an outlier)",
          "finding at the chosen settings", lambda ds: _edge(ds), required=False),
    Check("outlier of these settings, rms deviation from theory after detachment", "finding at the chosen settings",
          lambda ds: ds.own_outlier_rms, required=False),
    Check("theory at these settings", "finding at the chosen settings",
          lambda ds: ds.attrs["regime"], required=False),
)  # fmt: skip


def _middle(values) -> float:
    """Geometric mean."""
    return float(np.exp(np.mean(np.log(np.asarray(values)))))


def _factor(ratio) -> float:
    """Largest factor, up or down, by which ratios differ from 1."""
    return float(np.exp(np.max(np.abs(np.log(np.asarray(ratio))))))


def _order(ds: Dataset, what: str) -> float:
    """Slope of the error against the amplitude, in logarithms, at the two smallest amplitudes."""
    error, amplitude = np.log(ds[f"saturation_{what}_error"].values[:2]), np.log(ds.amplitude.values[:2])
    return float((error[1] - error[0]) / (amplitude[1] - amplitude[0]))


def _reach(ds: Dataset, share: float) -> float:
    """Amplitude at which the error of the outlier is this share of its target."""
    error, amplitude = ds.saturation_outlier_error.values, ds.amplitude.values
    return float(np.exp(np.interp(np.log(share), np.log(error), np.log(amplitude), left=np.nan, right=np.nan)))


def _at_amplitude(ds: Dataset, name: str, amplitude: float) -> float:
    return float(np.exp(np.interp(np.log(amplitude), np.log(ds.amplitude.values), np.log(ds[name].values))))


def _edge(ds: Dataset) -> float:
    gain, before = ds.attrs["gain"], ds.eigenvalue_re.sel(phase="before").values
    return float(np.nanmax(before) / gain) if gain > 0 and np.isfinite(before).any() else float("nan")


def _gain_of_a_letter(ds: Dataset) -> float:
    error = np.exp(np.log(ds.depth_error.values).mean(0))
    return float(np.min(error[:-1] / error[1:]))
