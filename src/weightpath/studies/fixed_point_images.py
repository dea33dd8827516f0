"""Study `fixed-point-images`: networks that classify images at their fixed points, by several rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from weightpath.studies.base import Settings, Study
from weightpath.studies.fixed_point_images_checks import EARLY, checks, image_tables, text

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

#: Where MNIST's files are looked for when no folder is given.
BESIDE = Path("shared") / "data" / "mnist_t10k"


class FixedPointImages(Settings):
    """Settings of the study; sizes, batches, learning rates and the solver are those of the recipe."""

    seeds: int = Field(4, ge=1, le=50, description="networks of the two rows of which something is required")
    other_seeds: int = Field(1, ge=0, le=50, description="networks of every other row; 0 leaves those rows out")
    updates: int = Field(300, ge=2, description="updates of each digit run")
    gradient_updates: int = Field(300, ge=2, description="updates of gradient descent (dW1), at most `updates`")
    mnist: str = Field(
        "beside",
        description="folder of MNIST's idx files; beside: shared/data/mnist_t10k, if it is there; none: left out",
    )
    mnist_updates: int = Field(354, ge=2, description="updates of each MNIST run, as the source; 15 a pass")


def run(
    config: FixedPointImages, *, progress: Callable[..., None] | None = None, workspace: Path | None = None
) -> Dataset:
    """Every rule at every learning rate on digits, then on MNIST where its files are."""
    from weightpath._precision import require_x64
    from weightpath.studies.pieces import computed

    require_x64("the study fixed-point-images")
    folder = mnist_folder(config)
    parts = digit_parts(config) | ({} if folder is None else mnist_parts(config, folder))
    found = computed("fixed-point-images", parts, progress=progress, workspace=workspace)
    return assembled_rows(found, folder)


def assembled_rows(found: dict[str, Dataset], folder: Path | None) -> Dataset:
    """One dataset of all rows; NaN where a row was not run."""
    import xarray as xr

    where = {"digits": [], "mnist": []}
    for name, part in found.items():
        where[name.split()[0]].append(part)
    whole = [
        xr.concat(rows, f"{prefix}_row", join="outer", data_vars="all", coords="minimal", compat="override")
        for prefix, rows in where.items()
        if rows
    ]
    dataset = xr.merge(whole, join="exact", compat="override", combine_attrs="drop")
    assert isinstance(dataset, xr.Dataset)
    read = "1,797 digits of 8 x 8 pixels, 360 of them held out"
    images = "; MNIST left out" if folder is None else f"; MNIST from {folder}"
    return dataset.assign_attrs(understood=read + images, mnist=int(folder is not None), table=text(dataset))


def mnist_folder(config: FixedPointImages) -> Path | None:
    """Where MNIST is read from; None where it is left out.

    **Raises:** ValueError when a folder was given and is not there.
    """
    if config.mnist == "none":
        return None
    if config.mnist != "beside":
        if not Path(config.mnist).is_dir():
            raise ValueError(
                f"there is no folder {config.mnist} with MNIST's files; give mnist=FOLDER with "
                "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz, or mnist=none to leave it out."
            )
        return Path(config.mnist)
    # In a checkout the folder stands beside it; elsewhere it may stand beside the present directory.
    places = (Path(__file__).resolve().parents[4] / BESIDE, Path.cwd().parent / BESIDE)
    return next((place for place in places if place.is_dir()), None)


def digit_parts(config: FixedPointImages) -> dict[str, Callable[[], Dataset]]:
    """Rows of the digits, each a function that runs it."""
    from weightpath.networks.steady_solver import SteadySolver
    from weightpath.studies import fixed_point_images_runs as runs

    solver = SteadySolver(
        damping=0.25, tolerance=runs.DIGIT_TOLERANCE, max_steps=400, newton=False, keep_unsolved=True, adjoint="lu"
    )

    def row(name: str, rate: float, count: int) -> Dataset:
        updates = min(config.updates, config.gradient_updates) if name == "dW1" else config.updates
        if name == "mean metric":
            updates = max(2, round(runs.MEAN_METRIC_SHARE * updates))
        seeds = list(range(config.seed, config.seed + count))
        problems = [runs.digit_problem(seed, updates) for seed in seeds]
        found = runs.run_row(problems, name, rate, solver, config.updates)
        return runs.row_dataset("digits", name, rate, seeds, found)

    parts = {}
    for name, rates in runs.DIGIT_RATES.items():
        for rate in rates:
            count = config.seeds if (name, rate) in (runs.SMOOTH, runs.JUMPY) else config.other_seeds
            if count:
                label = f"digits {runs.row_name(name, rate)}"
                parts[label] = lambda name=name, rate=rate, count=count: row(name, rate, count)
    return parts


def mnist_parts(config: FixedPointImages, folder: Path) -> dict[str, Callable[[], Dataset]]:
    """Rows of MNIST."""
    from weightpath.networks.steady_solver import SteadySolver
    from weightpath.studies import fixed_point_images_runs as runs

    solver = SteadySolver(
        chord=True, damping=(1.0, 0.5, 0.25), tolerance=runs.MNIST_TOLERANCE, max_steps=200, newton=False,
        keep_unsolved=True,
    )  # fmt: skip

    def row(name: str, rate: float) -> Dataset:
        problem = runs.mnist_problem(folder, config.seed, config.mnist_updates)
        found = runs.run_row([problem], name, rate, solver, config.mnist_updates)
        return runs.row_dataset("mnist", name, rate, [config.seed], found)

    return {
        f"mnist {runs.row_name(name, rate)}": lambda name=name, rate=rate: row(name, rate)
        for name, rates in runs.MNIST_RATES.items()
        for rate in rates
    }


def files(config: FixedPointImages) -> tuple[Path, ...]:
    """MNIST's files, where they are used."""
    folder = mnist_folder(config)
    return () if folder is None else tuple(sorted(path for path in folder.glob("t10k-*") if path.is_file()))


