"""When the one-outlier theory holds, in words for the user."""

import numpy as np

from weightpath._results import RESULTS
from weightpath._tracing import is_traced
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.tasks.finite import FiniteTarget, finite_target
from weightpath.theory.base import Regime

#: Initial weights, or a misplaced read-out, above this size move the outlier by more than a few percent.
SMALL = 0.1
#: Above this `trial_bias` the outlier of sampled training leaves the theory of the stationary loss visibly.
VISIBLE = 0.02
ELSEWHERE = "simulate with wp.flow, whose word-Krylov projection (project=depth) holds at any gain"

SADDLE = "read-in and read-out are zero: learning starts exactly on a saddle; add a small start."
NO_INPUT = "the read-in is zero: no input reaches the network, the gradient is identically zero."


def outlier_regime(setup: Setup) -> Regime:
    """Why `theory.Outlier` does not hold for `setup`, or that it does.

    The numbers are looked at only where they are known: under `jax.jit` or `jax.vmap` the structure alone is judged.
    """
    target = setup.task.population()
    reason = _structure(setup, target)
    if reason:
        return Regime.outside(reason, defined=False)
    if is_traced(setup.network, setup.task, setup.rates):
        return Regime(RESULTS.successful)
    amplitude = float(np.asarray(target.output)[0, 0] * np.asarray(target.drive)[0, 0])
    if abs(amplitude - 1) > 1e-12:
        return Regime.outside(
            f"the target filter has amplitude {amplitude:g}, and the theory assumes 1.", defined=False
        )
    regime = _start(setup)
    noise = getattr(setup.task, "noise", None)
    if not regime.inside or noise is None:
        return regime
    decay = -float(np.asarray(target.transition)[0, 0])
    bias = trial_bias(decay, noise.duration, noise.dt)
    if bias > VISIBLE:
        return Regime.outside(
            f"trials are finite (duration x decay = {decay * noise.duration:.3g}, dt = {noise.dt:g}), which biases "
            f"learning by {bias:.2g} (limit {VISIBLE}); use theory.FiniteOutlier."
        )
    return regime


def finite_outlier_regime(setup: Setup) -> Regime:
    """Why `theory.FiniteOutlier` does not hold for `setup`, or that it does."""
    reason = _no_gradient(setup) or _no_trials(setup)
    if reason:
        return Regime.outside(reason, defined=False)
    reason = _poles_and_channels(setup, finite_target(setup.task))
    if reason:
        return Regime.outside(reason, defined=False)
    if is_traced(setup.network, setup.task, setup.rates):
        return Regime(RESULTS.successful)
    return _start(setup, stationary=False)


def trial_bias(decay: float, duration: float, dt: float) -> float:
    r"""How much finite trials and steps bias learning: $|1 - E_{T,dt}/E| + c^{*2} dt/2$.

    The first part is the fraction of the target's energy $E = 1/(2c^*)$ that trials of duration T, started from rest in
    bins of dt, miss or add: $E_{T,dt} = dt\sum_j (1-j/n)\,e^{-2c^*dt\,j}$, a fraction of about $1/(2c^*T) - c^* dt$.
    The second is the bias of the outlier in which Euler steps end. While the outlier moves fastest it deviates from the
    flow of the stationary loss by 1 to 2 times the first part (for $c^* \ge 0.2$, rates and read-in 1).
    """
    bins = round(duration / dt)
    lags = np.arange(bins)
    energy = 2 * decay * dt * np.sum((1 - lags / bins) * np.exp(-2 * decay * dt * lags))
    return float(abs(1 - energy) + decay**2 * dt / 2)


def _no_gradient(setup: Setup) -> str:
    if type(setup.rule) is BPTT:
        return ""
    return f"it assumes the gradient (BPTT); the rule is {type(setup.rule).__name__}, for which nothing is derived."


