"""A fit's states by an adaptive solver of higher order: a check of the fixed steps."""

from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float


def recheck_solver(fit, *, rtol: float = 1e-8) -> float:
    r"""Largest difference of the states $A z$ from those of Tsit5 at `rtol`, over the standard deviation of $A z$.

    Inputs are held over each bin, so the adaptive solver starts anew at every border of bins.
    """
    a, b, mixing, inputs = (jnp.asarray(one, fit.z.dtype) for one in (fit.a, fit.b, fit.mixing(), fit.trial_inputs()))
    tau = jnp.asarray(fit.model.time_constant, fit.z.dtype)
    if fit.a.ndim == 2:
        a, b = (jnp.broadcast_to(one, (len(fit.z), *one.shape)) for one in (a, b))
    exact = _adaptive(a, b, mixing, jnp.asarray(fit.z[:, 0]), inputs, tau, rtol)
    states = lambda z: np.einsum("ktr,knr->ktn", z, np.asarray(a))  # noqa: E731
    return float(np.abs(states(np.asarray(exact) - fit.z)).max() / states(fit.z).std())


@partial(jax.jit, static_argnames="rtol")
def _adaptive(
    a: Float[Array, "trial unit rank"],
    b: Float[Array, "trial unit rank"],
    mixing: Float[Array, "trial rank rank"],
    start: Float[Array, "trial rank"],
    inputs: Float[Array, "trial time rank"],
    tau: Float[Array, ""],
    rtol: float,
) -> Float[Array, "trial time rank"]:
    """States of all trials, bin by bin."""

    def flow(t, z, args):
        a, b, mixing, held = args
        return (-z + mixing @ (b.T @ jnp.tanh(a @ z)) + held) / tau

    controller = diffrax.PIDController(rtol=rtol, atol=rtol)

    def one_trial(a, b, mixing, start, inputs):
        def step(z, held):
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(flow), diffrax.Tsit5(), 0.0, 1.0, None, z, args=(a, b, mixing, held),
                stepsize_controller=controller, saveat=diffrax.SaveAt(t1=True), max_steps=None,
            )  # fmt: skip
            assert solution.ys is not None
            return solution.ys[0], z

        return jax.lax.scan(step, start, inputs)[1]

    return jax.vmap(one_trial)(a, b, mixing, start, inputs)
