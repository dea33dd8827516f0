"""Back-propagation through time, truncated: every error goes back over the same number of steps."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Float, Key, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.base import Info, found
from weightpath.rules.credit import Credit
from weightpath.rules.feedback import linear_credit
from weightpath.rules.forward import AbstractForwardRule
from weightpath.rules.local_step import Local, StepForm, collected, per_unit, run, seen_size
from weightpath.tasks.base import Batch


class TruncatedBPTT(AbstractForwardRule):
    r"""Back-propagation in which every error goes back over `horizon` steps $\tau$, its own step included.

    Gradient $\sum_t \sum_{k<\tau} (g_{t-k} \circ c_t^{(k)})\,z_{t-k}^\top$ with $c_t^{(0)} = q_t$ and
    $c_t^{(k)} = J_{t-k+1}^\top c_t^{(k-1)}$. On whole trials all errors take one step back together, in $\tau$ matrix
    products over the batch; a horizon beyond the trial is the whole trial, with a warning. Online the last $\tau$ steps
    are kept (what the weights saw, and the slopes of that time), and each error goes back through them with the present
    weights.

    **Raises:** ValueError for a horizon that is not a whole number of at least 1.
    Source: Williams and Peng 1990 (Neural Computation 2:490); the form with one window per error.
    """

    horizon: int = eqx.field(static=True)

    def __check_init__(self):
        if isinstance(self.horizon, bool) or not isinstance(self.horizon, int) or self.horizon < 1:
            raise ValueError(
                f"horizon must be a whole number of steps, at least 1 (the present step alone); got {self.horizon!r}."
            )

    def init(self, network: AbstractNetwork, batch: Batch, key: Key | None) -> None:
        """Nothing is carried between trials. **Raises:** ValueError for a network whose step is not known."""
        bins = batch.inputs.shape[1]
        if self.horizon > bins and batch.first is None:
            warnings.warn(
                f"TruncatedBPTT(horizon={self.horizon}) on trials of {bins} steps: errors go back to the start of the "
                f"trial, as with horizon={bins}, which is BPTT.",
                stacklevel=2,
            )
        super().init(network, batch, key)

    def source(self, network: AbstractNetwork) -> Float[Array, "post out"]:
        """The transposed read-out."""
        return network.w_out.T

    def first_trace(self, network: AbstractNetwork, form: StepForm) -> tuple[Array, Array, Array]:
        """No steps: gains and slopes (horizon, post), and what the weights saw (horizon, seen)."""
        units, dtype = network.w_rec.shape[0], network.w_rec.dtype
        none = jnp.zeros((self.horizon, units), dtype)
        return none, none, jnp.zeros((self.horizon, seen_size(network)), dtype)

    def carry(self, network, form: StepForm, trace: PyTree, local: Local, noise: Array | None) -> PyTree:
        """The window with the newest step first."""
        units = local.state.shape
        newest = jnp.broadcast_to(local.gain, units), jnp.broadcast_to(local.slope, units), local.seen
        return jax.tree.map(lambda new, old: jnp.concatenate([new[None], old[:-1]]), newest, trace)

    def meet(
        self, network, form: StepForm, trace: PyTree, local: Local, credit: Float[Array, " post"]
    ) -> Float[Array, "post seen"]:
        """The credit goes back through the window; steps before the trial have gain 0."""
        gains, slopes, seen = trace

        def back(credit, step):
            gain, slope = step
            driven = gain * credit
            return form.retention * credit + slope * (driven @ network.w_rec), driven

        return jax.lax.scan(back, credit, (gains, slopes))[1].T @ seen

    def update(self, network: AbstractNetwork, batch: Batch, state: PyTree) -> tuple[PyTree, PyTree, Info]:
        """Minus the truncated gradient of the batch's criterion; `Info.loss` is the criterion."""
        form = self.check(network)
        local = run(network, form, batch.inputs)
        loss, errors = jax.value_and_grad(batch.criterion)(local.output)
        credits = self.returned(network, form, local, errors)
        gradient = collected(network, local, local.gain, credits, errors)
        return jax.tree.map(jnp.negative, gradient), state, found(loss)

    def returned(self, network, form: StepForm, local: Local, errors: Array) -> Float[Array, "trial time post"]:
        """The credit of every state: what the errors of the next `horizon` steps send back to it."""
        credit = per_unit(local.readout_slope) * (errors @ network.w_out)
        gain, slope = per_unit(local.gain), per_unit(local.slope)

        def back(carried, _):
            moving, total = carried
            before = form.retention * moving + slope * ((gain * moving) @ network.w_rec)
            moving = jnp.concatenate([before[:, 1:], jnp.zeros_like(before[:, :1])], axis=1)
            return (moving, total + moving), None

        steps = min(self.horizon, credit.shape[1]) - 1
        return jax.lax.scan(back, (credit, credit), length=steps)[0][1]

    def credit(self, network: AbstractNetwork) -> Credit:
        r"""$P_k = (W^\top)^k V^\top$ for k below the horizon. **Raises:** NoExactForm, see `RFLO.credit`."""
        return linear_credit(network, network.w_rec.T, network.w_out.T, self.horizon)
