r"""Loss, gradient and Hessian of small filters, $L = \tfrac12\|f - f^*\|^2$, by Kronecker solves.

The same numbers as `rules.population` gives by doubling, for networks of a few units, where a direct solve takes some
ten microseconds, needs no compilation, and gives the Hessian as well. A filter is a triple $(A, B, C)$ with
$f(s) = C e^{A s} B$ in continuous time (A = W - 1) and $f_k = C A^k B$ in discrete time (A = W). A path of learning
calls these functions ten thousand times, so that run-time checkers of types are asked to leave them alone
(`no_type_check`).
"""

from typing import NamedTuple, no_type_check

import numpy as np

from weightpath._types import Float
from weightpath.tasks.filters import RationalTarget


class Filter(NamedTuple):
    """A filter as a state-space system of order k; `continuous` says which time."""

    step: Float[np.ndarray, "k k"]
    drive: Float[np.ndarray, "k in"]
    output: Float[np.ndarray, "out k"]
    continuous: bool

    @property
    def order(self) -> int:
        """Number of states."""
        return self.step.shape[0]

    @property
    def stable(self) -> bool:
        """Whether every mode decays."""
        values = np.linalg.eigvals(self.step) if self.order else np.zeros(0)
        margin = -values.real if self.continuous else 1 - np.abs(values)
        return bool(np.all(np.isfinite(values)) and np.all(margin > 0))

    @property
    def w_rec(self) -> Float[np.ndarray, "k k"]:
        """Recurrent weights of the network with this filter."""
        return self.step + np.eye(self.order) if self.continuous else self.step

    def transformed(self, basis: Float[np.ndarray, "k k"]) -> "Filter":
        """The same filter in other coordinates, $(T^{-1}AT, T^{-1}B, CT)$ with T = `basis`."""
        return self._replace(
            step=np.linalg.solve(basis, self.step @ basis),
            drive=np.linalg.solve(basis, self.drive),
            output=self.output @ basis,
        )

    def padded(self, units: int) -> "Filter":
        """The same network with silent units (zero weights) added, `units` in all."""
        more = units - self.order
        step = np.pad(self.step, ((0, more), (0, more)))
        if self.continuous:
            step[np.arange(self.order, units), np.arange(self.order, units)] = -1.0
        return self._replace(
            step=step, drive=np.pad(self.drive, ((0, more), (0, 0))), output=np.pad(self.output, ((0, 0), (0, more)))
        )


def filter_of(target: RationalTarget) -> Filter:
    """The target filter in NumPy arrays."""
    step, drive, output = (np.asarray(part, dtype=float) for part in (target.transition, target.drive, target.output))
    return Filter(step, drive, output, target.dt is None)


@no_type_check
def flattened(step, drive, output) -> Float[np.ndarray, "..."]:
    """The three arrays of a filter (with any leading axes) as one vector."""
    lead = step.shape[:-2]
    return np.concatenate([part.reshape(*lead, -1) for part in (step, drive, output)], axis=-1)


@no_type_check
def restored(vector: Float[np.ndarray, "..."], like: Filter) -> Filter:
    """The filter (or stack of filters) with these entries, of the shapes of `like`."""
    sizes = np.cumsum([like.step.size, like.drive.size])
    parts = np.split(vector, sizes, axis=-1)
    lead = vector.shape[:-1]
    step, drive, output = (part.reshape(*lead, *old.shape) for part, old in zip(parts, like[:3], strict=True))
    return Filter(step, drive, output, like.continuous)


def energy(target: Filter) -> float:
    """Half the squared norm of a filter: the loss of a silent network."""
    controlled = _solve(_operator(target, target), target.drive @ target.drive.T)
    return float(0.5 * np.sum((target.output @ controlled) * target.output))


class Gramians(NamedTuple):
    """Gramians of a filter (P, Q) and its cross terms with the target (X, Y), and the operators that gave them."""

    own: np.ndarray
    cross: np.ndarray
    controlled: Float[np.ndarray, "k k"]
    observed: Float[np.ndarray, "k k"]
    driven: Float[np.ndarray, "k n"]
    read: Float[np.ndarray, "k n"]


