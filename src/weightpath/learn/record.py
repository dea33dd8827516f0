"""What of a training run is kept."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from weightpath._types import Array
from weightpath.networks.base import AbstractNetwork
from weightpath.trajectory import Trajectory


class Record(eqx.Module):
    """Which states of a run are kept: the start, every `every`-th step, and the last.

    `what`: "networks" keeps the networks. A dictionary of functions network -> array keeps those numbers instead, as
    `trajectory.statistics` (step, ...), together with the last network only: for networks that are too large to keep.

    **Raises:** ValueError when `every` is below 1 or `what` is neither.
    """

    every: int = eqx.field(static=True)
    what: str | dict[str, Callable[[AbstractNetwork], Array]] = eqx.field(default="networks", static=True)

    def __check_init__(self):
        if self.every < 1:
            raise ValueError(f"every (steps between records) must be at least 1; got {self.every}.")
        if self.what != "networks" and not (isinstance(self.what, dict) and all(map(callable, self.what.values()))):
            raise ValueError(
                f'what must be "networks" or a dictionary of functions network -> array; got {self.what!r}.'
            )

    def statistics(self, network: AbstractNetwork) -> dict[str, Array]:
        """The named numbers of one network; empty when networks are kept."""
        return {name: jnp.asarray(fn(network)) for name, fn in self.what.items()} if isinstance(self.what, dict) else {}


class Interrupted(KeyboardInterrupt):
    """Training was interrupted (Ctrl-C); `trajectory` holds what was done until then."""

    def __init__(self, trajectory: Trajectory):
        super().__init__(f"training was interrupted after {len(trajectory)} records; they are in `.trajectory`.")
        self.trajectory = trajectory
