"""The best filters of a given order: where learning rests while the network has found only some of the poles."""

import equinox as eqx
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS
from weightpath._types import Bool, Complex, Float, Int
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.tasks.base import AbstractTask
from weightpath.tasks.filters import RationalTarget
from weightpath.theory.h2 import Filter, energy, filter_of, gramians_of, loss_of
from weightpath.theory.reduction import STATIONARY, balanced, downhill, starts_of, stationary_from

#: Two stationary points are one when their poles differ by less than this fraction of the largest.
SAME = 1e-5


class Approximations(eqx.Module):
    """Stationary points of the loss among filters of one order, lowest loss first.

    Every point stands for all the realisations of its filter; the arrays hold the balanced one.
    """

    order: int = eqx.field(static=True)
    dt: float | None = eqx.field(static=True)
    loss: Float[np.ndarray, " point"]
    """Half the squared norm of what is missing."""
    poles: Complex[np.ndarray, "point k"]
    """Eigenvalues of the recurrent weights; a continuous-time pole decays at rate 1 - pole."""
    w_rec: Float[np.ndarray, "point k k"]
    w_in: Float[np.ndarray, "point k in"]
    w_out: Float[np.ndarray, "point out k"]
    residual: Float[np.ndarray, " point"]
    """Largest change, relative to the norm of a weight matrix, that Newton's method would still make."""
    found: Bool[np.ndarray, " point"]
    """Whether the point is stationary; False only for the closest candidate of a search that found none."""
    downhill: Int[np.ndarray, " point"]
    """Independent directions of the same order in which the loss falls: 0 at a minimum, more at a saddle."""
    result: RESULTS
    """`successful`, or `no_fixed_point` when no start led to a stationary point."""

    def __len__(self) -> int:
        return self.loss.size

    def network(self, point: int = 0) -> AbstractNetwork:
        """The network of `order` units that realises a point, balanced."""
        kind = ContinuousLinearRNN if self.dt is None else LinearRNN
        return kind(self.w_rec[point], self.w_in[point], self.w_out[point])


def best_approximation(
    target: AbstractTask | RationalTarget, order: int, *, starts: int = 12, seed: int = 0
) -> Approximations:
    r"""Filters of `order` poles at which $L = \tfrac12\|f - f^*\|^2$ is stationary: minima and saddles, best first.

    At each of them the transfer functions of f and of the target agree, with their first derivatives, at the mirror
    images of the poles of f: $-\lambda_j$ of $G = W - 1$ in continuous time, $1/\lambda_j$ in discrete time (along the
    directions of the residues, for several inputs or outputs). They are the plateaus of learning: of a network with
    more units the loss is stationary there too. For an order not below that of the target the one point is the target
    itself with silent units (zero weights) added, loss 0.

    Arguments: `target`, a task with an exact target filter in continuous or discrete time, or the filter; `starts`
    searches by projection and by Levenberg-Marquardt (see `theory.reduction`), of which the first begin at the balanced
    truncation and at the target's own modes and the others at random poles from `seed`. The search is thorough,
    not exhaustive: a point of lower loss is possible, an untrue one is not (`residual`).

    Source: Meier and Luenberger 1967 for the conditions, Gugercin, Antoulas and Beattie 2008 for the fixed point.
    **Raises:** ValueError for an order below 1, no start, a task without a target filter, a target that is zero, or in
    32-bit mode.
    """
    require_x64("theory.best_approximation")
    exact = _checked(target, order, starts)
    whole = filter_of(exact)
    minimal, _ = balanced(whole)
    if order >= minimal.order:
        return _collected([(minimal.padded(order), 0.0)], minimal, order, exact.dt)
    rng = np.random.default_rng(seed)
    points, nearest = [], None
    for index, start in enumerate(starts_of(minimal, order, starts, rng)):
        reached = stationary_from(start, minimal, project=index % 2 == 0)
        if reached is None:
            continue
        nearest = reached if nearest is None or reached[1] < nearest[1] else nearest
        if reached[1] < STATIONARY and not any(_same(reached[0], other) for other, _ in points):
            points.append(reached)
    closest = (balanced(minimal, order)[0], np.inf) if nearest is None else nearest
    return _collected(points or [closest], minimal, order, exact.dt)


