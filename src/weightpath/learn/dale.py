"""Dale's law while learning: an optimiser whose steps leave the sign of every column of the weights as it is."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from weightpath._tracing import is_traced
from weightpath._types import Array, ArrayLike, Int, PyTree
from weightpath.learn.optimiser import check_optimiser
from weightpath.networks.checks import as_float

#: The weights whose columns have signs.
WEIGHTS = "w_rec"


class SignState(NamedTuple):
    """What `keep_signs` carries from step to step."""

    inner: PyTree
    """State of the optimiser inside."""
    clipped: Int[Array, ""]
    """Weights that the last step set to zero, which without the constraint would have changed sign."""


def keep_signs(optimiser: optax.GradientTransformation, signs: ArrayLike) -> optax.GradientTransformation:
    r"""`optimiser`, with every step projected so that the columns of `w_rec` keep their `signs` (Dale's law).

    A step $W \to W + \Delta$ is replaced by the nearest one (in each entry, hence in the Frobenius norm) that obeys the
    law: where $s_j (W_{ij} + \Delta_{ij}) < 0$ the weight becomes zero; everything else is as `optimiser` says, and no
    step is touched at all while no weight would cross zero. `signs` (pre,): +1 for excitatory columns, -1 for
    inhibitory ones, 0 for columns that are free; those of a network are `networks.excitatory_inhibitory.dale_signs` or
    `column_signs`. Weights at zero may grow again. A shortened step (guards, `max_rel_step`) keeps the signs too, since
    it lies between the weights and the projected ones.

    For gradient rules this is projected gradient descent: with the rule's metric replaced by a projection in the plain
    one, a step of a Riemannian rule (dW3) need not descend where weights lie on the constraint, although its free part
    does. The exact rules (`wp.Reparameterised(exact=True)`) map a step of another parameter back to weights, and that
    map knows no signs: projecting its result is no step of the parameter, so that the exactness it is chosen for is
    lost. The optimiser therefore counts as one with memory (`SignState.clipped`), and `wp.train` refuses it for exact
    rules and gives time in steps unless `learning_rate` is passed.

    **Raises:** ValueError when `optimiser` is none, or `signs` no vector of +1, -1 and 0; at the first step, when the
    weights have another number of columns or begin with a sign that is not theirs.
    Source: projection as in `optax.keep_params_nonnegative`; Dale's law in trained networks: Song, Yang and Wang (PLoS
    Comput Biol 2016).
    """
    check_optimiser(optimiser)
    wanted = as_float(signs)
    if wanted.ndim != 1 or not np.all(np.isin(np.asarray(wanted), (-1.0, 0.0, 1.0))):
        raise ValueError(
            "signs must be (pre,): +1 for an excitatory column of w_rec, -1 for an inhibitory one, 0 for a free one; "
            f"got {np.asarray(wanted)}."
        )
    inner = optax.with_extra_args_support(optimiser)

    def init(params: PyTree) -> SignState:
        jax.tree_util.tree_map_with_path(lambda path, weight: _check(path, weight, wanted), params)
        return SignState(inner.init(params), jnp.asarray(0))

    def update(updates: PyTree, state: SignState, params: PyTree | None = None, **extra) -> tuple[PyTree, SignState]:
        if params is None:
            raise ValueError("keep_signs projects weights, not changes: call update(updates, state, weights).")
        steps, memory = inner.update(updates, state.inner, params, **extra)
        crossing = jax.tree_util.tree_map_with_path(
            lambda path, w, step: _crosses(path, w, step, wanted), params, steps
        )
        kept = jax.tree.map(lambda w, step, over: jnp.where(over, -w, step), params, steps, crossing)
        count = sum((jnp.sum(over) for over in jax.tree.leaves(crossing)), jnp.asarray(0))
        return kept, SignState(memory, count)

    return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore[reportArgumentType]


def _signed(path) -> bool:
    return bool(path) and getattr(path[-1], "name", getattr(path[-1], "key", None)) == WEIGHTS


def _crosses(path, weight: Array, step: Array, signs: Array) -> Array:
    """Where a step would take a weight across zero; nowhere in weights without signs."""
    if not _signed(path):
        return jnp.zeros((), bool)
    return signs * (weight + step) < 0


def _check(path, weight: Array, signs: Array) -> None:
    """Refuse weights that do not fit the signs.

    **Raises:** ValueError.
    """
    if not _signed(path):
        return
    if weight.ndim < 1 or weight.shape[-1] != signs.shape[0]:
        raise ValueError(f"signs are {signs.shape[0]} numbers, one for each column of w_rec; w_rec is {weight.shape}.")
    if is_traced(weight):
        return
    wrong = np.asarray(signs) * np.asarray(weight) < 0
    if wrong.any():
        columns = np.flatnonzero(wrong.reshape(-1, wrong.shape[-1]).any(axis=0))
        raise ValueError(
            f"{int(wrong.sum())} weights of w_rec have another sign than their column should have (columns "
            f"{', '.join(map(str, columns[:5]))}{', ...' if columns.size > 5 else ''}); start from a network under "
            "Dale's law (networks.excitatory_inhibitory.balanced) or set those weights to zero."
        )
