"""Networks of tanh units that learn from sampled trials: how low-dimensional the change of their weights stays."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

UNITS, INPUTS, OUTPUTS, HORIZON, TRIALS, STEPS = 30, 3, 2, 20, 16, 400
RATE, LEAK = 0.05, 0.5
RULES = ("BPTT", "tBPTT(1)", "RFLO", "e-prop", "RFLO, no slope in the trace")
#: Outputs that are taught; the read-out, the feedback and the targets of the others are zero and stay so.
TAUGHT = (1, 2)
#: Gain of the first recurrent weights and size of the read-in: units nearly linear, as usual, and driven far.
SIZES = {"small": (0.1, 0.3), "usual": (1.0, 1.0), "strong": (1.0, 2.0)}


def problems(seeds: range, sizes: tuple[str, ...]) -> tuple[Any, Any, np.ndarray]:
    """Students, teachers and feedback, (size, taught, seed, ...): normal weights, teachers of ten tanh units."""
    import jax
    import jax.numpy as jnp

    import weightpath as wp

    students, teachers, feedback = [], [], []
    for (gain, scale), taught, seed in product((SIZES[size] for size in sizes), TAUGHT, seeds):
        random = np.random.default_rng([seed, 11])
        seen = (np.arange(OUTPUTS) < taught)[:, None]

        def network(units, random=random, seen=seen, gain=gain, scale=scale):
            return wp.RateRNN(
                gain * random.standard_normal((units, units)) / np.sqrt(units),
                scale * random.standard_normal((units, INPUTS)) / np.sqrt(INPUTS),
                seen * random.standard_normal((OUTPUTS, units)) / np.sqrt(units),
                leak=LEAK,
            )

        students.append(network(UNITS))
        teachers.append(network(10))
        feedback.append(seen * random.standard_normal((OUTPUTS, UNITS)) / np.sqrt(UNITS))

    def stacked(parts):
        whole = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)
        shape = (len(sizes), len(TAUGHT), len(seeds))
        return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), whole)

    return stacked(students), stacked(teachers), np.asarray(stacked(feedback))


def changes(seeds: range, sizes: tuple[str, ...] = tuple(SIZES)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Change of the recurrent weights (rule, size, taught, seed, post, pre), last over first loss, and the feedback."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import weightpath as wp

    students, teachers, feedback = problems(seeds, sizes)
    kinds = (
        lambda feedback: wp.BPTT(),
        lambda feedback: wp.TruncatedBPTT(1),
        lambda feedback: wp.RFLO(feedback, 1 - LEAK),
        lambda feedback: wp.EProp(feedback),
        lambda feedback: wp.RFLO(feedback, 1 - LEAK, trace_derivative=False),
    )

    @eqx.filter_jit
    def learn(kind, students, teachers, feedback):
        def run(student, teacher, feedback, seed):
            rule = kind(feedback)
            task = wp.TeacherRNN(teacher, HORIZON, "sequence", TRIALS)
            key = jax.random.fold_in(jax.random.key(11), seed)

            def step(network, index):
                batch = task.sample(key, index)
                velocity, _, info = rule.update(network, batch, rule.init(network, batch, None))
                return jax.tree.map(lambda weight, change: weight + RATE * change, network, velocity), info.loss

            last, losses = jax.lax.scan(step, student, jnp.arange(STEPS))
            return last.w_rec - student.w_rec, jnp.mean(losses[-40:]) / jnp.mean(losses[:10])

        of_seeds = jax.vmap(run)
        of_all = jax.vmap(jax.vmap(of_seeds, in_axes=(0, 0, 0, None)), in_axes=(0, 0, 0, None))
        return of_all(students, teachers, feedback, jnp.asarray(seeds))

    found = [learn(kind, students, teachers, jnp.asarray(feedback)) for kind in kinds]
    change, share = (np.stack([np.asarray(part) for part in parts]) for parts in zip(*found, strict=True))
    return change, share, feedback


def energies(change: np.ndarray, feedback: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energy in the largest o singular values, energy inside range(R^T), numerical rank: (rule, size, taught, seed)."""
    values = np.linalg.svd(change, compute_uv=False)
    energy = values**2 / np.sum(values**2, axis=-1, keepdims=True)
    shape = change.shape[:4]
    top, inside = np.empty(shape), np.empty(shape)
    for index in np.ndindex(*shape):
        taught = TAUGHT[index[2]]
        top[index] = energy[index][:taught].sum()
        basis = np.linalg.qr(feedback[index[1:]][:taught].T)[0]
        inside[index] = np.sum((basis.T @ change[index]) ** 2) / np.sum(change[index] ** 2)
    return top, inside, np.sum(values > 1e-10 * values[..., :1], axis=-1)
