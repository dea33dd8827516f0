"""The edge of stability: the largest curvature of the exact loss at a network, in the metric of the learning rates."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.backprop import BPTT
from weightpath.rules.population import NoExactForm
from weightpath.setup import Setup

#: Up to this many trained weights the whole Hessian is formed.
DENSE = 64
#: The eigenvalue counts as found when its residual is below this fraction of it.
TOLERANCE = 1e-6


class Sharpness(eqx.Module):
    r"""The largest eigenvalue of the scaled Hessian $S = \sqrt\eta\, H \sqrt\eta$ of the exact loss, and its direction.

    `result` is `not_converged` when the iterations ended before the eigenvalue had settled.
    """

    value: Float[np.ndarray, ""]
    """Largest eigenvalue of S, in loss per squared weight; negative where the loss curves down in every direction."""
    direction: AbstractNetwork
    r"""The weights' change along it, $\sqrt\eta\, x$ for the unit eigenvector x: the first mode to oscillate."""
    residual: Float[np.ndarray, ""]
    r"""$\|S x - value\, x\|$: some eigenvalue of S lies within this distance of the value."""
    result: RESULTS

    @property
    def largest_rate(self) -> float:
        r"""$2/\lambda_{max}$: the learning rate beyond which plain gradient descent leaves a minimum of these weights.

        Infinite where nothing curves up.
        """
        return 2 / float(self.value) if self.value > 0 else np.inf


def sharpness(setup: Setup, *, iterations: int = 1000) -> Sharpness:
    r"""Sharpness of the exact loss at the setup's network, $\lambda_{max}(\sqrt\eta\, H \sqrt\eta)$.

    $H = \partial^2 L/\partial\theta^2$ of the loss that `wp.loss` gives, with the rates $\eta$ of the setup; any
    target, any size. Plain gradient descent at learning rate $r$ (which multiplies the rates) is stable at a minimum
    for $r < 2/\lambda_{max}$ (`largest_rate`). The Hessian is not formed: it acts on a direction as the derivative of
    the exact gradient, and Lanczos iterations (ARPACK, at most `iterations` restarts) find its top; for few weights all
    eigenvalues are computed. Which rule the setup learns by does not matter.

    **Raises:** ValueError when there is no exact loss, at an unstable network, in 32-bit mode.
    """
    require_x64("analysis.sharpness")
    if setup.task.population() is None:
        raise ValueError("analysis.sharpness needs an exact loss, and the task has no target of infinite data.")
    size = sum(getattr(setup.network, name).size for name in _trained(setup))
    # A random start meets every symmetry class; its seed is fixed so that results repeat.
    probes = np.eye(size) if size <= DENSE else np.random.default_rng(0).standard_normal((1, size))
    try:
        products = np.asarray(_apply(setup, jnp.asarray(probes)))
    except NoExactForm as refusal:
        raise ValueError(f"analysis.sharpness needs an exact loss: {refusal}") from None
    if not np.all(np.isfinite(products)):
        raise ValueError("the loss is not finite at this network (it is unstable); sharpness is undefined there.")
    if size <= DENSE:
        values, vectors = np.linalg.eigh(products)
        value, vector = values[-1], vectors[:, -1]
        residual, settled = np.linalg.norm(products @ vector - value * vector), True
    else:
        value, vector, settled = _top(setup, probes[0], iterations)
        residual = np.linalg.norm(_product(setup, vector) - value * vector)
        settled = settled and bool(residual <= TOLERANCE * abs(value))
    result = RESULTS.successful if settled else RESULTS.not_converged
    return Sharpness(np.asarray(value), _to_network(setup, jnp.asarray(vector)), np.asarray(residual), result)


def _top(setup: Setup, start: np.ndarray, iterations: int) -> tuple[float, np.ndarray, bool]:
    """Largest eigenvalue and its vector by Lanczos iterations."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    shape = (start.size, start.size)
    operator = LinearOperator(shape, matvec=lambda x: _product(setup, x), dtype=float)  # pyright: ignore[reportCallIssue]
    try:
        values, vectors = eigsh(operator, k=1, which="LA", v0=start, maxiter=iterations, tol=1e-9)  # pyright: ignore
    except ArpackNoConvergence:
        vector = start / np.linalg.norm(start)
        return float(vector @ _product(setup, vector)), vector, False
    return float(values[0]), vectors[:, 0], True


def _product(setup: Setup, vector: np.ndarray) -> np.ndarray:
    return np.asarray(_apply(setup, jnp.asarray(vector).reshape(1, -1)))[0]


def _trained(setup: Setup) -> list[str]:
    return [name for name in ("w_rec", "w_in", "w_out") if name in setup.train]


def _to_network(setup: Setup, vector: Array) -> AbstractNetwork:
    """Coordinates of the scaled weights as changes of the network's arrays; zero on frozen ones."""
    network, offset = jax.tree.map(jnp.zeros_like, setup.network), 0
    for name in _trained(setup):
        shape, count = getattr(network, name).shape, getattr(network, name).size
        part = jnp.sqrt(setup.rates[name]) * vector[offset : offset + count].reshape(shape)
        network = eqx.tree_at(lambda net, name=name: getattr(net, name), network, part)
        offset += count
    return network


def _scaled_gradient(setup: Setup, network: AbstractNetwork) -> Array:
    """Gradient of the exact loss in the scaled weights, as a vector."""
    velocity = BPTT().population(network, setup.task.population())[0]
    parts = [-jnp.sqrt(setup.rates[name]) * getattr(velocity, name).reshape(-1) for name in _trained(setup)]
    return jnp.concatenate(parts)


@eqx.filter_jit
def _apply(setup: Setup, vectors: Array) -> Array:
    """The scaled Hessian on each of the `vectors` (count, weight); NaN where the gradient is."""

    def one(vector):
        change = _to_network(setup, vector)
        gradient, product = jax.jvp(lambda network: _scaled_gradient(setup, network), (setup.network,), (change,))
        return jnp.where(jnp.all(jnp.isfinite(gradient)), product, jnp.nan)

    return jax.lax.map(one, vectors)
