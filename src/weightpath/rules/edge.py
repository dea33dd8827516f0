"""The edge of stability of gradient descent at the end of learning to integrate."""

import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, ArrayLike, Float
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.tasks.finite import FiniteTarget


def scaled_hessian(
    decay: ArrayLike, *, read_in: ArrayLike = 1.0, speed: ArrayLike = 1.0, readout_speed: ArrayLike = 1.0
) -> Float[Array, "2 2"]:
    r"""Hessian of the loss at the optimum in the coordinates $(A/(\kappa\sqrt{\eta_v}),\ c/\sqrt{\eta_w})$.

    $$H = \begin{pmatrix} \eta_v\kappa^2/(2c^*) & -\kappa\sqrt{\eta_w\eta_v}/(4c^{*2})\\ \cdot & \eta_w/(4c^{*3})
    \end{pmatrix}$$

    Gradient descent with the read-in frozen is stable for learning rates below $2/\lambda_{max}(H)$, which tends to
    $8c^{*3}/\eta_w$ only as $c^* \to 0$. Arguments: `read_in` $\kappa$; `speed` $\eta_w$; `readout_speed` $\eta_v$.
    """
    decay, kappa = jnp.asarray(decay, dtype=float), jnp.asarray(read_in, dtype=float)
    mixed = -kappa * jnp.sqrt(jnp.asarray(speed * readout_speed, dtype=float)) / (4 * decay**2)
    return jnp.array([[readout_speed * kappa**2 / (2 * decay), mixed], [mixed, speed / (4 * decay**3)]])


def largest_step(
    decay: ArrayLike, *, read_in: ArrayLike = 1.0, speed: ArrayLike = 1.0, readout_speed: ArrayLike = 1.0
) -> Float[Array, ""]:
    r"""Largest stable learning rate of plain gradient descent at the optimum, $2/\lambda_{max}$ of `scaled_hessian`."""
    hessian = scaled_hessian(decay, read_in=read_in, speed=speed, readout_speed=readout_speed)
    return 2 / jnp.linalg.eigvalsh(hessian)[-1]


def largest_finite_step(
    network: ContinuousLinearRNN, target: FiniteTarget, *, speed: float = 1.0, readout_speed: float = 1.0
) -> float:
    r"""The same on trials of finite duration, for a one-pole target that the network's time steps can match.

    At the optimum every bin's error is zero, so that the Hessian of $L_{T,dt}$ is $dt\sum_j (1-j/n)\,\nabla f_j \nabla
    f_j^T$ with the one-pole response $f_j = \kappa a \varphi z^j$ ($\varphi = 1$ for Euler steps).
    """
    pole, dt = float(np.asarray(target.transition)[0, 0]), target.dt
    kappa = float(np.linalg.norm(np.asarray(network.w_in)))
    lags = np.arange(target.bins)
    if network.scheme == "euler":
        shape, turn, fit, slope = pole**lags, dt, 1.0, 0.0
    else:
        decay = -np.log(pole) / dt
        fit = -np.expm1(-decay * dt) / (decay * dt) if decay > 0 else 1.0
        slope = (fit - pole) / decay if decay > 0 else dt / 2  # d(fit)/d(outlier)
        shape, turn = pole**lags, dt * pole
    amplitude = float(np.asarray(target.output)[0, 0] * np.asarray(target.drive)[0, 0]) / dt
    by_readout = kappa * fit * shape
    by_outlier = amplitude * (lags * pole ** np.maximum(lags - 1, 0) * turn + slope / fit * shape)
    rows = np.stack([np.sqrt(readout_speed) * by_readout, np.sqrt(speed) * by_outlier])
    hessian = dt * (1 - lags / target.bins) * rows @ rows.T
    return float(2 / np.linalg.eigvalsh(hessian)[-1])
