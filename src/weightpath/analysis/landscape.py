"""The loss of fixed points on a line or a plane through weight space, with the poles and the border of stability."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np

from weightpath._precision import require_x64
from weightpath._types import Bool, Complex, Float
from weightpath.analysis.directions import checked_direction
from weightpath.analysis.landscape_points import evaluate
from weightpath.analysis.poles import poles
from weightpath.analysis.spectrum import match
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.slopes import is_linear
from weightpath.networks.steady_solver import SteadySolver
from weightpath.setup import Setup
from weightpath.tasks.static import StaticTargets


class Landscape(eqx.Module):
    """A section of the loss. Arrays over points are (point,) on a line and (point, other) on a plane."""

    coordinates: tuple[Float[np.ndarray, " _"], ...]
    """Of the points along each direction; the network itself is at 0."""
    loss: Float[np.ndarray, "..."]
    """Mean over the samples. NaN where no fixed point was found, and `outcome` says why."""
    outcome: np.ndarray
    """Of the sample that did worst: "successful", "unstable_recurrence" (the loss is that of a fixed point to which
    the network would not go), "singular" (on a pole), "max_steps", "no_fixed_point", ..."""
    margin: Float[np.ndarray, "..."]
    """1 minus the spectral abscissa (flow) or radius (map) of G W, least over samples: positive where stable."""
    residual: Float[np.ndarray, "..."]
    """Of the fixed points, largest over samples; for linear networks relative to the terms of the equation."""
    smallest_singular: Float[np.ndarray, "..."]
    """Smallest singular value of I - G W, least over samples: zero on a pole."""
    determinant_sign: Float[np.ndarray, "... trial"]
    """Sign of det(I - G W) of every sample; a linear network has one for all."""
    eigenvalues: Complex[np.ndarray, "... trial eig"]
    """Of G W, in no particular order."""
    pole_rows: tuple[tuple[np.ndarray, ...], ...]
    """Poles of linear networks: on a line one array; on a plane, for each direction, one array for each point of the
    other one. Empty for nonlinear networks."""
    dynamics: str = eqx.field(static=True)

    @property
    def stable(self) -> Bool[np.ndarray, "..."]:
        """Whether the fixed points of all samples are stable."""
        return self.margin > 0

    @property
    def poles(self) -> Float[np.ndarray, " eig"]:
        """Poles on a line through linear networks, within the section.

        **Raises:** ValueError on a plane (`pole_points`) and for nonlinear networks (`determinant_changes`).
        """
        if len(self.coordinates) != 1:
            raise ValueError("a plane has curves of poles; use pole_points.")
        if not self.pole_rows:
            raise ValueError("poles are exact for linear networks; use determinant_changes for this nonlinear one.")
        return self.pole_rows[0][0]

    @property
    def pole_points(self) -> Float[np.ndarray, "point 2"]:
        """Points of the pole curves of a plane, where they cross its rows and its columns of points."""
        if len(self.coordinates) != 2 or not self.pole_rows:
            raise ValueError("pole_points are those of planes through linear networks.")
        first, second = self.pole_rows
        along = [(t, other) for other, row in zip(self.coordinates[1], first, strict=True) for t in row]
        across = [(t, other) for t, row in zip(self.coordinates[0], second, strict=True) for other in row]
        return np.array([*along, *across], dtype=float).reshape(-1, 2)

    @property
    def determinant_changes(self) -> Float[np.ndarray, "k 2"]:
        """Intervals of a line in which det(I - G W) of some sample changes its sign: a pole, or a jump of the fixed
        point to another one.
        """
        if len(self.coordinates) != 1:
            raise ValueError("determinant_changes are those of lines; on a plane draw determinant_sign.")
        sign, t = self.determinant_sign, self.coordinates[0]
        changes = np.any(sign[1:] * sign[:-1] < 0, axis=1)
        return np.stack([t[:-1][changes], t[1:][changes]], axis=1)

    @property
    def stable_range(self) -> tuple[float, float]:
        """On a line, the outermost points that are joined to t = 0 by stable ones; (NaN, NaN) if those around 0 are
        not stable.
        """
        if len(self.coordinates) != 1:
            raise ValueError("stable_range is that of a line; on a plane use `stable`.")
        t, stable = self.coordinates[0], self.stable
        start = int(np.argmin(np.abs(t)))
        if not stable[start]:
            return float("nan"), float("nan")
        low, high = start, start
        while low > 0 and stable[low - 1]:
            low -= 1
        while high < t.size - 1 and stable[high + 1]:
            high += 1
        return float(t[low]), float(t[high])

    def eigenvalue_paths(self, sample: int = 0) -> Complex[np.ndarray, "point eig"]:
        """Eigenvalues of G W of one sample along a line, each followed by continuity, outermost first at the end.

        **Raises:** ValueError on a plane, or where a point of the line has no fixed point.
        """
        if len(self.coordinates) != 1:
            raise ValueError("eigenvalue_paths are those of lines.")
        values = self.eigenvalues[:, sample]
        if not np.all(np.isfinite(values)):
            raise ValueError("some points have no fixed point; give a shorter line.")
        return np.take_along_axis(values, match(values, self.coordinates[0]), 1)

    def to_dataset(self):
        """An `xarray.Dataset` with dims t (and other_t), trial, eig, and k for the poles."""
        import xarray as xr

        dims = ("t", "other_t")[: len(self.coordinates)]
        names = ("loss", "margin", "residual", "smallest_singular", "outcome", "stable")
        data: dict[str, Any] = {name: (dims, getattr(self, name)) for name in names}
        data["determinant_sign"] = ((*dims, "trial"), self.determinant_sign)
        data["eigenvalue_re"] = ((*dims, "trial", "eig"), np.real(self.eigenvalues))
        data["eigenvalue_im"] = ((*dims, "trial", "eig"), np.imag(self.eigenvalues))
        if self.pole_rows and len(dims) == 1:
            data["pole"] = ("k", self.poles)
        elif self.pole_rows:
            data["pole_point"] = (("k", "coord"), self.pole_points)
        coords = dict(zip(dims, self.coordinates, strict=True))
        return xr.Dataset(data, coords, {"dynamics": self.dynamics})


def landscape(
    setup: Setup,
    directions: Any,
    t: Any,
    *,
    dynamics: str = "flow",
    solver: SteadySolver | None = None,
) -> Landscape:
    r"""Loss $J(W + tD)$ on a line, or $J(W + t_1 D_1 + t_2 D_2)$ on a plane, through the setup's network.

    For a linear network from the closed form $r = (I - W)^{-1} x$, with the exact poles; for a nonlinear one from the
    fixed points that `solver` finds, each point on its own from rest. Fixed points that are unstable count in the loss
    of linear networks; what a nonlinear network has beyond its stable range depends on the solver, and `outcome` and
    `stable` say what was found.

    Arguments: `setup` with `wp.StaticTargets`; `directions`: one direction or two, each an array (post, pre), which
    changes `w_rec`, or a network of changes of all weights; `t`: the points of a line (increasing), and for a plane one
    such array for both directions or a pair of them; `dynamics` "flow" or "map" decides what counts as stable.

    **Raises:** ValueError for another task, directions that do not fit, points that do not increase, another word for
    `dynamics`, in 32-bit mode.
    """
    require_x64("analysis.landscape")
    if not isinstance(setup.task, StaticTargets):
        raise ValueError(f"analysis.landscape needs a setup with wp.StaticTargets; got {type(setup.task).__name__}.")
    if dynamics not in ("flow", "map"):
        raise ValueError(f'dynamics must be "flow" or "map"; got {dynamics!r}.')
    network = setup.network
    lines = _directions(network, directions)
    coordinates = _points(t, len(lines))
    shape = tuple(axis.size for axis in coordinates)
    grid = np.stack(np.meshgrid(*coordinates, indexing="ij"), axis=-1).reshape(-1, len(lines))
    solver = SteadySolver() if solver is None else solver
    found = evaluate(network, lines, grid, setup.task.everything(), solver, dynamics)

    def shaped(array):
        return array.reshape(*shape, *array.shape[1:])

    return Landscape(
        coordinates=coordinates,
        loss=shaped(found.loss),
        outcome=shaped(found.outcome),
        margin=shaped(found.margin),
        residual=shaped(found.residual),
        smallest_singular=shaped(found.smallest_singular),
        determinant_sign=shaped(found.determinant_sign),
        eigenvalues=shaped(found.eigenvalues),
        pole_rows=_pole_rows(network, lines, coordinates),
        dynamics=dynamics,
    )


def _directions(network: AbstractNetwork, directions: Any) -> tuple[AbstractNetwork, ...]:
    alone = isinstance(directions, AbstractNetwork) or (
        not isinstance(directions, Sequence) and np.ndim(directions) in (0, 2)
    )
    given: list[Any] = [directions] if alone else list(directions)  # pyright: ignore[reportArgumentType]
    if len(given) not in (1, 2):
        raise ValueError(f"directions must be one (a line) or two (a plane); got {len(given)}.")
    names = ("the direction",) if len(given) == 1 else ("the first direction", "the second direction")
    return tuple(checked_direction(network, each, name) for each, name in zip(given, names, strict=True))


def _points(t: Any, count: int) -> tuple[Float[np.ndarray, " _"], ...]:
    pair = isinstance(t, tuple | list) and len(t) == 2 and all(np.ndim(axis) == 1 for axis in t)
    axes = [np.asarray(axis, dtype=float) for axis in (t if pair and count == 2 else [t] * count)]
    for axis in axes:
        if axis.ndim != 1 or axis.size < 2 or not np.all(np.isfinite(axis)) or np.any(np.diff(axis) <= 0):
            raise ValueError(
                "t must be at least two finite numbers in increasing order (for a plane one such array, or a pair of "
                f"them); got shape {axis.shape}."
            )
    return tuple(axes)


def _pole_rows(network: AbstractNetwork, lines: tuple, coordinates: tuple) -> tuple:
    """Poles along each direction, for every point of the other."""
    if not is_linear(network):
        return ()
    w_rec = np.asarray(network.w_rec)
    changes = [np.asarray(line.w_rec) for line in lines]

    def along(index, start):
        axis = coordinates[index]
        if not np.any(changes[index]):
            return np.zeros(0)  # w_rec stays as it is along this direction
        there = eqx.tree_at(lambda net: net.w_rec, network, start)
        return poles(there, changes[index], within=(axis[0], axis[-1]))

    if len(lines) == 1:
        return ((along(0, w_rec),),)
    first = tuple(along(0, w_rec + other * changes[1]) for other in coordinates[1])
    return first, tuple(along(1, w_rec + t * changes[0]) for t in coordinates[0])
