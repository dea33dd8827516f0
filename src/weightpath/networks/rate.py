"""Nonlinear rate networks of the two usual forms."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.checks import as_column, as_float, as_row, check_finite, check_weights

#: Activations by name; each maps an array to an array of the same shape.
ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "linear": lambda x: x,
    "rectified_quadratic": lambda x: jax.nn.relu(x) ** 2,
}


def _maybe_float(value) -> Array | None:
    return None if value is None else as_float(value)


class RateRNN(AbstractNetwork):
    r"""A leaky rate network with activation $f$.

    form="rate":    $h_+ = (1-\alpha) h + \alpha f(W h + U x + b)$, $y = V h + c$.
    form="current": $h_+ = (1-\alpha) h + \alpha (W f(h) + U x + b)$, $y = V f(h) + c$.

    Arguments: `w_rec` (post, pre); `w_in` (post, in); `w_out` (out, pre); `bias` (post,) or None; `readout_bias`
    (out,) or None; `activation`: one of tanh, sigmoid, relu, softplus, linear, rectified_quadratic
    ($\max(z, 0)^2$, the supralinear form); `leak` $\alpha = dt/\tau$ in (0, 1].

    **Raises:** ValueError when shapes do not fit, an array is not finite, or `leak` is outside (0, 1].
    """

    w_rec: Float[Array, "post pre"] = eqx.field(converter=as_float)
    w_in: Float[Array, "post in"] = eqx.field(converter=as_column)
    w_out: Float[Array, "out pre"] = eqx.field(converter=as_row)
    bias: Float[Array, " post"] | None = eqx.field(default=None, converter=_maybe_float)
    readout_bias: Float[Array, " out"] | None = eqx.field(default=None, converter=_maybe_float)
    activation: str = eqx.field(default="tanh", static=True)
    leak: float = eqx.field(kw_only=True, static=True, converter=float)
    form: str = eqx.field(default="rate", static=True)

    def __check_init__(self):
        check_weights(self.w_rec, self.w_in, self.w_out)
        check_finite(bias=self.bias, readout_bias=self.readout_bias)
        for name, array, size in (
            ("bias", self.bias, self.w_rec.shape[0]),
            ("readout_bias", self.readout_bias, self.w_out.shape[0]),
        ):
            if array is not None and array.shape != (size,):
                raise ValueError(f"{name} must have shape ({size},); got {array.shape}.")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {self.activation!r}.")
        if self.form not in ("rate", "current"):
            raise ValueError(f'form must be "rate" or "current"; got {self.form!r}.')
        if not 0 < self.leak <= 1:
            raise ValueError(f"leak = dt/tau must be in (0, 1]; got {self.leak}.")

    def initial(self) -> Float[Array, " unit"]:
        """Zero."""
        return jnp.zeros(self.w_rec.shape[0], self.w_rec.dtype)

    def step(self, state: Float[Array, " unit"], input: Float[Array, " in"]) -> Float[Array, " unit"]:
        """One leaky step of the form that the network was made with."""
        activation = ACTIVATIONS[self.activation]
        drive = self.w_in @ input if self.bias is None else self.w_in @ input + self.bias
        if self.form == "rate":
            target = activation(self.w_rec @ state + drive)
        else:
            target = self.w_rec @ activation(state) + drive
        return (1 - self.leak) * state + self.leak * target

    def readout(self, state: Float[Array, " unit"]) -> Float[Array, " out"]:
        """Output of the network in `state`, of the form that the network was made with."""
        rate = state if self.form == "rate" else ACTIVATIONS[self.activation](state)
        output = self.w_out @ rate
        return output if self.readout_bias is None else output + self.readout_bias
