"""Rich or lazy: how much the recurrent weights change, over gain, target decay and the ratio of learning rates."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from weightpath._precision import require_x64
from weightpath._progress import resolve_progress
from weightpath.learn.to_fraction import fall
from weightpath.networks.fock import LONGEST

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Settings that travel together on a processor; more would wait for the slowest, fewer would waste its vector units.
TOGETHER = 16
DEFINITION = (
    "R = |W - W0|_F / |1 - decay| at the learning time t_p at which the loss has fallen to `fraction` of its start; "
    "networks of infinitely many units (words up to `depth`), read-in of norm 1 and frozen, read-out from zero at "
    "rate 1, recurrent weights at rate `ratio`"
)


def phase_diagram(
    gain: Sequence[float] | np.ndarray,
    decay: Sequence[float] | np.ndarray,
    ratio: Sequence[float] | np.ndarray,
    *,
    depth: int = 4,
    fraction: float = 0.01,
    error_bars: bool = True,
    rtol: float = 1e-4,
    max_steps: int = 4096,
    progress: bool | Callable | None = None,
    checkpoint: str | Path | None = None,
) -> Dataset:
    r"""Richness of learning to integrate white noise over all combinations of gain, decay and rate ratio.

    For each setting the limit network of infinitely many units (`weightpath.networks.fock`) learns $e^{-c^* s}$ by
    gradient flow until its loss is `fraction` of its start. The richness

    $$R = \|W - W_0\|_F\,/\,|1 - c^*|$$

    is near 1 where learning makes a new pole at $1 - c^*$ (rich) and near 0 where the read-out finds the target among
    the modes that are there (lazy). The threshold of lazy learning, $|1 - c^*| <$ gain, is `theory.bounded_readout`.

    **Arguments:**
    - `gain`: spread $\sigma$ of the initial weights times $\sqrt N$, each in [0, 1).
    - `decay`: target decay rates $c^*$, positive and not 1.
    - `ratio`: $\eta_w/\eta_v$, positive; the read-out's rate is 1.
    - `depth`: longest word K. `error_bars`: also run K - 1 and give the differences; K >= 7 is wanted at gain 0.7.
    - `rtol`: error of a step beside weights of size 1; the default keeps R within .001 and times within .1%.
    - `progress`: True, False, None (bars when standard error is a terminal) or a callable.
    - `checkpoint`: a file that keeps what is finished; the same call resumes from it, also after an interrupt.

    Returns a dataset with dims (gain, decay, ratio): `richness`, `learning_time`, `loss` (there, as a fraction of its
    start), `outcome` (name) and, with `error_bars`, `richness_error` and `learning_time_error`. Where the fraction is
    not reached the numbers are NaN and the outcome says why.

    **Raises:** ValueError for settings out of range or in 32-bit mode.
    """
    require_x64("wp.phase_diagram")
    axes = {"gain": _axis("gain", gain), "decay": _axis("decay", decay), "ratio": _axis("ratio", ratio)}
    _check(axes, depth, fraction, rtol, max_steps)
    numbers = {"fraction": float(fraction), "rtol": float(rtol), "max_steps": int(max_steps)}
    settings = np.stack([grid.ravel() for grid in np.meshgrid(*axes.values(), indexing="ij")])
    depths = [depth, depth - 1] if error_bars and depth > 0 else [depth]
    store = _Finished(checkpoint, settings, depths, numbers)
    with resolve_progress(progress) as report:
        _run(settings, store, numbers, report)
    return _dataset(axes, store.columns, depths, numbers)


class _Finished:
    """Results of the settings that are done: (depth, quantity, setting), NaN where not, kept in a file if asked."""

    def __init__(self, path: str | Path | None, settings: np.ndarray, depths: list[int], numbers: dict):
        self.path, self.depths = None if path is None else Path(path), depths
        self.columns = np.full((len(depths), 5, settings.shape[1]), np.nan)
        text = json.dumps([depths, numbers], sort_keys=True).encode()
        self._key = hashlib.sha256(text + np.ascontiguousarray(settings).tobytes()).hexdigest()
        if self.path is not None and self.path.exists():
            self.columns = self._read(self.path)

    def waiting(self, level: int) -> np.ndarray:
        """Numbers of the settings that are not done at this depth."""
        return np.flatnonzero(np.isnan(self.columns[level, 4]))

    def add(self, level: int, chosen: np.ndarray, columns: np.ndarray) -> None:
        """Put in what is done, and keep it."""
        self.columns[level][:, chosen] = columns
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        with open(beside, "wb") as file:
            np.savez(file, key=np.array(self._key), columns=self.columns)
        os.replace(beside, self.path)

    def _read(self, path: Path) -> np.ndarray:
        try:
            with np.load(path, allow_pickle=False) as file:
                key, columns = str(file["key"]), file["columns"]
        except (OSError, KeyError, ValueError, EOFError) as error:
            raise ValueError(f"{path} is no checkpoint of a phase diagram ({error}); delete it.") from error
        if key != self._key:
            raise ValueError(f"{path} is the checkpoint of other settings; delete it or give another path.")
        return columns


def _run(settings: np.ndarray, store: _Finished, numbers: dict, report: Callable[..., None]) -> None:
    """All settings that wait, in batches of similar ones, two at a time on a processor."""
    accelerator = jax.default_backend() != "cpu"
    # Always the same number on a processor, so that diagrams of every size share one compiled program.
    size = settings.shape[1] if accelerator else TOGETHER
    batches = [
        (level, batch) for level in range(len(store.depths)) for batch in _batches(settings, store.waiting(level), size)
    ]
    total = store.columns.shape[0] * settings.shape[1]
    done = total - sum(len(batch) for _, batch in batches)
    report("phase diagram", done, total)
    workers = 1 if accelerator else min(2, os.cpu_count() or 1)

    def solve(level, batch):
        return level, batch, _solve(settings[:, batch], size, store.depths[level], numbers)

    def finish(level, batch, columns):
        nonlocal done
        store.add(level, batch, columns)
        done += len(batch)
        report("phase diagram", done, total)

    # The first batch of each depth compiles; threads that met an empty cache together would compile twice.
    first = [next((pair for pair in batches if pair[0] == level), None) for level in range(len(store.depths))]
    for pair in first:
        if pair is not None:
            finish(*solve(*pair))
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(solve, *pair) for pair in batches if not any(pair is other for other in first)]
        try:
            for future in as_completed(futures):
                finish(*future.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _batches(settings: np.ndarray, waiting: np.ndarray, size: int) -> list[np.ndarray]:
    """Settings with similar numbers of steps side by side: a batch runs until its slowest member is done."""
    gain, decay, ratio = settings[:, waiting]
    order = waiting[np.lexsort((decay, gain, ratio))]
    return [order[start : start + size] for start in range(0, len(order), size)]


def _solve(settings: np.ndarray, size: int, depth: int, numbers: dict) -> np.ndarray:
    """Change, time, loss, outcome (0 arrived, 1 out of steps, 2 at rest), steps of one batch, filled up to `size`."""
    count = settings.shape[1]
    padded = np.concatenate([settings, np.repeat(settings[:, -1:], size - count, axis=1)], axis=1)
    fraction, rtol, max_steps = (np.asarray(numbers[name]) for name in ("fraction", "rtol", "max_steps"))
    fallen = fall(padded[0], padded[1], padded[2], depth, fraction, rtol, max_steps)
    change, time, remaining, arrived, steps = (np.asarray(part)[:count] for part in fallen)
    outcome = np.where(arrived, 0.0, np.where(steps >= numbers["max_steps"], 1.0, 2.0))
    return np.stack([np.where(arrived, change, np.nan), np.where(arrived, time, np.nan), remaining, outcome, steps])


def _dataset(axes: dict[str, np.ndarray], columns: np.ndarray, depths: list[int], numbers: dict) -> Dataset:
    import xarray as xr

    dims, shape = tuple(axes), tuple(len(axis) for axis in axes.values())
    change, time, loss, outcome, steps = columns[0].reshape(5, *shape)
    distance = np.abs(1 - axes["decay"])[None, :, None]
    names = np.array(["successful", "max_steps", "not_converged"])
    data = {
        "richness": (dims, change / distance, {"long_name": "richness R", "units": "1"}),
        "learning_time": (dims, time, {"long_name": "learning time", "units": "learning rate x steps"}),
        "loss": (dims, loss, {"long_name": "loss there as a fraction of its start", "units": "1"}),
        "outcome": (dims, names[outcome.astype(int)]),
        "solver_steps": (dims, steps.astype(int)),
    }
    if len(depths) > 1:
        label = {"long_name": f"difference from depth {depths[1]}"}
        lower = columns[1].reshape(5, *shape)
        data["richness_error"] = (dims, np.abs(change - lower[0]) / distance, label)
        data["learning_time_error"] = (dims, np.abs(time - lower[1]), label)
    coords = {
        "gain": ("gain", axes["gain"], {"long_name": "gain of the initial weights", "units": "1"}),
        "decay": ("decay", axes["decay"], {"long_name": "target decay", "units": "1/membrane time constant"}),
        "ratio": ("ratio", axes["ratio"], {"long_name": "rate of w_rec over rate of w_out", "units": "1"}),
    }
    return xr.Dataset(data, coords, {"definition": DEFINITION, "depth": depths[0], **numbers})


def _axis(name: str, values) -> np.ndarray:
    axis = np.atleast_1d(np.asarray(values, dtype=float))
    if axis.ndim != 1 or axis.size == 0 or not np.all(np.isfinite(axis)):
        raise ValueError(f"{name} must be a list of finite numbers; got {values!r}.")
    return axis


def _check(axes: dict[str, np.ndarray], depth, fraction, rtol, max_steps) -> None:
    gain, decay, ratio = axes.values()
    if np.any(gain < 0) or np.any(gain >= 1):
        raise ValueError(f"gain must be in [0, 1), where the initial network is stable; got {gain}.")
    if np.any(decay <= 0):
        raise ValueError(
            f"decay must be positive; got {decay}. At 0 the white-noise variance of the target is infinite."
        )
    if np.any(decay == 1):
        raise ValueError("R is undefined at c*=1 (the target pole is at the origin); leave decay 1 out.")
    if np.any(ratio <= 0):
        raise ValueError(
            f"ratio (rate of w_rec over rate of w_out) must be positive; got {ratio}. For a read-out that learns alone "
            "use wp.theory.Reservoir."
        )
    if not isinstance(depth, int | np.integer) or not 0 <= depth <= LONGEST:
        raise ValueError(f"depth (length of the longest word) must be a whole number from 0 to {LONGEST}; got {depth}.")
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be between 0 and 1 (0.01: until 1% of the initial loss); got {fraction}.")
    if not rtol > 0 or not max_steps >= 1:
        raise ValueError(f"rtol must be positive and max_steps at least 1; got {rtol} and {max_steps}.")
