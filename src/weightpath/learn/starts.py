"""Initial networks from which exact learning cannot start, or goes nowhere: what to tell the user."""

import warnings

import numpy as np

from weightpath._tracing import is_traced
from weightpath.learn.stability import is_stable, unstable_message
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.rules.edge import largest_finite_step, largest_step
from weightpath.setup import Setup
from weightpath.tasks.filters import Integrator, RationalTarget
from weightpath.tasks.finite import FiniteTrials, finite_target
from weightpath.tasks.teacher import TeacherTarget, is_stationary

#: Mismatch at zero delay, as a share of the target's value, that is worth a warning.
FROZEN = 0.05


def check_start(setup: Setup) -> None:
    """Refuse unstable networks and exact stationary starts of a network without input or output.

    On trials of finite duration (`wp.FiniteTrials`) the exact loss of unstable networks is finite, and they may start.

    **Raises:** ValueError.
    Warns when a resonant target meets a start that can never grow its pair of eigenvalues.
    """
    network = setup.network
    if is_traced(network):
        return
    target = setup.task.population()
    if is_stationary(target) and not is_stable(network):
        raise ValueError(unstable_message(network, target))
    if is_stationary(target):
        check_trace(setup)
    _check_input_and_output(setup)
    if isinstance(setup.rule, BPTT):
        _warn_of_rank_one(setup)
    _warn_of_frozen_ends(setup)


def check_sampling(setup: Setup) -> None:
    """Refuse a linear network that no input or output can teach and a step too large for it; warn of what biases.

    Coarse steps and short trials bias learning.

    **Raises:** ValueError.
    """
    network, noise, target = setup.network, getattr(setup.task, "noise", None), setup.task.population()
    if isinstance(network, ContinuousLinearRNN | LinearRNN) and not is_traced(network):
        _check_input_and_output(setup)
    if not isinstance(network, ContinuousLinearRNN) or noise is None:
        return
    if network.scheme == "euler" and network.dt is not None:
        eigenvalues = np.linalg.eigvals(np.asarray(network.w_rec))
        decaying = eigenvalues[eigenvalues.real < 1]
        limit = np.min(2 * (1 - decaying.real) / np.abs(1 - decaying) ** 2, initial=np.inf)
        if network.dt >= limit:
            raise ValueError(f"dt too large: Euler steps of dt={network.dt} are unstable; need dt < {limit:.6g}.")
    if target is None or target.dt is not None:
        return
    decay = float(np.min(-np.linalg.eigvals(np.asarray(target.transition)).real))
    if network.scheme == "euler" and noise.dt * decay > 0.2:
        warnings.warn(
            f"coarse steps: the optimal decay of an Euler network differs from the target's {decay:.4g} by "
            f'{decay**2 * noise.dt / 2:.3g}. Use a smaller dt, or scheme="zoh".',
            stacklevel=4,
        )
    if noise.duration * decay < 4:
        bias = -np.expm1(-2 * decay * noise.duration) / (2 * decay * noise.duration)
        warnings.warn(
            f"short trials: duration x decay = {noise.duration * decay:.3g} < 4, the loss at the start is too small by "
            f"{100 * bias:.3g} % and learning lags behind the exact flow. Use longer trials.",
            stacklevel=4,
        )


def warn_of_large_steps(setup: Setup, learning_rate: float | None) -> None:
    """Warn when plain gradient descent on integration cannot settle at this learning rate; silent where unknown.

    The edge is that of the loss whose gradient is followed, on average over samples: of finite trials for tasks that
    are sampled and for `wp.FiniteTrials`, else of the stationary state.
    """
    network = setup.network
    task = setup.task.task if isinstance(setup.task, FiniteTrials) else setup.task
    if learning_rate is None or not isinstance(task, Integrator) or task.dt is not None:
        return
    if not isinstance(network, ContinuousLinearRNN) or not isinstance(setup.rule, BPTT) or is_traced(task, network):
        return
    if set(setup.train) != {"w_rec", "w_out"} or network.w_in.shape[1] != 1 or network.w_out.shape[0] != 1:
        return
    rates = {"speed": float(setup.rates["w_rec"]), "readout_speed": float(setup.rates["w_out"])}
    if task.noise is not None:
        edge = largest_finite_step(network, finite_target(task), **rates)
    else:
        edge = float(largest_step(task.decay, read_in=np.linalg.norm(np.asarray(network.w_in)), **rates))
    if learning_rate > edge:
        warnings.warn(
            f"learning rate {learning_rate:.6g} is above {edge:.6g}, the largest at which plain gradient descent is "
            f"stable at the solution for decay {float(task.decay):.6g}; training will not settle. Lower it.",
            UserWarning,
            stacklevel=3,
        )


