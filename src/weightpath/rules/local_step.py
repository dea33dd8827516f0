r"""One step of a leaky network as learning rules see it: what each weight changes at once, and what is carried on.

With $z = [r, x, 1]$ (the 1 only where the network has a bias), retention $\rho = 1 - \alpha$ and weights $[W, U, b]$,
every network here makes the step

$$h_+ = \rho\,h + \alpha f([W, U, b]\,z), \quad r = h \qquad\text{or}\qquad
  h_+ = \rho\,h + \alpha\,[W, U, b]\,z, \quad r = f(h)$$

("rate" and "current" form). A weight $(i, j)$ changes $h_{+,i}$ alone, by $g_i z_j$, and the state changes the next one
by $J = \rho 1 + \mathrm{diag}(g)\,W\,\mathrm{diag}(s)$; $g = \alpha f'$, $s = 1$ in rate form, $g = \alpha$,
$s = f'(h)$ in current form. Linear networks are the case $f(x) = x$.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.networks.rate import ACTIVATIONS, RateRNN


class Local(eqx.Module):
    """What one step leaves for a learning rule. `gain`, `slope` and `readout_slope` are scalars where all are equal."""

    state: Float[Array, " post"]
    """$h_+$, the state after the step."""
    rates: Float[Array, " post"]
    """What the read-out weights see of it."""
    output: Float[Array, " out"]
    parts: tuple[Array, ...]
    """What the recurrent weights, the read-in weights and the bias (where there is one) saw."""
    gain: Float[Array, "..."]
    """$g$, effect of a unit's input on its next state."""
    slope: Float[Array, "..."]
    """$s$, effect of a state on what the recurrent weights see of it."""
    readout_slope: Float[Array, "..."]
    """Effect of the next state on what the read-out weights see of it."""

    @property
    def seen(self) -> Float[Array, "... seen"]:
        """$z$, all that the weights saw."""
        return jnp.concatenate(self.parts, axis=-1)


class StepForm(eqx.Module):
    """How a network steps: leak, activation, and on which side of the weights the activation acts."""

    leak: float = eqx.field(static=True)
    activation: str = eqx.field(default="linear", static=True)
    current: bool = eqx.field(default=False, static=True)

    @property
    def retention(self) -> float:
        r"""$\rho = 1 - \alpha$, what is left of a state after one step without input."""
        return 1 - self.leak

    @property
    def even(self) -> bool:
        """Whether every unit has the same gain at every step, so that one trace serves all units."""
        return self.current or self.activation == "linear"

    def step(self, network: AbstractNetwork, state: Float[Array, " post"], input: Float[Array, " in"]) -> Local:
        """One step from `state`."""
        one, bias = jnp.ones((), state.dtype), getattr(network, "bias", None)
        input = input.astype(state.dtype)
        before, slope = self._activated(state) if self.current else (state, one)
        drive = network.w_rec @ before + network.w_in @ input
        drive = drive if bias is None else drive + bias
        target, gain = (drive, one) if self.current else self._activated(drive)
        after = self.retention * state + self.leak * target
        rates, readout_slope = self._activated(after) if self.current else (after, one)
        output, offset = network.w_out @ rates, getattr(network, "readout_bias", None)
        parts = (before, input) if bias is None else (before, input, one[None])
        return Local(
            state=after,
            rates=rates,
            output=output if offset is None else output + offset,
            parts=parts,
            gain=self.leak * gain,
            slope=slope,
            readout_slope=readout_slope,
        )

    def jacobian(self, network: AbstractNetwork, local: Local) -> Float[Array, "post pre"]:
        r"""$J = \rho 1 + \mathrm{diag}(g)\,W\,\mathrm{diag}(s)$ of the step that left `local`."""
        weights = local.gain[..., None] * network.w_rec * local.slope
        return self.retention * jnp.eye(weights.shape[0], dtype=weights.dtype) + weights

    def diagonal(self, network: AbstractNetwork, local: Local) -> Float[Array, " post"]:
        """The diagonal of `jacobian`."""
        return self.retention + local.gain * jnp.diagonal(network.w_rec) * local.slope

    def _activated(self, value: Array) -> tuple[Array, Array]:
        """Activation and its slope; the slope is the scalar 1 for a linear one."""
        if self.activation == "linear":
            return value, jnp.ones((), value.dtype)
        return jax.jvp(ACTIVATIONS[self.activation], (value,), (jnp.ones_like(value),))


