"""Steady states of a recurrent network under steady input: the fixed points as a layer that can be differentiated."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._results import OUTCOME_NAMES, RESULTS
from weightpath._tracing import is_traced
from weightpath._types import Array, ArrayLike, Bool, Float, Int
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.checks import as_float, check_finite
from weightpath.networks.slopes import (
    activation_of,
    drive_of,
    holds_rates,
    leak_of,
    outputs_of,
    rates_of,
    slopes_of,
)
from weightpath.networks.steady_adjoint import attach
from weightpath.networks.steady_response import respond
from weightpath.networks.steady_solver import RUNGS, SteadySolver

DYNAMICS = ("flow", "map")


class SteadyState(eqx.Module):
    """Where a network comes to rest under each of a batch of steady inputs; the samples stand along `trial`."""

    states: Float[Array, "trial unit"]
    """States of the network: its rates, or its net inputs for form="current"."""
    rates: Float[Array, "trial unit"]
    """Rates r; differentiable with respect to the network and the inputs."""
    slopes: Float[Array, "trial unit"]
    """Slopes of the activation, g = f'(z)."""
    outputs: Float[Array, "trial out"]
    """Outputs of the read-out; differentiable."""
    residual: Float[Array, " trial"]
    """Largest entry of |r - f(W r + x)|."""
    iterations: Int[Array, " trial"]
    """Iterations until the residual passed, those of every rung together."""
    rung: Int[Array, " trial"]
    """Which solver found it: number in `RUNGS`."""
    stable: Bool[Array, " trial"]
    """Whether it is stable under the dynamics asked for."""
    margin: Float[Array, " trial"]
    """1 - spectral abscissa of GW (flow), 1 - spectral radius of the Jacobian of the network's own step (map); NaN
    where no eigenvalues were needed to tell. Without derivative."""
    result: RESULTS
    """Per sample: successful, unstable_recurrence, no_fixed_point, max_steps or nonfinite."""

    @property
    def solved(self) -> Bool[Array, " trial"]:
        """Whether a fixed point was found, stable or not."""
        return self.rung > 0

    def __repr__(self) -> str:
        """Counts instead of one line for each sample, where the values are known."""
        if any(is_traced(leaf) for leaf in jax.tree.leaves(self)) or self.rates.ndim != 2:
            return super().__repr__()
        samples, units = self.rates.shape
        outcomes = Counter(OUTCOME_NAMES[int(code)] for code in np.asarray(self.result._value))
        found = Counter(RUNGS[int(number)] for number in np.asarray(self.rung))
        residual, steps = float(np.max(self.residual)), int(np.max(self.iterations))
        counts = ["; ".join(f"{name} {count}" for name, count in tally.items()) for tally in (outcomes, found)]
        return (
            f"SteadyState({samples} samples of {units} units: {counts[0]}; residual at most {residual:.1e} after at "
            f"most {steps} iterations; found by {counts[1]})"
        )


def solve_states(
    network: AbstractNetwork,
    inputs: Float[Array, "trial in"],
    start: Float[Array, "trial unit"] | None = None,
    solver: SteadySolver | None = None,
    *,
    dynamics: str = "flow",
    check: bool | None = None,
    margins: bool = False,
) -> SteadyState:
    """`steady_state` without a look at its arguments, for use inside compiled code; `start` are states.

    `check`: None perturbs only samples whose start was the point already, and looks at linear networks.
    """
    solver = SteadySolver() if solver is None else solver
    drive = drive_of(network, inputs)
    if start is None:
        start = jnp.broadcast_to(network.initial(), drive.shape)
    first = start if holds_rates(network) else rates_of(network, start)
    # The derivative is that of the fixed point, not of the way to it.
    fixed, still, first = jax.lax.stop_gradient((network, drive, first.astype(drive.dtype)))
    first = jax.lax.optimization_barrier(first)  # known zeros would be worked on while compiling, which takes seconds
    settled, stable, margin = respond(fixed, still, first, solver, dynamics, check, margins)
    rates, net_input = attach(network, drive, settled.rates, settled.net_input, solver)
    return SteadyState(
        states=rates if holds_rates(network) else net_input,
        rates=rates,
        slopes=slopes_of(network, net_input),
        outputs=outputs_of(network, rates),
        residual=settled.residual,
        iterations=settled.iterations,
        rung=settled.rung,
        stable=stable,
        margin=margin,
        result=jax.vmap(partial(_result, solver))(settled.solved, stable, settled.finite),
    )


_compiled = eqx.filter_jit(solve_states)


