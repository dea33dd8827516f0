"""Factors padded to a larger rank by terms that are zero and stay zero, so that fits of several ranks share a program.

A padded term has a_r = b_r = 0, c_r = 0, no input and no initial state. Then z_r = 0; the adjoint of z_r is a_r^T(...)
= 0; and every gradient of the term has one of these zeros as a factor, also those of the prior, of the penalties and of
the input networks, so that Adam leaves it where it is. The other terms follow the equations of the fit of their own
rank. Only means over the terms see the padding; `padded_problem` makes up for it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath.inference.optimise import State
from weightpath.inference.parameters import Parameters
from weightpath.inference.program import Problem

#: First axis along the rank of each trained array, of those that have one; of a core it is the first of two.
_AXIS = {
    "post": 1, "pre": 1, "level": 0, "deviation": 0, "start": 0, "inputs": 1, "known": 0, "own_start": 0,
    "own_inputs": 1, "own_post": 1, "own_pre": 1,
}  # fmt: skip


def resized(parameters: Parameters, rank: int, *, core: bool) -> Parameters:
    """The parameters with terms of zero added up to `rank`, or with the terms from `rank` on taken away."""
    names = [name for name in _AXIS if getattr(parameters, name) is not None]
    changed = []
    for name in names:
        one = _along(getattr(parameters, name), _AXIS[name], rank)
        changed.append(_along(one, 1, rank) if core and name in ("level", "deviation") else one)
    if parameters.ode is not None:
        names, changed = [*names, "ode"], [*changed, _resized_networks(parameters.ode, rank)]
    return eqx.tree_at(lambda tree: [getattr(tree, name) for name in names], parameters, changed)


def resized_state(state: State, rank: int, *, core: bool) -> State:
    """`resized`, of the parameters and of the moments of the optimiser."""
    like = lambda one: isinstance(one, Parameters)  # noqa: E731
    return jax.tree.map(lambda one: resized(one, rank, core=core) if like(one) else one, state, is_leaf=like)


def padded_problem(problem: Problem, rank: int, padded: int) -> Problem:
    """The problem of a fit of `rank` terms for `padded` ones: the penalty of inputs is a mean over terms."""
    return eqx.tree_at(lambda one: one.input_penalty, problem, problem.input_penalty * (padded / rank))


def _resized_networks(networks, rank: int):
    read, gain = (_along(one, 0, rank) for one in (networks.read, networks.gain))
    return eqx.tree_at(lambda one: (one.read, one.gain), networks, (read, gain))


def _along(array: jax.Array, axis: int, size: int) -> jax.Array:
    more = size - array.shape[axis]
    if more == 0:
        return array
    if more < 0:
        return jax.lax.slice_in_dim(array, 0, size, axis=axis)
    return jnp.pad(array, [(0, more if place == axis else 0) for place in range(array.ndim)])