def step_form(network: AbstractNetwork, rule: str) -> StepForm:
    """How `network` steps.

    **Raises:** ValueError naming rule and network for networks whose steps are not of this form.
    """
    if isinstance(network, RateRNN):
        return StepForm(network.leak, network.activation, network.form == "current")
    if isinstance(network, LinearRNN):
        return StepForm(1.0)
    kinds = "RateRNN, LinearRNN and ContinuousLinearRNN with Euler steps"
    reason = f"it needs a network in which each weight drives one unit at once ({kinds})"
    if isinstance(network, ContinuousLinearRNN):
        if network.dt is not None and network.scheme == "euler":
            return StepForm(network.dt)
        reason = (
            'within an exact step (scheme="zoh") every weight acts on every unit; use scheme="euler", or BPTT'
            if network.dt is not None
            else "it has no time step; make it with dt=..."
        )
    raise ValueError(f"{rule} cannot train this {type(network).__name__}: {reason}.")


def part_sizes(network: AbstractNetwork) -> tuple[int, ...]:
    """Lengths of the parts of z: units, inputs, and one for a bias."""
    sizes = (network.w_rec.shape[0], network.w_in.shape[1])
    return sizes if getattr(network, "bias", None) is None else (*sizes, 1)


def seen_size(network: AbstractNetwork) -> int:
    """M, the length of z."""
    return sum(part_sizes(network))


def blocks(network: AbstractNetwork, weights: Float[Array, "post seen"]) -> tuple[Array, ...]:
    """$[W, U, b]$ as its parts."""
    ends = np.cumsum(part_sizes(network))[:-1]
    return tuple(jnp.split(weights, ends, axis=1))


def assembled(
    network: AbstractNetwork, weights: tuple[Array, ...], readout: Float[Array, "out pre"], offset: Array
) -> AbstractNetwork:
    """A value shaped like `network` from the blocks of $[W, U, b]$, the read-out weights and the read-out bias."""
    parts = {"w_rec": weights[0], "w_in": weights[1], "w_out": readout}
    if len(weights) > 2:
        parts["bias"] = weights[2][:, 0]
    if getattr(network, "readout_bias", None) is not None:
        parts["readout_bias"] = offset
    names = tuple(parts)
    return eqx.tree_at(lambda net: [getattr(net, name) for name in names], network, [parts[name] for name in names])


def run(network: AbstractNetwork, form: StepForm, inputs: Float[Array, "trial time in"]) -> Local:
    """Every step of every trial, from rest; each array of the answer begins with (trial, time)."""

    def step(state, input):
        local = form.step(network, state, input)
        return local.state, local

    return jax.vmap(lambda sequence: jax.lax.scan(step, network.initial(), sequence)[1])(inputs)


def per_unit(value: Array) -> Array:
    """A number per unit, or one for all units, of every (trial, time), as a factor of (trial, time, post)."""
    return value if value.ndim == 3 else value[..., None]


def collected(
    network: AbstractNetwork, local: Local, gain: Array, credits: Float[Array, "trial time post"], errors: Array
) -> AbstractNetwork:
    """Gradient estimate from the credit of every state: the weights changed it by `gain` times what they saw."""
    weights = jnp.einsum("bti,btj->ij", per_unit(gain) * credits, local.seen)
    readout = jnp.einsum("bto,bti->oi", errors, local.rates)
    return assembled(network, blocks(network, weights), readout, jnp.sum(errors, axis=(0, 1)))