def check_trace(setup: Setup) -> None:
    """Refuse a local rule whose trace does not decay in the stationary state.

    **Raises:** ValueError.
    """
    decay = getattr(setup.rule, "trace_decay", None)
    if decay is not None and not is_traced(decay) and np.any(np.abs(np.asarray(decay)) >= 1):
        raise ValueError(
            f"the trace of {type(setup.rule).__name__} does not decay: trace_decay {float(np.max(np.abs(decay))):.6g} "
            "must be below 1 in absolute value in the stationary state; lower it, or give the task a finite horizon."
        )


def has_fixed_feedback(rule) -> bool:
    """Whether errors reach the recurrent and input weights by weights of their own, not by the read-out."""
    return getattr(rule, "feedback", None) is not None


def _check_input_and_output(setup: Setup) -> None:
    no_input = not np.any(np.asarray(setup.network.w_in))
    no_output = not np.any(np.asarray(setup.network.w_out))
    if has_fixed_feedback(setup.rule):
        _check_with_feedback(setup, no_input, no_output)
        return
    if no_input and "w_in" not in setup.train:
        raise ValueError(
            "no input reaches the network (w_in is zero and frozen): the gradient is identically zero. "
            "Give w_in a nonzero start."
        )
    if no_output and "w_out" not in setup.train:
        raise ValueError(
            "no output reads the network (w_out is zero and frozen): the gradient is identically zero. "
            "Give w_out a nonzero start."
        )
    if no_input and no_output:
        raise ValueError(
            "w_in and w_out are both zero: learning starts exactly on a saddle, where every velocity is zero. "
            "Add a small random part (norm eps; learning time grows as log(1/eps))."
        )


def _check_with_feedback(setup: Setup, no_input: bool, no_output: bool) -> None:
    """Fixed feedback leaves every start that has, or can grow, an input; without an output nothing is seen of it."""
    if no_input and "w_in" not in setup.train:
        raise ValueError(
            "no input reaches the network (w_in is zero and frozen): every velocity is zero. Give w_in a nonzero start."
        )
    if no_output and "w_out" not in setup.train:
        warnings.warn(
            "no output reads the network (w_out is zero and frozen): the feedback changes its other weights, but the "
            "loss stays what it is. Train w_out, or give it a nonzero start.",
            UserWarning,
            stacklevel=5,
        )


def _warn_of_rank_one(setup: Setup) -> None:
    """A resonant target, W0 = 0 and a read-out along the read-in: rank one for ever."""
    network, target = setup.network, setup.task.population()
    if is_traced(target.transition) or "w_rec" not in setup.train or np.any(np.asarray(network.w_rec)):
        return
    resonant = np.any(np.abs(np.linalg.eigvals(np.asarray(target.transition)).imag) > 0)
    directions = np.concatenate([np.asarray(network.w_in).T, np.asarray(network.w_out)])
    if resonant and np.linalg.matrix_rank(directions) == 1:
        warnings.warn(
            "w_rec starts at zero and w_out is parallel to w_in: the rank-one subspace is invariant under learning and "
            "the conjugate pair of eigenvalues cannot form. Add a small component of w_out across w_in.",
            UserWarning,
            stacklevel=4,
        )


def _warn_of_frozen_ends(setup: Setup) -> None:
    """Recurrent weights alone cannot change the filter at zero delay, where it is w_out @ w_in."""
    network, target = setup.network, setup.task.population()
    if setup.train != ("w_rec",) or not isinstance(target, RationalTarget | TeacherTarget) or is_traced(target):
        return
    start = np.asarray(network.w_out) @ np.asarray(network.w_in)
    wanted = np.asarray(target.output) @ np.asarray(target.drive)
    if np.max(np.abs(start - wanted)) > FROZEN * max(np.max(np.abs(wanted)), 1e-300):
        warnings.warn(
            "w_rec learns alone: the response at zero delay stays w_out @ w_in = "
            f"{np.array2string(start.squeeze(), precision=4)}, and the target's is "
            f"{np.array2string(wanted.squeeze(), precision=4)}, so that no finite w_rec brings the loss to zero (it "
            "levels off, or falls ever more slowly while an eigenvalue runs to minus infinity). Train w_out too.",
            UserWarning,
            stacklevel=4,
        )
