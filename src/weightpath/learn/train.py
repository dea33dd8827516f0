"""Training in discrete steps with any optax optimiser."""

from bisect import bisect_left
from collections.abc import Callable
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from weightpath._progress import resolve_progress
from weightpath._results import RESULTS, outcome_name
from weightpath._types import Key
from weightpath.learn.guards import Guards, advice, checked_guards, first_pace
from weightpath.learn.integrate import trained_part
from weightpath.learn.online import advance_online, first_streams, trial_loss
from weightpath.learn.optimiser import check_optimiser, time_per_step
from weightpath.learn.record import Interrupted, Record
from weightpath.learn.starts import check_sampling, check_start, warn_of_large_steps
from weightpath.learn.static import check_static, is_static, measured
from weightpath.learn.steps import Progressed, advance, begun, recorded_loss, sampled_loss, start
from weightpath.learn.velocity import check_exact, missing_exact_form
from weightpath.rules.fixed_point_base import AbstractFixedPointRule
from weightpath.setup import Setup
from weightpath.trajectory import Trajectory


def train(
    setup: Setup,
    optimiser: optax.GradientTransformation,
    steps: int,
    *,
    record: Record | None = None,
    learning_rate: float | None = None,
    progress: bool | Callable | None = None,
    throw: bool = True,
    guards: Guards | str | None = None,
    max_rel_step: float | None = None,
    key: Key | None = None,
    update: str = "trial",
) -> Trajectory:
    r"""Train the setup's network for `steps` steps of an optax `optimiser`; the gradient is minus the rule's velocity.

    A task made with `noise` (and any task without exact form) is trained on a fresh batch at each step and needs a
    `key`; a task without noise is trained on the exact velocity of infinite data. Rates of the setup multiply the
    velocity before the optimiser sees it.

    **Arguments:**
    - `optimiser`: build it once; a new optax object means a new compilation.
    - `record`: what is kept, and how often (`wp.Record(every=...)`); None keeps about a hundred networks.
    - `learning_rate`: learning time per step. None reads it off a plain optimiser (`optax.sgd(rate)`: no memory, update
      proportional to the gradient); otherwise, as for Adam, momentum or schedules, `trajectory.time` is the step count.
    - `progress`: True or None (on a terminal) shows a bar on standard error; a callable is told.
    - `throw`: raise when training fails; otherwise the trajectory ends at the last good weights, with the reason in
      `result` (`unstable`, `diverged`: batch loss above 1e6 times the first, `nonfinite`).
    - `guards`: what to do with a step that would make the network unstable or not finite, or raise its exact loss:
      `wp.Guards(...)`, or "halve" or "stop" for all three (the last in plain descent on the exact loss only, since
      noise and momentum raise the loss as they should); None takes every step.
    - `max_rel_step`: largest relative change of a trained array in one step. The whole step is scaled down, in one
      piece so that its direction stays, until $\|\Delta\theta\| \le$ `max_rel_step` $\|\theta\|$ (Frobenius) for every
      trained array that is not zero. None (the default) leaves steps as they are; 0.1 to 0.2 is a good bound for
      rules of fixed points, whose steps may grow without limit at a rate that was good early on.
    - `update`: "trial", one change of the weights per batch of whole trials, or "step", one per time bin, by rules that
      go forward in time (RTRL, RFLO, EProp, SnAp0, UORO, KFRTRL, TruncatedBPTT). The trials of a batch are then streams
      that run side by side; a stream's state and traces are reset together where one of its trials begins (everywhere,
      unless the task's `Batch.first` says otherwise). A step is one change of the weights, its loss half the squared
      error in that bin, mean over streams, and `steps` and `record` count such steps; recorded losses are those of the
      network as it is, on the whole trials to which the step belongs.

    Static stimuli (`wp.StaticTargets`) need a key only where epochs are shuffled. Where every step sees all samples,
    each solve starts at the last fixed points. `statistics` hold `stable`, the fraction of samples at a stable fixed
    point, `margin`, the least distance to instability that had to be computed, `unsolved`, the samples without fixed
    point, and `batch_loss`, which is `loss`. Exact steps (`Reparameterised(exact=True)`) take the rate of a plain
    optimiser. Runs end as `no_fixed_point`, `singular_gain`, `singular` too, and as `diverged` where the weights run
    away while the loss levels off.

    With `guards` or `max_rel_step`, `statistics` hold `rejected`, the rejected steps so far, and `rate`, the learning
    rate in force (a fraction of the optimiser's own where that has none), and learning time counts the rates that were
    really used.

    `trajectory.loss` is the exact loss where the setup has one (64-bit mode; infinite once the network has no
    stationary state), else the loss on the step's fresh batch, which sampled runs also keep as
    `statistics["batch_loss"]`. Ctrl-C raises `Interrupted`, a KeyboardInterrupt whose `.trajectory` holds what is done.

    **Raises:** ValueError for bad arguments and for starts that cannot learn; RuntimeError on failure when `throw`.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1; got {steps}.")
    if update not in ("trial", "step"):
        raise ValueError(f'update must be "trial" or "step"; got {update!r}.')
    check_optimiser(optimiser)
    plain, static = time_per_step(optimiser), is_static(setup)
    key = check_static(setup, plain, key, steps, update) if static else _checked_key(setup, key, update)
    rate = plain if learning_rate is None else learning_rate
    guards = checked_guards(guards, max_rel_step, setup, descends=(static or key is None) and plain is not None)
    if guards is None or guards.loss_rise != "halve":
        warn_of_large_steps(setup, rate)
    record = Record(every=-(-steps // 100)) if record is None else record
    run = _Run(setup, optimiser, key, (plain, rate), record, guards, max_rel_step, update == "step")
    with resolve_progress(progress) as report:
        try:
            for state in run.chunks(steps):
                report("train", int(state.step), steps, loss=run.losses[-1])
        except KeyboardInterrupt:
            raise Interrupted(run.trajectory(RESULTS.successful)) from None
    trajectory = run.trajectory(state.result)
    if throw and not bool(state.result == RESULTS.successful):
        name, reason = outcome_name(state.result), RESULTS[state.result]
        raise RuntimeError(
            f"wp.train stopped after step {int(state.step)} of {steps} ({name}): {reason}"
            f"{advice(guards, max_rel_step)} throw=False returns the path until then."
        )
    return trajectory


class _Run:
    """A run in progress: the records so far. Lives within one call of `train`."""

    def __init__(
        self, setup: Setup, optimiser, key: Key | None, rates: tuple, record: Record, guards, limit, online: bool
    ):
        self.setup, self.optimiser, self.key, self.record = setup, optimiser, key, record
        plain, rate = rates
        self.plain = None if plain is None else jnp.asarray(plain)
        self.rate, self.known = 1.0 if rate is None else float(rate), rate is not None
        self.guards, self.limit = guards, None if limit is None else jnp.asarray(float(limit))
        self.guarded = guards is not None or limit is not None
        self.static = is_static(setup)
        self.exact = not self.static and jax.config.read("jax_enable_x64") and missing_exact_form(setup) is None
        self.online, self.frozen = online, trained_part(setup)[1]
        self.steps, self.times, self.losses, self.networks, self.statistics = [], [], [], [], []

    def chunks(self, steps: int):
        """Advance from record to record until the end or a failure; yields the state after each record."""
        pace = first_pace(self.setup, self.guards) if self.guarded else None
        state = start(self.setup, self.optimiser, self.key, pace, first_streams if self.online else None)
        if self.static:
            state = begun(self.advanced(state, 0), self.setup)
        self.keep(state)
        for until in [*range(self.record.every, steps, self.record.every), steps]:
            state = self.advanced(state, until)
            # After a failure the state is the last good one, possibly from before the last record.
            self.drop_from(int(state.step))
            self.keep(state)
            yield state
            if not bool(state.result == RESULTS.successful):
                return

    def advanced(self, state: Progressed, until: int) -> Progressed:
        """The state at step `until`, or at the last good step before it."""
        go_on: Callable = advance_online if self.online else advance
        end = (self.plain,) if self.static else ()
        return go_on(state, self.setup, self.optimiser, self.key, jnp.asarray(until), self.guards, self.limit, *end)

    def drop_from(self, step: int) -> None:
        """Forget the records made at `step` and later."""
        good = bisect_left(self.steps, step)
        for records in (self.steps, self.times, self.losses, self.networks, self.statistics):
            del records[good:]

    def keep(self, state: Progressed) -> None:
        """Add the present network to the records."""
        network = eqx.combine(state.trained, self.frozen)
        statistics = self.record.statistics(network)
        if self.static:
            numbers = measured(network, state.rule, cast(AbstractFixedPointRule, self.setup.rule).solver)
            statistics |= {name: numbers[name] for name in ("stable", "margin", "unsolved")}
            statistics["batch_loss"] = numbers["loss"]
        elif self.key is not None:
            loss = trial_loss if self.online else sampled_loss
            statistics["batch_loss"] = loss(self.setup.with_network(network), state.rule, self.key, state.step)
        if state.pace is not None:
            statistics |= {"rejected": state.pace.rejected, "rate": self.rate * state.pace.share}
            if self.guards is not None and self.guards.fall_back is not None:
                statistics["fallen"] = state.pace.fallen
        exact = recorded_loss(self.setup.with_network(network)) if self.exact else statistics["batch_loss"]
        self.losses.append(float(exact))
        self.steps.append(int(state.step))
        count = state.step if state.pace is None or not self.known else state.pace.elapsed
        self.times.append(self.rate * float(count))
        if self.record.what != "networks":
            self.networks.clear()
        self.networks.append(network)
        self.statistics.append(statistics)

    def trajectory(self, result: RESULTS) -> Trajectory:
        """The records as a trajectory."""
        return Trajectory(
            time=jnp.asarray(self.times, dtype=float),
            networks=jax.tree.map(lambda *leaves: jnp.stack(leaves), *self.networks),
            loss=jnp.asarray(self.losses),
            setup=self.setup,
            result=result,
            follows_velocity=time_per_step(self.optimiser) is not None,
            only_last=self.record.what != "networks",
            statistics=jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *self.statistics),
        )


def _checked_key(setup: Setup, key: Key | None, update: str) -> Key | None:
    """The key when batches are sampled, None when the exact velocity is used and no key is needed.

    **Raises:** ValueError for a missing key, and what `check_start`, `check_sampling` refuse.
    """
    sampled = getattr(setup.task, "noise", None) is not None or setup.task.population() is None
    if not sampled:
        if update == "step":
            raise ValueError(
                f'update="step" learns from sampled trials, and {type(setup.task).__name__} without noise is learned '
                "from its exact expectation; give the task what sampling needs (noise=..., or trials=...)."
            )
        check_exact(setup, "wp.train on a task without noise")
        check_start(setup)
        return None
    if key is None:
        raise ValueError("this task is sampled at each step; give wp.train a key=jax.random.key(seed).")
    check_sampling(setup)
    return key
