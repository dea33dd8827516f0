"""How many trials: recovery and detection of planted learning, by the size of an experiment."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Every fourth trial is held out, from the second on.
HELD, FIRST = 4, 1
#: Time bins of a trial, and their width [s] where spikes are counted.
BINS, BIN_WIDTH = 20, 0.05
RANK = 2
NUMBERS = ("ceiling", "test", "denoised", "flow_recurrent", "flow_full")


@dataclass(frozen=True)
class Cell:
    """One kind of experiment. `noise` is NaN where spikes are counted, `rate` [Hz] where they are not."""

    trials: int
    noise: float
    change: float
    neurons: int
    rate: float = float("nan")

    @property
    def counts(self) -> bool:
        """Whether spikes are counted."""
        return bool(np.isfinite(self.rate))

    def simulated(self, seed: int):
        """A recording of this kind, and its truth."""
        from weightpath.inference.simulate import simulate_recording

        kind: dict[str, Any] = dict(rate=self.rate, bin_width=BIN_WIDTH) if self.counts else dict(noise=self.noise)
        size = dict(trials=self.trials, neurons=self.neurons, bins=BINS, change=self.change)
        return simulate_recording(rank=RANK, seed=seed, **size, **kind)

    def model(self, units: int):
        """The planted rank with a learnt decoder; smooth over an eighth of the session."""
        from weightpath.networks.kernels import RationalQuadratic
        from weightpath.networks.low_tensor_rank import LowTensorRankRNN

        kernel = RationalQuadratic(length=self.trials / 8, sd=0.3, noise_sd=0.05, by_epoch=False)
        likelihood = "poisson" if self.counts else "gaussian"
        return LowTensorRankRNN(
            rank=RANK, units=units, inputs="none", kernel=kernel, time_constant=10.0, likelihood=likelihood
        )


def cells(config) -> list[Cell]:
    """All experiments of the settings: trials x noise x change, then neurons, then firing rates."""
    grid = [
        Cell(trials, noise, change, config.neurons[0])
        for trials in config.trials
        for noise in config.noise
        for change in config.change
    ]
    largest, middle = max(config.change), config.noise[len(config.noise) // 2]
    grid += [Cell(trials, middle, largest, neurons) for neurons in config.neurons[1:] for trials in config.trials]
    grid += [
        Cell(trials, float("nan"), change, config.neurons[0], rate)
        for rate in config.rates
        for trials in config.trials
        for change in sorted({0.0, largest})
    ]
    return list({str(cell): cell for cell in grid}.values())  # by words: NaN is not equal to itself


def computed(config, *, progress: Callable[..., None], workspace: Path | None) -> Dataset:
    """Recovery and detection in every cell and run, dims cell and run."""
    import xarray as xr

    every = cells(config)
    directory = None if workspace is None else workspace / "planning"
    rows = []
    for number, cell in enumerate(every):
        told = _share(progress, number, len(every))
        rows.append(_runs(cell, config, told, directory))
    values = {
        f"{key}_planning": (("cell", "run"), np.array([[run[key] for run in row] for row in rows]))
        for key in rows[0][0]
    }
    coords = {name: ("cell", [getattr(cell, name) for cell in every])
              for name in ("trials", "noise", "change", "neurons", "rate")}  # fmt: skip
    return xr.Dataset(values, coords=coords | {"run": np.arange(config.runs)})


def _runs(cell: Cell, config, progress: Callable[..., None], directory: Path | None) -> list[dict[str, float]]:
    from weightpath.inference.paired import entry_sums, paired_difference
    from weightpath.inference.side_by_side import run_fits

    tasks, parts = [], []
    for run in range(config.runs):
        recording, truth = cell.simulated(config.seed + run)
        held = np.zeros(recording.shape, bool)
        held[FIRST::HELD] = True
        held &= ~recording.silent
        parts.append(entry_sums(recording.values, held))
        tasks += list(_pair(cell, config, run, recording, truth, held))
    found = run_fits(tasks, workers=2, directory=directory, label="planning", progress=progress)
    rows = []
    for run, sums in enumerate(parts):
        moving, still = found[2 * run : 2 * run + 2]
        gain = paired_difference(sums, moving["errors"], still["errors"])
        rows.append(
            {key: float(moving[key]) for key in (*NUMBERS, "correlation", "angle")}
            | dict(gain=gain.difference, gain_se=gain.se, detected=float(gain.difference >= 2 * gain.se > 0))
            | dict(settled=float(moving["settled"] and still["settled"]))
        )
    return rows


def _pair(cell: Cell, config, run: int, recording, truth, held: np.ndarray) -> Iterator[Any]:
    """The fit whose weights move, and that whose weights do not."""
    from weightpath.inference.paired import trial_errors
    from weightpath.inference.recovered import recovery
    from weightpath.inference.side_by_side import Task

    def errors(fit) -> np.ndarray:
        return trial_errors(recording.values, np.asarray(fit.predict(), np.float64), held)

    def moving(fit) -> dict[str, np.ndarray]:
        found = recovery(fit, truth, held)
        numbers = {key: np.asarray(getattr(found, key)) for key in NUMBERS}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no factor varies where nothing is planted
            correlation = np.asarray(np.nanmean(found.correlations))
        return numbers | dict(errors=errors(fit), correlation=correlation, angle=found.angles.max())

    model = cell.model(config.units)
    settings = dict(iterations=config.planning_iterations, learning_rate=2e-2, dtype="float32")
    trials = np.arange(len(held)) % HELD != FIRST
    mask = np.broadcast_to(trials[:, None, None], recording.shape)
    word = f"{cell}"
    yield Task(f"run {run} of {cell}", model, recording, mask, 0, settings, moving, word)
    still = replace(model, changes="fixed")
    yield Task(f"run {run} of {cell}", still, recording, mask, 0, settings, lambda fit: dict(errors=errors(fit)), word)


def _share(progress: Callable[..., None], number: int, count: int) -> Callable[..., None]:
    """Progress of one cell as part of all."""

    def report(label: str, done: int, total: int, **numbers: float) -> None:
        progress("how many trials", number * total + done, count * total, **numbers)

    return report
