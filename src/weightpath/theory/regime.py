"""When the one-outlier theory holds, in words for the user."""

import numpy as np

from weightpath._results import RESULTS
from weightpath._tracing import is_traced
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.theory.base import Regime

#: Initial weights, or a misplaced read-out, above this size move the outlier by more than a few percent.
SMALL = 0.1
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
    return _start(setup)


def _structure(setup: Setup, target) -> str:
    """What no number can mend: rule, network, or target of another kind."""
    network = setup.network
    if type(setup.rule) is not BPTT:
        return f"it assumes the gradient (BPTT); the rule is {type(setup.rule).__name__}, for which nothing is derived."
    if not isinstance(network, ContinuousLinearRNN):
        return f"it assumes a ContinuousLinearRNN; the network is a {type(network).__name__}."
    if target is None or getattr(target, "transition", None) is None or target.dt is not None:
        return "it assumes a target filter in continuous time, as Integrator(decay) gives."
    if target.transition.shape[0] != 1:
        return (
            f"it assumes the target exp(-decay s), one pole; this target has {target.transition.shape[0]} poles, so "
            f"that more than one outlier forms; {ELSEWHERE}."
        )
    if network.w_in.shape[1] != 1 or network.w_out.shape[0] != 1:
        channels = network.w_in.shape[1], network.w_out.shape[0]
        return f"it assumes one input and one output; the network has {channels[0]} and {channels[1]}."
    return ""


def _start(setup: Setup) -> Regime:
    """Whether the initial weights are where the ansatz, or its first order in the gain, holds."""
    read_in, read_out = np.asarray(setup.network.w_in)[:, 0], np.asarray(setup.network.w_out)[0]
    norm_in, norm_out = np.linalg.norm(read_in), np.linalg.norm(read_out)
    trained_in = "w_in" in setup.train and "w_out" in setup.train
    if norm_in == 0 and not ("w_in" in setup.train and norm_out > 0):
        return Regime.outside(SADDLE if trained_in else NO_INPUT, defined=False)
    direction = read_in / norm_in if norm_in > 0 else read_out / norm_out
    along, seen = _initial_weights(np.asarray(setup.network.w_rec), direction)
    if along >= 1:
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
