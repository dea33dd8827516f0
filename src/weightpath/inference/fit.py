"""`wp.fit`: a low-tensor-rank network fitted to a recording."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._progress import resolve_progress
from weightpath._results import RESULTS
from weightpath.inference import checks
from weightpath.inference.checkpoint import fingerprint, load_state, save_state
from weightpath.inference.collect import collect
from weightpath.inference.converged import judge
from weightpath.inference.counts import pearson
from weightpath.inference.nonfinite import first_nonfinite, last_finite
from weightpath.inference.objective import predict
from weightpath.inference.optimise import CHUNK, Schedule, State, begin, is_finite, run_chunk
from weightpath.inference.parameters import initial_values
from weightpath.inference.prior import ResidualSums, automatic_weight, count_weight, residual_sums
from weightpath.inference.problem import Arrangement, arrange
from weightpath.inference.recording import Recording
from weightpath.inference.result import Fit
from weightpath.inference.starts import condition_means
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

#: Shares of the iterations after which the automatic prior weight is estimated again.
REESTIMATE = (0.1, 0.25, 0.5)


@dataclass
class _Run:
    """A fit on its way: what is fixed, and where it stands."""

    arrangement: Arrangement
    dtype: np.dtype
    schedule: Schedule
    iterations: int
    state: State
    history: np.ndarray
    effective: float
    result: RESULTS
    reason: str


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
    checks.check_model(model, recording)
    _check_settings(seed, iterations, learning_rate, dtype)
    mask = checks.training_mask(recording, mask)
    notes = checks.check_training(model, recording, mask)
    fitted = replace(model, changes="fixed") if mask.any(axis=(1, 2)).sum() == 1 else model
    arrangement = arrange(fitted, recording, mask)
    settings = dict(seed=int(seed), iterations=int(iterations), learning_rate=float(learning_rate), dtype=str(dtype))
    run = _begin(arrangement, settings)
    path = None if checkpoint is None else Path(checkpoint)
    mark = "" if path is None else fingerprint(model, recording, mask, settings)
    if path is not None and path.exists():
        _resume(run, path, mark)
    with resolve_progress(progress) as report:
        _optimise(run, path, mark, report)
    if run.result == RESULTS.successful:
        run.result, run.reason = judge(run.history[:, 0], run.iterations)
    if run.result != RESULTS.successful:
        warnings.warn(run.reason, UserWarning, stacklevel=2)
    return collect(run.state, arrangement, run.history, run.effective, run.result, run.reason, notes, settings)


def _check_settings(seed, iterations, learning_rate, dtype) -> None:
    if not isinstance(iterations, int | np.integer) or iterations < 1:
        raise ValueError(f"iterations must be a whole number, at least 1; got {iterations!r}.")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number, not negative; got {seed!r}.")
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise ValueError(f"learning_rate must be positive and finite; got {learning_rate!r}.")
    if dtype not in ("float32", "float64"):
        raise ValueError(f'dtype must be "float32" or "float64"; got {dtype!r}.')
    if dtype == "float64":
        from weightpath._precision import require_x64

        require_x64('wp.fit(dtype="float64")')


def _begin(arrangement: Arrangement, settings: dict) -> _Run:
    dtype = np.dtype(settings["dtype"])
    parameters = initial_values(arrangement, settings["seed"], dtype)
    rate, total = (jnp.asarray(settings[name], dtype) for name in ("learning_rate", "iterations"))
    schedule = Schedule(rate, total, jax.random.key(settings["seed"]) if arrangement.layout.random else None)
    means, condition = condition_means(arrangement), arrangement.recording.condition
    weight, effective = _prior_weight(arrangement, lambda rows: means[condition[rows]])
    return _Run(
        arrangement=arrangement, dtype=dtype, schedule=schedule, iterations=settings["iterations"],
        state=begin(parameters, weight, dtype), history=np.zeros((0, 2), dtype), effective=effective,
        result=RESULTS.successful, reason="",
    )  # fmt: skip


def _resume(run: _Run, path: Path, mark: str) -> None:
    run.state, run.history, header = load_state(path, run.state, mark)
    run.effective = header["effective"]


def _optimise(run: _Run, path: Path | None, mark: str, report) -> None:
    """Chunks of iterations until the end, an interrupt, or a number that is not finite."""
    problem, layout = run.arrangement.problem(run.dtype), run.arrangement.layout
    trials = run.arrangement.trials(run.dtype)
    done = int(run.state.iteration)
    report("fit", done, run.iterations)
    try:
        while done < run.iterations:
            count = min(CHUNK, run.iterations - done)
            before = run.state
            after, rows = run_chunk(before, problem, run.schedule, jnp.asarray(count), layout)
            rows = np.asarray(rows)[:count]
            if not (np.isfinite(rows).all() and is_finite(after)):
                _stop(run, before, rows, problem, layout)
                return
            run.state, run.history = after, np.concatenate([run.history, rows])
            done += count
            if any(done - count < share * run.iterations <= done for share in REESTIMATE):
                _reestimate(run, problem, trials, layout)
            if path is not None:
                _save(run, path, mark)
            report("fit", done, run.iterations, loss=float(rows[-1, 0]))
    except KeyboardInterrupt:
        if path is not None:
            _save(run, path, mark)
        raise


def _save(run: _Run, path: Path, mark: str) -> None:
    save_state(path, run.state, run.history, dict(fingerprint=mark, effective=run.effective))


def _stop(run: _Run, before: State, rows: np.ndarray, problem, layout) -> None:
    """Go back to the last parameters with a finite loss, and say what broke first."""
    run.state, broken, good = last_finite(before, rows, problem, run.schedule, layout)
    run.history = np.concatenate([run.history, rows[:good]])
    name, rate = first_nonfinite(broken, problem, layout), float(run.schedule.rate)
    run.result = RESULTS.nonfinite
    run.reason = (
        f"not finite at iteration {int(broken.iteration)}: {name}. The last finite parameters are kept; try "
        f"learning_rate={rate / 2:g}."
    )


def _reestimate(run: _Run, problem, trials, layout) -> None:
    """The automatic prior weight from the residual of the present parameters."""
    if run.arrangement.model.prior_weight != "auto":
        return
    bins = jnp.zeros(problem.data.shape[0], run.dtype)
    prediction = np.asarray(predict(run.state.parameters, trials, problem.size, bins, layout)[1])
    weight, run.effective = _prior_weight(
        run.arrangement, lambda rows: prediction[..., rows].astype(np.float64).transpose(2, 0, 1)
    )
    run.state = State(run.state.parameters, run.state.moments, run.state.iteration, jnp.asarray(weight, run.dtype))


def _prior_weight(arrangement: Arrangement, prediction: Callable[[slice], np.ndarray]) -> tuple[float, float]:
    """Weight on the sum of squared standard normal numbers, and the effective number of entries.

    `prediction` gives (trial, time, neuron) of some trials on the model's scale.
    """
    model, parts = arrangement.model, []
    for rows in arrangement.blocks():
        expected = arrangement.expected(prediction(rows))
        residual = arrangement.standardised(rows) - expected
        parts.append(residual_sums(pearson(residual, expected) if model.counts else residual, arrangement.mask[rows]))
    sums = ResidualSums(*np.sum(parts, axis=0).tolist())
    if model.prior_weight != "auto":
        numbers = int(arrangement.training.sum()) * (model.rank**2 if model.core else model.rank)
        return float(model.prior_weight) / numbers, sums.effective
    return model.prior_multiplier * (count_weight if model.counts else automatic_weight)(sums), sums.effective
