"""A fit on its way: how it begins or resumes, what happens between chunks of iterations, and how it ends."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Float
from weightpath.inference import checks
from weightpath.inference.checkpoint import fingerprint, load_state, save_state
from weightpath.inference.collect import collect
from weightpath.inference.converged import judge
from weightpath.inference.counts import pearson
from weightpath.inference.nonfinite import first_nonfinite, last_finite
from weightpath.inference.optimise import Schedule, State, begin, is_finite
from weightpath.inference.parameters import initial_values
from weightpath.inference.predictions import predictions
from weightpath.inference.prior import ResidualSums, automatic_weight, count_weight, residual_sums
from weightpath.inference.problem import Arrangement, arrange
from weightpath.inference.program import Problem
from weightpath.inference.recording import Recording
from weightpath.inference.result import Fit
from weightpath.inference.starts import condition_means
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

#: Shares of the iterations after which the automatic prior weight is estimated again.
REESTIMATE = (0.1, 0.25, 0.5)


@dataclass
class Run:
    """What is fixed of a fit, and where it stands."""

    arrangement: Arrangement
    settings: dict[str, Any]
    notes: tuple[str, ...]
    path: Path | None
    """Checkpoint."""
    mark: str
    """Fingerprint of the fit, where there is a checkpoint."""
    schedule: Schedule
    state: State
    effective: float
    history: np.ndarray
    result: RESULTS = field(default_factory=lambda: RESULTS.successful)
    reason: str = ""

    @property
    def dtype(self) -> np.dtype:
        """Precision of the fit."""
        return np.dtype(self.settings["dtype"])

    @property
    def iterations(self) -> int:
        """Iterations in all."""
        return self.settings["iterations"]

    @property
    def done(self) -> int:
        """Iterations behind it."""
        return len(self.history)

    @property
    def left(self) -> int:
        """Iterations before it; none for a fit that has stopped."""
        return self.iterations - self.done if self.result == RESULTS.successful else 0

    def accept(self, after: State, rows: Float[np.ndarray, "iteration two"]) -> bool:
        """Go on to the state after a chunk, unless a number is not finite; False then."""
        if not (np.isfinite(rows).all() and is_finite(after)):
            return False
        before = self.done
        self.state, self.history = after, np.concatenate([self.history, rows])
        if any(before < share * self.iterations <= self.done for share in REESTIMATE):
            self._reestimate()
        return True

    def stop(self, rows: Float[np.ndarray, "iteration two"], replay: Callable[[int], State], problem: Problem) -> None:
        """Go back to the last parameters with a finite loss, and say what broke first.

        `rows` of the chunk that ended badly; `replay` gives the state some iterations into it.
        """
        self.state, broken, good = last_finite(rows, replay)
        self.history = np.concatenate([self.history, rows[:good]])
        name, rate = first_nonfinite(broken, problem, self.arrangement.layout), float(self.schedule.rate)
        self.result = RESULTS.nonfinite
        self.reason = (
            f"not finite at iteration {int(broken.iteration)}: {name}. The last finite parameters are kept; try "
            f"learning_rate={rate / 2:g}."
        )

    def save(self) -> None:
        """Write the checkpoint, if there is one."""
        if self.path is not None:
            save_state(self.path, self.state, self.history, dict(fingerprint=self.mark, effective=self.effective))

    def finished(self) -> Fit:
        """The result, with the judgement on whether it settled."""
        if self.result == RESULTS.successful:
            self.result, self.reason = judge(self.history[:, 0], self.iterations)
        return collect(
            self.state, self.arrangement, self.history, self.effective, self.result, self.reason, self.notes,
            self.settings,
        )  # fmt: skip

    def _reestimate(self) -> None:
        """The automatic prior weight from the residual of the present parameters."""
        if self.arrangement.model.prior_weight != "auto":
            return
        found = predictions(self.state.parameters, self.arrangement, self.dtype)
        weight, self.effective = _prior_weight(
            self.arrangement, ((rows, one.astype(np.float64)) for rows, _, one in found)
        )
        prior = jnp.asarray(weight, self.dtype)
        self.state = State(self.state.parameters, self.state.moments, self.state.iteration, prior)


def begin_run(
    model: LowTensorRankRNN,
    recording: Recording,
    mask: np.ndarray | None,
    settings: dict[str, Any],
    checkpoint: str | os.PathLike | None,
) -> Run:
    """A fit before its first iteration, or where its checkpoint stands.

    **Raises:** ValueError for a model, a mask or settings that do not fit the recording, or another fit's checkpoint.
    """
    checks.check_model(model, recording)
    _check_settings(**settings)
    settings = dict(
        seed=int(settings["seed"]), iterations=int(settings["iterations"]),
        learning_rate=float(settings["learning_rate"]), dtype=str(settings["dtype"]),
    )  # fmt: skip
    mask = checks.training_mask(recording, mask)
    notes = checks.check_training(model, recording, mask)
    fitted = replace(model, changes="fixed") if mask.any(axis=(1, 2)).sum() == 1 else model
    arrangement, dtype = arrange(fitted, recording, mask), np.dtype(settings["dtype"])
    parameters = initial_values(arrangement, settings["seed"], dtype)
    rate, total = (jnp.asarray(settings[name], dtype) for name in ("learning_rate", "iterations"))
    key = jax.random.key(settings["seed"]) if arrangement.layout.random else None
    means, condition = condition_means(arrangement), recording.condition
    weight, effective = _prior_weight(arrangement, ((rows, means[condition[rows]]) for rows in arrangement.blocks()))
    path = None if checkpoint is None else Path(checkpoint)
    run = Run(
        arrangement=arrangement, settings=settings, notes=notes, path=path,
        mark="" if path is None else fingerprint(model, recording, mask, settings),
        schedule=Schedule(rate, total, key), state=begin(parameters, weight, dtype), effective=effective,
        history=np.zeros((0, 2), dtype),
    )  # fmt: skip
    if path is not None and path.exists():
        run.state, run.history, header = load_state(path, run.state, run.mark)
        run.effective = header["effective"]
    return run


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


def _prior_weight(
    arrangement: Arrangement, predicted: Iterable[tuple[slice, Float[np.ndarray, "trial time neuron"]]]
) -> tuple[float, float]:
    """Weight on the sum of squared standard normal numbers, and the effective number of entries.

    `predicted`: trials, and what is predicted of them on the model's scale; together all trials, each once.
    """
    model, parts = arrangement.model, []
    for rows, prediction in predicted:
        expected = arrangement.expected(prediction)
        residual = arrangement.standardised(rows) - expected
        parts.append(residual_sums(pearson(residual, expected) if model.counts else residual, arrangement.mask[rows]))
    sums = ResidualSums(*np.sum(parts, axis=0).tolist())
    if model.prior_weight != "auto":
        numbers = int(arrangement.training.sum()) * (model.rank**2 if model.core else model.rank)
        return float(model.prior_weight) / numbers, sums.effective
    return model.prior_multiplier * (count_weight if model.counts else automatic_weight)(sums), sums.effective
