"""Runs of the study of fixed-point regression: every rule at every learning rate, as datasets."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies import fixed_point_regression_cases as cases

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Updates after which angles between rules are measured, and the two learning rates at which they are.
ANGLES_AT, ANGLE_RATES = (0, 100, 1000), (0.03, 1.0)
#: Samples of the network whose paths of weights are taken apart, and updates along them.
FEW_SAMPLES, FEW_UPDATES = 4, 40


#: Updates of one unit that are recorded one by one.
FIRST = 20


class Trainer:
    """Trains by `wp.train` with one optimiser, so that runs of one rule and size share a compiled program."""

    def __init__(self):
        import optax

        # The setup's rates are the learning rates: a program for each rate would have to be compiled otherwise.
        self.rules, self.optimiser = cases.rules(), optax.sgd(1.0)

    def run(self, problem: cases.Problem, rule: Any, rate: float, updates: int, every: int) -> Any:
        """The trajectory of a rule (or the name of one) at a learning rate; a failure is its `result`."""
        import weightpath as wp

        setup = problem.setup(self.rules.get(rule, rule) if isinstance(rule, str) else rule, rate)
        return wp.train(setup, self.optimiser, updates, record=wp.Record(every=every), throw=False, progress=False)


@functools.cache
def shared_trainer() -> Trainer:
    """One trainer for all parts of a run."""
    return Trainer()


def updates_of(trajectory: Any) -> np.ndarray:
    """Numbers of updates at the records of a run of the `Trainer`; a failed run ends with its last good weights."""
    return np.rint(np.asarray(trajectory.time)).astype(int)


def one_unit(
    starts: Sequence[float] = cases.ONE_UNIT_STARTS, rules: Sequence[str] = cases.RULES, updates: int = 200
) -> Dataset:
    """Starts of one unit under the rules: the first updates one by one, then every tenth."""
    import xarray as xr

    from weightpath._results import outcome_name

    trainer, at = shared_trainer(), np.array([*range(FIRST), *range(FIRST, updates + 1, 10)])
    shape = (len(starts), len(rules))
    weight, loss = (np.full((*shape, at.size), np.nan) for _ in range(2))
    outcome, last = np.full(shape, "", dtype="<U24"), np.zeros(shape, int)
    for i, start in enumerate(starts):
        for j, rule in enumerate(rules):
            for until, every in ((FIRST, 1), (updates, 10)):
                run = trainer.run(cases.one_unit(start), rule, cases.ONE_UNIT_RATE, until, every)
                reached = updates_of(run)
                kept = np.isin(at, reached)
                weight[i, j, kept] = run.w_rec[np.isin(reached, at), 0, 0]
                loss[i, j, kept] = np.asarray(run.loss)[np.isin(reached, at)]
            outcome[i, j], last[i, j] = outcome_name(run.result), reached[-1]
    dims = ("unit_start", "rule")
    data = {
        "unit_weight": ((*dims, "unit_update"), weight), "unit_loss": ((*dims, "unit_update"), loss),
        "unit_outcome": (dims, outcome), "unit_last": (dims, last),
    }  # fmt: skip
    return xr.Dataset(data, {"unit_start": list(starts), "rule": list(rules), "unit_update": at})


def ten_units() -> Dataset:
    """The network without random numbers: losses at both rates, first updates and angles, poles of a line."""
    import dataclasses

    import xarray as xr

    import weightpath as wp
    from weightpath._results import outcome_name

    problem, trainer, at = cases.ten_units(), shared_trainer(), np.array([1, 10, 100])
    lookahead = dataclasses.replace(trainer.rules["dW2"], lookahead=True)
    runs = [(rule, rate) for rate in (0.3, 3.0) for rule in cases.RULES] + [("lookahead", 0.3)]
    loss, outcome, last = np.full((len(runs), 3), np.nan), [], []
    abscissa, moved = np.full(len(runs), np.nan), np.full(len(runs), np.nan)
    for index, (rule, rate) in enumerate(runs):
        chosen = lookahead if rule == "lookahead" else rule
        loss[index, 0] = trainer.run(problem, chosen, rate, 1, 1).loss[-1]
        run = trainer.run(problem, chosen, rate, 100, 10)
        reached = updates_of(run)
        loss[index, 1:] = [run.loss[np.argmax(reached == n)] if n in reached else np.nan for n in at[1:]]
        outcome.append(outcome_name(run.result))
        last.append(reached[-1])
        if last[-1] == 100:
            end = np.asarray(run.w_rec[-1])
            abscissa[index] = np.max(np.linalg.eigvals(end).real)
            moved[index] = np.linalg.norm(end - problem.start)
    angles = wp.analysis.update_angles(problem.setup(trainer.rules["dW1"]), trainer.rules, learning_rate=0.3)
    line = cases.wave(10, 1.0, 2.0, 0.7, 2.5 * np.sqrt(0.2))
    goal = wp.LinearRNN(problem.goal, np.eye(10), np.eye(10))
    data = {
        "ten_loss": (("ten_run", "ten_update"), loss), "ten_outcome": ("ten_run", outcome),
        "ten_last": ("ten_run", last), "ten_abscissa": ("ten_run", abscissa), "ten_moved": ("ten_run", moved),
        "ten_angle": (("rule", "other_rule"), angles.degrees), "ten_norm": ("rule", angles.norms),
        "ten_pole": ("ten_poles", wp.analysis.poles(goal, line)),
    }  # fmt: skip
    coords = {"ten_run": [f"{rule} {rate:g}" for rule, rate in runs], "ten_update": at, "rule": list(cases.RULES)}
    return xr.Dataset(data, {**coords, "other_rule": list(cases.RULES)})


def learning(network: str, units: int, samples: int, updates: int, every: int, progress: Any = None) -> Dataset:
    """One drawn network under every rule at every learning rate, with its angles along the exact rule."""
    import xarray as xr

    import weightpath as wp
    from weightpath._results import outcome_name

    problem, trainer = cases.drawn(network, units, samples), shared_trainer()
    steps = np.append(np.arange(0, updates, every), updates)
    shape = (len(cases.RULES), len(cases.RATES))
    loss, outcome, last = np.full((*shape, steps.size), np.nan), np.full(shape, "", dtype="<U24"), np.zeros(shape, int)
    ends = np.full((*shape, units), np.nan, dtype=complex)
    angle = np.full((len(ANGLE_RATES), len(ANGLES_AT), 2), np.nan)
    for i, rule in enumerate(cases.RULES):
        for j, rate in enumerate(cases.RATES):
            if progress is not None:
                progress(f"network {network}: {rule}", i * len(cases.RATES) + j, shape[0] * shape[1])
            run = trainer.run(problem, rule, rate, updates, every)
            kept = np.isin(steps, updates_of(run))
            loss[i, j, kept] = np.asarray(run.loss)[np.isin(updates_of(run), steps)]
            outcome[i, j] = outcome_name(run.result)
            last[i, j] = updates_of(run)[-1]
            ends[i, j] = np.linalg.eigvals(np.asarray(run.w_rec[-1]))
            if rule == "dW2" and rate in ANGLE_RATES:
                for k, at in enumerate(ANGLES_AT):
                    if at not in updates_of(run):
                        continue
                    here = run.setup.with_network(run.network(int(np.argmax(updates_of(run) == at))))
                    # The rates of the setup are learning rates.
                    found = wp.analysis.update_angles(here, trainer.rules)
                    angle[ANGLE_RATES.index(rate), k] = found.between("dW1", "dW2"), found.between("dW2", "dW3")
    start, run = np.linalg.eigvals(problem.start), ("rule", "rate")
    data = {
        "loss": ((*run, "update"), loss), "outcome": (run, outcome), "last_update": (run, last),
        "closed_form": (("rate", "update"), np.stack([problem.regression_loss(rate, steps) for rate in cases.RATES])),
        "end_re": ((*run, "eig"), np.real(ends)), "end_im": ((*run, "eig"), np.imag(ends)),
        "start_re": ("eig", start.real), "start_im": ("eig", start.imag),
        "angle": (("angle_rate", "angle_at", "pair"), angle), "goal_loss": problem.loss(problem.goal),
    }  # fmt: skip
    coords = {
        "rule": list(cases.RULES), "rate": list(cases.RATES), "update": steps, "angle_rate": list(ANGLE_RATES),
        "angle_at": list(ANGLES_AT), "pair": ["dW1, dW2", "dW2, dW3"], "eig": np.arange(1, units + 1),
    }  # fmt: skip
    return xr.Dataset(data, coords).expand_dims(network=[network])


def spaces(network: str, units: int) -> Dataset:
    """Few samples: ranks of each rule's path, and how far the change leaves the spaces of the first update."""
    import xarray as xr

    import weightpath as wp

    problem, trainer, rate = cases.drawn(network, units, FEW_SAMPLES), shared_trainer(), 1.0
    ranks, outside = np.zeros((len(cases.RULES), 3), int), np.zeros((len(cases.RULES), 2))
    for index, rule in enumerate(cases.RULES):
        run = trainer.run(problem, rule, rate, FEW_UPDATES, 1)
        path = np.asarray(run.w_rec)
        ranks[index] = wp.analysis.change_ranks(path).multilinear_rank
        outside[index] = outside_of(path[-1] - path[0], *predicted_spaces(problem, rule))
    data = {
        "unfolding_rank": (("rule", "unfolding"), ranks), "outside": (("rule", "space"), outside),
        "few_samples": FEW_SAMPLES, "few_updates": FEW_UPDATES,
    }  # fmt: skip
    coords = {"rule": list(cases.RULES), "unfolding": ["update", "post", "pre"], "space": ["column", "row"]}
    return xr.Dataset(data, coords)


def predicted_spaces(problem: cases.Problem, rule: str) -> tuple[np.ndarray, np.ndarray]:
    r"""Spans (unit, sample) of columns and rows of a first update: $A^\top E, A X$ (dW1); $M E, M^\top X$ (others)."""
    m = np.eye(problem.start.shape[0]) - problem.start
    rates = np.linalg.solve(m, problem.inputs)
    error = rates - problem.targets
    return (np.linalg.solve(m.T, error), rates) if rule == "dW1" else (m @ error, m.T @ problem.inputs)


def outside_of(change: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Shares of a change's norm outside a span of columns and outside a span of rows."""
    left, right = (np.linalg.qr(span)[0] for span in (columns, rows))
    size = np.linalg.norm(change)
    post, pre = change - left @ (left.T @ change), change - (change @ right) @ right.T
    return float(np.linalg.norm(post) / size), float(np.linalg.norm(pre) / size)
