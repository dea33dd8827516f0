"""Exact loss and velocity of a learning problem, where the expectation over its noise is known."""

from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._precision import require_x64
from weightpath._results import RESULTS
from weightpath._tracing import is_traced
from weightpath._types import Array, Float
from weightpath.learn.stability import unstable_message
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.backprop import expected_loss
from weightpath.rules.base import Info
from weightpath.rules.fixed_point_base import AbstractFixedPointRule
from weightpath.rules.population import NoExactForm
from weightpath.rules.static_loss import at_rest
from weightpath.setup import Setup
from weightpath.tasks.static import StaticTargets
from weightpath.tasks.static_batch import StaticBatch
from weightpath.tasks.teacher import is_stationary


def loss(setup: Setup) -> Float[Array, ""]:
    r"""Exact loss $L = \tfrac12\langle|y-y^*|^2\rangle$ of the setup's network on its task.

    In the stationary state, and over trials of finite duration for `wp.FiniteTrials`; for `wp.StaticTargets` the mean
    loss of all samples at their fixed points. It is a property of network and
    task: which weights are trained, and by which rule, does not matter. Differentiable;
    under `jit` or `vmap` the loss of an unstable network is infinite.

    **Raises:** ValueError when the task has no exact form for the network, when the network is unstable (unless trials
    are finite), in 32-bit mode.
    """
    value = _evaluated(_loss, setup, "wp.loss")
    if not is_traced(value) and not jnp.isfinite(value):
        raise ValueError(_infinite(setup))
    return value


def velocity(setup: Setup) -> AbstractNetwork:
    r"""Exact velocity d(weights)/d(learning time) of the setup, rates included, zero on frozen weights.

    For `BPTT` this is $-\eta\,\partial L/\partial\theta$ of `wp.loss`. The value has the structure of the network:
    `velocity.w_rec` (post, pre) and so on. Under `jit` or `vmap` the velocity of an unstable network is NaN.

    **Raises:** ValueError naming rule, network and task when there is no exact form; when the network is unstable; in
    32-bit mode.
    """
    value = _evaluated(_velocity, setup, "wp.velocity")
    if not is_traced(value.w_rec) and not jnp.all(jnp.isfinite(value.w_rec)):
        raise ValueError(_infinite(setup))
    return value


def exact_velocity(setup: Setup) -> tuple[AbstractNetwork, Info]:
    """Masked velocity in the infinite data limit, and what the rule found on the way."""
    value, info = setup.rule.population(setup.network, setup.task.population())
    if isinstance(setup.task, StaticTargets):
        lost = info.result != RESULTS.successful
        value = jax.tree.map(lambda leaf: jnp.where(lost, jnp.nan, leaf), value)
    return setup.masked(value), info


def exact_loss(setup: Setup) -> Float[Array, ""]:
    """The exact loss; infinite for an unstable network on a stationary target, and where a fixed point is not found."""
    target = setup.task.population()
    if not isinstance(target, StaticBatch):
        return expected_loss(setup.network, target)
    rest = at_rest(setup.network, target, None, cast(AbstractFixedPointRule, setup.rule).solver)
    return jnp.where(rest.result == RESULTS.successful, rest.loss, jnp.inf)


_loss = eqx.filter_jit(exact_loss)
_velocity = eqx.filter_jit(lambda setup: exact_velocity(setup)[0])


def missing_exact_form(setup: Setup) -> str | None:
    """Why the setup has no exact velocity, naming rule, network and task; None when it has one."""
    rule, network, task = (type(part).__name__ for part in (setup.rule, setup.network, setup.task))
    if isinstance(setup.task, StaticTargets) and not setup.task.repeats:
        return (
            f"every update sees some of the samples of {task} (trials or order); task.everything() is the batch of all"
        )
    if setup.task.population() is None:
        return f"{rule} has no exact form for {network} on {task}: the task has no target of infinite data"
    try:
        jax.eval_shape(lambda: exact_velocity(setup)[0])
    except NoExactForm as reason:
        return f"{str(reason).rstrip('.')} (task: {task})"
    return None


def check_exact(setup: Setup, what: str) -> None:
    """Refuse 32-bit numbers and setups without an exact form.

    **Raises:** ValueError.
    """
    check_precision(setup, what)
    reason = missing_exact_form(setup)
    if reason is not None:
        raise ValueError(_no_exact_form(what, reason))


def check_precision(setup: Setup, what: str) -> None:
    """Refuse 32-bit mode and 32-bit weights. **Raises:** ValueError."""
    require_x64(what)
    if setup.network.w_rec.dtype != jnp.float64:
        raise ValueError(
            f"{what} needs 64-bit weights; w_rec is {setup.network.w_rec.dtype}. Make the network from float64 arrays."
        )


def _evaluated(compiled, setup: Setup, what: str):
    """`compiled(setup)`, its refusal in words; whether there is an exact form costs nothing once it is compiled."""
    check_precision(setup, what)
    if setup.task.population() is None:
        raise ValueError(_no_exact_form(what, str(missing_exact_form(setup))))
    try:
        return compiled(setup)
    except NoExactForm as refusal:
        raise ValueError(_no_exact_form(what, missing_exact_form(setup) or str(refusal))) from None


def _infinite(setup: Setup) -> str:
    target = setup.task.population()
    if isinstance(target, StaticBatch):
        return (
            "a fixed point was not found, or the rule is not defined there; wp.steady_state says for which sample. "
            "Reduce the weights, or give the rule another solver=wp.SteadySolver(...)."
        )
    if not is_stationary(target):
        return "the network grows beyond what 64-bit numbers hold within one trial; reduce the gain or the duration."
    return unstable_message(setup.network, target)


def _no_exact_form(what: str, reason: str) -> str:
    return f"{what}: {reason}. Use wp.train, or wp.flow with a batch."