def _no_trials(setup: Setup) -> str:
    """Why there is no loss of finite trials."""
    network = setup.network
    if not isinstance(network, ContinuousLinearRNN | LinearRNN):
        return f"it assumes a linear network; the network is a {type(network).__name__}."
    try:
        target = finite_target(setup.task)
    except ValueError as refusal:
        return f"{refusal}"
    continuous = isinstance(network, ContinuousLinearRNN)
    if target.continuous != continuous:
        return "the network runs in continuous time and the task in discrete time, or the other way round."
    if isinstance(network, ContinuousLinearRNN) and network.dt != target.dt:
        return f"the network steps by dt={network.dt} and the task samples its noise at dt={target.dt:g}."
    return ""


def _structure(setup: Setup, target) -> str:
    """What no number can mend: rule, network, or target of another kind."""
    network = setup.network
    if _no_gradient(setup):
        return _no_gradient(setup)
    if not isinstance(network, ContinuousLinearRNN):
        return f"it assumes a ContinuousLinearRNN; the network is a {type(network).__name__}."
    if isinstance(target, FiniteTarget):
        return "it assumes the loss of the stationary state; for trials of finite duration use theory.FiniteOutlier."
    if target is None or getattr(target, "transition", None) is None or target.dt is not None:
        return "it assumes a target filter in continuous time, as Integrator(decay) gives."
    return _poles_and_channels(setup, target)


def _poles_and_channels(setup: Setup, target) -> str:
    network = setup.network
    if target.transition.shape[0] != 1:
        return (
            f"it assumes the target exp(-decay s), one pole; this target has {target.transition.shape[0]} poles, so "
            f"that more than one outlier forms; {ELSEWHERE}."
        )
    if network.w_in.shape[1] != 1 or network.w_out.shape[0] != 1:
        channels = network.w_in.shape[1], network.w_out.shape[0]
        return f"it assumes one input and one output; the network has {channels[0]} and {channels[1]}."
    return ""


def _start(setup: Setup, stationary: bool = True) -> Regime:
    """Whether the initial weights are where the ansatz, or its first order in the gain, holds."""
    read_in, read_out = np.asarray(setup.network.w_in)[:, 0], np.asarray(setup.network.w_out)[0]
    norm_in, norm_out = np.linalg.norm(read_in), np.linalg.norm(read_out)
    trained_in = "w_in" in setup.train and "w_out" in setup.train
    if norm_in == 0 and not ("w_in" in setup.train and norm_out > 0):
        return Regime.outside(SADDLE if trained_in else NO_INPUT, defined=False)
    direction = read_in / norm_in if norm_in > 0 else read_out / norm_out
    along, seen = _initial_weights(np.asarray(setup.network.w_rec), direction)
    if stationary and along >= 1:
        return Regime.outside(
            f"the initial network is unstable: the read-in grows at rate {along - 1:.3g}, and the stationary loss is "
            "infinite. Reduce the gain of the initial weights.",
            defined=False,
        )
    if seen > SMALL:
        return Regime.outside(
            f"the initial recurrent weights move the read-in by {seen:.3g} (their gain; limit {SMALL}); {ELSEWHERE}."
        )
    if seen > 1e-10 and abs(along) > SMALL:
        return Regime.outside(f"the initial weights have u^T W0 u = {along:.3g} (limit {SMALL}); {ELSEWHERE}.")
    across = np.linalg.norm(read_out - (read_out @ direction) * direction)
    size = across * norm_in if not trained_in else across / max(norm_out, 1e-300)
    if size > SMALL:
        return Regime.outside(
            f"the initial read-out is not parallel to the read-in (its other part has size {across:.3g}), so that the "
            f"weights leave rank one; {ELSEWHERE}."
        )
    return Regime(RESULTS.successful)


def _initial_weights(w_rec: np.ndarray, direction: np.ndarray) -> tuple[float, float]:
    """The entry of W0 along the read-in, and how strongly W0 and its transpose turn the read-in away from itself.

    For Gaussian weights the latter is their gain, and it is the same for a word projection of the network.
    """
    along = float(direction @ w_rec @ direction)
    away = [np.linalg.norm(matrix @ direction - along * direction) for matrix in (w_rec, w_rec.T)]
    return along, float(max(away))
