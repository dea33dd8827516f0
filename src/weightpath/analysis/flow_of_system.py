"""A network or a JAX function as a flow that Newton's method and continuation, written in NumPy, can work with."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from weightpath._types import Array, Float
from weightpath.analysis.fixed_system import FixedSystem

#: Numbers of points that are evaluated by one program each; fewer points are filled up.
SIZES = (1, 8, 64)


class OfParameter(eqx.Module):
    """A function of the state and a parameter, with the parameter as the only channel of an input."""

    function: Any

    def __call__(self, state: Float[Array, " unit"], input: Float[Array, " in"]) -> Float[Array, " unit"]:
        """The function at the state and the parameter."""
        return self.function(state, input[0])


class Programs:
    """The compiled programs of one kind of system; its arrays are handed in, so that all of a family share them."""

    def __init__(self, system: FixedSystem):
        fixed = eqx.partition(system, eqx.is_inexact_array)[1]

        def whole(leaves):
            return eqx.combine(
                jax.tree.unflatten(jax.tree.structure(eqx.filter(system, eqx.is_inexact_array)), leaves), fixed
            )

        self.values = jax.jit(
            lambda leaves, input, states: jax.vmap(lambda x: whole(leaves).residual(x, input))(states)
        )
        self.slopes = jax.jit(
            lambda leaves, input, states: jax.vmap(lambda x: whole(leaves).jacobian(x, input))(states)
        )


class SystemFlow:
    """The vector h of a `FixedSystem` under one input; on the way to another all arrays and the input move straight."""

    def __init__(self, leaves: list[np.ndarray], input: Float[np.ndarray, " in"], discrete: bool, programs: Programs):
        self.leaves, self.input, self.discrete, self.programs = leaves, input, discrete, programs

    def __call__(self, points: Float[np.ndarray, "... coord"]) -> Float[np.ndarray, "... coord"]:
        """The vector h at each of `points`."""
        return self._each(self.programs.values, points, ())

    def jacobian(self, points: Float[np.ndarray, "... coord"]) -> Float[np.ndarray, "... coord coord"]:
        """Derivatives of h by the state at each of `points`."""
        return self._each(self.programs.slopes, points, (np.shape(points)[-1],))

    def toward(self, other: "SystemFlow", share: float) -> "SystemFlow":
        """The system at a `share` of the straight way to `other`, of the same kind and shape."""
        leaves = [(1 - share) * one + share * two for one, two in zip(self.leaves, other.leaves, strict=True)]
        return SystemFlow(leaves, (1 - share) * self.input + share * other.input, self.discrete, self.programs)

    def _each(self, program, points, extra: tuple[int, ...]) -> np.ndarray:
        flat = np.asarray(points, dtype=float).reshape(-1, np.shape(points)[-1])
        found, first = np.zeros((*flat.shape, *extra)), 0
        while first < len(flat):
            size = next((one for one in SIZES if one >= len(flat) - first), SIZES[-1])
            pick = np.minimum(np.arange(first, first + size), len(flat) - 1)
            found[first : first + size] = np.asarray(program(self.leaves, self.input, flat[pick]))[: len(flat) - first]
            first += size
        return found.reshape(*np.shape(points), *extra)


def system_flow(system: FixedSystem, input: Float[np.ndarray, " in"], programs: Programs | None = None) -> SystemFlow:
    """The flow of a system; `programs` of another system of the same kind spare compiling."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(system, eqx.is_inexact_array))]
    return SystemFlow(leaves, input, system.discrete, Programs(system) if programs is None else programs)
