r"""Fixed points followed along learning, along an input, or along any parameter, through their bifurcations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS, outcome_name
from weightpath._types import Bool, Complex, Float, Int, Key, Numeric
from weightpath.analysis.bifurcations import Bifurcation
from weightpath.analysis.branches import joined_branches
from weightpath.analysis.fixed_points import fixed_points
from weightpath.analysis.fixed_system import as_system, in_float64
from weightpath.analysis.flow_of_system import OfParameter, system_flow
from weightpath.networks.base import AbstractNetwork
from weightpath.trajectory import Trajectory

#: Records of a trajectory that are looked at, unless told otherwise.
PLACES = 40
#: Branches of an event that are written out one by one.
LISTED = 6


@dataclass(frozen=True, eq=False)
class FixedPointBranches:
    """Branches of fixed points over a parameter, one row a branch; NaN where a branch does not exist.

    As with every search from finitely many starts, there may be branches that were not found.
    """

    parameter: Float[np.ndarray, " place"]
    """Learning time, share of the way of the input, or the values of the parameter."""
    points: Float[np.ndarray, "branch place unit"]
    eigenvalues: Complex[np.ndarray, "branch place eig"]
    """Of the Jacobian of the flow, or of the map itself; largest real part first."""
    unstable_dimension: Int[np.ndarray, "branch place"]
    """Number of growing modes, -1 where there is no point."""
    bifurcations: tuple[Bifurcation, ...]
    """In the order of the parameter: `kind`, `place` (value of the parameter), `branches`, `point`, `crossing`."""
    dynamics: str
    parameter_name: str
    result: RESULTS
    """`no_fixed_point` when some value of the parameter has none that was found."""

    @property
    def exists(self) -> Bool[np.ndarray, "branch place"]:
        """Where each branch has a point."""
        return np.isfinite(self.points[..., 0])

    @property
    def stable(self) -> Bool[np.ndarray, "branch place"]:
        """Where each branch has a point at which every mode decays."""
        return self.unstable_dimension == 0

    def to_dataset(self):
        """An `xarray.Dataset` with dims (branch, place, unit, eig, event)."""
        import xarray as xr

        events, each = self.bifurcations, ("branch", "place")
        units = self.points.shape[2]
        return xr.Dataset(
            {
                "point": ((*each, "unit"), self.points),
                "eigenvalue_re": ((*each, "eig"), np.real(self.eigenvalues)),
                "eigenvalue_im": ((*each, "eig"), np.imag(self.eigenvalues)),
                "unstable_dimension": (each, self.unstable_dimension),
                "event_kind": ("event", np.array([one.kind for one in events], dtype=str)),
                "event_crossing": ("event", np.array([one.crossing for one in events], dtype=int)),
                "event_place": ("event", np.array([one.place for one in events], dtype=float)),
                "event_point": (("event", "unit"), np.array([one.point for one in events]).reshape(-1, units)),
                "event_branches": ("event", np.array([" ".join(map(str, one.branches)) for one in events], dtype=str)),
            },
            {"parameter": ("place", self.parameter, {"long_name": self.parameter_name})},
            {"dynamics": self.dynamics, "result": outcome_name(self.result)},
        )

    def __str__(self) -> str:
        """Branches, and what happens to them."""
        low, high = self.parameter[[0, -1]]
        lines = [
            f"{len(self.points)} branches of fixed points of the {self.dynamics} over {self.parameter_name} {low:.4g} "
            f"to {high:.4g}; others may exist"
        ]
        for one in self.bifurcations:
            count = len(one.branches)
            names = f"branch{'es' if count > 1 else ''} {', '.join(map(str, one.branches))}"
            many = f", {one.crossing} eigenvalues at once" if one.crossing > 1 else ""
            names = names if count <= LISTED else f"{count} branches"
            lines.append(f"  {one.kind}{many} at {one.place:.6g} ({names})")
        return "\n".join(lines)


def follow_fixed_points(
    system: Trajectory | AbstractNetwork | Callable[..., Any],
    values: Float[Numeric, " place"] | None = None,
    starts: Float[Numeric, "start unit"] | None = None,
    *,
    inputs: Numeric | None = None,
    dynamics: str = "flow",
    visited: Float[Numeric, "state unit"] | None = None,
    count: int = 128,
    folds: bool = True,
    key: Key | None = None,
) -> FixedPointBranches:
    r"""Follow fixed points along one parameter, join them into branches, and name and locate their bifurcations.

    What may change is one of three:
    - `system` a `wp.Trajectory`: learning time; between two records the weights move straight. `values` are learning
      times, by default those of at most 40 records at equal distances. `inputs` (in,): held throughout.
    - a network with `inputs` (2, in): the input moves straight from the first to the second row; `values` are shares of
      the way, default 41 from 0 to 1.
    - a JAX function `system(state, parameter)` (velocity, or next state for `dynamics="map"`), with `values`.

    At every value fixed points are searched for from `starts` (as in `fixed_points`; `count` default ones), and those
    of neighbouring values are carried over by continuation (Euler, corrected by Newton). Where a point ends, its branch
    is followed by arc length around the fold (`folds`), which locates it and finds the partner. Eigenvalues that cross
    the border of stability in between are bisected for. Kinds: saddle-node (a pair that ends or begins together),
    pitchfork (the same where an eigenvalue of a branch that goes on crosses), transcritical (two branches that go on
    exchange stability), Hopf (a complex pair crosses); of maps Neimark-Sacker and flip; "zero eigenvalue" and
    "unpaired" where the partner was not found; "degenerate" where several eigenvalues cross at one place and point
    (`crossing` of them), as equal eigenvalues of the weights that pass one together make them. Two events of one
    branch between neighbouring values that undo each other are not seen: give more values.

    **Raises:** ValueError for values that do not increase or lie outside the way, and as in `fixed_points`.
    """
    require_x64("analysis.follow_fixed_points")
    options = {"dynamics": dynamics, "visited": visited, "count": count, "key": key}
    if isinstance(system, Trajectory):
        places, cases, name = _learning(system, values, inputs)
    elif isinstance(system, AbstractNetwork):
        places, cases, name = _along_input(system, values, inputs)
    else:
        if inputs is not None:
            raise ValueError("a function takes its state and the parameter alone; put inputs into the function.")
        places = _increasing(values, "a function")
        whole = OfParameter(system)
        cases, name = [(whole, np.array([value])) for value in places], "parameter"
    flows, sets = [], []
    for network, held in cases:
        made, table = as_system(network, held, dynamics)
        flows.append(system_flow(made, table[0], flows[0].programs if flows else None))
        found = fixed_points(network, starts, inputs=held, **options)
        sets.append(found.points[found.fixed])
    joined = joined_branches(flows, places, sets, folds=folds)
    complete = bool(joined.exists.any(axis=0).all()) if len(joined.points) else False
    return FixedPointBranches(
        parameter=places, points=joined.points, eigenvalues=joined.eigenvalues + (1.0 if dynamics == "map" else 0.0),
        unstable_dimension=joined.unstable_directions, bifurcations=joined.bifurcations, dynamics=dynamics,
        parameter_name=name, result=RESULTS.successful if complete else RESULTS.no_fixed_point,
    )  # fmt: skip


def _increasing(values: Any, what: str, low: float = -np.inf, high: float = np.inf) -> Float[np.ndarray, " place"]:
    if values is None:
        raise ValueError(f"{what} needs values of its parameter, in increasing order.")
    values = np.array(values, dtype=float)
    good = values.ndim == 1 and len(values) > 1 and np.all(np.isfinite(values)) and np.all(np.diff(values) > 0)
    if not good or values[0] < low or values[-1] > high:
        within = "" if np.isinf(low) else f" from {low:.6g} to {high:.6g}"
        raise ValueError(f"values must be two or more increasing numbers{within}; got {values}.")
    return values


def _learning(path: Trajectory, values: Any, inputs: Any):
    """Networks at learning times; straight between records."""
    time = np.asarray(path.time, dtype=float)
    if values is None:
        values = time[np.unique(np.linspace(0, len(time) - 1, min(PLACES, len(time))).round().astype(int))]
    values = _increasing(values, "a trajectory", time[0], time[-1])
    held = np.zeros(np.shape(path.network(-1).w_in)[-1]) if inputs is None else np.asarray(inputs, dtype=float)
    cases = []
    for value in values:
        after = int(np.clip(np.searchsorted(time, value), 1, len(time) - 1))
        share = float((value - time[after - 1]) / (time[after] - time[after - 1]))
        before, behind = (in_float64(path.network(one)) for one in (after - 1, after))
        cases.append((jax.tree.map(lambda one, two, share=share: _between(one, two, share), before, behind), held))
    return values, cases, "learning time"


def _between(one: Any, two: Any, share: float) -> Any:
    return (1 - share) * one + share * two if eqx.is_inexact_array(one) else one


def _along_input(network: AbstractNetwork, values: Any, inputs: Any):
    """The network under inputs on a straight way."""
    channels = np.shape(network.w_in)[-1]
    if inputs is None or np.shape(inputs) != (2, channels):
        raise ValueError(
            f"a network needs the inputs (2, in) = (2, {channels}) between which it is followed; "
            f"got {None if inputs is None else np.shape(inputs)}."
        )
    values = _increasing(np.linspace(0, 1, PLACES + 1) if values is None else values, "an input", 0.0, 1.0)
    begin, end = np.asarray(inputs, dtype=float)
    whole = in_float64(network)
    return values, [(whole, (1 - share) * begin + share * end) for share in values], "share of the way of the input"
