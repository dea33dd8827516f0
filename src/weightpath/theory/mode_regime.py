"""When a mode of a network learns alone, in words for the user."""

import equinox as eqx
import numpy as np

from weightpath._results import RESULTS
from weightpath._tracing import is_traced
from weightpath.networks.linear import LinearRNN
from weightpath.networks.rate import RateRNN
from weightpath.setup import Setup
from weightpath.tasks.filters import RationalTarget
from weightpath.tasks.finite import FiniteTarget
from weightpath.tasks.teacher import TeacherTarget
from weightpath.theory.base import Regime
from weightpath.theory.mode_basis import Index, horizon_of, is_single, mode_basis, mode_problem

#: Parts of a matrix that leave the mode, in units of the matrix, above this size are no rounding errors.
ALIGNED = 1e-8
RULES = "BPTT, RTRL, TruncatedBPTT, RFLO, EProp or SnAp0"


def mode_regime(setup: Setup, mode: Index) -> Regime:
    """Why `theory.Modes(mode)` does not hold for `setup`, or that it does.

    The numbers are looked at only where they are known: under `jax.jit` or `jax.vmap` the structure alone is judged.
    """
    reason = _structure(setup, mode)
    if not reason and not is_traced(setup.network, setup.task, setup.rule, mode):
        reason = _stability(setup, mode) or _alignment(setup, mode)
    return Regime.outside(reason, defined=False) if reason else Regime(RESULTS.successful)


def _structure(setup: Setup, mode: Index) -> str:
    """What no number can mend: network, rule, target, or a mode that does not exist."""
    network, target = setup.network, setup.task.population()
    if not isinstance(network, LinearRNN) and not _steps_like_one(network):
        return f"it assumes a linear network without leak (LinearRNN); the network is a {type(network).__name__}."
    if not hasattr(setup.rule, "credit"):
        return f"it assumes {RULES}; the rule is {type(setup.rule).__name__}, for which nothing is derived."
    if not isinstance(target, TeacherTarget | RationalTarget | FiniteTarget):
        return "it assumes a linear teacher, as wp.TeacherRNN(wp.LinearRNN(...)) gives."
    if (isinstance(target, RationalTarget) and target.dt is None) or getattr(target, "continuous", False):
        return "it assumes a target in discrete time; give the task a dt, or use wp.TeacherRNN."
    count = min(network.w_out.shape[0], network.w_in.shape[1])
    if not is_traced(mode) and not 0 <= int(mode) < count:
        return f"the network has {count} modes, counted from 0 (the smaller of outputs and inputs); mode={int(mode)}."
    return ""


def _steps_like_one(network) -> bool:
    """Whether a rate network is a linear one under another name."""
    if not isinstance(network, RateRNN) or network.activation != "linear" or network.leak != 1:
        return False
    return network.bias is None and network.readout_bias is None


def _stability(setup: Setup, mode: Index) -> str:
    """Whether endless trials have a loss, and traces an end."""
    if horizon_of(setup.task.population())[0] is not None:
        return ""
    for name, matrix in (("network", setup.network.w_rec), ("teacher", setup.task.population().transition)):
        radius = float(np.max(np.abs(np.linalg.eigvals(np.asarray(matrix)))))
        if radius >= 1:
            return (
                f"the {name}'s spectral radius is {radius:.6g} >= 1, so that the loss of endless trials is infinite; "
                "give TeacherRNN a finite horizon."
            )
    decay = getattr(setup.rule, "trace_decay", None)
    if decay is not None and abs(float(decay)) >= 1:
        return (
            f"trace_decay is {float(decay):g}: on endless trials the trace grows without bound; use a value between "
            "-1 and 1, or a finite horizon."
        )
    return ""


def _alignment(setup: Setup, mode: Index) -> str:
    """Whether the mode is split off from the rest of network, teacher and feedback."""
    if is_single(setup):
        return ""
    leaks = mode_leaks(setup, mode)
    name, size = max(leaks.items(), key=lambda item: item[1])
    if size > ALIGNED:
        return (
            f"mode {int(mode)} is not aligned with its teacher: {name} has the largest off-diagonal ratio, {size:.3g} "
            f"(limit {ALIGNED:g}), so that modes mix. Simulate with wp.flow, or start from an aligned network."
        )
    hidden = np.abs(np.asarray(_basis(setup, mode).hidden))
    if _carries_diagonal(setup) and np.sort(hidden)[:-1].max(initial=0.0) > ALIGNED:
        return (
            "e-prop carries errors along the diagonal of w_rec, which mixes modes unless each lives on one unit (the "
            f"hidden basis is a signed permutation); mode {int(mode)} spreads over {np.sum(hidden > ALIGNED)} units."
        )
    return ""


def mode_leaks(setup: Setup, mode: Index) -> dict[str, float]:
    """By weight, the part that couples the mode to the rest, in units of that weight's norm; 0 for an aligned mode."""
    target, network = setup.task.population(), setup.network
    out, into, hidden = (np.asarray(part) for part in _basis(setup, mode))
    teacher = np.asarray(_problem(setup, mode).teacher)
    leaks = {
        "w_out": _leak(network.w_out, out, hidden),
        "w_in": _leak(network.w_in, hidden, into),
        "w_rec": _leak(network.w_rec, hidden, hidden),
        "the teacher": _teacher_leak(target, out, into, teacher),
    }
    feedback = getattr(setup.rule, "feedback", None)
    if feedback is not None:
        leaks["feedback"] = _leak(feedback, out, hidden)
    return leaks


def _leak(matrix, left: np.ndarray, right: np.ndarray) -> float:
    matrix = np.asarray(matrix)
    size = np.linalg.norm(matrix)
    if size == 0:
        return 0.0
    own = left @ matrix @ right
    parts = np.linalg.norm(matrix @ right - own * left), np.linalg.norm(matrix.T @ left - own * right)
    return float(max(parts) / size)


def _teacher_leak(target, out: np.ndarray, into: np.ndarray, teacher: np.ndarray) -> float:
    """The responses at all lags that matter, beside kappa w*^k on the mode."""
    transition, drive, output = (np.asarray(part) for part in (target.transition, target.drive, target.output))
    worst, size, response, own = 0.0, 0.0, drive, teacher[0] * teacher[1]
    for _ in range(transition.shape[0] + 1):
        sigma = output @ response
        size = max(size, float(np.linalg.norm(sigma)))
        gaps = np.linalg.norm(sigma @ into - own * out), np.linalg.norm(sigma.T @ out - own * into)
        worst = max(worst, *map(float, gaps))
        response, own = transition @ response, own * teacher[2]
    return worst / size if size else 0.0


def _carries_diagonal(setup: Setup) -> bool:
    """Whether the rule's credit is a diagonal, as e-prop's."""
    network = LinearRNN(setup.network.w_rec, setup.network.w_in, setup.network.w_out)
    credit = getattr(setup.rule, "credit")  # noqa: B009 - not of every rule; the structure was checked
    return credit(network).carry.ndim == 1


_basis, _problem = eqx.filter_jit(mode_basis), eqx.filter_jit(mode_problem)
