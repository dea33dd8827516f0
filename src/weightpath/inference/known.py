"""Measured inputs as regressors: standardised on the training trials, and lagged."""

from collections.abc import Sequence

import numpy as np

from weightpath._types import Bool, Float
from weightpath.inference.recording import Recording
from weightpath.networks.fit_parts import KnownInput, as_known


def check_known(recording: Recording, known: Sequence[KnownInput | str]) -> None:
    """Refuse measured inputs that the recording does not have over its bins.

    **Raises:** ValueError naming the covariates there are, or the shapes.
    """
    trials, bins, _ = recording.shape
    for one in as_known(known):
        if one.covariate not in recording.covariates:
            there = ", ".join(map(repr, recording.covariates)) or "none"
            raise ValueError(f"the recording has no covariate {one.covariate!r} (it has: {there}); name one of these.")
        shape, kind = recording.covariates[one.covariate].shape, recording.covariates[one.covariate].dtype.kind
        if kind not in "biuf":
            raise ValueError(f"covariate {one.covariate!r} does not hold numbers; an input must.")
        if len(shape) not in (2, 3) or shape[:2] != (trials, bins):
            raise ValueError(
                f"covariate {one.covariate!r} must be (trial, time) or (trial, time, channel) = ({trials}, {bins}, "
                f"...) to be an input; got {shape}."
            )
        if max(one.lags) >= bins:
            raise ValueError(f"lag {max(one.lags)} of {one.covariate!r} leaves nothing of the {bins} bins of a trial.")


def known_regressors(
    recording: Recording,
    known: Sequence[KnownInput | str],
    training: Bool[np.ndarray, " trial"],
    *,
    ahead: int = 1,
    filled: bool = True,
) -> Float[np.ndarray, "trial time channel"]:
    r"""All lags of all measured inputs; entry t is what is known of the input for activity at bin t + `ahead`.

    An input at bin t is held over that bin and moves the state of the next, so the network takes `ahead` = 1:
    $u_t = v_{t+1-\mathrm{lag}}$. A regression of activity on inputs takes `ahead` = 0. A missing entry is at the last
    known one of its trial. Every channel is centred and scaled by its mean and standard deviation over the training
    trials; before anything is known of a trial it is at the mean (zero), or NaN unless `filled`.
    """
    columns = []
    for one in as_known(known):
        values = np.asarray(recording.covariates[one.covariate], float).reshape(*recording.shape[:2], -1)
        values = _held(values)
        seen = np.where(training[:, None, None], values, np.nan)
        count = np.maximum(np.isfinite(seen).sum(axis=(0, 1)), 1)
        centre = np.nansum(seen, axis=(0, 1)) / count
        spread = np.sqrt(np.nansum((seen - centre) ** 2, axis=(0, 1)) / count)
        scaled = (values - centre) / np.where(spread > 0, spread, 1.0)
        columns += [_later(scaled, lag - ahead) for lag in one.lags]
    result = np.concatenate(columns, axis=2)
    return np.nan_to_num(result) if filled else result


def _held(values: np.ndarray) -> np.ndarray:
    """Missing entries replaced by the last known one of the trial; NaN before there is any."""
    bins = np.arange(values.shape[1])[None, :, None]
    last = np.maximum.accumulate(np.where(np.isfinite(values), bins, -1), axis=1)
    return np.where(last >= 0, np.take_along_axis(values, np.maximum(last, 0), axis=1), np.nan)


def _later(values: np.ndarray, bins: int) -> np.ndarray:
    """`values` moved to later bins (or earlier, if negative), with NaN where nothing is known."""
    moved = np.full_like(values, np.nan)
    length = values.shape[1]
    moved[:, max(bins, 0) : length + min(bins, 0)] = values[:, max(-bins, 0) : length - max(bins, 0)]
    return moved
