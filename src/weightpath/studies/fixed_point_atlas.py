"""Study: fixed points of networks of which all are known, of networks that learned, and what a search can miss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from weightpath.studies.base import Check, Settings, Study

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

DERIVED = "closed form, derived here"
THRESHOLD = 0.532839975


class FixedPointAtlas(Settings):
    """Settings of the study; the networks with known fixed points are fixed."""

    starts: int = Field(512, ge=64, le=8192, description="starts of every search of the block network")
    runs: int = Field(2, ge=1, le=50, description="draws of every distribution of starts, and of the perturbation")
    places: int = Field(12, ge=8, le=200, description="values of the parameter along which branches are followed")
    bits: int = Field(2, ge=1, le=3, description="bits of the largest flip-flop that a network learns")
    updates: int = Field(250, ge=50, le=10000, description="updates of that network")


def run(config: FixedPointAtlas, *, progress=None, workspace=None) -> Dataset:
    """Ramps, distributions of starts, slow and singular points, bifurcations, flip-flops."""
    from weightpath._precision import require_x64
    from weightpath.studies import fixed_point_atlas_runs as runs
    from weightpath.studies.pieces import assembled

    require_x64("the study fixed-point-atlas")
    parts = {
        "ramps": lambda: runs.ramps(1500),
        "distributions of starts": lambda: runs.start_distributions(config.seed, config.runs, config.starts),
        "slow and singular points": runs.scalar_points,
        "bifurcations": lambda: runs.bifurcations(config.places),
    }
    for bits in range(2 if config.bits > 1 else 1, config.bits + 1):
        parts[f"flip-flop of {bits} bits"] = lambda bits=bits: runs.flip_flop(bits, config.seed, config.updates)
    found = assembled("fixed-point-atlas", parts, progress=progress, workspace=workspace)
    return found.assign_attrs(table=_text(found))


def predict(config: FixedPointAtlas) -> dict[str, Any]:
    """What is known in closed form of the networks of the study."""
    from weightpath.studies import fixed_point_atlas_cases as cases

    places = [cases.scalar_slow(2.0, drive) for drive in (0.54, 0.6)]
    return {
        "scalar_threshold": cases.scalar_threshold(2.0), "block_level": cases.block_level(),
        "block_points": 27, "block_stable": 8, "slow_place": [place for place, _ in places],
        "slow_q": [q for _, q in places], "pitchfork": 1.0, "hopf": 1.0, "neimark_sacker": 0.5**0.5,
    }  # fmt: skip


def _events(ds: Dataset, name: str) -> list[tuple[str, float]]:
    places = ds[f"{name}_event_place"].values.tolist()
    return list(zip(ds[f"{name}_event_kind"].values.astype(str).tolist(), places, strict=True))


def _place(ds: Dataset, name: str, kind: str, number: int = 0) -> float:
    """Where the event of a kind lies; NaN where it was not found, or is not the only kind."""
    events = _events(ds, name)
    return events[number][1] if len(events) > number and {one for one, _ in events} == {kind} else float("nan")


def _wide(ds: Dataset) -> Dataset:
    from weightpath.studies.fixed_point_atlas_cases import WIDE

    return ds.sel(starts=list(WIDE))


def checks(config: FixedPointAtlas) -> tuple[Check, ...]:
    """What is asked of a run with these settings."""
    from weightpath.studies.fixed_point_atlas_cases import scalar_slow

    few = config.starts < 512
    known = (
        *(Check(f"ramp of {units} units, fixed points", DERIVED,
                lambda ds, units=units: int(ds.ramp_found.sel(ramp=units)), count)
          for units, count in ((2, 3), (3, 3), (4, 9))),
        Check("ramps of 2 to 4 units, largest distance from the known points", DERIVED,
              lambda ds: ds.ramp_error.sel(ramp=[2, 3, 4]).max(), 1e-7, compare="at_most"),
        Check("ramp of 3 units, stable points as a map", DERIVED, lambda ds: int(ds.ramp_stable_map.sel(ramp=3)), 0),
        Check("ramp of 3 units, stable points as a flow", DERIVED, lambda ds: int(ds.ramp3_stable_flow), 2),
        Check("ramp of 7 units, q of its slow points", "measured before, independent program",
              lambda ds: ds.ramp_slow_q.sel(ramp=7), 0.00254944, 1e-8),
        Check("ramp of 7 units, share of starts on U(-1,1) that end at slow points", "finding",
              lambda ds: ds.ramp_slow_share.sel(ramp=7), required=False),
        Check("blocks: fixed points from wide starts, fewest", DERIVED,
              lambda ds: int(_wide(ds).block_found.min()), 27, required=not few),
        Check("blocks: fixed points, most", DERIVED, lambda ds: int(ds.block_found.max()), 27),
        Check("blocks: stable points, all of them from every wide start", DERIVED,
              lambda ds: int(_wide(ds).block_stable.min()), 8, required=not few),
        Check("blocks: points with 0, 1, 2, 3 growing modes are 8, 12, 6, 1", DERIVED,
              lambda ds: bool((_wide(ds).block_unstable == [8, 12, 6, 1]).all()), compare="true", required=not few),
        Check("blocks: largest q", "identity", lambda ds: ds.block_q.max(), 1e-20, compare="at_most"),
        Check("blocks: points found from N(0,1), mean", "finding",
              lambda ds: ds.block_found.sel(starts="normal 1").mean(), required=False),
        Check("blocks: points found from U(-1,1), mean", "finding",
              lambda ds: ds.block_found.sel(starts="uniform").mean(), required=False),
    )  # fmt: skip
    slow = tuple(
        check
        for drive in (0.54, 0.6)
        for check in (
            Check(f"slow point under the input {drive}", DERIVED,
                  lambda ds, drive=drive: ds.slow_place.sel(drive=drive), scalar_slow(2.0, drive)[0], 1e-11),
            Check(f"its q under the input {drive}", DERIVED,
                  lambda ds, drive=drive: ds.slow_q.sel(drive=drive), scalar_slow(2.0, drive)[1], 1e-9, "rel"),
        )
    )  # fmt: skip
    events = (
        Check("singular point of r = tanh(r), reported as one", DERIVED, lambda ds: int(ds.singular_found), 1),
        Check("saddle-node of the scalar network, lower input", DERIVED,
              lambda ds: 2 * _place(ds, "fold", "saddle-node") - 1, -THRESHOLD, 2e-9),
        Check("saddle-node of the scalar network, upper input", DERIVED,
              lambda ds: 2 * _place(ds, "fold", "saddle-node", 1) - 1, THRESHOLD, 2e-9),
        Check("branches of its hysteresis found from one start", DERIVED, lambda ds: int(ds.fold_point.shape[0]), 3),
        Check("pitchfork of r = tanh(w r)", DERIVED, lambda ds: _place(ds, "fork", "pitchfork"), 1.0, 1e-5),
        Check("Hopf bifurcation of the spiral as a flow", DERIVED,
              lambda ds: _place(ds, "spiral_flow", "Hopf"), 1.0, 1e-5),
        Check("the spiral leaves stability as a map", DERIVED,
              lambda ds: _place(ds, "spiral_map", "Neimark-Sacker"), 0.5**0.5, 1e-5),
    )  # fmt: skip
    learned = tuple(
        Check(f"flip-flop of {bits} bits: {words}", "finding", value, required=False)
        for bits in range(2 if config.bits > 1 else 1, config.bits + 1)
        for words, value in (
            ("stable", lambda ds, bits=bits: int((ds[f"memory{bits}_stable"] & ds[f"memory{bits}_fixed"]).sum())),
            ("points", lambda ds, bits=bits: int(ds[f"memory{bits}_fixed"].sum())),
            ("loss", lambda ds, bits=bits: ds[f"memory{bits}_loss"]),
        )
    )  # fmt: skip
    return (*known, *slow, *events, *learned)


def memories(dataset: Dataset) -> Figure:
    """Fixed points of tanh networks that learned flip-flops, among the courses of sixteen trials (grey), in the plane
    of the states' principal components. Filled: stable points, the memories; open: points with growing modes, between
    them. Bars: the slowest mode of a stable point, the growing modes of others. Right: eigenvalues of all points.
    """
    from weightpath.plot import point_maps as plots
    from weightpath.plot import style
    from weightpath.studies.fixed_point_atlas_runs import part_of

    bits = [number for number in (1, 2, 3) if f"memory{number}_point" in dataset]
    drawn, axes = style.figure(len(bits), 2, width=7.4, height=3.5 * len(bits), squeeze=False)
    for row, number in zip(axes, bits, strict=True):
        part = part_of(dataset, f"memory{number}")
        plots.found_points(part, part["course"].values, row[0])
        plots.eigenvalue_plane(part, row[1], legend=False)
        style.finish(row[0], x="first principal component", y="second principal component",
                     title=f"{number} bit{'s' if number > 1 else ''}")  # fmt: skip
    return drawn


def diagrams(dataset: Dataset) -> Figure:
    """Branches of fixed points. a: one unit with w = 2 under an input from -1 to 1: found from a single start, around
    both folds. b: one unit without input against its weight: the pitchfork. c: two units that
    form a spiral: how far they are from losing stability, as a flow (at 1, a Hopf bifurcation) and as a map (at 0.707).
    """
    from weightpath.plot import point_maps as plots
    from weightpath.plot import style
    from weightpath.studies.fixed_point_atlas_runs import part_of

    drawn, axes = style.figure(1, 3, width=8.6, height=3.0)
    for ax, name, words in zip(axes, ("fold", "fork"), ("input, from -1 to 1 [share]", "weight w"), strict=False):
        plots.bifurcation_diagram(part_of(dataset, name), ax, label="rate")
        ax.set_xlabel(words, fontsize=style.FONT_SIZE)
    plots.stability_margins(
        {"flow": part_of(dataset, "spiral_flow"), "map": part_of(dataset, "spiral_map")}, axes[2], label="gain a"
    )
    style.letter(axes)
    return drawn


def starts(dataset: Dataset) -> Figure:
    """Fixed points found of the block network, of 27, by the distribution of the starts; one mark a draw. Starts that
    are spread no wider than the points themselves miss many of them, above all the stable ones.
    """
    from weightpath.plot import point_maps as plots
    from weightpath.plot import style
    from weightpath.studies.fixed_point_atlas_cases import STARTS

    drawn, ax = style.figure(1, 1, width=6.2, height=3.0)
    plots.found_by_starts(dataset, STARTS, ax)
    return drawn


def _text(ds: Dataset) -> str:
    from weightpath.studies.fixed_point_atlas_cases import STARTS

    lines = ["fixed points of three blocks, of 27 (8 stable), mean over draws", ""]
    lines += [f"{'starts':<26}{'pure':>12}{'perturbed':>12}"]
    means = ds[["block_found", "block_stable"]].mean("run")
    for name, words in STARTS.items():
        row = means.sel(starts=name)
        cells = [f"{float(one.block_found):.1f} ({float(one.block_stable):.1f})"
                 for one in (row.sel(weights=kind) for kind in ("pure", "perturbed"))]  # fmt: skip
        lines.append(f"{words:<26}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


STUDY = Study(
    name="fixed-point-atlas",
    title="Fixed points: all of those that are known, those of learned memories, and those that a search misses",
    paper="Sussillo and Barak 2013 (method); networks with known fixed points derived here",
    claim=(
        "A search by Levenberg-Marquardt from enough wide starts finds every fixed point of networks of which all are "
        "known (a scalar unit, shifted ramps, three blocks of thirty units with 27 points), tells fixed from slow "
        "points, reports a singular point once, and keeps stability as a flow and as a map apart. What is found "
        "depends on the distribution of the starts, and no search proves that it is complete. Continuation names and "
        "locates saddle-nodes, pitchforks and Hopf bifurcations. The points of trained flip-flops are findings."
    ),
    config=FixedPointAtlas,
    presets={"quick": {}, "full": {"runs": 8, "places": 40, "bits": 3, "updates": 1000}},
    run=run,
    checks=checks,
    figures={"memories": memories, "bifurcations": diagrams, "starts": starts},
    predict=predict,
    units={"hopf": "gain", "pitchfork": "weight"},
)
