"""The factors of a fit in a form that can be shown and compared between fits."""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Float

#: Share of the energy of the rates whose directions are kept; what lies outside is not determined by the data.
ENERGY = 0.99
#: Absolute cosine of two trial factors above which their terms cannot be told apart.
PROPORTIONAL = 0.999


@dataclass(frozen=True, eq=False)
class Canonical:
    r"""Factors with $b_r$ restricted to the visited directions, unit columns, fixed signs and order."""

    a: Float[np.ndarray, "post rank"]
    b: Float[np.ndarray, "pre rank"]
    c: Float[np.ndarray, "step rank"]
    visited: Float[np.ndarray, "pre dims"]
    """Orthonormal principal directions of the rates that keep 99% of their energy."""
    order: tuple[int, ...]
    """Which factor of the fit each one is."""
    blocks: tuple[tuple[int, ...], ...]
    """Groups of factors (numbered as here) whose trial factors are proportional: only the sum of their terms is
    determined, not the single ones."""

    def weights(self, k: int) -> Float[np.ndarray, "post pre"]:
        """Recurrent weights of trial `k` in visited directions, (post, pre)."""
        return (self.a * self.c[k]) @ self.b.T


def canonical(fit) -> Canonical:
    r"""Canonical form of a fit: $b_r \leftarrow V V^\top b_r$, scaled to unit length with $c_r$ taking up the length.

    V: principal directions of the rates tanh(x) over all trials and bins that keep 99% of the energy (uncentred);
    $b_r$ acts only through them. Signs: the entry of $a_r$ with the largest magnitude is positive, then
    $\mathrm{mean}_k c_r \ge 0$ by the sign of $b_r$. Order: by $\mathrm{mean}_k c_r^2$, largest first.

    **Raises:** ValueError for a model with a full core, whose factors are free up to an invertible matrix.
    """
    if fit.model.core:
        raise ValueError(
            f"changes={fit.model.changes!r} has a full core: its directions are free up to an invertible matrix, so "
            "there is no canonical form. Compare the spans of a and b, or the weights."
        )
    if fit.a.ndim == 3:
        raise ValueError(
            f"changes={fit.model.changes!r} has directions of its own on every trial, so there is no canonical form of "
            "them. Compare the weights of trials, fit.weights(k)."
        )
    rate = np.tanh(fit.z.astype(np.float64) @ fit.a.astype(np.float64).T).reshape(-1, len(fit.a))
    visited = visited_directions(rate)
    a, c = fit.a.astype(np.float64), fit.c.astype(np.float64)
    b = visited @ (visited.T @ fit.b.astype(np.float64))
    length = np.linalg.norm(b, axis=0)
    b, c = b / np.where(length > 0, length, 1.0), c * length
    sign = np.sign(a[np.abs(a).argmax(axis=0), np.arange(a.shape[1])])
    a, b = a * sign, b * sign
    turn = np.where(c.mean(axis=0) < 0, -1.0, 1.0)
    b, c = b * turn, c * turn
    order = np.argsort(-np.mean(c**2, axis=0), kind="stable")
    a, b, c = a[:, order], b[:, order], c[:, order]
    return Canonical(a=a, b=b, c=c, visited=visited, order=tuple(order.tolist()), blocks=proportional(c))


def visited_directions(rate: Float[np.ndarray, "state unit"], energy: float = ENERGY) -> Float[np.ndarray, "unit dims"]:
    """Orthonormal principal directions of `rate` (uncentred) that keep the share `energy` of its second moment."""
    values, vectors = np.linalg.eigh(rate.T @ rate)
    values, vectors = values[::-1], vectors[:, ::-1]
    count = int(np.searchsorted(np.cumsum(values) / values.sum(), energy)) + 1
    return vectors[:, :count]


def proportional(c: Float[np.ndarray, "step rank"]) -> tuple[tuple[int, ...], ...]:
    """Groups of two or more trial factors that are proportional to one another."""
    unit = c / np.maximum(np.linalg.norm(c, axis=0), np.finfo(float).tiny)
    alike, groups, seen = np.abs(unit.T @ unit) > PROPORTIONAL, [], set()
    for one in range(c.shape[1]):
        members = tuple(np.flatnonzero(alike[one]).tolist())
        if one not in seen and len(members) > 1:
            groups.append(members)
        seen.update(members)
    return tuple(groups)
