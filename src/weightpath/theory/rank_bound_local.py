r"""Ranks of the change under local rules: the columns that feedback leaves open.

RFLO changes the recurrent weights of a linear network by $R^\top(\sum_k \hat w^k C_k)$ at every step: the columns lie
in $\mathrm{range}(R^\top)$ whatever the task, the batch, the learning rate and the number of steps, and the rank is at
most the number of outputs. The same holds for whatever an optimiser makes of the steps by combining whole matrices.

Source: Williams, Payeur and Lajoie 2026 (arXiv 2606.00243) for RFLO; the other rules are derived here.
"""

import equinox as eqx
import numpy as np

from weightpath._types import Float
from weightpath.analysis.rank import TOLERANCE, numerical_rank
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.networks.rate import RateRNN
from weightpath.rules.backprop import BPTT
from weightpath.rules.base import AbstractLearningRule
from weightpath.rules.eprop import EProp
from weightpath.rules.rflo import RFLO
from weightpath.rules.rtrl import RTRL
from weightpath.rules.snap import SnAp0
from weightpath.rules.truncated import TruncatedBPTT
from weightpath.setup import Setup


class ColumnBounds(eqx.Module):
    """The column space in which the change of the recurrent weights lies, and what follows from its dimension d."""

    basis: Float[np.ndarray, "post d"]
    """Orthonormal basis of it."""
    first_rank: int = eqx.field(static=True)
    """Rank of the first weights."""

    @property
    def d(self) -> int:
        """Dimension of the column space."""
        return self.basis.shape[1]

    @property
    def matrix_rank(self) -> int:
        """Bound on the rank of the change at every step."""
        return self.d

    @property
    def weights_rank(self) -> int:
        """Bound on the rank of the weights themselves."""
        return min(self.d + self.first_rank, self.basis.shape[0])

    def multilinear_rank(self, steps: int) -> tuple[int, int, int]:
        """Bounds on the ranks of the unfoldings (step, post, pre) of the change over `steps` steps."""
        units = self.basis.shape[0]
        return min(self.d * units, steps), self.d, min(units, self.d * steps)

    def tensor_rank(self, steps: int) -> int:
        """Bound on the number of rank-one terms of the change over `steps` steps: d min(units, steps)."""
        return self.d * min(self.basis.shape[0], steps)


def column_bounds(setup: Setup) -> ColumnBounds | None:
    r"""Bounds from the columns that the rule leaves open, or None where it leaves all open.

    $\mathrm{range}(R^\top)$ for RFLO and SnAp-0 with fixed feedback R; $\mathrm{range}(V^\top)$ for their symmetric
    forms and one-step truncation while the read-out V is not trained. Linear networks; tanh and other units in rate
    form where the trace carries no slope (`RFLO(trace_derivative=False)`).
    """
    rule, network = setup.rule, setup.network
    if not columns_hold(rule, network):
        return None
    feedback = getattr(rule, "feedback", None)
    if feedback is None and ("w_out" in setup.train or not _is_one_step(rule)):
        return None
    rows = np.asarray(network.w_out if feedback is None else feedback, dtype=float)
    left, values, _ = np.linalg.svd(rows.T, full_matrices=False)
    first = np.linalg.svd(np.asarray(network.w_rec, dtype=float), compute_uv=False)
    return ColumnBounds(left[:, : int(numerical_rank(values))], int(numerical_rank(first)))


def columns_hold(rule: AbstractLearningRule, network: AbstractNetwork) -> bool:
    """Whether every step's columns lie in the range of the feedback, fixed or present."""
    if not _is_one_step(rule):
        return False
    even = isinstance(rule, RFLO) and not rule.trace_derivative
    return is_linear(network) or (even and isinstance(network, RateRNN) and network.form == "rate")


def inside_columns(setup: Setup, bounds: ColumnBounds) -> bool:
    """Whether the first weights have their columns in the same space, so that weight decay stays in it."""
    first = np.asarray(setup.network.w_rec, dtype=float)
    outside = first - bounds.basis @ (bounds.basis.T @ first)
    return bool(np.linalg.norm(outside) <= TOLERANCE * np.linalg.norm(first))


def follows_adjoint(rule: AbstractLearningRule) -> bool:
    """Whether errors come back through the transposed read-out and weights, or a scalar: within the invariant space."""
    if isinstance(rule, BPTT | RTRL | TruncatedBPTT):
        return True
    return isinstance(rule, RFLO | SnAp0) and rule.feedback is None


def step_rank(setup: Setup) -> int:
    r"""Bound on the rank of the change in one step, for the rules with one that is below the number of units.

    Outputs for RFLO, SnAp-0 and one-step truncation; outputs times $\tau$ for truncation at $\tau$; outputs times the
    number of distinct diagonal entries of the weights for e-prop; otherwise the number of units. Linear networks.
    """
    units, rule = setup.network.w_rec.shape[0], setup.rule
    outputs = setup.network.w_out.shape[0]
    if columns_hold(rule, setup.network):
        return min(units, outputs)
    if not is_linear(setup.network):
        return units
    if isinstance(rule, TruncatedBPTT):
        return min(units, outputs * rule.horizon)
    if isinstance(rule, EProp):
        return min(units, outputs * np.unique(np.diagonal(np.asarray(setup.network.w_rec))).size)
    return units


def is_linear(network: AbstractNetwork) -> bool:
    """Whether the state and the output are linear in inputs, state and bias."""
    if isinstance(network, RateRNN):
        return network.activation == "linear"
    return isinstance(network, LinearRNN | ContinuousLinearRNN)


def _is_one_step(rule: AbstractLearningRule) -> bool:
    """Whether the credit of a linear network is a scalar times the feedback at all lags."""
    return isinstance(rule, RFLO | SnAp0) or (isinstance(rule, TruncatedBPTT) and rule.horizon == 1)


def why_no_bound(setup: Setup) -> str:
    """Why a rule on a network has neither a column space nor the gradient's subspace, and what to ask instead."""
    rule, network = setup.rule, setup.network
    if not is_linear(network):
        exact = isinstance(rule, RFLO) and isinstance(network, RateRNN) and network.form == "rate"
        mend = "; with RFLO(trace_derivative=False) the rank would be at most the number of outputs" if exact else ""
        return (
            f"the units of this {type(network).__name__} are not linear: states and adjoints leave the subspace, and "
            "the slope of each unit enters its row of the change. Ask for the effective rank (analysis.effective_rank) "
            f"instead of the rank{mend}."
        )
    if isinstance(rule, EProp):
        return (
            f"e-prop carries errors through the diagonal of the weights: one step has rank at most {step_rank(setup)}, "
            "and many steps with different diagonals may fill the space; ask for the effective rank."
        )
    return (
        f"{type(rule).__name__} does not follow the gradient, whose factors the bound is about, and has no fixed "
        "column space."
    )
