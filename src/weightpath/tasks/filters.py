"""Tasks that ask a network to filter white noise: exponential integration and any rational filter."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._linalg import exponential
from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Key
from weightpath.networks.checks import as_column, as_float, as_number, as_row, check_finite
from weightpath.tasks.base import AbstractTask, Batch, WhiteNoise


class RationalTarget(eqx.Module):
    r"""A target filter as a small state-space system.

    Continuous time (`dt` None): $f^*(s) = C e^{F s} B$ with every eigenvalue of $F$ in the left half plane.
    Discrete time: $f^*_k = C F^k B$ with spectral radius below 1.
    """

    transition: Float[Array, "k k"]
    drive: Float[Array, "k in"]
    output: Float[Array, "out k"]
    dt: float | None = eqx.field(default=None, static=True)

    def impulse_response(self, trial_time: Float[Array, " time"]) -> Float[Array, "time out in"]:
        """The filter at the given times (in units of the membrane time constant); continuous-time targets."""
        response = jax.vmap(lambda s: self.output @ jax.scipy.linalg.expm(self.transition * s) @ self.drive)
        return response(trial_time)


class RationalFilter(AbstractTask):
    r"""Filter white noise with any rational filter $f^*(s) = c\, e^{F s}\, b$, loss $\tfrac12\langle|y-y^*|^2\rangle$.

    Arguments: `F` (k, k), Hurwitz; `b` (k, in) or (k,); `c` (out, k) or (k,); times in units of the network's membrane
    time constant. `dt`: None for continuous-time networks; a number makes the sampled target $c\,(e^{F dt})^k\,b$ of
    discrete-time networks. `noise`: how batches are sampled, needed only to train on samples.

    **Raises:** ValueError when shapes do not fit, an entry is not finite, or `F` is not Hurwitz.
    Source: Bordelon et al. 2025 (arXiv 2503.18754); general filters are derived in the same way.
    """

    F: Float[Array, "k k"] = eqx.field(converter=as_float)
    b: Float[Array, "k in"] = eqx.field(converter=as_column)
    c: Float[Array, "out k"] = eqx.field(converter=as_row)
    dt: float | None = eqx.field(default=None, static=True, converter=as_number)
    noise: WhiteNoise | None = None

    def __check_init__(self):
        order = self.F.shape[0] if self.F.ndim == 2 else -1
        if self.F.shape != (order, order) or self.b.shape[:1] != (order,) or self.c.shape[1:] != (order,):
            raise ValueError(
                "F, b and c must be (k, k), (k, in) and (out, k); "
                f"got {self.F.shape}, {self.b.shape} and {self.c.shape}."
            )
        check_finite(F=self.F, b=self.b, c=self.c)
        _check_dt(self.dt)
        if not is_traced(self.F):
            abscissa = float(np.max(np.linalg.eigvals(np.asarray(self.F)).real))
            if abscissa >= 0:
                raise ValueError(
                    "F must be Hurwitz (every eigenvalue in the left half plane); its spectral abscissa is "
                    f"{abscissa:g}, so the target is not square-integrable: its white-noise variance is infinite."
                )

    def population(self) -> RationalTarget:
        """The exact target filter."""
        transition = self.F if self.dt is None else exponential(self.F * self.dt)
        return RationalTarget(transition, self.b, self.c, self.dt)

    def sample(self, key: Key, step) -> Batch:
        """White noise and its filtered version, started from rest."""
        return _sample(self.population(), self.noise, jax.random.fold_in(key, step))


class Integrator(AbstractTask):
    r"""Integrate white noise with a leak: target filter $f^*(s) = e^{-c^* s}$, loss $\tfrac12\langle(y-y^*)^2\rangle$.

    Arguments: `decay` $c^* > 0$, in units of the inverse membrane time constant; `dt`: None for continuous-time
    networks, a number for the sampled target $(e^{-c^* dt})^k$ of discrete-time networks; `noise`: how batches are
    sampled, needed only to train on samples. A perfect integrator, `decay` 0, exists on trials of finite duration only:
    it needs `noise` and has no exact form.

    **Raises:** ValueError when `decay` is not finite, negative, or zero without `noise`.
    Source: Bordelon et al. 2025 (arXiv 2503.18754).
    """

    decay: Float[Array, ""] = eqx.field(converter=as_float)
    dt: float | None = eqx.field(default=None, static=True, converter=as_number)
    noise: WhiteNoise | None = None

    def __check_init__(self):
        _check_dt(self.dt)
        if not is_traced(self.decay):
            check_finite(decay=self.decay)
            least = float(np.min(np.asarray(self.decay)))
            if least < 0 or (least == 0 and self.noise is None):
                raise ValueError(
                    f"decay must be positive; got {least:g}. The target filter is then not "
                    "square-integrable: a perfect integrator (decay 0) has infinite white-noise variance. "
                    "Use decay > 0, or train on trials of finite duration: "
                    "Integrator(0.0, noise=WhiteNoise(duration, dt, trials))."
                )

    def population(self) -> RationalTarget | None:
        """The exact target filter; None for a perfect integrator, whose white-noise variance is infinite."""
        perfect = not is_traced(self.decay) and not np.all(np.asarray(self.decay) > 0)
        return None if perfect else self.target()

    def target(self) -> RationalTarget:
        """The target filter, also of a perfect integrator (on trials of finite duration, `wp.FiniteTrials`)."""
        pole = -self.decay if self.dt is None else jnp.exp(-self.decay * self.dt)
        one = jnp.ones((1, 1), self.decay.dtype)
        return RationalTarget(pole[None, None], one, one, self.dt)

    def sample(self, key: Key, step) -> Batch:
        """White noise and its filtered version, started from rest."""
        return _sample(self.target(), self.noise, jax.random.fold_in(key, step))


def _check_dt(dt: float | None) -> None:
    if dt is not None and not dt > 0:
        raise ValueError(f"dt must be positive; got {dt}. Leave it out for continuous-time networks.")


def _sample(target: RationalTarget, noise: WhiteNoise | None, key: Key) -> Batch:
    r"""Sampled noise and targets.

    Continuous time: $x_k \sim N(0, 1/dt)$ and $y^*_{k+1} = e^{F dt} y^*_k + dt\, b x_k$, so that the output after a
    step is compared with the target after it. Discrete time: unit noise, $f^*_0 = c\,b$.
    """
    if noise is None:
        raise ValueError("this task has no `noise`; give noise=WhiteNoise(duration, dt, trials) to sample batches.")
    continuous = target.dt is None
    transition = exponential(target.transition * noise.dt) if continuous else target.transition
    scale = noise.dt if continuous else 1.0
    shape = (noise.trials, noise.bins, target.drive.shape[1])
    inputs = jax.random.normal(key, shape, target.drive.dtype) / (jnp.sqrt(noise.dt) if continuous else 1.0)

    def step(state, input):
        state = transition @ state + scale * (target.drive @ input)
        return state, target.output @ state

    start = jnp.zeros(target.transition.shape[0], target.drive.dtype)
    targets = jax.vmap(lambda sequence: jax.lax.scan(step, start, sequence)[1])(inputs)
    return Batch(inputs, targets, jnp.ones(shape[:2], inputs.dtype))
