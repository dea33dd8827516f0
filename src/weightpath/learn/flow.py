"""Gradient flow: the weights move continuously along the velocity of the rule, in learning time."""

import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS, outcome_name
from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Numeric
from weightpath.learn.integrate import integrate, take_steps
from weightpath.learn.lost import lost_stability, may_lose_stability
from weightpath.learn.projected import flow_to_error, projected_flow
from weightpath.learn.starts import check_start
from weightpath.learn.stiffness import choose_solver
from weightpath.learn.velocity import check_exact
from weightpath.setup import Setup
from weightpath.tasks.base import Batch
from weightpath.trajectory import Trajectory


def flow(
    setup: Setup,
    time: Float[Numeric, " step"] | list | tuple,
    batch: Batch | None = None,
    *,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    solver: str = "auto",
    project: int | str | None = None,
    project_error: float = 1e-4,
    max_steps: int = 100_000,
    throw: bool = True,
) -> Trajectory:
    r"""Flow of the weights along the rule's velocity, for `BPTT` $d\theta/d\tau = -\eta\,\partial L/\partial\theta$.

    **Arguments:**
    - `time` (step,): learning times to save, increasing and not negative; the flow starts at 0.
    - `batch`: None follows the exact velocity of infinite data; a batch, the rule on that fixed batch.
    - `rtol`, `atol`: tolerances of the adaptive solver.
    - `solver`: "explicit" (Dopri8), "implicit" (Kvaerno5, for small stiff systems), or "auto", by size and by the
      stiffness that the target's slowest pole will cause. The gradient flow of a read-out or a read-in alone is linear;
      "auto" solves it in closed form, for any time.
    - `project`: None for the network itself; a depth, for its word-Krylov projection (`weightpath.networks.words`), a
      small flow whose trajectory carries the `lift`; "auto", for the smallest depth whose loss differs from that of
      the depth before by less than `project_error` times the initial loss, on a grid of spacing <= 0.1.
    - `throw`: raise when the solver fails; otherwise the trajectory ends with its last finite state and tells why in
      `result`: `unstable_recurrence` where a local rule has carried the network to the edge of stability, at the time
      and state of the last step.

    **Raises:** ValueError when there is neither an exact form nor a batch, for an unstable initial network, for a start
    that cannot learn (no input, no output, an exact saddle), for bad times, in 32-bit mode; RuntimeError when the
    solver fails and `throw` is set.
    """
    require_x64("wp.flow")
    time = _checked_times(time)
    if batch is None:
        check_exact(setup, "wp.flow without a batch")
        check_start(setup)
    settings = {"rtol": rtol, "atol": atol, "max_steps": max_steps}
    if project is None:
        method = choose_solver(solver, setup, time[-1], batch is None)
        trajectory = integrate(setup, time, batch, solver=method, **settings)
        if batch is None and _failed(trajectory) and may_lose_stability(setup):
            trajectory = lost_stability(
                trajectory, lambda setup, time: integrate(setup, time, None, solver=method, **settings)
            )
    elif project == "auto":
        trajectory = flow_to_error(setup, time, batch, project_error, solver=solver, **settings)
    elif isinstance(project, int):
        trajectory = projected_flow(setup, time, batch, project, solver=solver, **settings)
    else:
        raise ValueError(f'project must be None, a depth such as 3, or "auto"; got {project!r}.')
    return _ended(trajectory, throw)


def _checked_times(time) -> Array:
    if is_traced(time):
        return time
    values = np.asarray(time, dtype=float)
    if values.ndim != 1 or values.size == 0 or not np.all(np.isfinite(values)):
        raise ValueError(f"time must be a list of finite learning times; got shape {values.shape}: {values}.")
    if values[0] < 0 or np.any(np.diff(values) <= 0):
        raise ValueError(f"time must be increasing and not negative (the flow starts at 0); got {values}.")
    return jnp.asarray(values)


def _failed(trajectory: Trajectory) -> bool:
    return not is_traced(trajectory.loss) and not bool(trajectory.result == RESULTS.successful)


def _ended(trajectory: Trajectory, throw: bool) -> Trajectory:
    """Raise on failure, or cut the trajectory after its last finite state. Under `vmap` the outcome is only carried."""
    if not _failed(trajectory):
        return trajectory
    if throw:
        reason = RESULTS[trajectory.result]
        raise RuntimeError(f"wp.flow ended early ({outcome_name(trajectory.result)}): {reason}")
    finite = np.isfinite(np.asarray(trajectory.loss))
    steps = np.arange(len(finite) if finite.all() else int(np.argmin(finite)))
    return take_steps(trajectory, steps)
