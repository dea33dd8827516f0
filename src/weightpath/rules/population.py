r"""Exact loss and gradient of linear networks that filter white noise, without sampling.

Network and target together are one linear system, the error system, of size n = N + k:
$A = \mathrm{diag}(G, F)$, $B = (U; b)$, $C = (V, -c)$, with $G = W - 1$ in continuous and $G = W$ in discrete time. Its
output is $y - y^*$, so that with its Gramians P and Q

$$L = \tfrac12\,\mathrm{tr}\, C P C^T, \quad \partial L/\partial A = Q P \ (\text{discrete: } Q A P), \quad
\partial L/\partial B = Q B, \quad \partial L/\partial C = C P,$$

of which the network's blocks are the gradients: $\partial L/\partial W = Q P - Y X^T$ in the notation of network
Gramians P, Q and cross terms X, -Y with the target. One doubling solve serves any rational target, also a defective F,
several inputs and several outputs.

Source: Bordelon et al. 2025 (arXiv 2503.18754) for the setting; the formulas are derived and tested here.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._linalg import TOLERANCE, bilinear, gramian_factor, gramians
from weightpath._results import RESULTS
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.tasks.filters import RationalTarget


class NoExactForm(ValueError):
    """The expectation over the noise has no closed form for this network and this target."""


class ErrorSystem(eqx.Module):
    """Network and target as one linear system whose output is the error $y - y^*$."""

    step: Float[Array, "n n"]
    drive: Float[Array, "n in"]
    output: Float[Array, "out n"]
    continuous: bool = eqx.field(static=True)


def error_system(network: AbstractNetwork, target) -> ErrorSystem:
    """The error system of a linear network and a rational target filter.

    **Raises:** NoExactForm (a ValueError) when the network is not linear, the target is not a filter, or one is in
    continuous and the other in discrete time.
    """
    if not isinstance(target, RationalTarget):
        raise NoExactForm("the task has no rational target filter")
    if not isinstance(network, (ContinuousLinearRNN, LinearRNN)):
        raise NoExactForm("the network is not linear")
    continuous = isinstance(network, ContinuousLinearRNN)
    if continuous and target.dt is not None:
        raise NoExactForm(
            f"the network runs in continuous time and the target is sampled (dt={target.dt}); leave dt out"
        )
    if not continuous and target.dt is None:
        raise NoExactForm("the network runs in discrete time and the target is continuous; give the task a dt")
    w_rec = network.w_rec - jnp.eye(network.w_rec.shape[0], dtype=network.w_rec.dtype) if continuous else network.w_rec
    return ErrorSystem(
        jax.scipy.linalg.block_diag(w_rec, target.transition),
        jnp.concatenate([network.w_in, target.drive]),
        jnp.concatenate([network.w_out, -target.output], axis=1),
        continuous,
    )


def population_loss(network: AbstractNetwork, target) -> Float[Array, ""]:
    r"""$L = \tfrac12 \langle |y - y^*|^2 \rangle$ in the stationary state; infinite for an unstable network.

    Computed from a factor of the Gramian, hence never negative and accurate to the square of the rounding error.
    Differentiable in every array, at every order.

    **Raises:** NoExactForm, see `error_system`.
    """
    system = error_system(network, target)
    return _loss(system.continuous, system.step, system.drive, system.output)


def population_velocity(network: AbstractNetwork, target) -> tuple[AbstractNetwork, RESULTS]:
    """Minus the gradient of `population_loss` in `w_rec`, `w_in` and `w_out`, and whether the network was stable.

    The velocity of an unstable network is NaN, together with the outcome `unstable`.

    **Raises:** NoExactForm, see `error_system`.
    """
    system = error_system(network, target)
    controlled, observed, remainder = _gramians(system)
    units = network.w_rec.shape[0]
    inner = observed[:units] if system.continuous else observed[:units] @ system.step
    gradient = (
        inner @ controlled[:, :units],
        observed[:units] @ system.drive,
        system.output @ controlled[:, :units],
    )
    result = outcome(network, remainder)
    stable = result == RESULTS.successful
    velocity = tuple(jnp.where(stable, -part, jnp.nan) for part in gradient)
    return eqx.tree_at(lambda net: (net.w_rec, net.w_in, net.w_out), network, velocity), result


def network_gramians(network: AbstractNetwork, target) -> tuple[Float[Array, "unit unit"], Float[Array, "unit unit"]]:
    r"""Controllability Gramian P (covariance of the states) and observability Gramian Q of the network alone.

    **Raises:** NoExactForm, see `error_system`.
    """
    controlled, observed, _ = _gramians(error_system(network, target))
    units = network.w_rec.shape[0]
    return controlled[:units, :units], observed[:units, :units]


def population_residual(network: AbstractNetwork, target) -> Float[Array, ""]:
    """Relative residual of both Gramians in their defining equations: the larger of the two."""
    system = error_system(network, target)
    controlled, observed, _ = _gramians(system)

    def residual(step, gramian, source):
        product = step @ gramian
        left = product + product.T if system.continuous else product @ step.T - gramian
        scale = jnp.linalg.norm(step) * jnp.linalg.norm(gramian) + jnp.linalg.norm(source)
        return jnp.linalg.norm(left + source) / scale

    return jnp.maximum(
        residual(system.step, controlled, system.drive @ system.drive.T),
        residual(system.step.T, observed, system.output.T @ system.output),
    )


def _discrete(continuous: bool, step: Array, drive: Array, output: Array) -> tuple[Array, Array, Array]:
    return bilinear(step, drive, output) if continuous else (step, drive, output)


def _gramians(system: ErrorSystem) -> tuple[Array, Array, Array]:
    return gramians(*_discrete(system.continuous, system.step, system.drive, system.output))


def outcome(network: AbstractNetwork, remainder: Array) -> RESULTS:
    """Whether the sums over all lags converged: `successful`, else `unstable`, else `nonfinite` weights."""
    finite = jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(network)]))
    stable = remainder <= TOLERANCE
    failed = RESULTS.where(finite, RESULTS.unstable, RESULTS.nonfinite)
    return RESULTS.where(stable & finite, RESULTS.successful, failed)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _loss(continuous: bool, step: Array, drive: Array, output: Array) -> Array:
    discrete, source, _ = _discrete(continuous, step, drive, output)
    factor, remainder = gramian_factor(discrete, source)
    return jnp.where(remainder <= TOLERANCE, 0.5 * jnp.sum((output @ factor) ** 2), jnp.inf)


@_loss.defjvp
def _loss_tangent(continuous, primals, tangents):
    step, drive, output = primals
    controlled, observed, _ = gramians(*_discrete(continuous, step, drive, output))
    step_gradient = (observed if continuous else observed @ step) @ controlled
    pairs = zip((step_gradient, observed @ drive, output @ controlled), tangents, strict=True)
    return _loss(continuous, step, drive, output), sum(jnp.sum(gradient * tangent) for gradient, tangent in pairs)
