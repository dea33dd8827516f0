"""What to do when a fit meets a number that is not finite: go back, and name what broke first."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float, PyTree
from weightpath.inference.drive import factors
from weightpath.inference.objective import objective, predict
from weightpath.inference.optimise import State, is_finite
from weightpath.inference.parameters import Parameters
from weightpath.inference.program import Layout, Problem


def last_finite(rows: np.ndarray, replay: Callable[[int], State]) -> tuple[State, State, int]:
    """Replay a chunk that ended badly: the last state with a finite loss, the next one, and the iterations between.

    `rows` (iteration, 2) are the losses that the chunk reported; `replay` gives the state some iterations into it.
    """
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    first = int(bad[0]) if len(bad) else len(rows)
    good = max(first - 1, 0)
    return replay(good), replay(first), good


@partial(jax.jit, static_argnames="layout")
def _loss_and_gradient(
    parameters: Parameters, problem: Problem, prior: Float[Array, ""], layout: Layout
) -> tuple[tuple[Float[Array, ""], Float[Array, ""]], PyTree]:
    return jax.value_and_grad(objective, has_aux=True)(parameters, problem, prior, layout)


def first_nonfinite(state: State, problem: Problem, layout: Layout) -> str:
    """Name of the first tensor that is not finite, in the order in which the loss is worked out."""
    parameters = state.parameters
    for path, leaf in jax.tree_util.tree_leaves_with_path(parameters):
        if not is_finite(leaf):
            return f"parameter {path[0].name}"
    if not is_finite(factors(parameters, problem.trials)):
        return "trial factors"
    bins = jnp.zeros(problem.data.shape[0], problem.data.dtype)
    states, prediction = predict(parameters, problem.trials, problem.size, bins, layout)
    for name, array in (("states", states), ("prediction", prediction)):
        if not is_finite(array):
            return name
    (loss, _), gradient = _loss_and_gradient(parameters, problem, state.prior, layout)
    if not is_finite(loss):
        return "loss"
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        if not is_finite(leaf):
            return f"gradient of {path[0].name}"
    return "a moment of the optimiser"
