"""Kronecker-factored RTRL: the influence as one random Kronecker product."""

import equinox as eqx
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.influence import AbstractEstimate, balance
from weightpath.rules.local_step import Local, StepForm, seen_size


class KFRTRL(AbstractEstimate):
    r"""RTRL with the influence estimated by $B \otimes a$, unbiased: gradient $(q^\top B)^\top a^\top$.

    $a' = \nu_1 p_0 a + \nu_2 p_1 z$, $B' = \nu_1 J B/p_0 + \nu_2\,\mathrm{diag}(g)/p_1$ with two random numbers;
    $p_0 = \sqrt{|JB|/|a|}$, $p_1 = \sqrt{|\mathrm{diag}(g)|/|z|}$. Less variance than `UORO` for the price of one
    matrix product per step. `noise`: "signs" or "normal". It needs a `key`, and every update draws anew.

    **Raises:** ValueError for another `noise`.
    Source: Mujika, Meier, Steger 2018 (arXiv 1805.10842).
    """

    noise: str = eqx.field(default="signs", static=True)

    def noise_shape(self, network: AbstractNetwork) -> tuple[int, ...]:
        """Two numbers."""
        return (2,)

    def first_trace(self, network: AbstractNetwork, form: StepForm) -> tuple[Array, Array]:
        """Zero: a (pre,) and B (unit, post)."""
        return jnp.zeros(seen_size(network), network.w_rec.dtype), jnp.zeros_like(network.w_rec)

    def carry(self, network, form: StepForm, trace: tuple[Array, Array], local: Local, noise: Array):
        """Both factors after the step that left `local`."""
        small, large = trace
        moved = form.jacobian(network, local) @ large
        at_once = jnp.diag(jnp.broadcast_to(local.gain, local.state.shape))
        old, new = noise
        carried = balance(jnp.linalg.norm(moved), jnp.linalg.norm(small))
        added = balance(jnp.linalg.norm(at_once), jnp.linalg.norm(local.seen))
        return old * carried * small + new * added * local.seen, old * moved / carried + new * at_once / added

    def meet(
        self, network, form: StepForm, trace, local: Local, credit: Float[Array, " post"]
    ) -> Float[Array, "post seen"]:
        r"""$(q^\top B)^\top a^\top$."""
        return (credit @ trace[1])[:, None] * trace[0]
