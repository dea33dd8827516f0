"""How well a fit recovers a planted network: activity, flow, directions and trial factors."""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Bool, Float
from weightpath.analysis.subspace import principal_angles
from weightpath.inference.canonical import visited_directions
from weightpath.inference.paired import r_squared
from weightpath.inference.result import Fit
from weightpath.inference.truth import Truth


@dataclass(frozen=True, eq=False)
class Recovery:
    """Measures of recovery; NaN where a fit has no such thing (trial factors of a full core, canonical weights of a
    learnt decoder).
    """

    ceiling: float
    """R^2 of the activity without noise on the test entries: no predictor can do better on average."""
    test: float
    """R^2 of the fit on the same entries."""
    denoised: float
    """R^2 of the fit against the activity without noise, all entries."""
    flow_recurrent: float
    """R^2 of the recurrent part of the flow, W tanh(x), on the true visited states, centred per coordinate."""
    flow_full: float
    """R^2 of the whole flow, -x + W tanh(x) + inputs."""
    weight_error: float
    """E_Sigma: relative error of the weights weighted by the second moment of the rates of each trial."""
    angles: Float[np.ndarray, " angle"]
    """Principal angles of span(a), or of decoder times a, in degrees, smallest first."""
    correlations: Float[np.ndarray, " matched"]
    """Correlation of each true trial factor with the fitted one it is matched with, in the true order."""
    matched: tuple[int, ...]
    """Which fitted factor that is."""
    canonical_error: float
    """Relative error of the weights in the directions that hold 99% of the energy of the rates."""

    def describe(self) -> dict[str, float | list[float]]:
        """All measures as plain numbers."""
        listed = ("angles", "correlations")
        numbers = {name: value for name, value in vars(self).items() if name not in (*listed, "matched")}
        return numbers | {name: getattr(self, name).tolist() for name in listed}


def recovery(fit: Fit, truth: Truth, test: Bool[np.ndarray, "trial time neuron"] | None = None) -> Recovery:
    r"""Compare a fit with the truth behind its recording; see `Recovery` for the measures.

    `test` (trial, time, neuron): entries of ceiling and test R^2; default the held-out entries, else the training ones.

    Flow and weights: with the identity decoder on both sides in the space of the units,
    $E_\Sigma^2 = \sum_k |(\hat W_k - W_k)S_k^{1/2}|^2 / \sum_k |W_k S_k^{1/2}|^2$ with $S_k$ the second moment of the
    rates on trial k; that is one minus the uncentred R^2 of the recurrent flow. b acts on visited rates only, so that
    unweighted errors of W say nothing. A learnt decoder leaves the state free up to a linear map: states are then
    mapped by $\hat z \approx M z$ (least squares over all states, no offset), and the fitted flow is evaluated at
    $M z$ and brought back by the pseudo-inverse of M (derived).

    **Raises:** ValueError when truth and fit differ in their numbers of trials, bins or neurons, or where every trial
    has directions of its own.
    """
    recording = fit.recording
    fit.check_shared_directions("recovery")
    if truth.clean.shape != recording.shape:
        raise ValueError(
            f"the truth has (trial, time, neuron) = {truth.clean.shape} and the fit's recording {recording.shape}; "
            "give the truth that came with this recording."
        )
    if test is None:
        test = fit.held_out if fit.held_out.any() else fit.mask
    clean, prediction = (truth.clean - recording.centre) / recording.scale, fit.predict()
    everywhere = np.ones(recording.shape, bool)
    recurrent, full = flows(fit, truth)
    correlations, matched = matched_factors(truth.c, fit.c)
    return Recovery(
        ceiling=r_squared(recording.values, clean, test & recording.observed),
        test=r_squared(recording.values, np.asarray(prediction, np.float64), test & recording.observed),
        denoised=r_squared(clean, np.asarray(prediction, np.float64), everywhere),
        flow_recurrent=centred_r_squared(*recurrent), flow_full=centred_r_squared(*full),
        weight_error=float(np.linalg.norm(recurrent[1] - recurrent[0]) / np.linalg.norm(recurrent[0])),
        angles=principal_angles(*_directions(fit, truth)),
        correlations=correlations, matched=matched, canonical_error=_canonical_error(fit, truth),
    )  # fmt: skip


