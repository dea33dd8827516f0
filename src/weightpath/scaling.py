r"""Setups written in other scalings, brought to the canonical one in which every theory here is stated.

Canonical: $y = v\cdot h$ with $|u|$, $|v|$ and the rates of order one, $W_{ij}$ of order $1/\sqrt N$, and
$L = \tfrac12\langle(y-y^*)^2\rangle$: the change of W is then of order one and of low rank, and learning has a limit
as N grows (the feature-learning or mean-field scaling).
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.rules.population import population_loss
from weightpath.setup import Setup

SCALINGS = ("mean_field", "standard", "custom")
LOSSES = ("half", "full", "relative")


def canonical(setup: Setup, scaling: str, *, readout_divisor: float | None = None, loss: str = "half") -> Setup:
    r"""The canonical setup that learns like `setup` read in another scaling: same output, same path of W.

    Arguments: `scaling`: "mean_field", the canonical one itself; "standard", read-in and read-out with entries of order
    one and output $y = v\cdot h/\sqrt N$; "custom", the same with $y = v\cdot h/g$, g the `readout_divisor`. `loss`:
    "half" $\tfrac12\langle(y-y^*)^2\rangle$, "full" without the half, "relative" half the squared error divided by the
    target's energy $\langle y^{*2}\rangle$.

    With $a = g/\sqrt N$: $u \to u/\sqrt N$, $\eta_u \to \eta_u/N$, $v \to v/a$, $\eta_v \to \eta_v/a^2$, W unchanged;
    another loss multiplies all rates. Learning time is unchanged.

    **Raises:** ValueError for an unknown word, a divisor that is missing, not asked for or not positive, or a network
    that is not linear. Source: Bordelon et al. 2025 (arXiv 2503.18754) for the setting; the conversion is derived here.
    """
    network = setup.network
    if scaling not in SCALINGS:
        raise ValueError(f"scaling must be one of {', '.join(SCALINGS)}; got {scaling!r}.")
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}; got {loss!r}.")
    if (scaling == "custom") != (readout_divisor is not None):
        raise ValueError('readout_divisor belongs to scaling="custom", which needs one.')
    if readout_divisor is not None and not readout_divisor > 0:
        raise ValueError(f"readout_divisor must be positive; got {readout_divisor}.")
    if not isinstance(network, ContinuousLinearRNN | LinearRNN):
        raise ValueError(f"scalings are defined for linear networks; got a {type(network).__name__}.")
    root = 1.0 if scaling == "mean_field" else float(np.sqrt(network.w_rec.shape[0]))
    divisor = root if readout_divisor is None else float(readout_divisor)
    factors = {"w_rec": 1.0, "w_in": 1 / root, "w_out": root / divisor}
    faster = _loss_factor(setup, loss)
    scaled = eqx.tree_at(
        lambda net: (net.w_in, net.w_out), network, (network.w_in * factors["w_in"], network.w_out * factors["w_out"])
    )
    rates = {name: rate * factors[name] ** 2 * faster for name, rate in setup.rates.items()}
    return Setup(scaled, setup.task, setup.rule, setup.train, rates)


def describe(setup: Setup) -> str:
    """The numbers that decide how a canonical setup learns, in lines for the user to read."""
    network, units = setup.network, setup.network.w_rec.shape[0]
    lines = [
        f"units N              {units}",
        f"gain of w_rec        {float(jnp.linalg.norm(network.w_rec)) / np.sqrt(units):.6g}",
        f"norm of w_in         {float(jnp.linalg.norm(network.w_in)):.6g}",
        f"norm of w_out        {float(jnp.linalg.norm(network.w_out)):.6g}",
    ]
    lines += [f"rate of {name:<12} {float(rate):.6g}" for name, rate in setup.rates.items()]
    return "\n".join(lines)


def _loss_factor(setup: Setup, loss: str):
    if loss != "relative":
        return 2.0 if loss == "full" else 1.0
    require_x64('scaling.canonical(loss="relative")')
    network = setup.network
    silent = eqx.tree_at(lambda net: net.w_out, network, jnp.zeros_like(network.w_out))
    return 1 / (2 * population_loss(silent, setup.task.population()))
