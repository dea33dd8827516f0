r"""Whatever a linear network's loss on trials is, it depends on the weights through the impulse response alone.

A network $h_{k+1} = Z h_k + D x_k$, $y_k = V h_{k+1}$ that starts from rest answers an input $j$ bins later with
$f_j = V Z^j D$. With the states $h_j = Z^j D$ and the slope $s_j = \partial L/\partial f_j$ of any loss of the
response, the adjoints $\lambda_j = Z^T \lambda_{j+1} + V^T s_j$ give

$$\partial L/\partial Z = \sum_j \lambda_{j+1} h_j^T, \qquad \partial L/\partial D = \lambda_0, \qquad
\partial L/\partial V = \sum_j s_j h_j^T .$$

Two sequences of matrix-vector products and one matrix product serve a whole batch, however many trials it has, where
back-propagation takes them for each trial.

Source: derived here.
"""

from collections.abc import Callable
from typing import TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.tasks.base import Batch

Linear = ContinuousLinearRNN | LinearRNN


def steps_linearly(network) -> TypeGuard[Linear]:
    """Whether `network` is linear and has a time step."""
    return isinstance(network, LinearRNN) or (isinstance(network, ContinuousLinearRNN) and network.dt is not None)


def impulse_response(network: Linear, bins: int) -> Float[Array, "bin out in"]:
    r"""$V Z^j D$ for the first `bins` bins; differentiable at every order and in both modes."""
    return _respond(*step_matrices(network), network.w_out, bins)[1]


def gradient_through_response(network: Linear, bins: int, loss: Callable[[Array], Array]) -> tuple[Array, Linear]:
    """`loss` of the impulse response and its gradient, shaped like the network.

    Written with plain operations only, so that it can be differentiated again.
    """
    (step, drive), pull_back = jax.vjp(_discrete(network), network.w_rec, network.w_in)
    states, response = _respond(step, drive, network.w_out, bins)
    value, slope = jax.value_and_grad(loss)(response)
    sources = jnp.einsum("joi,ou->jiu", slope, network.w_out)

    def backward(adjoint, source):
        return adjoint @ step + source, adjoint

    first, adjoints = jax.lax.scan(backward, jnp.zeros_like(drive.T), sources, reverse=True)
    step_gradient = jnp.einsum("jiu,jki->uk", adjoints, states)
    gradient = (*pull_back((step_gradient, first.T)), jnp.einsum("joi,jui->ou", slope, states))
    return value, eqx.tree_at(lambda net: (net.w_rec, net.w_in, net.w_out), network, gradient)


def criterion_of_response(batch: Batch) -> Callable[[Array], Array]:
    """The batch's criterion as a function of the impulse response (bin, out, in): causal convolution with the inputs.

    By Fourier transforms of twice the length, so that nothing wraps around.
    """
    bins = batch.inputs.shape[1]
    inputs = jnp.fft.rfft(batch.inputs, 2 * bins, axis=1)

    def loss(response):
        spectrum = jnp.einsum("joi,bji->bjo", jnp.fft.rfft(response, 2 * bins, axis=0), inputs)
        return batch.criterion(jnp.fft.irfft(spectrum, 2 * bins, axis=1)[:, :bins])

    return loss


def step_matrices(network: Linear) -> tuple[Array, Array]:
    """The matrices (Z, D) of one bin."""
    return _discrete(network)(network.w_rec, network.w_in)


def _discrete(network: Linear) -> Callable[[Array, Array], tuple[Array, Array]]:
    """The matrices (Z, D) of one bin as a function of `w_rec` and `w_in`."""
    if isinstance(network, LinearRNN):
        return lambda w_rec, w_in: (w_rec, w_in)
    return lambda w_rec, w_in: eqx.tree_at(lambda net: (net.w_rec, net.w_in), network, (w_rec, w_in)).discretised()


def _respond(step: Array, drive: Array, w_out: Array, bins: int) -> tuple[Array, Array]:
    """States (bin, unit, in) and response (bin, out, in)."""
    states = powers(step, drive, bins)
    return states, jnp.einsum("ou,jui->joi", w_out, states)


def powers(step: Float[Array, "n n"], start: Float[Array, "n in"], count: int) -> Float[Array, "bin n in"]:
    """`step^j @ start` for j below `count`, stacked."""
    return jax.lax.scan(lambda state, _: (step @ state, state), start, length=count)[1]
