"""Linear networks that learn from a teacher by four rules: exact updates, all seeds and rules in one program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

RULES = ("BPTT", "tBPTT(1)", "RFLO", "e-prop")
#: Those with random feedback.
FEEDBACK = ("RFLO", "e-prop")
TRACE_DECAY = 0.5


@dataclass(frozen=True)
class Runs:
    """Students, teachers and how they learn: `rate` x `steps` of the mean update, kept every `every` steps.

    A run whose loss falls below `stop` times its first stands still from then on.
    """

    students: Any
    teachers: Any
    feedback: np.ndarray
    horizon: int
    rate: float
    steps: int
    every: int
    stop: float = 0.0


def alignment_runs(seeds: range) -> Runs:
    """Networks that are not aligned with a teacher of four modes: 20 units, four inputs and four outputs."""
    import weightpath as wp

    units, modes = 20, 4
    kappa, poles = np.array([1.4, 1.1, 0.8, 0.5]), np.array([0.8, 0.6, 0.4, 0.2])
    students, teachers, feedback = [], [], []
    for seed in seeds:
        random = np.random.default_rng([seed, 6])
        left, right = (np.linalg.qr(random.standard_normal((modes, modes)))[0] for _ in range(2))
        teachers.append(wp.LinearRNN(np.diag(poles), right.T, left * kappa))
        students.append(wp.LinearRNN(*(0.05 * random.standard_normal(s) for s in _shapes(units, modes, modes))))
        feedback.append(random.standard_normal((modes, units)) / np.sqrt(units))
    return Runs(_stacked(students), _stacked(teachers), np.stack(feedback), 40, 0.02, 2500, 10)


def rank_runs(seeds: range) -> Runs:
    """Networks of eight units with four inputs and one output, whose teacher has four poles."""
    import weightpath as wp

    units, poles = 8, np.array([0.7, 0.35, -0.3, -0.65])
    teacher = wp.LinearRNN(np.diag(poles), np.eye(4), np.array([[1, 0.8, 0.8, 0.7]]))
    students, feedback = [], []
    for seed in seeds:
        random = np.random.default_rng([seed, 7])
        students.append(wp.LinearRNN(*(0.1 * random.standard_normal(shape) for shape in _shapes(units, 4, 1))))
        feedback.append(random.standard_normal((1, units)) / np.sqrt(units))
    return Runs(_stacked(students), _stacked([teacher] * len(seeds)), np.stack(feedback), 20, 0.05, 8000, 160, 1e-3)


def learned(runs: Runs) -> tuple[Any, np.ndarray]:
    """Networks (rule, seed, step, ...) and losses (rule, seed, step) of all runs, the start first."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import weightpath as wp
    from weightpath.rules.credit import Credit
    from weightpath.rules.teacher import teacher_loss, teacher_velocity
    from weightpath.tasks.teacher import TeacherTarget

    class Chosen(eqx.Module):
        """One of the rules, picked by number, so that runs of different rules share a program."""

        number: Any
        feedback: Any

        def credit(self, network):
            rules = (wp.BPTT(), wp.TruncatedBPTT(1), wp.RFLO(self.feedback, TRACE_DECAY), wp.EProp(self.feedback))
            credits = [rule.credit(network) for rule in rules]
            units = network.w_rec.shape[0]
            dense = jnp.stack([_dense(credit, units) for credit in credits])
            return Credit(dense[self.number], jnp.stack([credit.source for credit in credits])[self.number])

    def run(number, student, teacher, feedback, stop):
        rule, target = Chosen(number, feedback), TeacherTarget(teacher, runs.horizon)
        first = teacher_loss(student, target)

        def step(_, network):
            velocity, info = teacher_velocity(rule, network, target)
            rate = jnp.where(info.loss < stop * first, 0.0, runs.rate)
            return jax.tree.map(lambda weight, change: weight + rate * change, network, velocity)

        def record(network, _):
            after = jax.lax.fori_loop(0, runs.every, step, network)
            return after, (after, teacher_loss(after, target))

        _, (networks, losses) = jax.lax.scan(record, student, length=runs.steps // runs.every)
        whole = jax.tree.map(lambda start, path: jnp.concatenate([start[None], path]), student, networks)
        return whole, jnp.concatenate([first[None], losses])

    of_seeds = jax.vmap(run, in_axes=(None, 0, 0, 0, None))
    of_all = jax.jit(jax.vmap(of_seeds, in_axes=(0, None, None, None, None)))
    given = (runs.students, runs.teachers, jnp.asarray(runs.feedback), jnp.asarray(runs.stop))
    networks, losses = of_all(jnp.arange(len(RULES)), *given)
    return networks, np.asarray(losses)


def _dense(credit: Any, units: int) -> Any:
    """The carry as a matrix; a rule that keeps one term carries nothing."""
    import jax.numpy as jnp

    if credit.terms == 1:
        return jnp.zeros((units, units))
    return credit.carry if credit.carry.ndim == 2 else credit.carry * jnp.eye(units)


def _shapes(units: int, inputs: int, outputs: int) -> tuple[tuple[int, int], ...]:
    return (units, units), (units, inputs), (outputs, units)


def _stacked(networks: list[Any]) -> Any:
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