def interpolation_error(network: AbstractNetwork, target: AbstractTask | RationalTarget) -> float:
    r"""How far a network is from the conditions of Meier and Luenberger: 0 at a stationary point with simple poles.

    With $E(z)$ the transfer function of $f - f^*$ and $C_j$, $B_j$ the output and drive of mode j, the largest of
    $|C_j^* E(\bar z_j)|$, $|E(\bar z_j) B_j^*|$ and $|C_j^* E'(\bar z_j) B_j^*|$ at the mirrored poles, over the same
    of the target alone.
    """
    whole = filter_of(_target(target))
    own = Filter(
        np.asarray(network.w_rec) - (np.eye(network.w_rec.shape[0]) if whole.continuous else 0.0),
        np.asarray(network.w_in), np.asarray(network.w_out), whole.continuous,
    )  # fmt: skip
    values, vectors = np.linalg.eig(own.step.astype(complex))
    outputs, drives = own.output @ vectors, np.linalg.solve(vectors, own.drive)
    missed, size = np.zeros(3), np.zeros(3)
    for value, output, drive in zip(values, outputs.T, drives, strict=True):
        mine, theirs = (np.stack(_transfer(system, complex(value))) for system in (own, whole))
        for kind, number in ((missed, mine - theirs), (size, theirs)):
            parts = (output @ number[0], number[0] @ drive, output @ number[1] @ drive)
            np.maximum(kind, [np.abs(part).max() for part in parts], out=kind)
    return float(np.max(missed / size))


def _transfer(system: Filter, pole: complex) -> tuple[np.ndarray, np.ndarray]:
    r"""$\int f(s) e^{\lambda s} ds$ (discrete: $\sum_k f_k \lambda^k$) and its derivative by $\lambda$."""
    identity = np.eye(system.order)
    matrix = -pole * identity - system.step if system.continuous else identity - pole * system.step
    once = np.linalg.solve(matrix, system.drive)
    twice = np.linalg.solve(matrix, once if system.continuous else system.step @ once)
    return system.output @ once, system.output @ twice


def _target(target: AbstractTask | RationalTarget) -> RationalTarget:
    exact = target.population() if isinstance(target, AbstractTask) else target
    if not isinstance(exact, RationalTarget):
        raise ValueError(
            f"{type(target).__name__} has no exact target filter; give a task such as RationalFilter or Integrator."
        )
    return exact


def _checked(target, order: int, starts: int) -> RationalTarget:
    exact = _target(target)
    if order < 1:
        raise ValueError(f"order (number of poles) must be at least 1; got {order}.")
    if starts < 1:
        raise ValueError(f"starts (number of searches) must be at least 1; got {starts}.")
    if not energy(filter_of(exact)) > 0:
        raise ValueError("the target filter is zero: there is nothing to approximate.")
    return exact


def _same(one: Filter, other: Filter) -> bool:
    first, second = (np.sort_complex(np.linalg.eigvals(point.step)) for point in (one, other))
    return bool(np.max(np.abs(first - second)) < SAME * np.abs(first).max())


def _collected(points: list[tuple[Filter, float]], target: Filter, order: int, dt: float | None) -> Approximations:
    solved = [gramians_of(point, target) for point, _ in points]
    whole = energy(target)
    loss = np.array([loss_of(point, target, part, whole) for (point, _), part in zip(points, solved, strict=True)])
    residual = np.array([remainder for _, remainder in points])
    rank = np.argsort(loss, kind="stable")
    found = residual < STATIONARY
    # A loss below the rounding of the energy is the target itself.
    loss = np.where(loss < 1e-13 * whole, 0.0, loss)
    filters = [points[index][0] for index in rank]
    return Approximations(
        order, dt, loss[rank],
        np.stack([np.sort_complex(np.linalg.eigvals(point.w_rec).astype(complex)) for point in filters]),
        np.stack([point.w_rec for point in filters]), np.stack([point.drive for point in filters]),
        np.stack([point.output for point in filters]), residual[rank], found[rank],
        np.array([downhill(point, target) for point in filters]),
        RESULTS.successful if found.any() else RESULTS.no_fixed_point,
    )  # fmt: skip
