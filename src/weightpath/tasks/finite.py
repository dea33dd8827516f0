"""Trials of finite duration as an exact task: the expected loss of sampled batches, without sampling."""

import equinox as eqx

from weightpath._linalg import exponential
from weightpath._types import Array, Float, Key
from weightpath.tasks.base import AbstractTask, Batch, WhiteNoise
from weightpath.tasks.filters import RationalTarget


class FiniteTarget(eqx.Module):
    r"""A target filter on trials of `bins` time bins, started from rest: $C F^j B$ is its response $j$ bins later.

    For networks in continuous time the noise of a bin has variance $1/dt$ and $B$ carries the factor $dt$ of one bin of
    input; for networks in discrete time `dt` is 1.
    """

    transition: Float[Array, "k k"]
    drive: Float[Array, "k in"]
    output: Float[Array, "out k"]
    bins: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    continuous: bool = eqx.field(static=True)
    """Whether the network runs in continuous time, in steps of `dt`."""


class FiniteTrials(AbstractTask):
    r"""The expected loss of a sampled task, exactly: what batches of trials of finite duration measure on average.

    Argument: `task`, a filter task made with `noise=WhiteNoise(duration, dt, trials)`. The expectation over the noise
    of a batch of trials, from rest, of $n$ bins $dt$, duration $T = n\,dt$, is

    $$L_{T,dt} = \tfrac12\,dt \sum_{j=0}^{n-1} \Big(1 - \frac jn\Big) |f_j - f^*_j|^2,$$

    with $f_j = V (1 + dt\,G)^j U$ for Euler steps (for "zoh" the response to input that is held over a bin) and
    $f^*_j = C e^{F dt\,j} B$; without the factor $dt$ for discrete-time networks. It tends to the stationary loss as
    $dt \to 0$ and $T \to \infty$, with errors of order $dt$ and $1/T$, and stays finite for perfect integrators
    (decay 0) and for unstable networks. `wp.loss`, `wp.velocity`, `wp.flow` and `wp.train` (exact gradient descent)
    work on it; the network needs the same `dt`. To learn from samples instead, train on `task` itself.

    **Raises:** ValueError when `task` has no `noise` or no target filter.
    Source: derived here.
    """

    task: AbstractTask

    def __check_init__(self):
        _parts(self.task)

    def population(self) -> FiniteTarget:
        """The target of the expected loss of finite trials."""
        return finite_target(self.task)

    def sample(self, key: Key, step) -> Batch:
        """A batch of the inner task."""
        return self.task.sample(key, step)


def finite_target(task: AbstractTask) -> FiniteTarget:
    """What a batch of `task` compares a network with, bin by bin; `task` may be a `FiniteTrials` itself.

    **Raises:** ValueError when the task has no `noise` or no target filter.
    """
    target, noise = _parts(task)
    if target.dt is not None:
        return FiniteTarget(target.transition, target.drive, target.output, noise.bins, 1.0, False)
    step = exponential(noise.dt * target.transition)
    return FiniteTarget(step, noise.dt * target.drive, target.output, noise.bins, noise.dt, True)


def _parts(task: AbstractTask) -> tuple[RationalTarget, WhiteNoise]:
    """Target filter and sampling of a filter task."""
    if isinstance(task, FiniteTrials):
        return _parts(task.task)
    noise: WhiteNoise | None = getattr(task, "noise", None)
    if noise is None:
        raise ValueError(
            f"finite trials need a task that says how it is sampled; this {type(task).__name__} has no `noise`. Give "
            "it noise=WhiteNoise(duration, dt, trials)."
        )
    target = getattr(task, "target", task.population)()  # `population` is None for undamped targets
    if not isinstance(target, RationalTarget):
        raise ValueError(f"finite trials need a task with a rational target filter; {type(task).__name__} has none.")
    return target, noise
