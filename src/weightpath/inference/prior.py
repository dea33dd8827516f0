r"""The Gaussian prior of trial factors and offsets, as linear maps from standard normal numbers.

A factor over all trials is $c = \beta E + \zeta P$: $E$ picks the level of the trial's epoch, and the columns of $P$
are those of the Cholesky factor for trials in training, and the predictive mean for held-out trials.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from weightpath._types import Bool, Float, Int
from weightpath.networks.kernels import AbstractKernel

#: Relative size below which an eigenvalue of a smooth kernel is left out of the basis of the offsets.
SMALLEST_EIGENVALUE = 1e-5


def factor_map(
    kernel: AbstractKernel,
    trial_id: Float[np.ndarray, " trial"],
    epoch: Int[np.ndarray, " trial"],
    training: Bool[np.ndarray, " trial"],
) -> Float[np.ndarray, "training trial"]:
    r"""$P$ with $c - \beta = \zeta P$, for $\zeta$ over the training trials and $c$ over all trials.

    With $L L^\top = S_{oo} + \sigma_{obs}^2 1$ over the training trials $o$, the columns of trials in $o$ are $L^\top$
    and those of held-out trials are $(S_{*o} L^{-\top})^\top$, so that
    $c_* = \beta + S_{*o} (S_{oo} + \sigma_{obs}^2 1)^{-1} (c_o - \beta)$: the predictive mean. Nothing that was
    measured in a held-out trial enters.
    """
    seen_id, seen_epoch = trial_id[training], epoch[training]
    lower = np.linalg.cholesky(_noisy(kernel, seen_id, seen_epoch))
    result = np.empty((len(seen_id), len(trial_id)))
    result[:, training] = lower.T
    cross = kernel.smooth(seen_id, trial_id[~training], seen_epoch, epoch[~training])
    result[:, ~training] = solve_triangular(lower, cross, lower=True)
    return result


def settled_level(
    level: Float[np.ndarray, "... levels"],
    deviation: Float[np.ndarray, "... training"],
    member: Float[np.ndarray, "levels training"],
    root: Float[np.ndarray, "training training"],
) -> tuple[Float[np.ndarray, "... levels"], Float[np.ndarray, "... training"]]:
    r"""Level and deviation that give the same factors on the training trials with the smallest $|\zeta|^2$.

    The best level given the factors is a generalised least-squares mean. Descent finds it slowly, because a common
    change of all deviations does nearly the same; it matters for held-out trials, which return to the level.
    """
    # zeta + beta X is fixed by the factors, with X = E L^{-T}; least squares over beta leaves the smallest zeta.
    whitened = np.linalg.solve(root.T, member.T)
    total = deviation + level @ whitened.T
    flat = np.linalg.lstsq(whitened, total.reshape(-1, total.shape[-1]).T, rcond=None)[0].T
    level = flat.reshape(level.shape)
    return level, total - level @ whitened.T


def smooth_factor(
    kernel: AbstractKernel,
    trial_id: Float[np.ndarray, " trial"],
    epoch: Int[np.ndarray, " trial"],
    training: Bool[np.ndarray, " trial"],
    deviation: Float[np.ndarray, "trial rank"],
) -> tuple[Float[np.ndarray, "trial rank"], Float[np.ndarray, " trial"]]:
    r"""Posterior mean and standard deviation of the smooth part $g$ on every trial, given the factors.

    $E[g|c] = S_{\cdot o} (S_{oo} + \sigma_{obs}^2 1)^{-1} (c_o - \beta)$, with the variance
    $S - S_{\cdot o} (S_{oo} + \sigma_{obs}^2 1)^{-1} S_{o \cdot}$. `deviation` is $c - \beta$; its rows of held-out
    trials are not used. The same standard deviation holds for every factor; it is the prior's, and leaves out the
    uncertainty of the factors themselves.
    """
    seen_id, seen_epoch = trial_id[training], epoch[training]
    factorised = cho_factor(_noisy(kernel, seen_id, seen_epoch), lower=True)
    cross = kernel.smooth(seen_id, trial_id, seen_epoch, epoch)
    mean = cross.T @ cho_solve(factorised, deviation[training])
    variance = kernel.sd**2 - np.sum(cross * cho_solve(factorised, cross), axis=0)
    return mean, np.sqrt(np.maximum(variance, 0.0))


def offset_map(
    kernel: AbstractKernel, trial_id: Float[np.ndarray, " trial"], epoch: Int[np.ndarray, " trial"]
) -> Float[np.ndarray, "basis trial"]:
    """Leading principal components of a smooth kernel over all trials, scaled by their standard deviations.

    Standard normal numbers times this matrix are draws of the kernel. Being a basis over all trials, it gives held-out
    trials their predictive mean with no further step; its small size keeps the offsets of many neurons cheap.
    """
    values, vectors = np.linalg.eigh(kernel.smooth(trial_id, trial_id, epoch, epoch))
    # A multiple of eight, so that recordings of like length share a compiled program.
    count = int(np.sum(values > SMALLEST_EIGENVALUE * values[-1]))
    count = min(len(values), -(-count // 8) * 8)
    return (np.sqrt(np.maximum(values[-count:], 0.0)) * vectors[:, -count:]).T


class ResidualSums(NamedTuple):
    """What the automatic weight needs of a residual on the entries of a mask; sums of blocks of trials add up."""

    count: float
    """Entries."""
    squares: float
    """Sum of the squared residual."""
    squared_sums: float
    """Sum over trials and neurons of the squared sum over bins."""

    @property
    def correlation_time(self) -> float:
        r"""$1 + 2\sum_{lag \ge 1}$ autocorrelation of the residual over the bins of a trial.

        Lags are weighted by the share of a trial's bins that have a partner at that lag, as in the variance of a mean;
        the sum is then that of the squared trial sums over that of the squares. At least 1.
        """
        return max(1.0, self.squared_sums / self.squares) if self.squares > 0 else 1.0

    @property
    def effective(self) -> float:
        """Effective number of entries: their number over the correlation time."""
        return self.count / self.correlation_time


def residual_sums(
    residual: Float[np.ndarray, "trial time neuron"], mask: Bool[np.ndarray, "trial time neuron"]
) -> ResidualSums:
    """The sums over some trials."""
    kept = np.where(mask, residual, 0.0)
    return ResidualSums(float(np.sum(mask)), float(np.sum(kept**2)), float(np.sum(kept.sum(axis=1) ** 2)))


def automatic_weight(sums: ResidualSums) -> float:
    r"""Weight on one squared standard normal number, $s_y^2 / n_{eff}$.

    For a mean squared error over $n$ training entries with Gaussian noise of variance $s_y^2$; $n_{eff}$ is $n$ over
    the correlation time of the residual.
    """
    return sums.squares / sums.count / sums.effective


def count_weight(sums: ResidualSums) -> float:
    r"""Weight on one squared standard normal number, $1 / 2 n_{eff}$, against the mean negative log likelihood.

    The negative log posterior $-\sum \log p(y) + \frac12 \sum \zeta^2$ over n entries, divided by n; a likelihood
    states its own scale, so no variance enters. The sums are those of Pearson residuals; $n_{eff}$ is n over their
    correlation time.
    """
    return 0.5 / sums.effective


def _noisy(kernel: AbstractKernel, trial_id: np.ndarray, epoch: np.ndarray) -> np.ndarray:
    covariance = kernel.smooth(trial_id, trial_id, epoch, epoch)
    # A smooth kernel alone is singular to rounding; a millionth of its sd is far below any factor's meaning.
    return covariance + max(kernel.noise_sd, 1e-6 * kernel.sd) ** 2 * np.eye(len(trial_id))
