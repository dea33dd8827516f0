"""When the theory of a read-out that learns alone holds, in words for the user."""

import numpy as np

from weightpath._results import RESULTS
from weightpath._tracing import is_traced
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.tasks.filters import RationalTarget
from weightpath.theory.base import Regime

#: Correlations above this (plus the fluctuations of N units) contradict independent random weights.
CORRELATED = 0.2


def measured_gain(network: AbstractNetwork) -> float:
    r"""Root mean square of $|W_0\hat u|$ and $|W_0^T\hat u|$: the gain of Gaussian weights, at any N and projected."""
    read_in, w_rec = np.asarray(network.w_in)[:, 0], np.asarray(network.w_rec)
    norm = np.linalg.norm(read_in)
    turned = [np.linalg.norm(matrix @ read_in) / norm for matrix in (w_rec, w_rec.T)]
    return float(np.sqrt(np.mean(np.square(turned))))


def reservoir_regime(setup: Setup) -> Regime:
    """Why `theory.Reservoir` does not hold for `setup`, or that it does."""
    reason = _structure(setup)
    if reason:
        return Regime.outside(reason, defined=False)
    if is_traced(setup.network, setup.task, setup.rates):
        return Regime(RESULTS.successful)
    return _numbers(setup)


def _structure(setup: Setup) -> str:
    network, target = setup.network, setup.task.population()
    if setup.train != ("w_out",):
        return f'it assumes that the read-out learns alone, train=("w_out",); here {", ".join(setup.train)} learn.'
    if type(setup.rule) is not BPTT:
        return f"it assumes the gradient (BPTT); the rule is {type(setup.rule).__name__}, for which nothing is derived."
    if not isinstance(network, ContinuousLinearRNN):
        return f"it assumes a ContinuousLinearRNN; the network is a {type(network).__name__}."
    if not isinstance(target, RationalTarget) or target.dt is not None:
        return "it assumes a rational target filter in continuous time and infinite data."
    if network.w_in.shape[1] != 1 or network.w_out.shape[0] != 1:
        channels = network.w_in.shape[1], network.w_out.shape[0]
        return f"it assumes one input and one output; the network has {channels[0]} and {channels[1]}."
    return ""


def _overlap(read_out: np.ndarray, modes: tuple[np.ndarray, ...]) -> float:
    """Largest share of the read-out along one of the modes; 0 for a read-out of zero."""
    norm = np.linalg.norm(read_out)
    return 0.0 if norm == 0 else max(abs(float(read_out @ mode)) / float(norm) for mode in modes)


def _numbers(setup: Setup) -> Regime:
    """Whether the weights look like independent random ones, seen from the read-in."""
    network = setup.network
    read_in, read_out = np.asarray(network.w_in)[:, 0], np.asarray(network.w_out)[0]
    w_rec, norm = np.asarray(network.w_rec), np.linalg.norm(read_in)
    if norm == 0:
        return Regime.outside("the read-in is zero: no input reaches the network.", defined=False)
    gain = measured_gain(network)
    if gain >= 1:
        return Regime.outside(
            f"the recurrent weights have gain {gain:.3g} >= 1: the network is unstable with high probability and its "
            "stationary loss infinite; reduce the gain.",
            defined=False,
        )
    if gain == 0:
        return Regime.outside("the recurrent weights do not move the read-in (gain 0): a single mode can be read out.")
    limit = CORRELATED + 3 / np.sqrt(len(read_in))
    direction = read_in / norm
    first = w_rec @ direction / gain
    back = abs(float(direction @ first))
    if back > limit:
        return Regime.outside(
            f"u^T W0 u is {back:.2g} of the gain, against 0 for independent weights of many units (limit {limit:.2g})."
        )
    unbalanced = abs(np.linalg.norm(first) - 1)
    if unbalanced > limit:
        return Regime.outside(
            "W0 and its transpose turn the read-in by different amounts, which independent random weights do not."
        )
    seen = _overlap(read_out, (first, w_rec @ first / gain))
    if seen > limit:
        return Regime.outside(
            "the initial read-out is not random: it already reads features of the recurrent weights (overlap "
            f"{seen:.2g}, limit {limit:.2g})."
        )
    return Regime(RESULTS.successful)
