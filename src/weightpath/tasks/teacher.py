"""A teacher network as a task: the student sees the teacher's input and is asked for the teacher's output."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Key
from weightpath.networks.base import AbstractNetwork, rollout
from weightpath.networks.linear import LinearRNN
from weightpath.tasks.base import AbstractTask, Batch, WhiteNoise
from weightpath.tasks.filters import RationalTarget

LOSSES = ("final", "sequence")


class TeacherTarget(eqx.Module):
    r"""A linear teacher on white noise, in the limit of infinitely many trials of `horizon` time steps from rest.

    `loss` "final": $\tfrac12 E|y_T - y^*_T|^2$ at the last step; "sequence": its mean over the horizons 1 .. T. With
    `horizon` None both are the stationary loss.
    """

    network: LinearRNN
    horizon: int | None = eqx.field(default=None, static=True)
    loss: str = eqx.field(default="final", static=True)

    @property
    def dt(self) -> float:
        """One time step: a teacher runs in discrete time."""
        return 1.0

    @property
    def transition(self) -> Float[Array, "k k"]:
        """The teacher's recurrent weights; the teacher is the filter `output @ transition^j @ drive`."""
        return self.network.w_rec

    @property
    def drive(self) -> Float[Array, "k in"]:
        """The teacher's read-in."""
        return self.network.w_in

    @property
    def output(self) -> Float[Array, "out k"]:
        """The teacher's read-out."""
        return self.network.w_out


def is_stationary(target) -> bool:
    """Whether the exact loss of a target is that of the stationary state, infinite for unstable networks."""
    if isinstance(target, TeacherTarget):
        return target.horizon is None
    return isinstance(target, RationalTarget)


class TeacherRNN(AbstractTask):
    r"""Learn the outputs of a teacher network that is driven by the same white noise $x_t \sim N(0, 1)$ as the student.

    **Arguments:**
    - `network`: the teacher, from rest. A `wp.LinearRNN` makes the task exact for linear students
      ($y^*_T = A^* \sum_k W^{*k} B^* x_{T-1-k}$); any other network with time steps (a tanh `wp.RateRNN`, say) can be
      learned from sampled trials.
    - `horizon`: time steps T of a trial; None, the limit of long trials, for stable linear teachers.
    - `loss`: "final", $\tfrac12\langle|y_T - y^*_T|^2\rangle$ at the last step alone, or "sequence", the mean over all
      steps, $\frac1{2T}\sum_t \langle|y_t - y^*_t|^2\rangle$. In the limit of long trials both are one.
    - `trials`: trials of a sampled batch. None: the expectation over the noise is used, where there is one.

    **Raises:** ValueError when the loss is infinite (a linear teacher with spectral radius 1 or more and no horizon),
    when a teacher that is not linear or a number of trials comes without a horizon, and for numbers below 1.
    Source: the setting of Williams, Payeur and Lajoie 2026 (arXiv 2606.00243); exact forms for any network and horizon
    are derived here.
    """

    network: AbstractNetwork
    horizon: int | None = eqx.field(default=None, static=True)
    loss: str = eqx.field(default="final", static=True)
    trials: int | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        if self.loss not in LOSSES:
            raise ValueError(f'loss must be "final" (the last step) or "sequence" (all steps); got {self.loss!r}.')
        for name, value in (("horizon", self.horizon), ("trials", self.trials)):
            if value is not None and (not isinstance(value, int | np.integer) or value < 1):
                raise ValueError(f"{name} must be a whole number, at least 1, or None; got {value!r}.")
        if self.horizon is not None:
            return
        if self.trials is not None:
            raise ValueError("sampled trials need an end; give TeacherRNN a horizon (time steps of a trial).")
        if not isinstance(self.network, LinearRNN):
            raise ValueError(
                f"only a LinearRNN has an exact stationary loss, and this teacher is a {type(self.network).__name__}; "
                "give horizon=... and trials=... to learn from sampled trials."
            )
        if not is_traced(self.network.w_rec) and self.network.w_rec.ndim == 2:
            radius = float(np.max(np.abs(np.linalg.eigvals(np.asarray(self.network.w_rec)))))
            if radius >= 1:
                raise ValueError(
                    f"the teacher's spectral radius is {radius:.6g} >= 1, so that its stationary loss is infinite; "
                    "give a finite horizon (time steps of a trial), or a stable teacher."
                )

    @property
    def noise(self) -> WhiteNoise | None:
        """How trials are sampled; None where the expectation over the noise is used."""
        return None if self.trials is None else WhiteNoise(float(self.horizon or 1), 1.0, self.trials)

    def population(self) -> TeacherTarget | None:
        """The exact target; None for a teacher that is not linear in discrete time."""
        if not isinstance(self.network, LinearRNN):
            return None
        return TeacherTarget(self.network, self.horizon, self.loss)

    def sample(self, key: Key, step) -> Batch:
        """White noise and the teacher's answer to it, both from rest; `mask` keeps the steps that count."""
        if self.trials is None or self.horizon is None:
            raise ValueError(
                "this TeacherRNN is not sampled; give horizon=... (time steps) and trials=... to draw batches."
            )
        dtype = self.network.w_in.dtype
        shape = (self.trials, self.horizon, self.network.w_in.shape[1])
        inputs = jax.random.normal(jax.random.fold_in(key, step), shape, dtype)
        targets = jax.vmap(lambda sequence: rollout(self.network, sequence)[1])(inputs)
        mask = jnp.ones(shape[:2], dtype)
        return Batch(inputs, targets, mask if self.loss == "sequence" else mask.at[:, :-1].set(0.0))
