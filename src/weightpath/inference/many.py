"""`inference.fit_many`: several models from several starts fitted to one recording, in one program or on threads."""

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from weightpath._progress import resolve_progress
from weightpath.inference.batched import Request, batches, fits_of
from weightpath.inference.checkpoint import fingerprint
from weightpath.inference.checks import check_model, training_mask
from weightpath.inference.fit import fit
from weightpath.inference.meter import Meter
from weightpath.inference.recording import Recording
from weightpath.inference.result import Fit
from weightpath.inference.side_by_side import checked_run
from weightpath.networks.low_tensor_rank import LowTensorRankRNN


def fit_many(
    models: LowTensorRankRNN | Iterable[LowTensorRankRNN],
    recording: Recording,
    *,
    seeds: int | Sequence[int] = 1,
    mask=None,
    iterations: int = 1000,
    learning_rate: float | int = 1e-2,
    dtype: str = "float32",
    batched: bool | None = None,
    workers: int = 2,
    checkpoint_dir: str | os.PathLike | None = None,
    progress: Any = None,
) -> list[Fit]:
    """Fit every model from every seed: the first model from all seeds, then the second, and so on.

    Arguments: `models`: one or several; `seeds`: number of starts of each model, or their seeds; `mask`, `iterations`,
    `learning_rate`, `dtype`: as in `wp.fit`; `checkpoint_dir`: keeps the state of every fit, so that the same call goes
    on where it was interrupted and ends where it would have ended; `progress`: True, False, None or a callable.

    `batched=True` runs all fits that one program can serve as one: seeds, and models that differ in rank, prior, kernel
    or the weights of penalties. Ranks are padded to the largest by terms that are zero and stay zero. Each fit is that
    of `wp.fit` to rounding, has its own schedule, prior weight and outcome, and stands still once it has ended or met a
    number that is not finite. `batched=False` runs them on `workers` threads. The default, None, is True on an
    accelerator (a guess, not measured: a single fit is too small to fill one), and False on a CPU. There, on two cores,
    ranks 1 to 6 from 3 seeds on a session of 794 trials took 247 s of processor time on threads and 412 s as one
    program (800 iterations). One program is compiled once, not once a rank, which makes it the quicker way for short
    fits (100 iterations: 94 s on threads, 57 s as one program).

    How each fit ended is in `Fit.result` and `Fit.reason`; one warning counts those that are not settled.

    **Raises:** ValueError for no model, an empty or doubled list of seeds, or what `wp.fit` refuses, with the model.
    """
    every = tuple(models) if isinstance(models, Iterable) else (models,)
    if not every or not all(isinstance(model, LowTensorRankRNN) for model in every):
        raise ValueError("models must be one or several wp.LowTensorRankRNN.")
    for model in every:
        check_model(model, recording)
    seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    checked_run(seeds, workers, "seeds")
    mask = training_mask(recording, mask)
    settings = dict(iterations=iterations, learning_rate=learning_rate, dtype=dtype)
    requests = []
    for number, model in enumerate(every, 1):
        for seed in seeds:
            path = None
            if checkpoint_dir is not None:
                mark = fingerprint(model, recording, mask, {"seed": int(seed), **settings})
                path = Path(checkpoint_dir) / f"{mark[:24]}.npz"
            name = f"model {number} (rank {model.rank}), seed {seed}"
            requests.append(Request(name, model, recording, mask, int(seed), settings, path))
    with resolve_progress(progress) as report, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # common to all threads; how the fits ended is said below
        meter = Meter([iterations] * len(requests), [False] * len(requests), "fits", report)
        done = meter.run(
            lambda places, progress: fits_of([requests[place] for place in places], progress, fit),
            batches(requests, batched), range(len(requests)), workers,
        )  # fmt: skip
    fits = [done[place] for place in range(len(requests))]
    left = [(one.name, found.reason) for one, found in zip(requests, fits, strict=True) if not found.converged]
    if left:
        warnings.warn(f"{len(left)} of {len(fits)} fits are not settled; the first, {left[0][0]}: {left[0][1]}",
                      UserWarning, stacklevel=2)  # fmt: skip
    return fits
