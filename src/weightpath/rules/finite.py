r"""Exact loss and gradient of linear networks on trials of finite duration, without sampling.

White noise of variance $1/dt$, a start from rest and a mean over the $n$ bins of a trial make the expected loss

$$L_{T,dt} = \frac1{2\,dt} \sum_{j=0}^{n-1} \Big(1 - \frac jn\Big) |f_j - f^*_j|^2,$$

with the impulse responses $f_j = V Z^j D$ of the network and $f^*_j = c F^j b$ of the target per bin of input
(`weightpath.rules.impulse`): an input of lag j is seen by $n - j$ of the n bins. It stays finite for marginal and
unstable networks, and for targets that integrate perfectly.

Source: derived here; the setting is that of Bordelon et al. 2025 (arXiv 2503.18754).
"""

import jax
import jax.numpy as jnp

from weightpath._results import RESULTS
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.rules.impulse import Linear, gradient_through_response, impulse_response, powers
from weightpath.rules.population import NoExactForm
from weightpath.tasks.finite import FiniteTarget


def finite_loss(network: AbstractNetwork, target: FiniteTarget) -> Float[Array, ""]:
    r"""$L_{T,dt}$: expected loss of `network` on a batch of trials of finite duration, from rest.

    Differentiable in every array, at every order and in both modes.

    **Raises:** NoExactForm (a ValueError) when the network is not linear or steps in another way than the target.
    """
    network = _checked(network, target)
    return _lagged(impulse_response(network, target.bins), target)


def finite_velocity(
    network: AbstractNetwork, target: FiniteTarget
) -> tuple[AbstractNetwork, Float[Array, ""], RESULTS]:
    """Minus the gradient of `finite_loss` in `w_rec`, `w_in` and `w_out`, the loss, and whether all was finite.

    **Raises:** NoExactForm, see `finite_loss`.
    """
    network = _checked(network, target)
    loss, gradient = gradient_through_response(network, target.bins, lambda response: _lagged(response, target))
    finite = jnp.isfinite(loss) & jnp.all(
        jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradient)])
    )
    return jax.tree.map(jnp.negative, gradient), loss, RESULTS.where(finite, RESULTS.successful, RESULTS.nonfinite)


def _lagged(response: Array, target: FiniteTarget) -> Array:
    """The sum over lags of the squared error of an impulse response (bin, out, in)."""
    wanted = jnp.einsum("ok,jki->joi", target.output, powers(target.transition, target.drive, target.bins))
    seen = 1 - jnp.arange(target.bins) / target.bins
    return 0.5 / target.dt * jnp.sum(seen[:, None, None] * (response - wanted) ** 2)


def _checked(network: AbstractNetwork, target: FiniteTarget) -> Linear:
    """The network, if it runs on these trials. **Raises:** NoExactForm."""
    if isinstance(network, LinearRNN):
        if target.continuous:
            raise NoExactForm("the network runs in discrete time and the target is continuous; give the task a dt")
        return network
    if not isinstance(network, ContinuousLinearRNN):
        raise NoExactForm("the network is not linear")
    if not target.continuous:
        raise NoExactForm("the network runs in continuous time and the target is sampled; leave the task's dt out")
    if network.dt is None or abs(network.dt - target.dt) > 1e-12 * target.dt:
        raise NoExactForm(
            f"trials are sampled at dt={target.dt:g} and the network steps by dt={network.dt}; make them equal"
        )
    return network
