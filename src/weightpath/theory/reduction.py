r"""Search for the stationary points of $\tfrac12\|f - f^*\|^2$ among filters of a given order (H2 model reduction).

Two programs from several starts: the two-sided projection on the Sylvester solutions (a basis-free form of IRKA, whose
fixed points are the stationary points and whose attractors are mostly minima), and Levenberg-Marquardt on the gradient,
which finds saddles as readily. Both end in Newton's method. Basis-free, so that repeated poles, conjugate pairs and
several inputs and outputs need no case of their own.
"""

from collections.abc import Iterator
from itertools import combinations, islice

import numpy as np

from weightpath._types import Float
from weightpath.theory.escape_rates import Rates
from weightpath.theory.h2 import (
    Filter,
    energy,
    flattened,
    gradient_of,
    gramians_of,
    hessian_of,
    loss_of,
    restored,
)
from weightpath.theory.heteroclinic import polished

#: At a stationary point Newton's method would change no weight matrix by more than this fraction of its norm.
STATIONARY = 1e-8
#: Levenberg-Marquardt ends when the gradient is below this fraction of the target's energy.
FLAT = 1e-10
#: Directions with a Hankel singular value below this fraction of the largest are absent: the filter is of lower order.
ABSENT = 1e-7
#: A filter that explains less than this fraction of the target has fallen silent.
SILENT = 1e-7
PROJECTIONS = 100
DESCENTS = 60
EQUAL = Rates(1.0, 1.0, 1.0)


def balanced(point: Filter, order: int | None = None) -> tuple[Filter, Float[np.ndarray, " k"]]:
    """The realisation with equal diagonal Gramians, cut to `order` states, and the Hankel singular values.

    States that cannot be driven or read are left out when no order is given.
    """
    solved = gramians_of(point, point)
    left, right = _root(solved.controlled), _root(solved.observed)
    rotation, values, other = np.linalg.svd(right.T @ left)
    kept = int(np.sum(values > ABSENT * max(values[0], 1e-300))) if order is None else order
    scale = np.sqrt(values[:kept])
    into = left @ other[:kept].T / scale
    onto = (rotation[:, :kept] / scale).T @ right.T
    return Filter(onto @ point.step @ into, onto @ point.drive, point.output @ into, point.continuous), values