def learning_curves(dataset: Dataset) -> Figure:
    """Loss of each minibatch before its update, one panel a rule, one line a learning rate and network (thin lines);
    triangles mark jumps, rises by more than 0.5. First digits, then, where its files are at hand, MNIST.
    """
    from weightpath.plot import fixed_point_learning as plots

    return plots.learning_figure(dataset, [prefix for prefix in ("digits", "mnist") if f"{prefix}_loss" in dataset])


def accuracies(dataset: Dataset) -> Figure:
    """Share of held-out images that are named rightly after the last update against the learning rate, one colour a
    rule, one mark a network; open marks: networks for which some batch had no converged fixed point. Rules have
    different natural scales, so that one rate compares nothing. Dotted: chance.
    """
    from weightpath.plot import fixed_point_learning as plots

    return plots.accuracy_figure(dataset, [prefix for prefix in ("digits", "mnist") if f"{prefix}_loss" in dataset])


STUDY = Study(
    name="fixed-point-images",
    title="Images learned as fixed points: reparameterised rules beside gradient descent",
    paper="Zhu and Rosenbaum 2024 (arXiv 2307.06732)",
    claim=(
        "Networks of tanh units classify handwritten digits at their fixed points; read-in and read-out are random and "
        "frozen, the recurrent weights learn, by the reparameterised rules of Zhu and Rosenbaum 2024 and by others. "
        "The digits, their recipe and its two criteria are this library's own: dW3K at rate 0.05 reaches 0.84 without "
        "a jump of the loss, and gradient descent (dW1) at rate 0.1 jumps. The full preset requires both on three "
        "networks, the quick one on a single network whose seed was chosen since gradient descent jumps early there. "
        "They hold for a stated solver, whose unconverged batches are used as they are. Accuracies of all other rules "
        "and learning rates, their order, and MNIST are findings: which rule is ahead depends on solver and rate."
    ),
    config=FixedPointImages,
    presets={
        "quick": {"seed": EARLY, "seeds": 1, "other_seeds": 0, "gradient_updates": 100, "mnist": "none"},
        "full": {},
    },
    run=run,
    checks=checks,
    figures={"learning-curves": learning_curves, "accuracies": accuracies},
    tables=image_tables,
    data_files=files,
)