@no_type_check
def gramians_of(point: Filter, target: Filter) -> Gramians:
    r"""P, Q, X, Y of $A P + P A^T + B B^T = 0$, $A X + X F^T + B b^T = 0$ and their duals (or discrete-time forms)."""
    own, cross = _operator(point, point), _operator(point, target)
    return Gramians(
        own,
        cross,
        _solve(own, point.drive @ point.drive.T),
        _solve(own.T, point.output.T @ point.output),
        _solve(cross, point.drive @ target.drive.T),
        _solve(cross.T, point.output.T @ target.output),
    )


def loss_of(point: Filter, target: Filter, solved: Gramians, target_energy: float) -> float:
    r"""$\tfrac12 (\mathrm{tr}\,C P C^T - 2\,\mathrm{tr}\,C X c^T) + E$; to the rounding of the energy E."""
    mixed = 0.5 * point.output @ solved.controlled - target.output @ solved.driven.T
    return float(np.sum(mixed * point.output) + target_energy)


@no_type_check
def gradient_of(point: Filter, target: Filter, solved: Gramians) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""$\partial L/\partial A = QP - YX^T$ (discrete: $QAP - YFX^T$), $\partial L/\partial B = QB - Yb$, and by C."""
    _, _, controlled, observed, driven, read = solved
    if point.continuous:
        recurrent = observed @ controlled - read @ driven.T
    else:
        recurrent = observed @ point.step @ controlled - read @ target.step @ driven.T
    return (
        recurrent,
        observed @ point.drive - read @ target.drive,
        point.output @ controlled - target.output @ driven.T,
    )


@no_type_check
def hessian_of(point: Filter, target: Filter, solved: Gramians) -> Float[np.ndarray, "parameter parameter"]:
    """Second derivatives of the loss by all entries of (A, B, C), in the order of `flattened`."""
    own, cross, controlled, observed, driven, read = solved
    step, drive, output, continuous = point
    count = step.size + drive.size + output.size
    d_step, d_drive, d_output, _ = restored(np.eye(count), point)
    left = np.swapaxes(d_step, 1, 2)
    after, before = (np.eye(point.order), np.eye(target.order)) if continuous else (step, target.step)
    change = d_step @ controlled @ after.T + d_drive @ drive.T
    d_controlled = _solve(own, change + np.swapaxes(change, 1, 2))
    change = left @ observed @ after + np.swapaxes(d_output, 1, 2) @ output
    d_observed = _solve(own.T, change + np.swapaxes(change, 1, 2))
    d_driven = _solve(cross, d_step @ driven @ before.T + d_drive @ target.drive.T)
    d_read = _solve(cross.T, left @ read @ before + np.swapaxes(d_output, 1, 2) @ target.output)
    recurrent = d_observed @ after @ controlled + observed @ after @ d_controlled
    recurrent -= d_read @ before @ driven.T + read @ before @ np.swapaxes(d_driven, 1, 2)
    if not continuous:
        recurrent += observed @ d_step @ controlled
    return flattened(
        recurrent,
        d_observed @ drive + observed @ d_drive - d_read @ target.drive,
        d_output @ controlled + output @ d_controlled - target.output @ np.swapaxes(d_driven, 1, 2),
    )


@no_type_check
def _operator(left: Filter, right: Filter) -> np.ndarray:
    """The matrix that takes X (row-major) to $-(A X + X F^T)$, or to $X - A X F^T$ in discrete time."""
    rows, columns = np.eye(left.order), np.eye(right.order)
    if not left.continuous:
        return np.eye(left.order * right.order) - _kron(left.step, right.step)
    return -(_kron(left.step, columns) + _kron(rows, right.step))


@no_type_check
def _kron(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`numpy.kron` of two matrices without its overhead, which would be most of the work at these sizes."""
    size = left.shape[0] * right.shape[0]
    return (left[:, None, :, None] * right[None, :, None, :]).reshape(size, size)


@no_type_check
def _solve(operator: np.ndarray, constant: Float[np.ndarray, "... k n"]) -> Float[np.ndarray, "... k n"]:
    columns = constant.reshape(int(np.prod(constant.shape[:-2])), constant.shape[-2] * constant.shape[-1]).T
    return np.linalg.solve(operator, columns).T.reshape(constant.shape)