def starts_of(target: Filter, order: int, count: int, rng: np.random.Generator) -> list[Filter]:
    """Filters of the order to search from: balanced truncation, subsets of the target's poles, and random poles."""
    poles = np.linalg.eigvals(target.step)
    found = [balanced(target, order)[0], *islice(_modal(target, order), max(count // 2, 1))]
    while len(found) < count:
        found.append(_with_poles(_random_poles(poles, order, target.continuous, rng), target, rng))
    return [start for start in found if start.stable]


def stationary_from(start: Filter, target: Filter, *, project: bool) -> tuple[Filter, float] | None:
    """The stationary point that a search from `start` reaches, and its `remainder`.

    One program is tried first and the other when it does not arrive; None when both lose the order, or fall silent.
    """
    nearest = None
    for search in (_projected, _descended) if project else (_descended, _projected):
        point = _regular(search(start, target))
        point = None if point is None else _regular(polished(point, target, EQUAL)[0])
        if point is None or not _explains(point, target):
            continue
        left = remainder(point, target)
        if nearest is None or left < nearest[1]:
            nearest = point, left
        if left < STATIONARY:
            break
    return nearest


def _explains(point: Filter, target: Filter) -> bool:
    """Whether a filter lowers the loss: stationary ones do, by half their own squared norm."""
    whole = energy(target)
    return loss_of(point, target, gramians_of(point, target), whole) < whole * (1 - SILENT)


def remainder(point: Filter, target: Filter) -> float:
    """What Newton's method would still change, relative to each of the three weight matrices: the largest.

    Unlike the gradient it stays of order one where the loss flattens out without being stationary: poles that run to
    infinity, and modes that fall silent.
    """
    solved = gramians_of(point, target)
    values, vectors = np.linalg.eigh(hessian_of(point, target, solved))
    kept = np.argsort(-np.abs(values))[: point.order * (point.drive.shape[1] + point.output.shape[0])]
    gradient = flattened(*gradient_of(point, target, solved))
    change = restored(vectors[:, kept] @ ((vectors[:, kept].T @ gradient) / values[kept]), point)
    return max(float(np.linalg.norm(new) / np.linalg.norm(old)) for new, old in zip(change[:3], point[:3], strict=True))


def downhill(point: Filter, target: Filter) -> int:
    """How many independent directions lower the loss at a stationary point: 0 at a minimum."""
    hessian = hessian_of(point, target, gramians_of(point, target))
    values = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    return int(np.sum(values < -1e-7 * np.abs(values).max()))


def _root(gramian: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((gramian + gramian.T) / 2)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _regular(point: Filter) -> Filter | None:
    """A balanced realisation, or None when the filter is unstable or of lower order."""
    if not np.all(np.isfinite(flattened(*point[:3]))) or not point.stable:
        return None
    values = balanced(point)[1]
    return None if values[-1] <= ABSENT * values[0] else balanced(point, point.order)[0]


def _projected(point: Filter, target: Filter) -> Filter:
    """The two-sided projection until the loss settles."""
    whole, last = energy(target), np.inf
    for _ in range(PROJECTIONS):
        solved = gramians_of(point, target)
        loss = loss_of(point, target, solved, whole)
        if abs(loss - last) < 1e-9 * whole:
            break
        overlap = solved.read @ solved.driven.T
        if np.linalg.cond(overlap) > 1e14:
            break
        fresh = Filter(
            np.linalg.solve(overlap, solved.read @ target.step @ solved.driven.T),
            np.linalg.solve(overlap, solved.read @ target.drive),
            target.output @ solved.driven.T,
            point.continuous,
        )
        regular = _regular(fresh)
        if regular is None:
            break
        point, last = regular, loss
    return point


def _descended(point: Filter, target: Filter) -> Filter:
    """Levenberg-Marquardt on the gradient, in a balanced realisation so that the gauge cannot run away."""
    damping, goal = 1e-2, FLAT * energy(target)
    for step in range(DESCENTS):
        if step % 5 == 0:
            regular = _regular(point)
            if regular is None:
                break
            point = regular
        solved = gramians_of(point, target)
        gradient = flattened(*gradient_of(point, target, solved))
        size = np.linalg.norm(gradient)
        if size < goal:
            break
        hessian = hessian_of(point, target, solved)
        scale = damping * np.linalg.norm(hessian) ** 2 / len(gradient)
        change = np.linalg.solve(hessian.T @ hessian + scale * np.eye(len(gradient)), hessian.T @ gradient)
        trial = restored(flattened(*point[:3]) - change, point)
        better = (
            trial.stable and np.linalg.norm(flattened(*gradient_of(trial, target, gramians_of(trial, target)))) < size
        )
        point, damping = (trial, damping / 5) if better else (point, damping * 5)
    return point


def _modal(target: Filter, order: int) -> Iterator[Filter]:
    """The target cut to `order` of its modes, in all ways; nothing for a target without a basis of modes."""
    values, vectors = np.linalg.eig(target.step)
    upper = np.nonzero(np.imag(values) >= 0)[0]
    sizes = np.where(np.imag(values) > 0, 2, 1)
    if np.linalg.cond(vectors) > 1e10:
        return
    columns = {mode: [np.real(vectors[:, mode]), np.imag(vectors[:, mode])][: sizes[mode]] for mode in upper}
    whole = target.transformed(np.stack([column for mode in upper for column in columns[mode]], axis=1))
    ends = dict(zip(upper, np.cumsum(sizes[upper]), strict=True))
    for count in range(1, order + 1):
        for chosen in combinations(upper, count):
            if sum(sizes[mode] for mode in chosen) == order:
                kept = np.concatenate([np.arange(ends[mode] - sizes[mode], ends[mode]) for mode in chosen])
                yield target._replace(
                    step=whole.step[np.ix_(kept, kept)], drive=whole.drive[kept], output=whole.output[:, kept]
                )


def _with_poles(poles, target: Filter, rng: np.random.Generator) -> Filter:
    """A filter with these poles (one of each conjugate pair), random drive and the best output for them."""
    blocks = [
        np.array([[pole.real]])
        if abs(pole.imag) < 1e-9
        else np.array([[pole.real, -pole.imag], [pole.imag, pole.real]])
        for pole in poles
    ]
    order = sum(len(block) for block in blocks)
    step, at = np.zeros((order, order)), 0
    for block in blocks:
        step[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    drive = rng.normal(size=(order, target.drive.shape[1]))
    point = Filter(step, drive, np.zeros((target.output.shape[0], order)), target.continuous)
    solved = gramians_of(point, target)
    output = np.linalg.lstsq(solved.controlled, solved.driven @ target.output.T, rcond=1e-12)[0].T
    return point._replace(output=output)


def _random_poles(poles, order: int, continuous: bool, rng: np.random.Generator) -> list[complex]:
    """Poles within the range of the target's and a factor of three around it; pairs where two fit, half the time."""
    exponents = poles if continuous else np.log(np.maximum(np.abs(poles), 1e-6)) + 1j * np.angle(poles)
    decays, widest = np.maximum(-exponents.real, 1e-9), max(np.abs(exponents.imag).max(), np.median(-exponents.real))
    chosen: list[complex] = []
    while order > 0:
        decay = np.exp(rng.uniform(np.log(decays.min() / 3), np.log(decays.max() * 3)))
        pair = order >= 2 and rng.uniform() < 0.5
        exponent = -decay + (1j * widest * rng.uniform(0.1, 1.5) if pair else 0)
        chosen.append(complex(exponent if continuous else np.exp(exponent)))
        if not continuous and not pair and rng.uniform() < 0.3:
            chosen[-1] = -chosen[-1]
        order -= 2 if pair else 1
    return chosen
