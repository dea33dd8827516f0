"""Linear recurrent networks in continuous and in discrete time."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._linalg import exponential
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.checks import as_column, as_float, as_number, as_row, check_weights

#: Up to this size the exponential that compiles quickly is also quick to run.
SMALL = 12


class ContinuousLinearRNN(AbstractNetwork):
    r"""A linear network in continuous time, $dh/ds = -h + W h + U x(s)$, $y = V h$, $h(-\infty) = 0$.

    Time is in units of the membrane time constant. An eigenvalue $\lambda$ of $W$ is a pole of the network's filter
    $f(s) = V e^{(W - 1)s} U$ with decay rate $1 - \lambda$; the network is stable if every $\mathrm{Re}\,\lambda < 1$.

    Arguments: `w_rec` (post, pre); `w_in` (post, in) or (post,); `w_out` (out, pre) or (pre,); `dt`: step of
    `step`, in units of the membrane time constant, needed only to run the network on sampled inputs; `scheme`:
    "euler" for $h + dt(-h + Wh + Ux)$ or "zoh" for the exact solution with the input held over the step.

    **Raises:** ValueError when shapes do not fit, an array is not finite, or `dt` is not positive.
    Source: Bordelon et al. 2025 (arXiv 2503.18754), with the standard form of the equation.
    """

    w_rec: Float[Array, "post pre"] = eqx.field(converter=as_float)
    w_in: Float[Array, "post in"] = eqx.field(converter=as_column)
    w_out: Float[Array, "out pre"] = eqx.field(converter=as_row)
    dt: float | None = eqx.field(default=None, static=True, converter=as_number)
    scheme: str = eqx.field(default="euler", static=True)

    def __check_init__(self):
        check_weights(self.w_rec, self.w_in, self.w_out)
        if self.dt is not None and not self.dt > 0:
            raise ValueError(f"dt must be positive (membrane time constants); got {self.dt}.")
        if self.scheme not in ("euler", "zoh"):
            raise ValueError(f'scheme must be "euler" or "zoh"; got {self.scheme!r}.')

    def initial(self) -> Float[Array, " unit"]:
        """The state of rest, zero."""
        return jnp.zeros(self.w_rec.shape[0], self.w_rec.dtype)

    def step(self, state: Float[Array, " unit"], input: Float[Array, " in"]) -> Float[Array, " unit"]:
        """State one `dt` later.

        **Raises:** ValueError when the network was made without `dt`.
        """
        decay, drive = self.discretised()
        return decay @ state + drive @ input

    def discretised(self) -> tuple[Float[Array, "post pre"], Float[Array, "post in"]]:
        r"""Matrices $(W_d, U_d)$ of the equivalent discrete step $h_{k+1} = W_d h_k + U_d x_k$ at this `dt`.

        **Raises:** ValueError when the network was made without `dt`.
        """
        if self.dt is None:
            raise ValueError("this ContinuousLinearRNN has no time step; make it with dt=... to run it on samples.")
        generator = self.w_rec - jnp.eye(self.w_rec.shape[0], dtype=self.w_rec.dtype)
        if self.scheme == "euler":
            return jnp.eye(generator.shape[0], dtype=generator.dtype) + self.dt * generator, self.dt * self.w_in
        units, channels = self.w_in.shape
        # exp of the block matrix [[G, U], [0, 0]] holds exp(G dt) and the integral of exp(G s) U over the step,
        # also where G is singular.
        block = jnp.zeros((units + channels, units + channels), generator.dtype)
        block = block.at[:units, :units].set(generator).at[:units, units:].set(self.w_in)
        general = units + channels > SMALL
        whole = (jax.scipy.linalg.expm if general else exponential)(self.dt * block)
        return whole[:units, :units], whole[:units, units:]

    def readout(self, state: Float[Array, " unit"]) -> Float[Array, " out"]:
        """`w_out @ state`."""
        return self.w_out @ state


class LinearRNN(AbstractNetwork):
    r"""A linear network in discrete time, $h_{k+1} = W h_k + U x_k$, $y = V h$, started at rest.

    An eigenvalue of $W$ is the multiplier of its mode per step; the network is stable if every modulus is below 1.
    Arguments: `w_rec` (post, pre); `w_in` (post, in) or (post,); `w_out` (out, pre) or (pre,).

    **Raises:** ValueError when shapes do not fit or an array is not finite.
    """

    w_rec: Float[Array, "post pre"] = eqx.field(converter=as_float)
    w_in: Float[Array, "post in"] = eqx.field(converter=as_column)
    w_out: Float[Array, "out pre"] = eqx.field(converter=as_row)

    def __check_init__(self):
        check_weights(self.w_rec, self.w_in, self.w_out)

    def initial(self) -> Float[Array, " unit"]:
        """The state of rest, zero."""
        return jnp.zeros(self.w_rec.shape[0], self.w_rec.dtype)

    def step(self, state: Float[Array, " unit"], input: Float[Array, " in"]) -> Float[Array, " unit"]:
        """`w_rec @ state + w_in @ input`."""
        return self.w_rec @ state + self.w_in @ input

    def readout(self, state: Float[Array, " unit"]) -> Float[Array, " out"]:
        """`w_out @ state`."""
        return self.w_out @ state
