"""Several fits to one recording as one compiled program: seeds, ranks and priors along a batch axis."""

import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Bool
from weightpath.inference.optimise import CHUNK, Schedule, State, run_chunks
from weightpath.inference.padding import padded_problem, resized_state
from weightpath.inference.program import Layout, Problem
from weightpath.inference.recording import Recording
from weightpath.inference.result import Fit
from weightpath.inference.run import Run, begin_run
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

#: Fits in one program at the most; memory grows with their number.
LARGEST = 64
#: What the controls change by the maps of the trials alone.
_SAME_PROGRAM = ("trial", "fixed", "epoch")


@dataclass(frozen=True, eq=False)
class Request:
    """One fit of a batch: what `wp.fit` is given, and the name by which its errors call it."""

    name: str
    model: LowTensorRankRNN
    recording: Recording
    mask: Bool[np.ndarray, "trial time neuron"] | None
    seed: int
    settings: dict[str, Any]
    checkpoint: str | os.PathLike | None = None

    @property
    def kind(self) -> Hashable:
        """Equal for fits that one program can serve: one recording, one mask, and models alike but for their numbers.

        Ranks may differ, except where noise is drawn per term, or where the weights are unconstrained.
        """
        described, model = self.model.describe(), self.model
        varying = {"prior_weight", "prior_multiplier", "kernel", "input_penalty", "decoder_penalty"}
        if not (model.process_noise or model.dense):
            varying.add("rank")
        described["changes"] = _SAME_PROGRAM[0] if model.changes in _SAME_PROGRAM else model.changes
        same = str(sorted((name, value) for name, value in described.items() if name not in varying))
        return id(self.recording), id(self.mask), same, self.settings["dtype"]


def batches(requests: Sequence[Request], batched: bool | None) -> list[list[int]]:
    """Positions of the requests that run as one program; every one by itself unless `batched`.

    None: on an accelerator only. On a CPU, threads do more (see `inference.fit_many`).
    """
    if not (jax.default_backend() != "cpu" if batched is None else batched):
        return [[index] for index in range(len(requests))]
    groups: dict[Hashable, list[int]] = {}
    for index, one in enumerate(requests):
        groups.setdefault(one.kind, []).append(index)
    return [group[first : first + LARGEST] for group in groups.values() for first in range(0, len(group), LARGEST)]


def fit_batch(requests: Sequence[Request], report: Callable[..., None]) -> list[Fit]:
    """The fits of requests of one `kind`, each as `wp.fit` gives it, to rounding.

    Every fit has its own start, random keys, prior weight, schedule and end: one that has come to its end, or met a
    number that is not finite, stands still while the others go on. Each writes its own checkpoint, which `wp.fit` and
    batches of any composition can go on from.

    **Raises:** ValueError that begins with the name of the first request that cannot be fitted.
    """
    runs = []
    for one in requests:
        try:
            settings = {"seed": one.seed, **one.settings}
            runs.append(begin_run(one.model, one.recording, one.mask, settings, one.checkpoint))
        except ValueError as error:
            raise ValueError(f"{one.name}: {error}") from error
    _optimise(_Batch(runs), report)
    return [run.finished() for run in runs]


def fits_of(requests: Sequence[Request], report: Callable[..., None], single: Callable[..., Fit]) -> list[Fit]:
    """The fits of one group of `batches`; `single` is `wp.fit`, for a group of one.

    **Raises:** ValueError as `fit_batch`.
    """
    if len(requests) > 1:
        return fit_batch(requests, report)
    one = requests[0]
    arguments = dict(mask=one.mask, seed=one.seed, progress=report, checkpoint=one.checkpoint)
    try:
        return [single(one.model, one.recording, **arguments, **one.settings)]
    except ValueError as error:
        raise ValueError(f"{one.name}: {error}") from error


