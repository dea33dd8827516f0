"""How well each learning rule's identity holds along a path, with feedback and trace decay fitted where not given."""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Float
from weightpath.analysis.laws import HORIZONS, Terms

#: Laws with a conserved matrix, with a conserved diagonal alone, and the rule that each speaks for.
CONSERVED = ("BPTT", "TruncatedBPTT(1)", "RFLO", "RFLO, symmetric")
DIAGONAL = ("EProp", "EProp, symmetric")


@dataclass(frozen=True)
class LawFit:
    """One law on one path: the residual matrix of every block, and the target it is measured by."""

    name: str
    residual: Float[np.ndarray, "block post pre"]
    target: Float[np.ndarray, "block post pre"]
    trace_decay: float | None = None
    """Fitted or given, of laws that have one."""
    feedback: Float[np.ndarray, "out post"] | None = None
    """Fitted or given, of laws that have any."""

    @property
    def unexplained(self) -> float:
        """Norm of the residuals of all blocks over that of the targets."""
        power = np.sum(self.target**2)
        return float(np.sqrt(np.sum(self.residual**2) / power)) if power > 0 else np.nan

    @property
    def drift(self) -> float | None:
        """Change of the law's conserved matrix over the length of the path of the target's symmetric part."""
        if self.name in CONSERVED:
            kept, target = (m + np.swapaxes(m, -1, -2) for m in (self.residual, self.target))
        elif self.name in DIAGONAL:
            kept, target = (np.einsum("...ii->...i", m)[..., None] for m in (self.residual, self.target))
        else:
            return None
        length = np.sum(np.linalg.norm(target, axis=(-2, -1)))
        return float(np.linalg.norm(kept.sum(axis=0)) / length) if length > 0 else None


def fit_laws(
    terms: Terms, *, feedback: Float[np.ndarray, "out post"] | None, trace_decay: float | None, carried: float
) -> dict[str, LawFit]:
    r"""All laws on the sums over blocks.

    `feedback` and `trace_decay`: as given by the user, or None to fit them by least squares on the identity, for every
    block from the other blocks, so that the freedom of a fit is no advantage. `carried`: $(1-\alpha)/\alpha$ of a leaky
    network, which one-step truncation leaves out.
    """
    target = terms.target
    tied = terms.read_out - target
    laws = [
        LawFit("BPTT", tied + terms.transposed, target),
        LawFit("TruncatedBPTT(1)", tied - carried * terms.moved, target),
        LawFit("EProp, symmetric", tied + terms.diagonal, target),
        _symmetric_rflo(terms, tied, trace_decay),
        *_with_feedback(terms, feedback, trace_decay),
    ]
    units, outputs = target.shape[1], terms.moved_out.shape[1]
    if units > 2 * outputs:
        for place, horizon in enumerate(HORIZONS):
            # One direction an output is taken out, which lowers any residual: compare what is left with its target.
            name = f"TruncatedBPTT({horizon})"
            laws.append(LawFit(name, terms.outside[:, place], terms.target_outside[:, place]))
    return {law.name: law for law in laws}


def _symmetric_rflo(terms: Terms, tied: np.ndarray, given: float | None) -> LawFit:
    """RFLO with the current read-out as feedback: one scalar to fit."""
    moved = terms.moved
    products, powers = np.sum(moved * tied, axis=(1, 2)), np.sum(moved**2, axis=(1, 2))
    if given is not None:
        decay, decays = given, np.full(len(tied), given)
    else:
        decay = _ratio(-products.sum(), powers.sum())
        decays = np.array([_ratio(-products[use].sum(), powers[use].sum()) for use in _others(len(tied))])
    residual = tied + decays[:, None, None] * moved
    return LawFit("RFLO, symmetric", residual, terms.target, trace_decay=decay)


def _ratio(product: float, power: float) -> float:
    return float(product / power) if power > 0 else 0.0


def _with_feedback(terms: Terms, feedback: np.ndarray | None, trace_decay: float | None) -> list[LawFit]:
    """RFLO and e-prop with fixed feedback; none where the read-out does not move and feedback was not given."""
    blocks, a = len(terms.target), terms.moved_out
    if feedback is None and (a.shape[1] == 0 or not np.any(a)):
        return []
    found = []
    for name, known, free in (("RFLO", 0 * terms.target, True), ("EProp", terms.diagonal, False)):
        goal = terms.target - known
        carry = terms.moved if free and trace_decay is None else None
        goal = goal - trace_decay * terms.moved if free and trace_decay is not None else goal
        residual = np.empty_like(goal)
        for block, use in enumerate(_others(blocks)):
            source, decay = _regression(goal[use], a[use], carry if carry is None else carry[use], feedback)
            residual[block] = source @ a[block] - goal[block]
            if carry is not None:
                residual[block] += decay * carry[block]
        source, decay = _regression(goal, a, carry, feedback)
        final = (decay if trace_decay is None else trace_decay) if free else None
        found.append(LawFit(name, residual, terms.target, final, source.T))
    return found


def _others(blocks: int) -> list[np.ndarray]:
    """For every block the blocks to fit on: all others, or itself where there is no other."""
    return [np.arange(blocks) != block if blocks > 1 else np.ones(1, bool) for block in range(blocks)]


def _regression(
    goal: np.ndarray, moved_out: np.ndarray, carry: np.ndarray | None, feedback: np.ndarray | None
) -> tuple[np.ndarray, float]:
    r"""S (post, out) and d that minimise $\sum |S a + d c - g|^2$; both enter linearly, so that no search is needed."""
    if feedback is not None:
        source = np.asarray(feedback, dtype=float).T
        rest = goal - source @ moved_out
        return source, 0.0 if carry is None else _ratio(float(np.sum(carry * rest)), float(np.sum(carry**2)))
    inverse = np.linalg.pinv(np.tensordot(moved_out, moved_out, ((0, 2), (0, 2))), hermitian=True)
    whole = np.tensordot(goal, moved_out, ((0, 2), (0, 2))) @ inverse
    if carry is None:
        return whole, 0.0
    part = np.tensordot(carry, moved_out, ((0, 2), (0, 2))) @ inverse
    free = carry - part @ moved_out
    decay = _ratio(float(np.sum(free * goal)), float(np.sum(free**2)))
    return whole - decay * part, decay
