"""Flows by the general solvers of diffrax: implicit steps for small stiff problems, and derivatives in reverse.

Loaded only where one of the two is needed: its programs take seconds to compile.
"""

from collections.abc import Callable

import diffrax
import jax.numpy as jnp
import optimistix

from weightpath._results import RESULTS
from weightpath._types import Array, Float, PyTree

#: Test of convergence of Newton's method within an implicit step.
ROOT_TOLERANCE = 1e-6


def path(
    field: Callable,
    start: PyTree,
    time: Float[Array, " step"],
    args: PyTree,
    tolerances,
    max_steps: int,
    *,
    implicit: bool,
) -> tuple[PyTree, RESULTS]:
    """States of d(state)/dt = field(t, state, args) from `start` at 0, saved at `time`, and the outcome."""
    rtol, atol = tolerances
    controller = diffrax.PIDController(rtol=rtol, atol=atol)
    if implicit:
        # The default chord iteration stalls on these problems. Newton's quadratic convergence gives the full accuracy
        # at a loose test, and a tight one would ask for more digits than the stiff velocity has.
        newton = optimistix.Newton(rtol=ROOT_TOLERANCE, atol=ROOT_TOLERANCE)
        method = diffrax.Kvaerno5(root_finder=newton, root_find_max_steps=20)
        # Its interpolation between steps is of third order only, so the saved times are made ends of steps.
        controller = diffrax.ClipStepSizeController(controller, step_ts=time)
    else:
        method = diffrax.Dopri8()
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),  # pyright: ignore[reportArgumentType]
        method,
        t0=jnp.zeros_like(time[0]),
        t1=time[-1],
        dt0=None,
        y0=start,
        args=args,
        saveat=diffrax.SaveAt(ts=time),
        stepsize_controller=controller,
        max_steps=max_steps,
        throw=False,
    )
    assert solution.ts is not None, "SaveAt asks for them"
    ended = solution.ts <= time[-1]  # times that were not reached are infinite
    outcome = RESULTS.where(solution.result == diffrax.RESULTS.max_steps_reached, RESULTS.max_steps, RESULTS.nonfinite)
    result = RESULTS.where(
        (solution.result == diffrax.RESULTS.successful) & jnp.all(ended), RESULTS.successful, outcome
    )
    return solution.ys, result
