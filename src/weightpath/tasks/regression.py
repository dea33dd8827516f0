"""Linear regression at the fixed points of a linear network: the task with poles in its loss."""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Float
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.tasks.measures import check_whole
from weightpath.tasks.static import StaticTargets
from weightpath.tasks.streams import Draws, Random


@dataclass(frozen=True)
class LinearFixedPoints:
    """The task with the network behind its targets; `inputs` and `targets` are (sample, unit)."""

    task: StaticTargets
    """The samples, with the loss $|r - t|^2$, to a network whose read-in and read-out are the identity."""
    inputs: Float[np.ndarray, "sample unit"]
    targets: Float[np.ndarray, "sample unit"]
    w_rec: Float[np.ndarray, "post pre"]
    """The network that gave the targets, before the noise."""

    @property
    def interpolating(self) -> Float[np.ndarray, "post pre"]:
        r"""The least weights that give every target exactly: $W^* = (T - X)\,T^+$, of rank at most the sample number.

        Exact where there are no more samples than units; else the least-squares solution of $W T = T - X$.
        """
        return (self.targets - self.inputs).T @ np.linalg.pinv(self.targets.T)

    def network(self, w_rec) -> ContinuousLinearRNN:
        r"""The network $\dot r = -r + W r + x$, $y = r$, that the task is for, with these recurrent weights."""
        units = self.w_rec.shape[0]
        return ContinuousLinearRNN(w_rec, np.eye(units), np.eye(units))


def linear_fixed_points(
    random: Random, units: int, samples: int, *, gain: float = 0.5, scale: float = 0.1, noise: float = 0.01
) -> LinearFixedPoints:
    r"""Fixed points of a random linear network as targets: regression on $r = (I - W)^{-1} x$.

    $x \sim$ `scale` $N(0, 1)$, $\hat W \sim$ `gain` $N(0, 1)/\sqrt{\mathrm{units}}$, $t = (I - \hat W)^{-1} x +$
    `noise` $N(0, 1)$. The draws are in the order inputs (unit, sample), weights, noise (unit, sample), so that one
    stream of NumPy can go on to give the learner's weights. The loss $\frac1m\|(I - W)^{-1}X - T\|^2$ is that of
    linear regression in $(I - W)^{-1}$, and has a pole wherever $W$ has the eigenvalue 1.

    **Raises:** ValueError for counts below 1, a gain outside [0, 1), or a negative scale or noise.
    Source: Zhu and Rosenbaum 2024 (arXiv 2307.06732).
    """
    check_whole(units=(units, 1), samples=(samples, 1))
    if not 0 <= gain < 1:
        raise ValueError(f"gain must lie in [0, 1), so that the network of the targets is stable; got {gain}.")
    if not (scale >= 0 and noise >= 0):
        raise ValueError(f"scale and noise must not be negative; got {scale} and {noise}.")
    draws = Draws(random)
    x = scale * draws.normal(units, samples)
    w_rec = gain * draws.normal(units, units) / np.sqrt(units)
    targets = np.linalg.solve(np.eye(units) - w_rec, x) + noise * draws.normal(units, samples)
    return LinearFixedPoints(StaticTargets(x.T, targets.T, loss="squared"), x.T, targets.T, w_rec)
