"""Progress of the cursor in a brain-computer-interface session: measured, and predicted on held-out trials."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Mappings from latents to velocity, by the word in the names of the decoders.
MAPPINGS = {"intuitive": "int", "perturbed": "wmp"}


def has_progress(reading) -> bool:
    """Whether a file brings what progress needs: decoders of these neurons, target, cursor and stored progress."""
    _, bins, neurons = reading.recording.shape
    if bins > 1 and not np.isclose(np.diff(reading.recording.time).mean(), reading.extras.get("bin_s", np.nan)):
        return False
    decoder = reading.extras.get("latent_decoder_wmp_M2")
    needed = {"target_pos", "cursor_pos", *(f"progress_{name}" for name in MAPPINGS)}
    return decoder is not None and decoder.shape == (2, neurons) and needed <= reading.recording.covariates.keys()


def progress_of(latents: np.ndarray, reading, mapping: str) -> np.ndarray:
    r"""Speed towards the target (mm/s) of latents (trial, time, neuron): $v = M_0 + M_2 z$, $v \cdot \hat d$.

    $\hat d$ is the unit vector from the measured cursor to the target. Source: Hennig et al. 2021.
    """
    offset, gain = (reading.extras[f"latent_decoder_{MAPPINGS[mapping]}_{name}"] for name in ("M0", "M2"))
    covariates = reading.recording.covariates
    direction = covariates["target_pos"][:, None] - covariates["cursor_pos"].astype(float)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    return np.sum((latents @ gain.T + offset) * direction, axis=-1)


def identity_error(reading, mapping: str) -> float:
    """Largest difference (mm/s) between the progress that follows from the recorded latents and the stored one."""
    raw = reading.recording.restored(reading.recording.values)
    return float(
        np.nanmax(np.abs(progress_of(raw, reading, mapping) - reading.recording.covariates[f"progress_{mapping}"]))
    )


def trial_progress(latents: np.ndarray, reading, mapping: str = "perturbed") -> np.ndarray:
    """Mean progress of each trial over its bins after the cursor is released; NaN where nothing is predicted."""
    free = int(reading.extras["freeze_bins"])
    return _trial_mean(progress_of(latents, reading, mapping)[:, free:])


def progress_dataset(scores, reading, *, mapping: str = "perturbed") -> Dataset:
    """Measured and predicted mean progress of held-out trials (scheme, predictor, trial), with how well they agree.

    Only schemes of whole trials. Predictors: the chosen model, and the two plain ones that matter. Predictions and
    measurement are averaged over the same bins.
    """
    import xarray as xr

    schemes = [name for name in scores.schemes if scores.masks[name].whole_trials]
    predictors = {
        "low-tensor-rank": scores.chosen,
        "target x epoch": "target x epoch",
        "tuned smoother": "tuned smoother",
    }
    shape = (len(schemes), len(predictors), reading.recording.shape[0])
    predicted, r2, correlation = np.full(shape, np.nan), np.full(shape[:2], np.nan), np.full(shape[:2], np.nan)
    stored = reading.recording.covariates[f"progress_{mapping}"][:, int(reading.extras["freeze_bins"]) :]
    measured = _trial_mean(stored)
    for i, scheme in enumerate(schemes):
        for j, label in enumerate(predictors.values()):
            values = trial_progress(scores.predicted(scheme, label), reading, mapping)
            predicted[i, j] = values
            held = np.isfinite(values) & np.isfinite(measured)
            error, spread = values[held] - measured[held], measured[held] - measured[held].mean()
            r2[i, j] = 1 - (error**2).sum() / (spread**2).sum()
            correlation[i, j] = np.corrcoef(values[held], measured[held])[0, 1]
    pair = ("trial_scheme", "predictor")
    about = {"units": "mm/s", "long_name": f"mean progress under the {mapping} mapping"}
    return xr.Dataset(
        {
            "progress": ("trial", measured, about),
            "progress_predicted": ((*pair, "trial"), predicted, about),
            "progress_r2": (pair, r2, {"long_name": "R^2 over held-out trials"}),
            "progress_correlation": (pair, correlation, {"long_name": "correlation over held-out trials"}),
        },
        coords={"trial_scheme": schemes, "predictor": list(predictors), "trial": reading.recording.trial_id},
    )


def draw_progress(dataset: Dataset):
    """Progress of the cursor towards the target that the perturbed mapping gives, mean over a trial's free bins, on
    held-out trials: measured (grey dots, black running mean over 61 trials) and predicted from the latents that each
    model predicts. The border of the phases is where the mapping was switched.
    """
    from weightpath.plot.recording import behaviour
    from weightpath.plot.style import figure

    drawn, ax = figure(width=7.2, height=3.0)
    one = dataset.isel(trial_scheme=0)
    held = np.isfinite(one["progress_predicted"].values).any(0)
    predicted = {
        name: one["progress_predicted"].sel(predictor=name).values for name in one["predictor"].values.tolist()
    }
    measured = np.where(held, one["progress"].values, np.nan)
    behaviour(ax, one["trial"].values, measured, predicted, epoch=one["epoch_name"].values)
    ax.set_ylabel("progress to the target [mm/s]", fontsize=ax.xaxis.label.get_fontsize())
    return drawn


def _trial_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the finite values of each trial, NaN where there are none."""
    finite = np.isfinite(values)
    count = finite.sum(1)
    return np.where(count > 0, np.where(finite, values, 0.0).sum(1) / np.maximum(count, 1), np.nan)
