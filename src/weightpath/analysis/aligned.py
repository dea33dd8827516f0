r"""Is a student data-aligned with its teacher? Then its modes learn apart from one another.

Teacher and student are aligned when orthogonal bases U, V, P make every $\langle y^*_T x_{T-1-k}^T\rangle = A^* W^{*k}
B^*$ one diagonal, $U\,\mathrm{diag}(\kappa_i w_i^{*k})\,V^T$, and $U^T A P$, $P^T W P$, $P^T B V$ (and $U^T R P$)
diagonal. Only $\kappa = a^* b^*$ and $w^*$ of a teacher matter.

Source: data alignment of Proca, Domine, Shanahan and Mediano 2025, as used by Williams, Payeur and Lajoie 2026 (arXiv
2606.00243); how it is looked for is derived here.
"""

from dataclasses import dataclass

import numpy as np

from weightpath.analysis.aligned_bases import ZERO, responses, student_bases
from weightpath.networks.aligned import Bases, mode_scalars
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import LinearRNN

#: Off-diagonal ratio below which networks count as aligned.
TOLERANCE = 1e-8


@dataclass(frozen=True)
class DataAlignment:
    """How far a student and its teacher are from diagonal in common bases, and the numbers of each mode."""

    bases: Bases
    ratios: dict[str, float]
    """Largest off-diagonal entry over the norm: of the `teacher` at all lags, of `read_out`, `recurrent`, `read_in`,
    `feedback`; `teacher_poles`: how far a teacher's mode is from a single pole."""
    read_out: np.ndarray
    """a (mode,), one mode a hidden unit; not negative unless bases were given."""
    read_in: np.ndarray
    recurrent: np.ndarray
    feedback: np.ndarray
    """â (mode,); NaN where no feedback was given."""
    kappa: np.ndarray
    """a* b* of the teacher (mode,); zero for null modes."""
    teacher_recurrent: np.ndarray
    """w* (mode,); zero for null modes."""
    teacher_read_out: np.ndarray
    """Length of the teacher's read-out of each mode; with `teacher_read_in` its product is `kappa`."""
    teacher_read_in: np.ndarray

    @property
    def null(self) -> np.ndarray:
        """Modes without a teacher (mode,): nothing is asked of them."""
        return self.kappa == 0

    @property
    def worst(self) -> tuple[str, float]:
        """Name and value of the largest ratio."""
        name = max(self.ratios, key=self.ratios.__getitem__)
        return name, self.ratios[name]

    @property
    def permutation_ratio(self) -> float:
        """Largest entry of P beside the largest of its column: 0 where P is a signed permutation, as e-prop needs."""
        return float(np.max(np.sort(np.abs(np.asarray(self.bases.hidden)), axis=0)[:-1], initial=0.0))

    def is_aligned(self, tol: float = TOLERANCE) -> bool:
        """Whether every ratio is at most `tol`."""
        return self.worst[1] <= tol

    def require(self, what: str, tol: float = TOLERANCE, *, permutation: bool = False) -> None:
        """Refuse what needs alignment, with `permutation` also of the units themselves (e-prop).

        **Raises:** ValueError naming the largest off-diagonal ratio.
        """
        name, ratio = self.worst
        if not ratio <= tol:
            raise ValueError(
                f"{what} needs a data-aligned student and teacher; the largest off-diagonal ratio is {ratio:.3g} "
                f"({name}), above {tol:g}. Use networks.aligned.data_aligned, or the exact velocity of whole networks."
            )
        if permutation and self.permutation_ratio > tol:
            raise ValueError(
                f"{what} needs modes that are single units under e-prop, whose traces follow the diagonal of w_rec: "
                f"the hidden basis must be a signed permutation; its second largest entry in a column is "
                f"{self.permutation_ratio:.3g}."
            )


def is_data_aligned(
    network: AbstractNetwork, teacher, tol: float = TOLERANCE, bases: Bases | None = None, feedback=None
) -> bool:
    """Whether a student (and its feedback) is data-aligned with its teacher, see `data_alignment`."""
    return data_alignment(network, teacher, bases, feedback).is_aligned(tol)