class _Batch:
    """The stacked arrays of several fits."""

    def __init__(self, runs: Sequence[Run]):
        self.runs = runs
        models = [run.arrangement.model for run in runs]
        self.core, self.ranks = models[0].core, [model.rank for model in models]
        self.rank = max(self.ranks)
        self.layout: Layout = runs[0].arrangement.layout
        first = runs[0].arrangement.problem(runs[0].dtype)
        problems = [first] + [run.arrangement.problem(run.dtype, same_data=first) for run in runs[1:]]
        self.problem, self.stacked = _common(
            [padded_problem(one, rank, self.rank) for one, rank in zip(problems, self.ranks, strict=True)]
        )
        self.schedule: Schedule = _stack([run.schedule for run in runs])
        self.state: State = _stack([resized_state(run.state, self.rank, core=self.core) for run in runs])

    def after(self, counts: Sequence[int]) -> tuple[State, np.ndarray]:
        """Stacked state some iterations on, and (fit, iteration, two) losses; nothing is kept here."""
        state, rows = run_chunks(
            self.state, self.problem, self.schedule, jnp.asarray(counts, jnp.int32), self.layout, self.stacked
        )
        return state, np.asarray(rows)

    def member(self, state: State, index: int) -> State:
        """State of one fit in its own rank."""
        one = jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf)[index]), state)
        return resized_state(one, self.ranks[index], core=self.core)

    def replayed(self, index: int, count: int) -> State:
        """State of one fit `count` iterations on; the others stand still."""
        return self.member(self.after([count if place == index else 0 for place in range(len(self.runs))])[0], index)

    def problem_of(self, index: int) -> Problem:
        """The problem of one fit, in its own rank."""
        leaves, structure = jax.tree.flatten(self.problem)
        own = [leaf[index] if stacked else leaf for leaf, stacked in zip(leaves, self.stacked, strict=True)]
        return padded_problem(jax.tree.unflatten(structure, own), self.rank, self.ranks[index])

    def go_on(self, state: State) -> None:
        """Keep a stacked state, with the prior weights that the fits have now."""
        prior = jnp.stack([run.state.prior for run in self.runs])
        self.state = eqx.tree_at(lambda one: one.prior, state, prior)


def _optimise(batch: _Batch, report: Callable[..., None]) -> None:
    """Chunks of iterations until every fit has ended."""
    runs, total = batch.runs, sum(run.iterations for run in batch.runs)
    report("fit", sum(run.done for run in runs), total)
    try:
        while any(run.left for run in runs):
            counts = [min(CHUNK, run.left) for run in runs]
            after, rows = batch.after(counts)
            # In one piece from the device; pieces of it are then cheap.
            host = jax.tree.map(np.asarray, after)
            for index, count in enumerate(counts):
                if count and not runs[index].accept(batch.member(host, index), rows[index, :count]):
                    own = lambda count, index=index: batch.replayed(index, count)  # noqa: E731
                    runs[index].stop(rows[index, :count], own, batch.problem_of(index))
            batch.go_on(after)
            _save(runs, counts)
            going = [rows[index, count - 1, 0] for index, count in enumerate(counts) if count]
            ended = sum(run.iterations if not run.left else run.done for run in runs)
            report("fit", ended, total, loss=float(np.nanmean(going)))
    except KeyboardInterrupt:
        _save(runs, [1] * len(runs))
        raise


def _save(runs: Sequence[Run], counts: Sequence[int]) -> None:
    for run, count in zip(runs, counts, strict=True):
        if count and not run.reason:
            run.save()


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: _joined(leaves), *trees)


def _joined(leaves: Sequence[jax.Array]) -> jax.Array:
    """Leaves along a new first axis; by NumPy, which needs no program for every shape, but for random keys."""
    if jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key):
        return jnp.stack(leaves)
    return jax.device_put(np.stack([np.asarray(leaf) for leaf in leaves]))


def _common(problems: Sequence[Problem]) -> tuple[Problem, tuple[bool, ...]]:
    """One problem for all fits, and which of its leaves are stacked because they differ between fits."""
    structure = jax.tree.structure(problems[0])
    columns = list(zip(*(jax.tree.leaves(one) for one in problems), strict=True))
    stacked = tuple(not all(_same(column[0], leaf) for leaf in column[1:]) for column in columns)
    leaves = [_joined(column) if apart else column[0] for column, apart in zip(columns, stacked, strict=True)]
    return jax.tree.unflatten(structure, leaves), stacked


def _same(one: jax.Array, other: jax.Array) -> bool:
    return one is other or bool(np.array_equal(np.asarray(one), np.asarray(other)))
