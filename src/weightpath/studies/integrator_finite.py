"""Finite data in the study `integrate-white-noise`: sampled gradient descent, theory of finite trials, guarded steps.

How the study takes this piece in:

- two fields of its settings, which `finite_data` reads:
  `sgd_settings: int = Field(1, ge=1, le=2, description="settings of sampled gradient descent in check I11")` and
  `sgd_seeds: int = Field(4, ge=1, description="runs of sampled gradient descent at each setting")`;
  the preset "full" sets `sgd_settings` to 2, small tests `sgd_seeds` to 1;
- `finite_data(config)` among the parts of `run`, its dataset merged with the others (all names start with `sgd_` or
  `guard_`);
- `CHECKS` added to the study's checks (they hold for one setting and for two, and for any number of seeds);
- `"finite-data": finite_data_figure` among the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightpath.studies.base import Check

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib


def finite_data(config) -> Dataset:
    """Sampled gradient descent beside both theories, and guarded gradient descent beyond the edge of stability."""
    import xarray as xr

    from weightpath.studies.integrator_sampled import guarded_descent, sampled_descent

    merged = xr.merge([sampled_descent(config.sgd_settings, config.sgd_seeds), guarded_descent()])
    assert isinstance(merged, xr.Dataset)
    return merged


def _at(ds: Dataset, name: str, time: float) -> Any:
    return ds[name].sel(sgd_time=time, method="nearest")


CHECKS = (
    Check("I11 sampled descent, outlier at time 4 against the optimum of Euler steps",
          "derived: 1 - (1 - e^(-c* dt))/dt",
          lambda ds: abs(_at(ds, "sgd_outlier", 4.0) - ds.sgd_end.sel(sgd_coord="outlier")).max(), 2e-3,
          compare="at_most"),
    Check("I11 sampled descent, amplitude at time 4", "derived: 1 at the optimum",
          lambda ds: abs(_at(ds, "sgd_amplitude", 4.0) - 1).max(), 0.01, compare="at_most"),
    Check("I11 sampled descent, outlier at time 1 against the theory of finite trials",
          "derived: flow of the expected loss of finite trials",
          lambda ds: abs(_at(ds, "sgd_outlier", 1.0) - _at(ds, "sgd_predicted_outlier", 1.0)).max(), 0.02,
          compare="at_most"),
    Check("I11 theory of finite trials against the reference table", "derived: independent program, 4 digits",
          lambda ds: ds.sgd_table_error.max(), 6e-5, compare="at_most"),
    Check("I11 outlier at time 1.5 in the theory of endless trials, minus sampled descent",
          "finding: what ignoring the length of trials costs",
          lambda ds: (_at(ds, "sgd_stationary_outlier", 1.5) - _at(ds, "sgd_outlier", 1.5).mean("sgd_seed")).max(),
          required=False),
    Check("guarded descent at 3 times the largest stable rate, final loss", "derived: halved until below the edge",
          lambda ds: ds.guard_loss.sel(guard_run="guarded").isel(guard_step=-1), 1e-10, compare="at_most"),
    Check("guarded descent, final rate over the largest stable one", "derived: 2 over the top Hessian eigenvalue",
          lambda ds: ds.guard_rate.sel(guard_run="guarded").isel(guard_step=-1) / ds.guard_edge, 1.0,
          compare="at_most"),
    Check("the same without guards, largest loss of the last 20 steps", "derived: no step above the edge can settle",
          lambda ds: ds.guard_loss.sel(guard_run="every step taken").isel(guard_step=slice(-20, None)).max(), 1e-3,
          compare="at_least"),
    Check("steps that the guard rejected", "finding", lambda ds: ds.guard_rejected, required=False),
)  # fmt: skip


def finite_data_figure(dataset: Dataset) -> Figure:
    """Learning from finite data. Left: the outlier eigenvalue of networks of 32 units trained by gradient descent on
    fresh trials of white noise (markers: mean over seeds; shade: one standard deviation), beside the theory of finite
    trials (line) and the theory of endless ones (dotted): most of the lag is the length of the trials, not their noise.
    Middle: the exact loss of the same networks, which ends where Euler steps and noise leave it. Right: exact gradient
    descent at three times the largest stable learning rate (target decay .5): taken as they come, the steps never
    settle (diamonds); with guards, which refuse a step that raises the loss and halve the rate, they converge (dots).
    """
    from weightpath.plot import finite, style

    drawn, (left, middle, right) = style.figure(1, 3, width=9.6, height=3.1)
    finite.plot_sampled_outlier(dataset, ax=left)
    finite.plot_sampled_loss(dataset, ax=middle)
    finite.plot_guards(dataset, ax=right)
    style.letter((left, middle, right))
    return drawn