def data_alignment(network: AbstractNetwork, teacher, bases: Bases | None = None, feedback=None) -> DataAlignment:
    r"""Common bases of a student and its teacher, and the numbers of each mode.

    **Arguments:**
    - `network`, `teacher`: linear networks in discrete time; `teacher` may be the task or its population target.
    - `bases`: of the student; None searches for them. Modes come by falling $|\kappa|$, with signs that make $\kappa$
      and $a$ not negative.
    - `feedback` (out, post): of a local rule; left out, it is not looked at.

    **Raises:** ValueError when a network is not linear or channels do not fit.
    """
    teacher = getattr(teacher, "network", teacher)
    w_rec, w_in, w_out = _weights("student", network)
    t_rec, t_in, t_out = _weights("teacher", teacher)
    if (w_in.shape[1], w_out.shape[0]) != (t_in.shape[1], t_out.shape[0]):
        raise ValueError(
            f"student and teacher must have the same channels; got {w_in.shape[1]} and {t_in.shape[1]} inputs, "
            f"{w_out.shape[0]} and {t_out.shape[0]} outputs."
        )
    if feedback is not None and np.shape(feedback) != w_out.shape:
        raise ValueError(f"feedback must be (out, post) = {w_out.shape}; got {np.shape(feedback)}.")
    given = None if feedback is None else np.asarray(feedback)
    lagged = responses(t_rec, t_in, t_out, len(t_rec) + 1)
    if bases is None:
        bases = student_bases(lagged, (w_rec, w_in, w_out), given)
    u, p, v = (np.asarray(basis) for basis in (bases.outputs, bases.hidden, bases.inputs))
    turned = np.einsum("oi,kom,mj->kij", u, lagged, v)
    parts = {"read_out": u.T @ w_out @ p, "recurrent": p.T @ w_rec @ p, "read_in": p.T @ w_in @ v}
    if given is not None:
        parts["feedback"] = u.T @ given @ p
    count = max(len(p), min(len(u), len(v)))
    diagonals = np.stack([_padded(np.diagonal(response), count) for response in turned])
    kappa, pole = _poles(diagonals)
    powers = pole ** np.arange(len(lagged))[:, None]
    ratios = {name: _ratio(part) for name, part in parts.items()}
    ratios["teacher"] = max(_ratio(response, float(np.linalg.norm(turned))) for response in turned)
    ratios["teacher_poles"] = float(np.max(np.abs(diagonals - kappa * powers)) / max(np.linalg.norm(turned), 1e-300))
    a, b, w = (_padded(np.asarray(part), count) for part in mode_scalars(network, bases))
    length = np.where(kappa != 0, _padded(np.linalg.norm(t_out.T @ u, axis=0), count), 0.0)
    return DataAlignment(
        bases, ratios, a, b, w,
        np.full(count, np.nan) if given is None else _padded(np.diagonal(parts["feedback"]), count),
        kappa, pole, length, np.where(length > 0, kappa / np.where(length > 0, length, 1.0), 0.0),
    )  # fmt: skip


def _poles(diagonals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""$\\kappa$ and w* of each mode, zero where the response at zero delay is."""
    scale = np.max(np.abs(diagonals), initial=0.0)
    kappa = np.where(np.abs(diagonals[0]) > ZERO * scale, diagonals[0], 0.0)
    return kappa, np.where(kappa != 0, diagonals[1] / np.where(kappa != 0, kappa, 1.0), 0.0)


def _ratio(matrix: np.ndarray, scale: float | None = None) -> float:
    """Largest off-diagonal entry over the norm."""
    off = matrix.copy()
    np.fill_diagonal(off, 0.0)
    size = np.linalg.norm(matrix) if scale is None else scale
    return float(np.max(np.abs(off), initial=0.0) / size) if size > 0 else 0.0


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    return np.pad(values[:count], (0, max(count - len(values), 0)))


def _weights(name: str, network) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not isinstance(network, LinearRNN) or network.w_rec.ndim != 2:
        raise ValueError(f"data alignment is defined for one LinearRNN; the {name} is a {type(network).__name__}.")
    return np.asarray(network.w_rec), np.asarray(network.w_in), np.asarray(network.w_out)
