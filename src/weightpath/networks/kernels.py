r"""Kernels over trials: how smoothly a factor, or an offset, may move through learning.

A kernel is a frozen value of Python numbers (it belongs to a specification and to its content hash); covariances are
worked out in NumPy's float64 whatever precision the fit runs in.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from weightpath._types import Float, Int


@dataclass(frozen=True)
class AbstractKernel:
    r"""A stationary kernel over trials, $S_{kl} = \sigma^2 \rho(|t_k - t_l| / \ell)$, plus independent trial noise.

    Arguments: `length`: $\ell$ in trials; `sd`: $\sigma$ of the smooth part; `noise_sd`: $\sigma_{obs}$ of the part
    that is independent from trial to trial; `by_epoch`: trials of different epochs are independent, so that the mean
    may jump at the border (there is then one mean per epoch).

    **Raises:** ValueError when a number is not finite, `length` or `sd` is not positive, or `noise_sd` is negative.
    """

    length: float | int
    sd: float | int
    noise_sd: float | int = 0.0
    by_epoch: bool = True

    def __post_init__(self):
        for name in ("length", "sd"):
            _check_positive(name, getattr(self, name))
        if not (_is_finite(self.noise_sd) and self.noise_sd >= 0):
            raise ValueError(f"the kernel's noise_sd must be finite and not negative; got {self.noise_sd!r}.")

    @abstractmethod
    def correlation(self, distance: np.ndarray) -> np.ndarray:
        """Correlation of the smooth parts of two trials at `distance`, in units of `length`."""

    def smooth(
        self,
        trial: Float[np.ndarray, " trial"],
        other: Float[np.ndarray, " other"],
        epoch: Int[np.ndarray, " trial"],
        other_epoch: Int[np.ndarray, " other"],
    ) -> Float[np.ndarray, "trial other"]:
        """Covariance of the smooth part between trials at the positions `trial` and `other` (session trial numbers)."""
        distance = np.abs(trial[:, None] - other[None, :]) / self.length
        covariance = self.sd**2 * self.correlation(distance)
        if self.by_epoch:
            covariance = covariance * (epoch[:, None] == other_epoch[None, :])
        return covariance


@dataclass(frozen=True)
class RationalQuadratic(AbstractKernel):
    r"""Rational quadratic, $\rho = (1 + d^2 / 2\alpha)^{-\alpha}$: correlation .18 at three lengths, .02 at ten.

    Source: the kernel of Pellegrino et al. 2023 (arXiv 2308.11567), with $\alpha = 1$.
    """

    alpha: float | int = 1.0

    def __post_init__(self):
        super().__post_init__()
        _check_positive("alpha", self.alpha)

    def correlation(self, distance: np.ndarray) -> np.ndarray:
        r"""$(1 + d^2 / 2\alpha)^{-\alpha}$."""
        return (1 + distance**2 / (2 * self.alpha)) ** (-self.alpha)


@dataclass(frozen=True)
class SquaredExponential(AbstractKernel):
    r"""Squared exponential, $\rho = e^{-d^2/2}$: the smoothest."""

    def correlation(self, distance: np.ndarray) -> np.ndarray:
        r"""$e^{-d^2/2}$."""
        return np.exp(-(distance**2) / 2)


@dataclass(frozen=True)
class Matern32(AbstractKernel):
    r"""Matern of order 3/2, $\rho = (1 + \sqrt3 d) e^{-\sqrt3 d}$: differentiable once."""

    def correlation(self, distance: np.ndarray) -> np.ndarray:
        r"""$(1 + \sqrt3 d) e^{-\sqrt3 d}$."""
        return (1 + math.sqrt(3) * distance) * np.exp(-math.sqrt(3) * distance)


@dataclass(frozen=True)
class OrnsteinUhlenbeck(AbstractKernel):
    r"""Exponential, $\rho = e^{-d}$: continuous, nowhere smooth."""

    def correlation(self, distance: np.ndarray) -> np.ndarray:
        r"""$e^{-d}$."""
        return np.exp(-distance)


@dataclass(frozen=True)
class Independent(AbstractKernel):
    r"""No smoothness: every trial is its own, $\rho = [d = 0]$. `length` has no effect."""

    length: float | int = 1.0
    sd: float | int = 1.0

    def correlation(self, distance: np.ndarray) -> np.ndarray:
        """One for a trial with itself, zero otherwise."""
        return (distance == 0).astype(float)


def _check_positive(name: str, value) -> None:
    if not (_is_finite(value) and value > 0):
        raise ValueError(f"the kernel's {name} must be positive and finite; got {value!r}.")


def _is_finite(value) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
