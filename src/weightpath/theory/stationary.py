"""Where a reduced dynamics rests, whether it stays there, and how fast it gets there."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._types import Array, Bool, Complex, Float
from weightpath.setup import Setup
from weightpath.theory.base import AbstractReducedDynamics, Values


class StationaryPoints(eqx.Module):
    """Where a search for zeros of the vector field ended, one for each start; `found` says which are zeros."""

    coords: Float[Array, "seed coord"]
    residual: Float[Array, " seed"]
    """Largest absolute component of the vector field there."""
    found: Bool[Array, " seed"]


class Stability(eqx.Module):
    """Linear stability of a stationary point within the coordinates that move."""

    eigenvalues: Complex[Array, " k"]
    """Eigenvalues of the Jacobian, growing rates first, in units of the inverse learning time."""
    stable: Bool[Array, ""]
    """Every eigenvalue has a negative real part."""


def jacobian(theory: AbstractReducedDynamics, setup: Setup, coords: Values) -> Float[Array, "coord coord"]:
    """Derivative of the vector field with respect to the coordinates at `coords` (coord,); row i is d(field_i)."""
    return _jacobian(theory, theory.reduced(setup), jnp.asarray(coords, dtype=float))


def stability(theory: AbstractReducedDynamics, setup: Setup, coords: Values) -> Stability:
    """Eigenvalues of the Jacobian at a stationary point `coords` (coord,), in the coordinates that move."""
    moving = np.asarray(theory.moving(setup))
    matrix = np.asarray(jacobian(theory, setup, coords))[np.ix_(moving, moving)]
    eigenvalues = np.linalg.eigvals(matrix).astype(complex)
    eigenvalues = eigenvalues[np.argsort(-np.real(eigenvalues))]
    return Stability(jnp.asarray(eigenvalues), jnp.asarray(bool(np.all(np.real(eigenvalues) < 0))))


def rates(theory: AbstractReducedDynamics, setup: Setup, coords: Values) -> Float[Array, " k"]:
    """Rates at which deviations from a stationary point die out, slowest first; negative ones grow."""
    return -stability(theory, setup, coords).eigenvalues.real


def stationary_points(
    theory: AbstractReducedDynamics, setup: Setup, starts: Values, *, tolerance: float = 1e-10
) -> StationaryPoints:
    """Zeros of the vector field, searched for by Levenberg-Marquardt from each row of `starts` (seed, coord).

    Coordinates that `setup.train` freezes keep their starting values.
    """
    require_x64("theory.stationary_points")
    starts = jnp.atleast_2d(jnp.asarray(starts, dtype=float))
    return _stationary_points(theory, theory.reduced(setup), starts, jnp.asarray(tolerance), theory.moving(setup))


@eqx.filter_jit
def _jacobian(theory, setup, coords):
    return jax.jacfwd(lambda y: theory.vector_field(jnp.zeros(()), y, setup))(coords)


@eqx.filter_jit
def _stationary_points(theory, setup, starts, tolerance, moving: tuple[int, ...]) -> StationaryPoints:
    import optimistix as optx

    index = np.asarray(moving)

    def search(start):
        def residual(part, _):
            return theory.vector_field(jnp.zeros(()), start.at[index].set(part), setup)[index]

        solver = optx.LevenbergMarquardt(rtol=1e-14, atol=1e-15)
        found = optx.least_squares(residual, solver, start[index], max_steps=2000, throw=False)
        left = residual(found.value, None)
        # The field can also fade towards infinity; at a zero it is small beside what its own slopes make of the point.
        slopes = jnp.abs(jax.jacfwd(residual)(found.value, None))
        near = jnp.all(jnp.abs(left) <= 1e-6 * (slopes @ (1 + jnp.abs(found.value))))
        return start.at[index].set(found.value), jnp.max(jnp.abs(left)), near

    coords, sizes, near = jax.vmap(search)(starts)
    return StationaryPoints(coords, sizes, near & (sizes < tolerance))
