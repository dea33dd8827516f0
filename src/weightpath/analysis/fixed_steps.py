r"""One step of a search towards a root or a local minimum of $q = \frac12|h|^2$, in all lanes at once.

Levenberg-Marquardt, $\delta = -(J^\top J + \lambda)^{-1} J^\top h$ with $\lambda = \mu |h|$: such a damping vanishes at
a root, for quadratic convergence, and at a minimum where h is not zero it has the scale of the curvature that the
bending of h adds to q. The linear equations are solved by a Cholesky factorisation, of order N^3, or by conjugate
gradients, which need products with J and its transpose alone, of order N^2 each: the weights are then multiplied with
all lanes together.

Which is faster depends on how many products the conjugate gradients need, and so on the spread of the singular values
of J. Processor time in s of a search, with and without the Jacobian (`benchmarks/finder.py`) [measured]: three blocks,
512 starts, 48 units .11, .04; 99 units .61, .10; 129 units 1.2, .14. Chaotic networks of gain 2, whose q has valleys
almost everywhere, 64 starts, 48 units .21, .18; 99 units 1.2, 1.2; 129 units 2.8, 2.3. Newton's steps by GMRES took two
to three times as long as the conjugate gradients.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from weightpath._types import Array, Bool, Float, Int
from weightpath.analysis.fixed_system import FixedSystem

#: At q up to this a state counts as a fixed point; its speed is then below 1.5e-10.
FIXED = 1e-20
#: A minimum of q has a gradient below this, entry by entry.
FLAT = 1e-8
#: Iterations keep going below `FIXED` until q is this small for each unit, or does not fall any more.
ROUNDING = 1e-29
#: A search ends at a minimum when q falls by less than this share over a step.
SETTLED = 1e-7
#: The damping of the first step, over |h|.
DAMPING = 0.01
#: Conjugate gradients at most in a step; the next step starts from where they came to.
PRODUCTS = 200


class Lanes(NamedTuple):
    """The searches in progress, one a lane."""

    state: Float[Array, "lane unit"]
    input: Float[Array, "lane in"]
    q: Float[Array, " lane"]
    damping: Float[Array, " lane"]
    """Of Levenberg-Marquardt, over |h|; of Newton, the share of a step that is tried."""
    done: Bool[Array, " lane"]
    count: Int[Array, " lane"]


def energy(residual: Float[Array, "lane unit"]) -> Float[Array, " lane"]:
    """The value of q."""
    return 0.5 * jnp.sum(residual**2, axis=-1)


def first_damping(method: str) -> float:
    """What a search begins with."""
    return 1.0 if method == "newton" else DAMPING


def _levenberg_marquardt(system: FixedSystem, now: Lanes) -> Lanes:
    """The damped step from the Jacobian, by a Cholesky factorisation."""
    residual = jax.vmap(system.residual)(now.state, now.input)
    jacobian = jax.vmap(system.jacobian)(now.state, now.input)
    gradient = jnp.einsum("lij,li->lj", jacobian, residual)
    normal = jnp.einsum("lij,lik->ljk", jacobian, jacobian)
    added = now.damping * jnp.sqrt(2 * now.q) + 1e-30
    factor = jnp.linalg.cholesky(normal + added[:, None, None] * jnp.eye(gradient.shape[1]))
    half = jax.lax.linalg.triangular_solve(factor, -gradient[..., None], left_side=True, lower=True)
    step = jax.lax.linalg.triangular_solve(factor, half, left_side=True, lower=True, transpose_a=True)[..., 0]
    promised = 0.5 * jnp.sum(step * (added[:, None] * step - gradient), axis=-1)
    return _damped(system, now, step, gradient, promised)


def _matrix_free(system: FixedSystem, now: Lanes) -> Lanes:
    r"""The damped step by conjugate gradients, as exact as it has to be: to a share of min(.1, sqrt|h|) of $J^\top h$.

    The share vanishes at a root, so that convergence stays faster than linear.
    """

    def one(state, input, q, damping, done):
        residual, ahead = jax.linearize(lambda x: system.residual(x, input), state)
        back = jax.linear_transpose(ahead, state)
        gradient = back(residual)[0]
        added, share = damping * jnp.sqrt(2 * q) + 1e-30, jnp.minimum(0.1, (2 * q) ** 0.25)
        step, _ = jax.scipy.sparse.linalg.cg(
            lambda v: back(ahead(v))[0] + added * v,
            jnp.where(done, 0.0, -gradient),  # the iteration goes on until the last lane is satisfied
            tol=share,  # pyright: ignore[reportArgumentType]  (a traced number)
            maxiter=PRODUCTS,
        )
        return step, gradient, -(gradient @ step) - 0.5 * jnp.sum(ahead(step) ** 2)

    return _damped(system, now, *jax.vmap(one)(now.state, now.input, now.q, now.damping, now.done))


def _damped(system: FixedSystem, now: Lanes, step: Array, gradient: Array, promised: Array) -> Lanes:
    """The step where it lowers q, and the damping after it, by how much of what was promised came true."""
    trial = now.state + step
    q = energy(jax.vmap(system.residual)(trial, now.input))
    ratio = (now.q - q) / jnp.maximum(promised, 1e-300)
    taken = (q < now.q) & jnp.all(jnp.isfinite(step), axis=-1)
    damping = jnp.where(taken & (ratio > 0.75), now.damping / 4, jnp.where(ratio > 0.25, now.damping, now.damping * 4))
    damping = jnp.maximum(jnp.where(taken, damping, now.damping * 4), 1e-9)
    return _ended(now, trial, q, taken, damping, gradient, damping > 1e12)


def _newton(system: FixedSystem, now: Lanes) -> Lanes:
    """Newton's step, halved until q falls; it ends where it cannot be made any shorter."""
    residual = jax.vmap(system.residual)(now.state, now.input)
    jacobian = jax.vmap(system.jacobian)(now.state, now.input)
    gradient = jnp.einsum("lij,li->lj", jacobian, residual)
    step = -now.damping[:, None] * jnp.linalg.solve(jacobian, residual[..., None])[..., 0]
    trial = now.state + step
    q = energy(jax.vmap(system.residual)(trial, now.input))
    taken = (q < now.q) & jnp.all(jnp.isfinite(step), axis=-1)
    share = jnp.where(taken, jnp.minimum(2 * now.damping, 1.0), now.damping / 2)
    return _ended(now, trial, q, taken, share, gradient, share < 2.0**-20)


def _ended(now: Lanes, trial, q, taken, damping, gradient, stuck) -> Lanes:
    """Which lanes are at their ends: at a root to rounding, or at a minimum that q has settled at."""
    fall = jnp.where(taken, (now.q - q) / now.q, 0.0)
    state, q = jnp.where(taken[:, None], trial, now.state), jnp.where(taken, q, now.q)
    root = (q <= ROUNDING * state.shape[1]) | ((q <= FIXED) & ~taken)
    minimum = (jnp.max(jnp.abs(gradient), axis=-1) <= FLAT) & (fall < SETTLED) & (q > FIXED)
    return now._replace(state=state, q=q, damping=damping, done=root | minimum | stuck)


#: By method, and whether it goes without the Jacobian.
STEPS = {
    ("levenberg-marquardt", False): _levenberg_marquardt,
    ("levenberg-marquardt", True): _matrix_free,
    ("newton", False): _newton,
}
