"""Several learning rules on one task, from the same networks and on the same batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from weightpath._progress import resolve_progress
from weightpath._types import Array, Key
from weightpath.learn.steps import Progressed
from weightpath.rule_comparison.arguments import (
    check_counts,
    check_task,
    checked_optimiser,
    checked_rates,
    named_rules,
)
from weightpath.rule_comparison.cost import cost
from weightpath.rule_comparison.runs import (
    HELD_OUT,
    TRAINING,
    Problem,
    begin,
    draw_batches,
    learn,
    make_networks,
    make_rules,
    measure,
    observe,
    perform,
)
from weightpath.rule_comparison.table import Found, as_dataset
from weightpath.tasks.base import AbstractTask
from weightpath.tasks.drawn import DrawnBatches

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


class Interrupted(KeyboardInterrupt):
    """The comparison was interrupted (Ctrl-C); `dataset` holds the rules that were finished, None where none was."""

    def __init__(self, dataset: Dataset | None, finished: Sequence[str]):
        words = ", ".join(finished) if finished else "none"
        super().__init__(f"the comparison was interrupted; finished rules ({words}) are in `.dataset`.")
        self.dataset = dataset


def compare_rules(
    rules: Mapping[str, Any] | Sequence[Any],
    network: Any,
    task: AbstractTask,
    *,
    train: Sequence[str] | str,
    learning_rate: Any,
    steps: int,
    key: Key,
    optimiser: Any = optax.sgd,
    seeds: int = 4,
    every: int | None = None,
    progress: bool | Callable | None = None,
) -> Dataset:
    r"""Train a network by each rule; compare what they learn, how they follow the gradient, and what they cost.

    All rules start from the same networks and see the same batches; the runs of one rule, over seeds and learning
    rates, are one compiled program. At every record each run is tested on a fresh batch that it does not learn from,
    and the rule's update on that batch is set beside that of BPTT at the same weights.

    **Arguments:**
    - `rules`: name -> rule, or a list of rules of different classes. In place of a rule a function `(key, network) ->
      rule` makes one per seed, e.g. `lambda key, network: wp.RFLO(random_feedback(key, network))`.
    - `network`: a function `key -> network`, or one network for all seeds.
    - `train`: names of the trained weights.
    - `learning_rate`: a number; a list, which sweeps over rates for every rule; or rule name -> number or list (lists
      of one length).
    - `optimiser`: function of the learning rate that makes an optax optimiser; not the optimiser itself.
    - `seeds`: number of runs per rule. Seed s is $k_s$ = `fold_in(key, s)`: network from `fold_in`($k_s$, 0), rule from
      `fold_in`($k_s$, 1), training as `wp.train` with key `fold_in`($k_s$, 2), test batches from `fold_in`($k_s$, 3).
    - `every`: steps between records; None keeps about 20.
    - `progress`: True, False, None (a bar when standard error is a terminal) or a callable.

    Returns a dataset with dims (rule, rate, seed, step), without `rate` unless rates are swept: `loss` and
    `performance` (the task's own measure) on held-out batches; with a further dim `weight` (the trained ones and "all"
    together) `cosine`, `sign_agreement`, `along` and `inside_feedback` of the update against BPTT's
    (`weightpath.rule_comparison.alignment`); (rule, rate, seed) `outcome`, the name of how the run ended, and
    `last_step`; `singular_value` of the change of `w_rec` in the end; per rule `seconds` measured for one update of
    one run (all runs together over their number, in the quickest stretch between records), `operations` per time step
    and `memory` in bytes of one trial (`weightpath.rule_comparison.cost`). A run that fails stands still and does not
    stop others: from there on its numbers are NaN and its outcome says why.

    **Raises:** ValueError for bad arguments, and what a rule says about a network it cannot train, before anything is
    learned. Ctrl-C raises `Interrupted`, whose `.dataset` holds the finished rules.
    """
    members = named_rules(rules)
    check_task(task)
    check_counts(network, steps=steps, seeds=seeds, every=every)
    sweep, rates = checked_rates(learning_rate, list(members))
    made = checked_optimiser(optimiser)
    names = (train,) if isinstance(train, str) else tuple(train)
    every = max(1, steps // 20) if every is None else every
    moments = [*range(0, steps, every), steps]
    keys = jax.vmap(lambda seed: jax.random.fold_in(key, seed))(jnp.arange(seeds))
    networks = make_networks(network, keys)
    problems = {
        name: Problem(networks, make_rules(rule, networks, keys), made, names) for name, rule in members.items()
    }
    # Every rule begins before any learns, so that one that refuses the network says so at once.
    first = draw_batches(task, keys, jnp.asarray(TRAINING), jnp.arange(every))
    runs = {
        name: _Runs(problem, begin(problem, first, keys, jnp.asarray(rates[name])), keys, task, every)
        for name, problem in problems.items()
    }
    finished: dict[str, Found] = {}
    with resolve_progress(progress) as report:
        try:
            for name, run in runs.items():
                finished[name] = run.through(moments, f"compare_rules: {name}", report)
        except KeyboardInterrupt:
            done = list(finished)
            dataset = as_dataset(finished, {name: rates[name] for name in done}, sweep, task) if done else None
            raise Interrupted(dataset, done) from None
    return as_dataset(finished, rates, sweep, task)


class _Runs:
    """All runs of one rule. Lives within one call of `compare_rules`."""

    def __init__(self, problem: Problem, states: Progressed, keys: Array, task: AbstractTask, every: int):
        self.problem, self.states, self.keys, self.task, self.every = problem, states, keys, task, every

    def through(self, moments: list[int], label: str, report: Callable) -> Found:
        """Learn, and record at every one of the `moments`, which begin with 0."""
        first, records, seconds = self.states.trained, [], [np.inf]
        for since, until in zip([0, *moments], moments, strict=False):
            if until == 0:
                self.learn(0, 0)  # compiles, and takes no step
            else:
                seconds.append(self.learn(since, until))
            records.append(self.record(until))
            performance = records[-1]["performance"]
            standing = performance[np.isfinite(performance)]
            report(label, until, moments[-1], performance=float(np.mean(standing)) if standing.size else np.nan)
        problem, taken = self.problem, np.asarray(self.states.step)
        network, rule = jax.tree.map(lambda leaf: leaf[0], (problem.networks, problem.rules))
        bins = jax.eval_shape(self.task.sample, self.keys[0], jnp.asarray(0)).inputs.shape[1]
        change = None
        if "w_rec" in problem.train:
            change = np.asarray(self.states.trained.w_rec) - np.asarray(first.w_rec)
        return Found(
            moments, (*problem.train, "all"),
            {name: np.stack([one[name] for one in records], axis=2) for name in records[0]},
            self.states.result, taken, change, min(seconds), cost(rule, network, bins),
        )  # fmt: skip

    def learn(self, since: int, until: int) -> float:
        """Take the steps from `since` to `until`; the seconds of one update, without drawing the batches."""
        batches, before = self.draw(TRAINING, since), np.sum(np.asarray(self.states.step))
        start = time.perf_counter()
        states = learn(self.problem, self.states, batches, self.keys, jnp.asarray(until))
        self.states = jax.block_until_ready(states)
        taken = np.sum(np.asarray(self.states.step)) - before
        return (time.perf_counter() - start) / taken if taken > 0 else np.inf

    def record(self, step: int) -> dict[str, np.ndarray]:
        """Loss, performance and alignment of every run on a held-out batch; NaN for runs that did not come this far."""
        batches = self.draw(HELD_OUT, step)
        losses, outputs, gradients = observe(self.states.trained, self.problem.networks, batches)
        found = measure(self.problem, self.states, gradients, batches)
        found = {"loss": losses, "performance": perform(self.task, outputs, batches), **found}
        here = np.asarray(self.states.step) >= step
        return {name: np.where(here.reshape(*here.shape, *[1] * (np.ndim(value) - 2)), value, np.nan)
                for name, value in found.items()}  # fmt: skip

    def draw(self, part: int, first: int) -> DrawnBatches:
        """The batches of `every` steps, always as many, so that all share one program."""
        return draw_batches(self.task, self.keys, jnp.asarray(part), first + jnp.arange(self.every))