def flows(fit: Fit, truth: Truth) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Recurrent and full flow on the true visited states, each as (true, fitted), (trial, time, unit or coordinate)."""
    a, b, mixing = (np.asarray(one, np.float64) for one in (fit.a, fit.b, fit.mixing()))
    inputs = fit.trial_inputs().astype(np.float64)
    if _same_units(fit, truth):
        x = truth.z @ truth.a.T
        true = np.einsum("ktr,ir->kti", _recurrent(truth.rate, truth.b, _diagonal(truth.c)), truth.a)
        found = _recurrent(truth.rate, b, mixing) @ a.T
        return (true, found), (true - x, found - x + inputs @ a.T)
    true = _recurrent(truth.rate, truth.b, _diagonal(truth.c))
    forth = _state_map(truth.z, np.asarray(fit.z, np.float64))
    back, z = np.linalg.pinv(forth), truth.z @ forth
    found = _recurrent(np.tanh(z @ a.T), b, mixing)
    return (true, found @ back), (true - truth.z, (found - z + inputs) @ back)


def _recurrent(rate: np.ndarray, b: np.ndarray, mixing: np.ndarray) -> np.ndarray:
    """diag(c) B^T tanh(x) in the coordinates of a, (trial, time, rank)."""
    return np.einsum("krs,kts->ktr", mixing, rate @ b)


def _diagonal(c: np.ndarray) -> np.ndarray:
    return c[:, :, None] * np.eye(c.shape[1])


def _state_map(true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """M^T with found = true @ M^T in the least-squares sense."""
    return np.linalg.lstsq(true.reshape(-1, true.shape[-1]), found.reshape(-1, found.shape[-1]), rcond=None)[0]


def _same_units(fit: Fit, truth: Truth) -> bool:
    return fit.model.decoder == "identity" and truth.w_out is None


def centred_r_squared(true: Float[np.ndarray, "trial time dim"], found: Float[np.ndarray, "trial time dim"]) -> float:
    """R^2 over all states with one mean for each coordinate."""
    centre = true.mean(axis=(0, 1))
    return float(1 - np.sum((true - found) ** 2) / np.sum((true - centre) ** 2))


def _directions(fit: Fit, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    true, found = truth.a, np.asarray(fit.a, np.float64)
    if _same_units(fit, truth):
        return true, found
    if fit.model.decoder != "identity":
        w_out = np.asarray(fit.network.w_out, np.float64)
        found = (w_out.mean(axis=0) if w_out.ndim == 3 else w_out) @ found
    return true if truth.w_out is None else truth.w_out @ true, found


def matched_factors(
    true: Float[np.ndarray, "step rank"], found: Float[np.ndarray, "step *core"]
) -> tuple[Float[np.ndarray, " matched"], tuple[int, ...]]:
    """Correlations of true factors with fitted ones under the best one-to-one assignment, and the partners.

    Factors are first given a positive mean, which fixes their sign: courses that mirror one another are then told
    apart. A factor that does not vary has no correlation: NaN. No correlations for full cores (three axes).
    """
    from scipy.optimize import linear_sum_assignment

    if found.ndim == 3:
        return np.full(true.shape[1], np.nan), ()
    first, second = _unit_columns(true), _unit_columns(np.asarray(found, np.float64))
    table = first.T @ second
    rows, columns = linear_sum_assignment(-np.nan_to_num(table))
    return table[rows, columns], tuple(columns.tolist())


def _unit_columns(values: np.ndarray) -> np.ndarray:
    """Centred columns of unit length and positive mean; NaN for those that vary by no more than rounding."""
    values = values * np.where(values.mean(axis=0) < 0, -1.0, 1.0)
    centred = values - values.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    varies = length > 1e-6 * np.linalg.norm(values, axis=0)
    return np.where(varies, centred / np.where(varies, length, 1.0), np.nan)


def _canonical_error(fit: Fit, truth: Truth) -> float:
    if not _same_units(fit, truth) or fit.model.core:
        return float("nan")
    visited = visited_directions(truth.rate.reshape(-1, truth.rate.shape[-1]))
    shown = fit.canonical()
    projected = visited @ (visited.T @ truth.b)
    error = total = 0.0
    for k in range(len(truth.c)):
        true = (truth.a * truth.c[k]) @ projected.T
        error += float(np.sum((shown.weights(k) - true) ** 2))
        total += float(np.sum(true**2))
    return float(np.sqrt(error / total))
