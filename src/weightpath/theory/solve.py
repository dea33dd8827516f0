"""Every reduced dynamics integrated in learning time, and when it first reaches a level."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath import _explicit
from weightpath._precision import require_x64
from weightpath._results import RESULTS, outcome_name
from weightpath._tracing import is_traced
from weightpath._types import Array, ArrayLike, Float, Int
from weightpath.setup import Setup
from weightpath.theory.base import AbstractReducedDynamics, Values

MAX_STEPS = 200_000
#: Explicit steps that are tried before an implicit solver when an arrival is looked for.
FEW_STEPS = 20_000
#: How much closer than asked an explicit path is followed, so that values between its steps are as good as asked.
INTERPOLATED = 100


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
    implicit: bool | None = None,
    throw: bool = True,
) -> Solution:
    """Integrate the reduced dynamics from the start that `setup.network` gives.

    Arguments: `time` (time,) learning times, not decreasing, from 0 on; `implicit` chooses the solver: Kvaerno 5, which
    takes seconds to compile, or the explicit method of Dormand and Prince of order 8; None takes the implicit one where
    the theory calls itself stiff. One compiled program serves every value of the weights, of the rates and of the
    task's numbers, and networks of every size.

    **Raises:** ValueError in 32-bit mode or for bad times; RuntimeError when the solver fails and `throw` is True.
    """
    require_x64("theory.solve")
    time = checked_times(time)
    start, small = theory.start(setup), theory.reduced(setup)
    implicit = theory.stiff(small) if implicit is None else implicit
    solution = _solve(theory, small, start, time, np.asarray(rtol), np.asarray(atol), implicit)
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
    are tried first, since a stiff theory usually becomes stiff only once it has arrived; an implicit solver follows
    (not under `jit` or `vmap`, where explicit steps are taken to the end).

    **Raises:** ValueError in 32-bit mode.
    """
    require_x64("theory.first_time")
    start, small = theory.start(setup), theory.reduced(setup)
    numbers = tuple(jnp.asarray(number, dtype=float) for number in (level, horizon, rtol, atol))
    look = partial(_first_time, theory, small, start, quantity, *numbers)
    if is_traced(start, level):
        return look(False, MAX_STEPS)
    arrival = look(False, FEW_STEPS)
    if bool(arrival.result == RESULTS.max_steps):
        return look(True, MAX_STEPS)
    return arrival


def raise_unless_successful(result: RESULTS, what: str) -> None:
    """Turn a failure into an exception at the border. **Raises:** RuntimeError with the message of the outcome."""
    if not bool(result == RESULTS.successful):
        name = outcome_name(result)
        raise RuntimeError(f"{what}: {name}. {RESULTS[getattr(RESULTS, name)]}")


def checked_times(time: Values) -> Float[Array, " time"]:
    """Learning times (time,) as an array. **Raises:** ValueError when they decrease or are negative."""
    if is_traced(time):
        return jnp.asarray(time)
    times = np.atleast_1d(np.asarray(time, dtype=float))
    if times.ndim != 1 or times.size == 0 or not np.all(np.isfinite(times)):
        raise ValueError(f"time must be a vector of finite learning times; got shape {times.shape}.")
    if times[0] < 0 or np.any(np.diff(times) < 0):
        raise ValueError("learning times must start at 0 or later and must not decrease; sort them.")
    return jnp.asarray(times)


@eqx.filter_jit
def _solve(theory, setup, start, time, rtol, atol, implicit: bool) -> Solution:
    field = partial(_field, theory, setup)
    if not implicit:  # what lies within its steps is interpolated, one order below the steps: make them shorter
        rtol, atol = rtol / INTERPOLATED, atol / INTERPOLATED
    found = _path(implicit)(field, start, time, rtol, atol, MAX_STEPS)
    finite = jnp.all(jnp.isfinite(found.states)) | (found.result == RESULTS.max_steps)
    result = RESULTS.where(finite, found.result, RESULTS.nonfinite)
    loss = jax.vmap(lambda coords: theory.loss(coords, setup))(found.states)
    return Solution(time, found.states, loss, result, found.steps)


@eqx.filter_jit
def _first_time(theory, setup, start, quantity, level, horizon, rtol, atol, implicit: bool, max_steps: int) -> Arrival:
    sign = jnp.where(quantity(theory, start, setup) <= level, 1.0, -1.0)

    def height(coords):
        return sign * (quantity(theory, coords, setup) / level - 1)

    field = partial(_field, theory, setup)
    found = _arrival(implicit)(field, start, height, horizon, rtol, atol, max_steps)
    return Arrival(found.time, found.state, found.result)


def _field(theory, setup, time, coords):
    return theory.vector_field(time, coords, setup)


def _path(implicit: bool):
    if not implicit:
        return _explicit.path
    from weightpath.theory import implicit as stiff

    return stiff.path


def _arrival(implicit: bool):
    if not implicit:
        return _explicit.arrival
    from weightpath.theory import implicit as stiff

    return stiff.arrival
