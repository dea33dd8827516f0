"""Study: linear regression by fixed points, where the loss has poles in the weights, under three learning rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from weightpath.studies.base import Settings, Study
from weightpath.studies.fixed_point_regression_checks import checks

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

PAPER = "Zhu, Rosenbaum 2024 (arXiv 2307.06732)"


class FixedPointRegression(Settings):
    """Settings of the study; learning rates, the single unit and the network without random numbers are fixed."""

    stated: bool = Field(True, description="also the drawn network of 200 units of which numbers are stated")
    networks: int = Field(2, ge=1, le=20, description="further networks, drawn from seeds")
    units: int = Field(48, ge=6, le=400, description="units of the further networks; half as many samples, if even")
    samples: int = Field(24, ge=2, le=200, description="samples of the further networks (fewer than units)")
    updates: int = Field(3500, ge=200, le=20000, description="updates of every run (a multiple of 100)")
    directions: int = Field(10, ge=2, le=50, description="random directions of the sections")
    points: int = Field(201, ge=21, le=1001, description="points of a line")
    plane_points: int = Field(41, ge=11, le=201, description="points of a side of the plane")


def run(config: FixedPointRegression, *, progress=None, workspace=None) -> Dataset:
    """One unit, the network without random numbers, drawn networks under all rates, sections, ranks."""
    import xarray as xr

    from weightpath._precision import require_x64
    from weightpath.studies import fixed_point_regression_cases as cases
    from weightpath.studies import fixed_point_regression_runs as runs
    from weightpath.studies import fixed_point_regression_sections as sections
    from weightpath.studies.fixed_point_regression_tables import text
    from weightpath.studies.pieces import assembled

    require_x64("the study fixed-point-regression")
    seeds = [str(seed) for seed in range(config.seed, config.seed + config.networks)]
    sizes = {name: (config.units, config.samples) for name in seeds}
    if config.stated:
        sizes = {cases.STATED: (200, 100), **sizes}
    shown = next(iter(sizes))

    def some(parts):
        return assembled("fixed-point-regression", parts, progress=progress, workspace=workspace)

    learned = [
        some({f"network {name}": lambda name=name: runs.learning(name, *sizes[name], config.updates, 100, progress)})
        for name in sizes
    ]
    rest = some(
        {
            "one unit": runs.one_unit,
            "ten units": runs.ten_units,
            "lines": lambda: sections.lines(shown, *sizes[shown], config.directions, config.points),
            "plane": lambda: sections.plane(shown, *sizes[shown], config.plane_points),
            "spaces": lambda: runs.spaces(seeds[0], config.units),
        }
    )
    # Networks of fewer units have fewer eigenvalues.
    networks = xr.concat(learned, "network", join="outer", data_vars="all")
    found = xr.merge([networks, rest], join="exact", compat="equals", combine_attrs="no_conflicts")
    assert isinstance(found, xr.Dataset)
    words = {name: found[name].astype(str) for name in ("outcome", "unit_outcome", "ten_outcome", "section_outcome")}
    power = float((cases.one_unit(0.0).inputs ** 2).mean())
    found = found.assign(words).assign_attrs(unit_goal=cases.ONE_UNIT_GOAL, unit_power=power)
    return found.assign_attrs(table=text(found))


def predict(config: FixedPointRegression) -> dict[str, Any]:
    """The curve of linear regression, which dW2 follows, at every rate, for the first drawn network."""
    from weightpath.studies.fixed_point_regression_cases import prediction

    return prediction(str(config.seed), config.units, config.samples, config.updates)


def one_unit(dataset: Dataset) -> Figure:
    """A single unit, r = x/(1 - w), whose target is w = 1/2. Above: its loss (grey), which has a pole at w = 1, and the
    first weights of three rules from three starts (points outside the axes are left out). Below: the loss against
    updates (every tenth from the 20th on); a cross marks a run that ended as diverged. The gradient throws the weight
    far away when it starts near the pole and then hardly moves; from beyond the pole only the exact step comes back,
    through infinite weights.
    """
    from weightpath.plot import fixed_point_regression as plots
    from weightpath.plot import style

    drawn, axes = style.figure(2, 3, width=9.2, height=5.6, sharey="row")
    spans = ((-0.25, 1.25), (0.25, 1.25), (0.25, 3.0))
    for column, (start, span) in enumerate(zip(dataset["unit_start"].values, spans, strict=True)):
        plots.plot_one_unit(dataset, float(start), ax=axes[0, column], span=span)
        plots.plot_one_unit_losses(dataset, float(start), ax=axes[1, column])
    for row in axes:
        row[0].set_ylabel("loss", fontsize=style.FONT_SIZE)
    return _legend(drawn, axes[1, 0])


def learning(dataset: Dataset) -> Figure:
    """a-c: loss of one network while it learns, at every learning rate (pale: small), rule by rule; dashed: the curve
    of linear regression, which the exact rule follows whatever the weights. d: the loss after the last update at every
    rate, for all networks, in the colours of the rules. Losses below 1e-26 are rounding.
    """
    from weightpath.plot import fixed_point_regression as plots
    from weightpath.plot import style

    drawn, axes = style.figure(2, 2, width=8.8, height=6.2, sharey=True)
    shown = dataset.isel(network=0)
    for ax, rule in zip(axes.flat, plots.RULES, strict=False):
        plots.plot_learning(shown, rule, ax=ax)
    plots.legend_of_rates(axes[0, 0])
    for ax in axes[:, 0]:
        ax.set_ylabel("loss", fontsize=style.FONT_SIZE)
    plots.plot_sweep(dataset, ax=axes[1, 1])
    style.letter(axes)
    return drawn


def lines(dataset: Dataset) -> Figure:
    """Loss along random directions from weights of zero loss (t = 0), with the poles that a generalised eigenvalue
    problem gives (dashed) and the range in which the network is stable (shaded).
    """
    from weightpath.plot import style
    from weightpath.plot.landscape import loss_section

    drawn, axes = style.figure(2, 2, width=8.8, height=5.6, sharex=True, sharey=True)
    for ax, number in zip(axes.flat, dataset["direction"].values, strict=False):
        part = dataset.sel(direction=number)
        poles = part["section_pole"].dropna("k").rename("pole")
        section = part[["section_loss"]].rename(section_loss="loss").assign(pole=poles)
        radius = tuple(float(end) for end in part["radius"].values)
        loss_section(section, ax=ax, radius=radius, legend=False)  # pyright: ignore[reportArgumentType]
        style.finish(ax, title=f"direction {number}", x="distance t along the direction", y="loss")
        ax.label_outer()
    for ax in axes.flat[dataset.sizes["direction"] :]:
        ax.set_visible(False)
    finite = dataset["section_loss"].values
    axes[0, 0].set_ylim(max(1e-4, 0.3 * float(finite[finite > 1e-12].min())), None)
    axes[0, 0].set_xticks([-1, -0.5, 0, 0.5, 1])
    return _legend(drawn, axes[0, 0])


def plane(dataset: Dataset) -> Figure:
    """Loss on the plane of the first two directions (dark: large), curves of poles and the border of the stable region
    around the weights of zero loss (cross). Poles are also found where the network is unstable anyhow.
    """
    from weightpath.plot import style
    from weightpath.plot.landscape import loss_plane

    drawn, ax = style.figure(width=6.4, height=4.8)
    names = {"plane_loss": "loss", "plane_margin": "margin", "plane_pole": "pole_point"}
    part = dataset[list(names)].rename(names).rename(plane_t="t", plane_other="other_t")
    loss_plane(part, ax=ax)
    ax.set_aspect("equal")
    style.legend_below(ax, ncols=2)
    return drawn


def eigenvalues(dataset: Dataset) -> Figure:
    """Eigenvalues of the recurrent weights of one network before (grey) and after learning, with the border of
    stability of the flow (line) and of the map (dashed circle). A large learning rate of the gradient leaves
    eigenvalues far out on the left: the flow is stable there, and undamped iteration is not.
    """
    from weightpath.plot import fixed_point_regression as plots
    from weightpath.plot import style

    shown = dataset.isel(network=0)
    shown = shown.sel(eig=shown["start_re"].dropna("eig")["eig"])
    drawn, axes = style.figure(1, 3, width=9.2, height=3.5, sharey=True)
    for ax, (rule, rate) in zip(axes, (("dW1", 1.0), ("dW1", 3.0), ("dW2", 3.0)), strict=True):
        plots.plot_eigenvalues(shown, rule, rate, ax=ax)
    axes[0].set_ylabel("Im eigenvalue", fontsize=style.FONT_SIZE)
    return drawn


def _legend(drawn: Figure, ax: Any) -> Figure:
    """One legend below the whole figure, of the lines of one of its panels."""
    from weightpath.plot.style import FONT_SIZE

    handles, labels = ax.get_legend_handles_labels()
    known = {label: handle for label, handle in zip(labels, handles, strict=True) if not label.startswith("_")}
    drawn.legend(
        known.values(), known.keys(), loc="outside lower center", ncols=len(known), frameon=False, fontsize=FONT_SIZE
    )
    return drawn


def tables(dataset: Dataset) -> list[Any]:
    """Losses of every rule at every learning rate, and eigenvalues, angles and ranks."""
    from weightpath.studies.fixed_point_regression_tables import report_tables

    return report_tables(dataset)


STUDY = Study(
    name="fixed-point-regression",
    title="Learning fixed points: a loss with poles, and reparameterised descent",
    paper=PAPER,
    claim=(
        "Reproduces the stated findings of Zhu and Rosenbaum 2024 (arXiv 2307.06732) on linear networks: the loss of "
        "fixed points diverges on surfaces that random lines through weight space cross again and again; gradient "
        "descent is thrown about by them, while descent in the linear response follows the curve of linear regression. "
        "Every rule is run at every learning rate, on several networks, and rules are compared at their best rates. "
        "At equal small rates the gradient is the faster one early on. That the exact step passes through infinite "
        "weights and its linearised form diverges there, that neither keeps a network stable, and the spaces in which "
        "their changes stay, are derived here."
    ),
    config=FixedPointRegression,
    presets={
        "quick": {
            "stated": False, "networks": 2, "units": 10, "samples": 4, "directions": 4, "points": 101,
            "plane_points": 41,
        },
        "full": {},
    },
    run=run,
    checks=checks,
    figures={"one_unit": one_unit, "learning": learning, "lines": lines, "plane": plane, "eigenvalues": eigenvalues},
    tables=tables,
    predict=predict,
    units={"circular_law": "distance along a direction"},
)  # fmt: skip
