"""`wp.fit`: a low-tensor-rank network fitted to a recording."""

import os
import warnings

import jax.numpy as jnp
import numpy as np

from weightpath._progress import resolve_progress
from weightpath._results import RESULTS
from weightpath.inference.optimise import CHUNK, run_chunk
from weightpath.inference.recording import Recording
from weightpath.inference.result import Fit
from weightpath.inference.run import Run, begin_run
from weightpath.networks.low_tensor_rank import LowTensorRankRNN


def fit(
    model: LowTensorRankRNN,
    recording: Recording,
    *,
    mask=None,
    seed: int = 0,
    iterations: int = 1000,
    learning_rate: float | int = 1e-2,
    dtype: str = "float32",
    progress=None,
    checkpoint: str | os.PathLike | None = None,
) -> Fit:
    r"""Fit a low-tensor-rank network to a recording: MAP over the trial factors, by Adam with a cosine schedule to 5%.

    Arguments: `mask` (trial, time, neuron), True where to train; default every observed entry. Trials without any are
    held out: their factors are the predictive mean of the prior. `seed` of the initial values and of what iterations
    draw at random; `iterations` of Adam at `learning_rate`; `dtype` "float32" or "float64" (needs JAX's 64-bit mode);
    `progress`: True, False, None or a callable; `checkpoint`: a file, written every 50 iterations and resumed from when
    it exists and belongs to this fit (a resumed fit equals an uninterrupted one bit for bit on one machine).

    The data term is the mean squared error over the training entries; with counts, the mean negative log likelihood of
    an entry. Unless the decoder takes the data as they are (identity or orthogonal without gain), real-valued data are
    centred per neuron and divided by one standard deviation for the fit; everything returned is in the units of the
    recording.

    A fit that is not settled, or that met a number that is not finite, says so: a warning, `Fit.converged`,
    `Fit.result` and `Fit.reason`.

    **Raises:** ValueError for a model, a mask or settings that do not fit the recording, or another fit's checkpoint.
    Source: Pellegrino et al. 2023 (arXiv 2308.11567).
    """
    settings = dict(seed=seed, iterations=iterations, learning_rate=learning_rate, dtype=dtype)
    run = begin_run(model, recording, mask, settings, checkpoint)
    with resolve_progress(progress) as report:
        _optimise(run, report)
    fitted = run.finished()
    if fitted.result != RESULTS.successful:
        warnings.warn(fitted.reason, UserWarning, stacklevel=2)
    return fitted


def _optimise(run: Run, report) -> None:
    """Chunks of iterations until the end, an interrupt, or a number that is not finite."""
    problem, layout = run.arrangement.problem(run.dtype), run.arrangement.layout

    def replay(count: int):
        return run_chunk(run.state, problem, run.schedule, jnp.asarray(count), layout)

    report("fit", run.done, run.iterations)
    try:
        while run.left:
            count = min(CHUNK, run.left)
            after, rows = replay(count)
            rows = np.asarray(rows)[:count]
            if not run.accept(after, rows):
                run.stop(rows, lambda count: replay(count)[0], problem)
                return
            run.save()
            report("fit", run.done, run.iterations, loss=float(rows[-1, 0]))
    except KeyboardInterrupt:
        run.save()
        raise
