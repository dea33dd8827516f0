"""The edge of stability of gradient descent at the end of learning to integrate."""

import jax.numpy as jnp

from weightpath._types import Array, ArrayLike, Float


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
