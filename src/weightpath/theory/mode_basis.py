r"""One mode of a network and its teacher: the directions in which it lives, and its own problem of one unit.

The teacher's responses $\Sigma_k = A^*W^{*k}B^*$ have one basis of singular vectors at all lags if it has modes; mode i
is $u_i^T\Sigma_k v_i = \kappa_i w_i^{*k}$. In the student it lives on the hidden direction p along $A^Tu_i$ (where
that is zero along $Bv_i$), with $a = u^TAp$, $b = p^TBv$, $w = p^TWp$ and feedback $\hat a = u^TRp$.

Source: Williams, Payeur and Lajoie 2026 (arXiv 2606.00243) and Proca et al. 2025 for aligned networks.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from weightpath._types import Array, Float, Int
from weightpath.networks.base import AbstractNetwork
from weightpath.setup import Setup
from weightpath.tasks.filters import RationalTarget
from weightpath.tasks.finite import FiniteTarget
from weightpath.tasks.teacher import TeacherTarget
from weightpath.theory.mode_equations import lag_weights
from weightpath.theory.mode_rule import ModeRule, mode_rule

#: The basis is that of sum_k z^k Sigma_k at this z, generic enough to tell modes apart: A*(1 - z W*)^-1 B*.
GENERIC = 0.618
#: A mode's number, as a value that programs do not depend on.
Index = int | Int[Array, ""]


class ModeBasis(NamedTuple):
    """Unit vectors of one mode: of the outputs, of the inputs, and of the hidden units."""

    out: Float[Array, " out"]
    into: Float[Array, " in"]
    hidden: Float[Array, " unit"]


class ModeProblem(NamedTuple):
    """The problem of one unit that a mode is."""

    rule: ModeRule
    teacher: Float[Array, " coord"]
    """(a*, b*, w*), of a larger teacher (kappa, 1, w*)."""
    weights: Float[Array, " time"] | None
    """As `lag_weights` gives them."""


def mode_basis(setup: Setup, mode: Index) -> ModeBasis:
    """The directions of `mode`, strongest first by |kappa/(1 - 0.618 w*)|; the largest entry of each is positive."""
    target, network = setup.task.population(), setup.network
    if is_single(setup):
        one = jnp.ones(1, network.w_rec.dtype)
        return ModeBasis(one, one, one)
    inverse = jnp.linalg.inv(jnp.eye(target.transition.shape[0]) - GENERIC * target.transition)
    left, _, right = jnp.linalg.svd(target.output @ inverse @ target.drive, full_matrices=False)
    out, into = _upright(left[:, mode]), _upright(right[mode])
    seen, driven = network.w_out.T @ out, network.w_in @ into
    hidden = jnp.where(jnp.linalg.norm(seen) > 0, seen, driven)
    norm = jnp.linalg.norm(hidden)
    return ModeBasis(out, into, _upright(hidden / jnp.where(norm > 0, norm, 1.0)))


def mode_coordinates(network: AbstractNetwork, basis: ModeBasis) -> Float[Array, " coord"]:
    """(a, b, w) of a network in given directions."""
    out, into, hidden = basis
    return jnp.stack([out @ network.w_out @ hidden, hidden @ network.w_in @ into, hidden @ network.w_rec @ hidden])


def is_single(setup: Setup) -> bool:
    """Whether network and teacher have one unit, one input and one output each."""
    target, network = setup.task.population(), setup.network
    sizes = (network.w_rec.shape[0], network.w_in.shape[1], network.w_out.shape[0], target.transition.shape[0])
    return sizes == (1, 1, 1, 1)


def horizon_of(target: RationalTarget | FiniteTarget | TeacherTarget) -> tuple[int | None, str]:
    """Inputs per trial (None: endless trials) and which loss: the bins of `wp.FiniteTrials` all count."""
    if isinstance(target, FiniteTarget):
        return target.bins, "sequence"
    return getattr(target, "horizon", None), getattr(target, "loss", "final")


def mode_problem(setup: Setup, mode: Index) -> ModeProblem:
    """Rule, teacher and trials of one mode, from a network of any size."""
    target = setup.task.population()
    weights = lag_weights(*horizon_of(target))
    if is_single(setup):
        teacher = jnp.concatenate([target.output[0], target.drive[0], target.transition[0]])
        return ModeProblem(mode_rule(with_decay(setup.rule)), teacher, weights)
    basis = mode_basis(setup, mode)
    return ModeProblem(mode_rule(rule_of_mode(setup.rule, basis)), taught(target, basis), weights)


def taught(target, basis: ModeBasis) -> Float[Array, " coord"]:
    """The teacher's mode as (kappa, 1, w*), from its responses at lags 0 and 1."""
    kappa = basis.out @ target.output @ target.drive @ basis.into
    second = basis.out @ target.output @ target.transition @ target.drive @ basis.into
    pole = jnp.where(kappa == 0, 0.0, second / jnp.where(kappa == 0, 1.0, kappa))
    return jnp.stack([kappa, jnp.ones_like(kappa), pole])


def rule_of_mode(rule, basis: ModeBasis):
    """The learning rule of the one unit: its feedback is that from the mode's output to its hidden direction."""
    rule = with_decay(rule)
    if getattr(rule, "feedback", None) is None:
        return rule
    feedback = basis.out @ rule.feedback @ basis.hidden
    return eqx.tree_at(lambda rule: rule.feedback, rule, feedback[None, None])


def with_decay(rule):
    """`rule`, with its trace decay written out: by default 1 - leak, which is 0 for networks without leak."""
    if not hasattr(rule, "trace_decay") or rule.trace_decay is not None:
        return rule
    return eqx.tree_at(lambda rule: rule.trace_decay, rule, jnp.zeros(()), is_leaf=lambda leaf: leaf is None)


def _upright(vector: Array) -> Array:
    """The vector or its negative, so that its largest entry is positive."""
    largest = vector[jnp.argmax(jnp.abs(vector))]
    return vector * jnp.where(largest < 0, -1.0, 1.0)
