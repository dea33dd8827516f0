"""Sections of the study of fixed-point regression: lines and a plane through weights of zero loss, with their poles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies import fixed_point_regression_cases as cases

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Points at which losses are stated, and the distance from a pole at which its growth is measured.
STATED_AT, CLOSE = (0.05, 0.5), 1e-5


def lines(network: str, units: int, samples: int, directions: int, points: int) -> Dataset:
    """Loss, stability and poles along random directions on [-1, 1]."""
    import xarray as xr

    import weightpath as wp

    problem, chosen = cases.sections(network, units, samples, directions)
    setup, t = problem.setup(cases.rules()["dW1"]), np.linspace(-1, 1, points)
    found = [wp.analysis.landscape(setup, direction, t) for direction in chosen]
    radii = [wp.analysis.stability_radius(setup.network, direction) for direction in chosen]
    rows = [section.poles for section in found]
    poles = np.full((directions, max(map(len, rows), default=0)), np.nan)
    for row, values in zip(poles, rows, strict=True):
        row[: values.size] = values
    dims = ("direction", "t")
    data = {
        "section_loss": (dims, np.stack([section.loss for section in found])),
        "section_margin": (dims, np.stack([section.margin for section in found])),
        "section_outcome": (dims, np.stack([section.outcome for section in found])),
        "section_pole": (("direction", "k"), poles),
        "poles": ("direction", [values.size for values in rows]),
        "radius": (("direction", "side"), [[radius.backward, radius.forward] for radius in radii]),
        "circular_law": cases.CIRCULAR_LAW,
        "odd_between_signs": ("direction", [_odd_between_signs(section) for section in found]),
        "growth": ("direction", [_growth(problem, line, row) for line, row in zip(chosen, rows, strict=True)]),
        "stated_loss": (
            ("direction", "stated_t"),
            [[problem.loss(problem.start + at * line) for at in STATED_AT] for line in chosen],
        ),
        "least_loss": problem.loss(problem.start),
    }
    coords = {"t": t, "direction": np.arange(1, directions + 1), "side": ["backward", "forward"]}
    return xr.Dataset(data, {**coords, "stated_t": list(STATED_AT)}, {"section_units": units})


def plane(network: str, units: int, samples: int, points: int) -> Dataset:
    """Loss, stability and pole curves on the plane of the first two directions."""
    import xarray as xr

    import weightpath as wp

    problem, chosen = cases.sections(network, units, samples, 2)
    found = wp.analysis.landscape(problem.setup(cases.rules()["dW1"]), chosen, np.linspace(-1, 1, points))
    dims = ("plane_t", "plane_other")
    data = {
        "plane_loss": (dims, found.loss), "plane_margin": (dims, found.margin),
        "plane_pole": (("plane_k", "coord"), found.pole_points),
    }  # fmt: skip
    return xr.Dataset(data, dict(zip(dims, found.coordinates, strict=True)))


def _odd_between_signs(section: Any) -> bool:
    """Whether det(I - W) changes sign between two points where, and only where, an odd number of poles lies between."""
    t, sign = section.coordinates[0], section.determinant_sign[:, 0]
    between = np.histogram(section.poles, t)[0]
    return bool(np.array_equal(sign[1:] != sign[:-1], between % 2 == 1))


def _growth(problem: cases.Problem, direction: np.ndarray, poles: np.ndarray) -> float:
    """Loss at a distance from a pole over that at twice the distance; median over the poles of a line."""
    if poles.size == 0:
        return float("nan")
    at = [[problem.loss(problem.start + (pole + far * CLOSE) * direction) for far in (1, 2)] for pole in poles]
    return float(np.median([near / further for near, further in at]))
