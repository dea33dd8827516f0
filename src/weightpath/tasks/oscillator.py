"""A task that asks a network to ring: filter white noise with a damped oscillation."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Key
from weightpath.networks.checks import as_float, as_number, check_finite
from weightpath.tasks.base import AbstractTask, Batch, WhiteNoise
from weightpath.tasks.filters import RationalTarget, _check_dt, _sample


class DampedOscillator(AbstractTask):
    r"""Filter white noise with a damped oscillation, loss $\tfrac12\langle(y-y^*)^2\rangle$.

    Target filter $f^*(s) = e^{-c^* s}\,(C\cos\omega^* s + S\sin\omega^* s)$, the poles $-c^* \pm i\omega^*$. It is
    realised as $c^T e^{F s} b$ with $F = \begin{pmatrix}-c^* & -\omega^*\\ \omega^* & -c^*\end{pmatrix}$, $b = (1, 0)$,
    $c = (C, S)$.

    Arguments: `decay` $c^* > 0$ and `frequency` $\omega^* \ge 0$ (radians), in units of the inverse membrane time
    constant; `cosine` $C$ and `sine` $S$, the amplitudes; `dt`: None for continuous-time networks, a number for the
    target sampled at multiples of dt of discrete-time networks; `noise`: how batches are sampled, needed only to train
    on samples. An undamped oscillation, `decay` 0, exists on trials of finite duration only: it needs `noise` and has
    no exact form.

    **Raises:** ValueError when `decay` is not finite, negative, or zero without `noise`; when `frequency` is not finite
    or negative; when the target is zero.
    Source: Bordelon et al. 2025 (arXiv 2503.18754); phase and amplitude are free here.
    """

    decay: Float[Array, ""] = eqx.field(converter=as_float)
    frequency: Float[Array, ""] = eqx.field(converter=as_float)
    cosine: Float[Array, ""] = eqx.field(default=1.0, converter=as_float)
    sine: Float[Array, ""] = eqx.field(default=0.0, converter=as_float)
    dt: float | None = eqx.field(default=None, static=True, converter=as_number)
    noise: WhiteNoise | None = None

    def __check_init__(self):
        _check_dt(self.dt)
        check_finite(decay=self.decay, frequency=self.frequency, cosine=self.cosine, sine=self.sine)
        if not is_traced(self.decay):
            least = float(np.min(np.asarray(self.decay)))
            if least < 0 or (least == 0 and self.noise is None):
                raise ValueError(
                    f"decay must be positive; got {least:g}. The target filter is then not "
                    "square-integrable: an undamped oscillation (decay 0) has infinite white-noise variance. "
                    "Use decay > 0, or train on trials of finite duration: "
                    "DampedOscillator(0.0, frequency, noise=WhiteNoise(duration, dt, trials))."
                )
        if not is_traced(self.frequency) and np.any(np.asarray(self.frequency) < 0):
            raise ValueError(
                f"frequency must not be negative; got {float(np.min(np.asarray(self.frequency))):g}. "
                "Change the sign of `sine` instead."
            )
        if not is_traced(self.frequency, self.cosine, self.sine) and self._is_zero():
            raise ValueError(
                "the target filter is zero (cosine 0, and sine or frequency 0), so that there is nothing to learn; "
                "give a nonzero amplitude."
            )

    def _is_zero(self) -> bool:
        frequency, cosine, sine = (np.asarray(value) for value in (self.frequency, self.cosine, self.sine))
        return bool(np.any((cosine == 0) & ((sine == 0) | (frequency == 0))))

    def population(self) -> RationalTarget | None:
        """The exact target filter; None for an undamped oscillation, whose white-noise variance is infinite."""
        undamped = not is_traced(self.decay) and not np.all(np.asarray(self.decay) > 0)
        return None if undamped else self.target()

    def target(self) -> RationalTarget:
        """The target filter, also of an undamped oscillation (on trials of finite duration)."""
        F, b, c = _realisation(self.decay, self.frequency, self.cosine, self.sine, self.dt)
        return RationalTarget(F, b, c, self.dt)

    def sample(self, key: Key, step) -> Batch:
        """White noise and its filtered version, started from rest."""
        return _sample(self.target(), self.noise, jax.random.fold_in(key, step))


@partial(jax.jit, static_argnames="dt")
def _realisation(decay, frequency, cosine, sine, dt: float | None) -> tuple[Array, Array, Array]:
    """F (sampled: its exponential over dt), b and c; one compiled program, since theories ask for it often."""
    along, across = -decay, frequency
    if dt is not None:
        along, across = jnp.exp(-decay * dt) * jnp.cos(frequency * dt), jnp.exp(-decay * dt) * jnp.sin(frequency * dt)
    transition = jnp.stack([jnp.stack([along, -across]), jnp.stack([across, along])])
    return transition, jnp.array([[1.0], [0.0]], transition.dtype), jnp.stack([cosine, sine])[None]
