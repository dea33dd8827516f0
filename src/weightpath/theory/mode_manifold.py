r"""The networks at which a mode is learned, $(s, \kappa/s, w^*)$, and how every rule behaves around them.

There the errors are zero, so that the linearised rule depends on its credit $c^k S$ at the point alone, $c$ the carry
at $w^*$ and $S$ the source at s. With $u = 1-w^{*2}$, $b = \kappa/s$, $z = cw^*$ and sums over the steps back that are
kept, $S_0 = \sum_k z^k$ and $T_1 = \sum_k k z^k$, the eigenvalues are 0, along the manifold, and $\lambda_\pm$ with

$$\mathrm{tr} = -(\lambda_++\lambda_-) = \frac{b^2}{u} + sSS_0 + \kappa Sb\Big(\frac{S_0}{u^2}+\frac{T_1}{u}\Big),\qquad
  \det = \lambda_+\lambda_- = \frac{\kappa Sb}{u^2}\big[b^2(S_0+T_1) + sS\,S_0^2\big].$$

Source: Williams, Payeur and Lajoie 2026 (arXiv 2606.00243) for the manifold and the eigenvalues of BPTT, one-step BPTT
and RFLO; the one form for all rules and the window of stability are derived here.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._types import Array, Bool, Complex, Float, Int
from weightpath.theory.base import Values
from weightpath.theory.mode_equations import as_states, geometric
from weightpath.theory.mode_rule import ModeRule, mode_rule

#: What a point of the manifold can be; "degenerate" where an eigenvalue across it is imaginary or zero.
KINDS = ("stable_node", "stable_focus", "saddle", "unstable_node", "unstable_focus", "degenerate")


class Linearisation(eqx.Module):
    """The flow around points of the optimal manifold; every array has the shape of the points asked for."""

    trace: Float[Array, "*batch"]
    """Minus the sum of the two eigenvalues across the manifold."""
    det: Float[Array, "*batch"]
    """Their product."""
    eigenvalues: Complex[Array, "*batch 2"]
    """Both, the one with the larger real part (the slower, where stable) first; inverse learning time."""
    kind: Int[Array, "*batch"]
    """Index into `KINDS`."""

    @property
    def stable(self) -> Bool[Array, "*batch"]:
        """Deviations across the manifold die out."""
        return (self.trace > 0) & (self.det > 0)

    @property
    def oscillates(self) -> Bool[Array, "*batch"]:
        """The two eigenvalues are a complex pair."""
        return self.trace**2 < 4 * self.det

    @property
    def slow_rate(self) -> Float[Array, "*batch"]:
        """Rate at which the slower deviation dies out, minus the larger real part; negative where it grows."""
        return -self.eigenvalues[..., 0].real

    @property
    def names(self) -> np.ndarray:
        """The kinds in words, an array of strings."""
        return np.asarray(np.asarray(KINDS, dtype=object)[np.asarray(self.kind)], dtype=object)


class HopfWindow(eqx.Module):
    r"""Where feedback of the wrong sign is stable all the same: for `lower` = 1 < `size` < `hopf`.

    `size` is $m = |S||s|^3/\kappa^2$; below 1 the point is a saddle; at `hopf` a pair of eigenvalues is imaginary.
    """

    size: Float[Array, "*batch"]
    hopf: Float[Array, "*batch"]

    @property
    def stable(self) -> Bool[Array, "*batch"]:
        """Inside the window."""
        return (self.size > 1) & (self.size < self.hopf)


def optimal_manifold(teacher: Values, position: Values) -> Float[Array, "*batch coord"]:
    r"""The networks of zero loss, $(s, \kappa/s, w^*)$, at `position` s (*batch), not zero."""
    teacher, s = as_states(teacher), jnp.asarray(position, dtype=float)
    kappa = teacher[..., 0] * teacher[..., 1]
    return jnp.stack(jnp.broadcast_arrays(s, kappa / s, teacher[..., 2]), axis=-1)


def linearise(rule, teacher: Values, position: Values) -> Linearisation:
    r"""Trace, determinant, eigenvalues and kind on the optimal manifold at `position` s, on endless trials.

    `position` and the numbers of `rule` broadcast. Stable for every s under BPTT and truncated BPTT; under feedback
    $\hat a$ whenever $\hat a s > 0$, and for RFLO also in a window of small $\hat a s < 0$ (`hopf_window`).

    **Raises:** ValueError in 32-bit mode.
    """
    require_x64("theory.linearise")
    return _linearise(mode_rule(rule), as_states(teacher), jnp.asarray(position, dtype=float))


def stability_diagram(rule, teacher: Values, feedback: Values, position: Values) -> Linearisation:
    r"""The linearisation over the plane of `feedback` $\hat a$ (f,) and `position` s (p,): arrays of shape (f, p).

    **Raises:** ValueError for a rule whose feedback follows the read-out, or in 32-bit mode.
    """
    rule = mode_rule(rule)
    if not rule.has_fixed_feedback:
        raise ValueError("this rule has no feedback to vary; give RFLO, EProp or SnAp0 with fixed feedback.")
    feedback = jnp.asarray(feedback, dtype=float)
    rule = ModeRule(rule.follow, rule.trace_decay, rule.tied, feedback[:, None], rule.terms)
    return linearise(rule, teacher, position)


def hopf_window(rule, teacher: Values, position: Values) -> HopfWindow:
    r"""$m = |S||s|^3/\kappa^2$ and its value at the Hopf point, for source and position of opposite sign.

    $m_H = 1/\big(u[S_0 + (\kappa^2/s^2)(S_0/u^2 + T_1/u)]\big)$; for RFLO, with $v = 1 - \hat ww^*$, it is
    $s^2uv^2/(s^2u^2v + \kappa^2(1-\hat ww^{*3}))$.
    """
    return _hopf_window(mode_rule(rule), as_states(teacher), jnp.asarray(position, dtype=float))


def max_stable_rate(rule, teacher: Values, position: Values) -> Float[Array, "*batch"]:
    r"""Largest learning rate with which discrete updates settle there: $\min -2\,\mathrm{Re}\lambda/|\lambda|^2$.

    For real eigenvalues $2/|\lambda_-|$. It multiplies equal rates of the three weights; NaN where the flow itself is
    unstable. The end of learning is known beforehand from `theory.final_state`: its read-out is the position.

    **Raises:** ValueError in 32-bit mode.
    """
    found = linearise(rule, teacher, position)
    values = found.eigenvalues
    limit = jnp.min(-2 * values.real / jnp.abs(values) ** 2, axis=-1)
    return jnp.where(found.stable, limit, jnp.nan)


def linearise_at(rule: ModeRule, teacher: Array, s: Array) -> Linearisation:
    """`linearise` for programs that are compiled as a whole."""
    kappa, b, u, source, zeroth, first = _at(rule, teacher, s)
    trace = b**2 / u + s * source * zeroth + kappa * source * b * (zeroth / u**2 + first / u)
    det = kappa * source * b / u**2 * (b**2 * (zeroth + first) + s * source * zeroth**2)
    return Linearisation(trace, det, _eigenvalues(trace, det), _kind(trace, det))


@eqx.filter_jit
def _hopf_window(rule: ModeRule, teacher: Array, s: Array) -> HopfWindow:
    kappa, b, u, source, zeroth, first = _at(rule, teacher, s)
    size = jnp.abs(source * s**3) / kappa**2
    return HopfWindow(size, 1 / (u * (zeroth + b**2 * (zeroth / u**2 + first / u))))


def _at(rule: ModeRule, teacher: Array, s: Array):
    """kappa, b, u, S, S_0 and T_1 at positions s."""
    kappa, target = teacher[..., 0] * teacher[..., 1], teacher[..., 2]
    ratio = rule.carry(target) * target
    if rule.terms is None:
        first = ratio / (1 - ratio) ** 2
    else:
        first = jnp.polyval(jnp.arange(rule.terms, dtype=float)[::-1], ratio)
    return kappa, kappa / s, 1 - target**2, rule.source(s), geometric(ratio, rule.terms), first


def _eigenvalues(trace: Array, det: Array) -> Array:
    """Roots of z^2 + trace z + det, the larger real part first; the small one from the product, not a difference."""
    square = trace**2 - 4 * det
    large = -0.5 * (trace + jnp.where(trace >= 0, 1.0, -1.0) * jnp.sqrt(jnp.maximum(square, 0.0)))
    small = jnp.where(large == 0, 0.0, det / jnp.where(large == 0, 1.0, large))
    turn = 0.5 * jnp.sqrt(jnp.maximum(-square, 0.0))
    real = jnp.stack([jnp.maximum(large, small), jnp.minimum(large, small)], axis=-1)
    pair = -0.5 * trace[..., None] + 1j * jnp.stack([turn, -turn], axis=-1)
    return jnp.where((square < 0)[..., None], pair, real)


def _kind(trace: Array, det: Array) -> Array:
    turns = trace**2 < 4 * det
    cases = (
        (det > 0) & (trace > 0) & ~turns,
        (det > 0) & (trace > 0) & turns,
        det < 0,
        (det > 0) & (trace < 0) & ~turns,
        (det > 0) & (trace < 0) & turns,
    )
    return jnp.select(cases, list(jnp.arange(len(cases))), len(cases))


_linearise = eqx.filter_jit(linearise_at)
