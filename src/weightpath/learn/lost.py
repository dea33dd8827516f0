"""Flows that leave the stable region: where and when the network's recurrent dynamics became unstable.

The gradient pushes a linear network away from the edge of stability; local rules may push it across, in finite learning
time, where the stationary loss diverges and the solver's steps shrink to nothing.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Array
from weightpath.learn.integrate import take_steps
from weightpath.learn.stability import spectral_bound
from weightpath.learn.starts import has_fixed_feedback
from weightpath.learn.velocity import exact_loss
from weightpath.networks.linear import LinearRNN
from weightpath.setup import Setup
from weightpath.tasks.teacher import is_stationary
from weightpath.trajectory import Trajectory

#: A flow that ended with a spectral radius above this one ended for want of stability.
EDGE = 0.99
#: Saved times of a finer look, and how often it is repeated.
POINTS, ROUNDS = 16, 5


def may_lose_stability(setup: Setup) -> bool:
    """Whether the rule can carry the network across the edge of stability, where its loss has no limit."""
    stationary = is_stationary(setup.task.population()) and isinstance(setup.network, LinearRNN)
    return stationary and has_fixed_feedback(setup.rule)


def lost_stability(trajectory: Trajectory, again: Callable[[Setup, Array], Trajectory]) -> Trajectory:
    """A failed flow with the last state before the failure as its last step, named `unstable_recurrence` at the edge.

    `again(setup, time)` integrates from another network. A failure elsewhere keeps its name and its steps.
    """
    setup = trajectory.setup
    assert setup is not None, "flows carry their setup"
    finite = np.isfinite(np.asarray(trajectory.loss))
    count = len(finite) if finite.all() else int(np.argmin(finite))
    reached, network = (0.0, setup.network) if count == 0 else (float(trajectory.time[count - 1]), None)
    network = trajectory.network(count - 1) if network is None else network
    if count < len(finite) and not bool(trajectory.result == RESULTS.max_steps):
        span = float(trajectory.time[count]) - reached
        for _ in range(ROUNDS):
            fine = np.linspace(0, span, POINTS + 1)[1:]
            closer = again(setup.with_network(network), jnp.asarray(fine))
            good = np.isfinite(np.asarray(closer.loss))
            kept = len(good) if good.all() else int(np.argmin(good))
            if kept:
                reached, network = reached + float(fine[kept - 1]), closer.network(kept - 1)
            span = span / POINTS
    if not spectral_bound(network)[1] > EDGE:
        return trajectory
    steps = take_steps(trajectory, np.arange(count))
    loss = exact_loss(setup.with_network(network))
    ended = jax.tree.map(lambda path, last: jnp.concatenate([path, last[None]]), steps.networks, network)
    return eqx.tree_at(
        lambda value: (value.time, value.networks, value.loss, value.result),
        steps,
        (jnp.append(steps.time, reached), ended, jnp.append(steps.loss, loss), RESULTS.unstable_recurrence),
    )
