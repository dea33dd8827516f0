"""When the theory of the conjugate pair holds, in words for the user."""

from typing import NamedTuple

import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Array, Bool, Float
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.theory.base import Regime
from weightpath.theory.regime import ELSEWHERE, NO_INPUT, SMALL

RANK_ONE = (
    "the initial recurrent weights do not leave the read-in and the initial read-out is parallel to it: the rank-one "
    "subspace is invariant, the conjugate pair can not form and learning stays at the plateau. Add a small component "
    "of w_out across w_in."
)
REAL_POLES = (
    "it assumes a target that oscillates (frequency above 0), and both poles of this one are real, so that no pair "
    "forms; use Integrator(decay) and theory.Outlier for one exponential."
)


class Seen(NamedTuple):
    """What is looked at in a setup, computed in one compiled program."""

    frequency: Float[Array, ""]
    """Squared frequency of the target; negative for two real poles."""
    kappa: Float[Array, ""]
    """Norm of the read-in."""
    coords: Float[Array, " coord"]
    """The start within the plane."""
    missed: Float[Array, ""]
    """How far the recurrent weights lead out of the plane (Frobenius norm), or how far the read-out is out of it."""
    spans: Bool[Array, ""]
    """Whether the plane has two dimensions."""


def pair_regime(reason: str, seen: Seen | None, chosen: bool) -> Regime:
    """Why `theory.ConjugatePair` does not hold for a setup, or that it does.

    `reason`: what `structure` found; `seen`: None while tracing, when structure alone is judged; `chosen`:
    the plane is the escape direction's, so that first order in small weights is meant.
    """
    if reason:
        return Regime.outside(reason, defined=False)
    if seen is None:
        return Regime(RESULTS.successful)
    frequency, kappa, coords, missed, spans = (np.asarray(value) for value in seen)
    growth = float(np.max(np.linalg.eigvals(coords[:4].reshape(2, 2)).real))
    if not frequency > 0:
        return Regime.outside(REAL_POLES, defined=False)
    if kappa == 0:
        return Regime.outside(NO_INPUT, defined=False)
    if growth >= 1:
        return Regime.outside(
            f"the initial network is unstable in the plane of its read-in and read-out: spectral abscissa {growth:.3g} "
            ">= 1, and the stationary loss is infinite. Reduce the initial weights.",
            defined=False,
        )
    return _start(coords, float(missed), bool(spans), chosen)


def check_structure(setup: Setup) -> None:
    """Refuse setups of another kind. **Raises:** ValueError with the reason."""
    reason = structure(setup)
    if reason:
        raise ValueError(f"no prediction for this setup: {reason}")


def structure(setup: Setup) -> str:
    """What no number can mend: rule, network, or target of another kind; empty when there is nothing."""
    network, target = setup.network, setup.task.population()
    if type(setup.rule) is not BPTT:
        return f"it assumes the gradient (BPTT); the rule is {type(setup.rule).__name__}, for which nothing is derived."
    if not isinstance(network, ContinuousLinearRNN):
        return f"it assumes a ContinuousLinearRNN; the network is a {type(network).__name__}."
    if target is None or getattr(target, "transition", None) is None or target.dt is not None:
        return (
            "it assumes a target filter in continuous time, as DampedOscillator(decay, frequency) gives (discrete "
            "time and finite trials have none)."
        )
    poles = target.transition.shape[0]
    if poles != 2:
        other = "use theory.Outlier" if poles == 1 else ELSEWHERE
        return f"it assumes a target of two poles, a damped oscillation; this one has {poles}; {other}."
    if network.w_in.shape[1] != 1 or network.w_out.shape[0] != 1:
        channels = network.w_in.shape[1], network.w_out.shape[0]
        return f"it assumes one input and one output; the network has {channels[0]} and {channels[1]}."
    if "w_in" in setup.train:
        return f"it assumes a fixed read-in, and w_in is trained; {ELSEWHERE}."
    return ""


def _start(coords: np.ndarray, missed: float, spans: bool, chosen: bool) -> Regime:
    """Whether the initial weights are in the plane, or small."""
    if not spans:
        return Regime.outside(RANK_ONE)
    if missed <= 1e-10:
        return Regime(RESULTS.successful)
    if not chosen:
        return Regime.outside(
            f"the initial weights leave the plane of read-in and read-out (by {missed:.3g}), so that another direction "
            "takes part; use theory.escape(setup).pair, which holds to first order in small weights."
        )
    size = max(missed, float(np.max(np.abs(coords))))
    if size > SMALL:
        return Regime.outside(
            f"it holds to first order in the initial weights, and they act with size {size:.3g} on its plane (limit "
            f"{SMALL}); {ELSEWHERE}."
        )
    return Regime(RESULTS.successful)
