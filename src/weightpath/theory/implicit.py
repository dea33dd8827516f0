"""An implicit solver for stiff reduced dynamics: a path, and when it reaches a level.

Loaded only when a theory is stiff: its programs take seconds to compile.
"""

from collections.abc import Callable

import diffrax as dfx
import jax.numpy as jnp
import optimistix as optx

from weightpath._explicit import Path, Point
from weightpath._results import RESULTS
from weightpath._types import Array, Float


def path(field: Callable, start: Array, time: Float[Array, " time"], rtol, atol, max_steps: int) -> Path:
    """The solution of d(state)/dt = field(t, state) from `start` at 0, saved at `time`."""
    # Landing on the times costs steps where many are asked for, and spares the cubic interpolation of the solver, which
    # is far less accurate than its steps.
    controller = dfx.ClipStepSizeController(dfx.PIDController(rtol=rtol, atol=atol), step_ts=time)
    raw = dfx.diffeqsolve(
        dfx.ODETerm(lambda t, y, args: field(t, y)),
        _solver(),
        t0=jnp.zeros_like(time[0]),
        t1=time[-1],
        dt0=None,
        y0=start,
        saveat=dfx.SaveAt(ts=time),
        stepsize_controller=controller,
        max_steps=max_steps,
        throw=False,
    )
    assert raw.ys is not None, "SaveAt asks for them"
    result = RESULTS.where(raw.result == dfx.RESULTS.successful, RESULTS.successful, RESULTS.max_steps)
    return Path(raw.ys, result, raw.stats["num_steps"])


def arrival(field: Callable, start: Array, height: Callable, horizon, rtol, atol, max_steps: int) -> Point:
    """When `height(state)`, negative at the start, first reaches zero."""

    def distance(t, y, args, **kwargs):
        # Tiny, because the bisection asks that it too be below `atol`, which rounding would forbid where the quantity
        # is steep. Its sign alone steers.
        return 1e-30 * height(y)

    raw = dfx.diffeqsolve(
        dfx.ODETerm(lambda t, y, args: field(t, y)),
        _solver(),
        t0=jnp.zeros_like(horizon),
        t1=horizon,
        dt0=None,
        y0=start,
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
    return Point(time, raw.ys[-1], result)


def _solver():
    # The unknown of a stage is the vector field itself, which rounding of the coordinates blurs by (fastest rate) times
    # 1e-16: a tolerance as tight as the solver's can then never be met and the steps shrink for ever. Newton's last
    # step converges quadratically, so that a loose tolerance costs no accuracy; the default (one Jacobian, few
    # iterations) takes ten times as many steps.
    return dfx.Kvaerno5(root_finder=optx.Newton(rtol=1e-7, atol=1e-5))