def steady_state(
    network: AbstractNetwork,
    inputs: ArrayLike | Sequence,
    *,
    dynamics: str = "flow",
    solver: SteadySolver | None = None,
    start: ArrayLike | Sequence | None = None,
    check: bool = True,
    margins: bool = False,
) -> SteadyState:
    r"""Fixed points $r = f(W r + U u + b)$ of a network under steady inputs u, one per sample, as a layer.

    `jax.grad`, `jax.jvp` and the like give the derivative of the fixed point itself, by the implicit function theorem:
    $dr = (1 - GW)^{-1} G\,(dW\,r + dx)$ with $x = Uu + b$, in `w_rec`, `w_in`, `bias`, `w_out`, `readout_bias` and the
    inputs; it knows nothing of the solver's steps.

    Where a network has several fixed points the answer is the one that the flow from `start` reaches; a solver with
    other settings may find another. Failure is a value: see `result` of each sample.

    **Arguments:**
    - `network`: a RateRNN of either form, LinearRNN or ContinuousLinearRNN. Its time step does not move fixed points.
    - `inputs`: (trial, in), or (in,) for one sample.
    - `dynamics`: what `stable` means. "flow": $\dot h = -h + \dots$, every $\mathrm{Re}\,\lambda(GW) < 1$. "map": the
      network's own step, every $|1 - \alpha + \alpha\lambda(GW)| < 1$, with $\alpha = 1$ for LinearRNN; the stronger.
    - `solver`: see `SteadySolver`.
    - `start`: states (trial, unit), or (unit,) for all samples; left out, the network's initial state.
    - `check`: whether a generic perturbation of each point that iteration found is seen to decay. Convergence alone
      tells it too, unless symmetry keeps start and iterates off the directions in which the point repels, or the
      start is on the point. False saves about a third of the time; of a linear network it then is not known whether it
      is stable, and taken for granted.
    - `margins`: eigenvalues for every sample, for `margin`; of order units^3 each.

    **Raises:** ValueError for a network of another kind, another word, shapes that do not fit, arrays that are not
    finite or hold no samples, a tolerance below rounding, and for the map of a network without time step.
    Source: the gradient is that of Zhu and Rosenbaum 2024 (arXiv 2307.06732); solvers and checks are choices made here.
    """
    inputs, start = as_float(inputs), None if start is None else as_float(start)
    activation_of(network)
    if network.w_rec.ndim != 2:
        raise ValueError(f"steady_state takes one network; w_rec has shape {network.w_rec.shape}; use jax.vmap.")
    units, channels = network.w_in.shape
    if inputs.ndim == 1:
        inputs = inputs[None]
    if inputs.ndim != 2 or inputs.shape[1] != channels:
        raise ValueError(f"inputs must be (trial, in) or (in,) with in={channels}; got shape {inputs.shape}.")
    if inputs.shape[0] == 0:
        raise ValueError(f"inputs hold no samples, shape {inputs.shape}; give at least one.")
    if start is not None:
        if start.shape not in ((units,), (inputs.shape[0], units)):
            raise ValueError(
                f"start must be ({units},) or (trial, unit) = ({inputs.shape[0]}, {units}); got {start.shape}."
            )
        start = jnp.broadcast_to(start, (inputs.shape[0], units))
    if dynamics not in DYNAMICS:
        raise ValueError(f'dynamics must be "flow" or "map"; got {dynamics!r}.')
    if dynamics == "map":
        leak_of(network)
    if solver is not None and not isinstance(solver, SteadySolver):
        raise ValueError(f"solver must be a wp.SteadySolver; got {solver!r}.")
    if solver is not None:
        solver.check_precision(network.w_rec.dtype)
    check_finite(inputs=inputs, start=start)
    for name in ("w_rec", "w_in", "w_out", "bias", "readout_bias"):
        check_finite(**{name: getattr(network, name, None)})
    dtype = network.w_rec.dtype  # the network's precision is that of the answer
    inputs, start = inputs.astype(dtype), None if start is None else start.astype(dtype)
    return _compiled(network, inputs, start, solver, dynamics=dynamics, check=check, margins=margins)


def _result(solver: SteadySolver, solved: Array, stable: Array, finite: Array) -> RESULTS:
    missing = RESULTS.no_fixed_point if solver.newton else RESULTS.max_steps
    fallen = RESULTS.successful if solver.accept_unstable else RESULTS.unstable_recurrence
    found = RESULTS.where(stable, RESULTS.successful, fallen)
    return RESULTS.where(solved, found, RESULTS.where(finite, missing, RESULTS.nonfinite))
