"""Unbiased online recurrent optimisation: the influence of RTRL as one random outer product."""

import equinox as eqx
import jax.numpy as jnp

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.influence import AbstractEstimate, balance
from weightpath.rules.local_step import Local, StepForm, seen_size


class UORO(AbstractEstimate):
    r"""RTRL with the influence estimated by $a \otimes B$, unbiased: gradient $(q \cdot a)\,B$.

    $a' = p_0 J a + p_1 \nu$, $B' = B/p_0 + (\nu \circ g)\,z^\top/p_1$ with random $\nu$; $p_0 = \sqrt{|B|/|Ja|}$ and
    $p_1 = \sqrt{|(\nu \circ g) z^\top|/|\nu|}$ keep the variance low. The mean over draws is RTRL's gradient; one draw
    is not. `noise`: "signs" (+1 or -1, least variance) or "normal". It needs a `key`, and every update draws anew.

    **Raises:** ValueError for another `noise`.
    Source: Tallec and Ollivier 2017 (arXiv 1702.05043).
    """

    noise: str = eqx.field(default="signs", static=True)

    def noise_shape(self, network: AbstractNetwork) -> tuple[int, ...]:
        """One number per unit."""
        return (network.w_rec.shape[0],)

    def first_trace(self, network: AbstractNetwork, form: StepForm) -> tuple[Array, Array]:
        """Zero: a (unit,) and B (post, pre)."""
        units, dtype = network.w_rec.shape[0], network.w_rec.dtype
        return jnp.zeros(units, dtype), jnp.zeros((units, seen_size(network)), dtype)

    def carry(self, network, form: StepForm, trace: tuple[Array, Array], local: Local, noise: Array):
        """Both factors after the step that left `local`."""
        left, right = trace
        moved = form.jacobian(network, local) @ left
        driven = noise * local.gain
        carried = balance(jnp.linalg.norm(right), jnp.linalg.norm(moved))
        added = balance(jnp.linalg.norm(driven) * jnp.linalg.norm(local.seen), jnp.linalg.norm(noise))
        return carried * moved + added * noise, right / carried + driven[:, None] * (local.seen / added)

    def meet(
        self, network, form: StepForm, trace, local: Local, credit: Float[Array, " post"]
    ) -> Float[Array, "post seen"]:
        r"""$(q \cdot a)\,B$."""
        return (credit @ trace[0]) * trace[1]
