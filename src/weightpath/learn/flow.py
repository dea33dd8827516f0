"""Gradient flow: the weights move continuously along the velocity of the rule, in learning time."""

import equinox as eqx
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
from weightpath.learn.velocity import check_exact, exact_velocity
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.setup import Setup
from weightpath.tasks.base import Batch
from weightpath.tasks.static import StaticTargets
from weightpath.tasks.static_batch import StaticBatch
from weightpath.trajectory import Trajectory


def flow(
    setup: Setup,
    time: Float[Numeric, " step"] | list | tuple,
    batch: Batch | StaticBatch | None = None,
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
    - `batch`: None follows the exact velocity of infinite data, on static stimuli (`wp.StaticTargets`) that of all
      samples; a batch, the rule on that fixed batch.
    - `rtol`, `atol`: tolerances of the adaptive solver.
    - `solver`: "explicit" (Dopri8), "implicit" (Kvaerno5, for small stiff systems), or "auto", by size and by the
      stiffness that the target's slowest pole will cause. The gradient flow of a read-out or a read-in alone is linear;
      "auto" solves it in closed form, for any time.
    - `project`: None for the network itself; a depth, for the word-Krylov projection of a linear network
      (`weightpath.networks.words`), a small flow whose trajectory carries the `lift`; "auto", for the smallest depth
      whose loss differs from that of the depth before by less than `project_error` times the initial loss, on a grid
      of spacing <= 0.1.
    - `throw`: raise when the solver fails; otherwise the trajectory ends with its last finite state and tells why in
      `result`: `unstable_recurrence` where a local rule has carried the network to the edge of stability, at the time
      and state of the last step.

    **Raises:** ValueError when there is neither an exact form nor a batch, for an unstable initial network, for a start
    that cannot learn (no input, no output, an exact saddle), for bad times, for a batch of another kind than the
    task's, for a projection of a nonlinear network, in 32-bit mode; RuntimeError when the solver fails and `throw` is
    set.
    """
    require_x64("wp.flow")
    time = _checked_times(time)
    if project is not None and not isinstance(setup.network, LinearRNN | ContinuousLinearRNN):
        raise ValueError(
            "project is for linear networks (LinearRNN, ContinuousLinearRNN); units of a "
            f"{type(setup.network).__name__} do not mix. Leave it out."
        )
    if batch is not None:
        _check_kind(setup, batch)
    if isinstance(batch, StaticBatch):
        found = flow(
            _of_batch(setup, batch), time, rtol=rtol, atol=atol, solver=solver, project=project,
            project_error=project_error, max_steps=max_steps, throw=throw,
        )  # fmt: skip
        return eqx.tree_at(lambda value: value.setup, found, setup)
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
    if _failed(trajectory) and isinstance(setup.task, StaticTargets):
        trajectory = _named(trajectory, setup)
    return _ended(trajectory, throw)


def _check_kind(setup: Setup, batch: Batch | StaticBatch) -> None:
    """Static stimuli are learned from static stimuli, trials from trials. **Raises:** ValueError."""
    static = isinstance(setup.task, StaticTargets)
    if static != isinstance(batch, StaticBatch):
        wanted = "static stimuli: task.everything() or task.sample(key, step)" if static else "trials in time: a Batch"
        raise ValueError(
            f"batch is a {type(batch).__name__}, and {type(setup.rule).__name__} on {type(setup.task).__name__} learns "
            f"from {wanted}."
        )


def _of_batch(setup: Setup, batch: StaticBatch) -> Setup:
    """The problem of learning a batch of static stimuli, all samples at once.

    **Raises:** ValueError for a batch that does not fit the network.
    """
    targets = batch.labels if batch.targets is None else batch.targets
    task = StaticTargets(batch.inputs, targets, loss=batch.loss)
    return Setup(setup.network, task, setup.rule, setup.train, setup.rates)


def _named(trajectory: Trajectory, setup: Setup) -> Trajectory:
    """A failed flow of fixed points with the rule's own outcome, where that already fails at the last finite state."""
    finite = np.isfinite(np.asarray(trajectory.loss))
    last = len(finite) - 1 if finite.all() else int(np.argmin(finite)) - 1
    here = setup if last < 0 else setup.with_network(trajectory.network(last))
    outcome = _outcome(here)
    result = RESULTS.where(outcome == RESULTS.successful, trajectory.result, outcome)
    return eqx.tree_at(lambda value: value.result, trajectory, result)


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


_outcome = eqx.filter_jit(lambda setup: exact_velocity(setup)[1].result)
