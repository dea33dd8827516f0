"""Every reduced dynamics integrated in learning time, and when it first reaches a level."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS, outcome_name
from weightpath._tracing import is_traced
from weightpath._types import Array, ArrayLike, Float, Int
from weightpath.setup import Setup
from weightpath.theory.base import AbstractReducedDynamics, Values

MAX_STEPS = 200_000
#: Explicit steps that are tried before an implicit solver when an arrival is looked for.
FEW_STEPS = 4096


class Solution(eqx.Module):
    """A path of reduced coordinates over learning time, with the loss along it."""

    time: Float[Array, " time"]
    coords: Float[Array, "time coord"]
    loss: Float[Array, " time"]
    result: RESULTS
    steps: Int[Array, ""]
    """Steps that the solver took."""


class Arrival(eqx.Module):
    """When a reduced dynamics first reaches a level, and where it is then; time is infinite when it never does."""

    time: Float[Array, ""]
    coords: Float[Array, " coord"]
    result: RESULTS


def solve(
    theory: AbstractReducedDynamics,
    setup: Setup,
    time: Values,
    *,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    throw: bool = True,
) -> Solution:
    """Integrate the reduced dynamics from the start that `setup.network` gives.

    Arguments: `time` (time,) learning times, not decreasing, from 0 on. An implicit solver (Kvaerno 5) is used where
    the theory calls itself stiff and an explicit one (Dormand-Prince 8) elsewhere. One compiled program serves every
    value of the weights, of the rates and of the task's numbers, and networks of every size.

    **Raises:** ValueError in 32-bit mode or for bad times; RuntimeError when the solver fails and `throw` is True.
    """
    require_x64("theory.solve")
    time = _checked_times(time)
    start, small = theory.start(setup), theory.reduced(setup)
    solution = _solve(theory, small, start, time, jnp.asarray(rtol), jnp.asarray(atol), theory.stiff(small))
    if throw and not is_traced(solution.coords):
        raise_unless_successful(solution.result, "theory.solve")
    return solution


def first_time(
    theory: AbstractReducedDynamics,
    setup: Setup,
    quantity: Callable,
    level: ArrayLike,
    *,
    horizon: float = 1e9,
    rtol: float = 1e-9,
    atol: float = 1e-12,
) -> Arrival:
    """First learning time at which `quantity(theory, coords, setup)` crosses `level`, located by root finding.

    `quantity` must be a function defined once (a lambda made at each call compiles at each call), `level` positive.
    `result` is `not_converged` with an infinite time when the level is not reached before `horizon`. Explicit steps
    are tried first, since a stiff theory usually becomes stiff only once it has arrived; an implicit solver follows.

    **Raises:** ValueError in 32-bit mode.
    """
    require_x64("theory.first_time")
    start, small = theory.start(setup), theory.reduced(setup)
    numbers = (jnp.asarray(float(np.asarray(level))), jnp.asarray(horizon), jnp.asarray(rtol), jnp.asarray(atol))
    arrival = _first_time(theory, small, start, quantity, *numbers, False, FEW_STEPS)
    if bool(arrival.result == RESULTS.max_steps):
        return _first_time(theory, small, start, quantity, *numbers, True, MAX_STEPS)
    return arrival


def raise_unless_successful(result: RESULTS, what: str) -> None:
    """Turn a failure into an exception at the border. **Raises:** RuntimeError with the message of the outcome."""
    if not bool(result == RESULTS.successful):
        name = outcome_name(result)
        raise RuntimeError(f"{what}: {name}. {RESULTS[getattr(RESULTS, name)]}")


def _checked_times(time: Values) -> Float[Array, " time"]:
    times = np.atleast_1d(np.asarray(time, dtype=float))
    if times.ndim != 1 or times.size == 0 or not np.all(np.isfinite(times)):
        raise ValueError(f"time must be a vector of finite learning times; got shape {times.shape}.")
    if times[0] < 0 or np.any(np.diff(times) < 0):
        raise ValueError("learning times must start at 0 or later and must not decrease; sort them.")
    return jnp.asarray(times)


def _solver(implicit: bool):
    import diffrax as dfx
    import optimistix as optx

    if not implicit:
        return dfx.Dopri8()
    # The unknown of a stage is the vector field itself, which rounding of the coordinates blurs by (fastest rate) times
    # 1e-16: a tolerance as tight as the solver's can then never be met and the steps shrink for ever. Newton's last
    # step converges quadratically, so that a loose tolerance costs no accuracy; the default (one Jacobian, few
    # iterations) takes ten times as many steps.
    return dfx.Kvaerno5(root_finder=optx.Newton(rtol=1e-7, atol=1e-5))


@eqx.filter_jit
def _solve(theory, setup, start, time, rtol, atol, implicit: bool) -> Solution:
    import diffrax as dfx

    # Landing on the times costs steps where many are asked for, and spares the cubic interpolation of the
    # implicit solver, which is far less accurate than its steps.
    controller = dfx.ClipStepSizeController(dfx.PIDController(rtol=rtol, atol=atol), step_ts=time)
    raw = dfx.diffeqsolve(
        dfx.ODETerm(theory.vector_field),
        _solver(implicit),
        t0=jnp.zeros_like(time[0]),
        t1=time[-1],
        dt0=None,
        y0=start,
        args=setup,
        saveat=dfx.SaveAt(ts=time),
        stepsize_controller=controller,
        max_steps=MAX_STEPS,
        throw=False,
    )
    assert raw.ys is not None and raw.ts is not None, "SaveAt asks for them"
    loss = jax.vmap(lambda coords: theory.loss(coords, setup))(raw.ys)
    finite = jnp.all(jnp.isfinite(raw.ys))
    result = RESULTS.where(raw.result == dfx.RESULTS.successful, RESULTS.successful, RESULTS.max_steps)
    result = RESULTS.where(finite | (result == RESULTS.max_steps), result, RESULTS.nonfinite)
    return Solution(time, raw.ys, loss, result, raw.stats["num_steps"])


@eqx.filter_jit
def _first_time(theory, setup, start, quantity, level, horizon, rtol, atol, implicit: bool, max_steps: int) -> Arrival:
    import diffrax as dfx
    import optimistix as optx

    # Signed so that it rises through zero, and tiny: the bisection asks that it too be below `atol`, which rounding
    # would forbid where the loss falls steeply. Its sign alone steers.
    sign = jnp.sign(level - quantity(theory, start, setup))

    def distance(t, y, args, **kwargs):
        return 1e-30 * sign * (quantity(theory, y, args) / level - 1)

    raw = dfx.diffeqsolve(
        dfx.ODETerm(theory.vector_field),
        _solver(implicit),
        t0=jnp.zeros_like(horizon),
        t1=horizon,
        dt0=None,
        y0=start,
        args=setup,
        saveat=dfx.SaveAt(t1=True),
        stepsize_controller=dfx.PIDController(rtol=rtol, atol=atol),
        event=dfx.Event(distance, optx.Bisection(rtol=1e-13, atol=1e-13, flip=False)),
        max_steps=max_steps,
        throw=False,
    )
    assert raw.ys is not None and raw.ts is not None, "SaveAt asks for them"
    met = raw.result == dfx.RESULTS.event_occurred
    ended = raw.result == dfx.RESULTS.successful
    result = RESULTS.where(ended, RESULTS.not_converged, RESULTS.max_steps)
    result = RESULTS.where(met, RESULTS.successful, result)
    time = jnp.where(met, raw.ts[-1], jnp.where(ended, jnp.inf, jnp.nan))
    return Arrival(time, raw.ys[-1], result)
