"""What an iteration draws at random: the trials it works out, those it leaves out, and noise."""

import jax
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.inference.parameters import Parameters
from weightpath.inference.program import Layout, Problem


def draw(
    key: Array, iteration: Array, parameters: Parameters, problem: Problem, layout: Layout
) -> tuple[Problem, Float[Array, "time rank trial"] | None]:
    """The problem of one iteration and its noise; the same for the same key and iteration, wherever a fit resumes."""
    batch_key, dropout_key, noise_key = jax.random.split(jax.random.fold_in(key, iteration), 3)
    trials = problem.data.shape[2]
    if layout.batch is not None:
        chosen = jax.random.permutation(batch_key, trials)[: layout.batch]
        problem = _of_trials(problem, chosen)
        trials = layout.batch
    if problem.dropout is not None:
        kept = jax.random.bernoulli(dropout_key, 1 - problem.dropout, (trials,))
        problem = _with(problem, mask=problem.mask & kept, entries=problem.entries * kept)
    if problem.noise is None:
        return problem, None
    post = parameters.post / jnp.linalg.norm(parameters.post, axis=0, keepdims=True)
    # Noise of equal size in orthonormal directions of the span, in the coordinates of directions that are not.
    root = jnp.linalg.cholesky(jax.lax.stop_gradient(post.T @ post))
    shape = (problem.data.shape[0], post.shape[1], trials)
    white = problem.noise * jax.random.normal(noise_key, shape, problem.data.dtype)
    spread = jax.scipy.linalg.solve_triangular(root.T, jnp.eye(len(root), dtype=root.dtype), lower=False)
    return problem, jnp.einsum("rs,tsk->trk", spread, white)


def _of_trials(problem: Problem, chosen: Array) -> Problem:
    """The problem of some of the training trials; trials are the last axis everywhere."""
    pick = lambda one: jnp.take(one, chosen, axis=-1)  # noqa: E731
    changes = {name: pick(getattr(problem, name)) for name in ("data", "mask", "entries")}
    return _with(problem, trials=jax.tree.map(pick, problem.trials), **changes)


def _with(problem: Problem, **changes) -> Problem:
    return Problem(**({name: getattr(problem, name) for name in problem.__dataclass_fields__} | changes))
