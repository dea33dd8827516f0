r"""A read-out that learns alone: the network as a reservoir of fixed modes, for infinitely many units."""

import warnings
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._linalg import gramians
from weightpath._precision import require_x64
from weightpath._types import Array, Bool, Float, Numeric
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.population import population_loss
from weightpath.setup import Setup
from weightpath.theory.base import AbstractTheory, Regime, Values
from weightpath.theory.reservoir_regime import measured_gain, reservoir_regime

#: Eigenvalues of the features' covariance below this are rounding.
CLIP = 1e-14


class ReadoutPath(eqx.Module):
    """A read-out on its way: coefficients on the modes, its norm and the loss."""

    time: Float[Array, " time"]
    coefficients: Float[Array, "time mode"]
    norm: Float[Array, " time"]
    loss: Float[Array, " time"]


class Reservoir(AbstractTheory):
    r"""A linear network whose read-out learns alone (`train=("w_out",)`), solved exactly at infinitely many units.

    The vectors $W_0^n u/(\kappa\sigma^n)$ of Gaussian recurrent weights become orthonormal. The read-out
    $v = \sum_n a_n e_n$ then sees the fixed features $\phi_n(s) = \kappa e^{-s}(\sigma s)^n/n!$, and

    $$\dot a = -\eta_v(Pa - X),\qquad P_{nm} = \kappa^2\sigma^{n+m}\binom{n+m}{n}2^{-(n+m+1)},\qquad
      X_n = \kappa\sigma^n\, c^T(1-F)^{-(n+1)}b$$

    for the target filter $f^*(s) = c^T e^{Fs} b$ of any order ($X_n = \kappa\sigma^n/(1+c^*)^{n+1}$ for the
    exponential), is linear. Its end, $a_n = c^T(1+F)^n b/(\kappa\sigma^n)$, has a finite norm if and only if every pole
    of the target lies inside the disk of the eigenvalues (`bounded_readout`); outside it the loss still falls, as a
    slow power of learning time, while the read-out grows without bound.

    The coordinates are `readout_norm` $|v|$ and `loss`. An initial read-out keeps its part across the read-in, which
    the network's output does not see.

    Arguments: `modes`: number of features; 60 suffice to learning time 1e4 for gain <= 0.5 and wherever the target is
    inside, `truncation_error` tells. `gain` $\sigma$; None reads it off the network, as the length of
    $W_0\hat u$ and $W_0^T\hat u$.

    Source: Bordelon et al. 2025 (arXiv 2503.18754) state the threshold; the solution is derived.
    """

    modes: int = eqx.field(default=60, static=True)
    gain: float | None = eqx.field(default=None, static=True)
    coords: ClassVar[tuple[str, ...]] = ("readout_norm", "loss")
    reference: ClassVar[str] = "Bordelon et al. 2025 (arXiv 2503.18754), lazy learning; solution derived"

    def __check_init__(self):
        if not self.modes >= 2:
            raise ValueError(f"modes must be at least 2; got {self.modes}.")
        if self.gain is not None and not 0 < self.gain < 1:
            raise ValueError(f"gain must be between 0 and 1; got {self.gain}.")

    def measure(self, network: AbstractNetwork, setup: Setup) -> Float[Array, " coord"]:
        """Norm of the read-out, and the exact loss of the network on the task of `setup`."""
        return jnp.stack([jnp.linalg.norm(network.w_out), population_loss(network, setup.task.population())])

    def predict(self, setup: Setup, time: Values) -> Float[Array, "time coord"]:
        """Norm and loss at learning times `time` (time,), from 0 on; NaN where the theory is silent.

        **Warns:** UserWarning with the reason outside its regime.
        **Raises:** ValueError for negative times or in 32-bit mode.
        """
        regime = self.regime(setup)
        if not regime.inside:
            warnings.warn(f"Reservoir outside its regime: {regime.reason}", UserWarning, stacklevel=2)
        if not regime.defined:
            return jnp.full((np.size(time), 2), jnp.nan)
        path = self.solve(setup, time)
        return jnp.stack([path.norm, path.loss], axis=1)

    def regime(self, setup: Setup) -> Regime:
        """Inside for a read-out that learns alone on random recurrent weights; otherwise the reason."""
        return reservoir_regime(setup)

    def solve(self, setup: Setup, time: Values) -> ReadoutPath:
        """Coefficients, norm and loss at learning times `time` (time,).

        **Raises:** ValueError for negative times, where the theory has nothing to say, or in 32-bit mode.
        """
        require_x64("theory.Reservoir")
        regime = self.regime(setup)
        if not regime.defined:
            raise ValueError(f"no prediction for this setup: {regime.reason}")
        times = np.atleast_1d(np.asarray(time, dtype=float))
        if times.ndim != 1 or not np.all(np.isfinite(times)) or np.any(times < 0):
            raise ValueError(f"time must be a vector of finite learning times from 0 on; got {times}.")
        return _solve(_problem(setup, self.gain), jnp.asarray(times), self.modes)

    def truncation_error(self, setup: Setup, time: Values) -> Float[Array, " time"]:
        """How much the predicted loss still changes from three quarters of the modes to all of them."""
        fewer = Reservoir(max(2, 3 * self.modes // 4), self.gain)
        return jnp.abs(self.solve(setup, time).loss - fewer.solve(setup, time).loss)

    def limit_norm(self, setup: Setup) -> Float[Array, ""]:
        r"""Norm of the read-out at the end of learning, infinite above the threshold.

        $|v|^2 = \sum_n |c^T A^n b|^2/\kappa^2$ with $A = (1+F)/\sigma$;
        $1/(\kappa^2(1-((1-c^*)/\sigma)^2))$ for the exponential. Summed by doubling, for a target of any order.
        """
        require_x64("theory.Reservoir")
        return _limit_norm(_problem(setup, self.gain))


def bounded_readout(gain: Numeric | float, poles: Values) -> Bool[np.ndarray, ""]:
    r"""Whether a read-out that learns alone reaches the target with a finite norm: $\max_j |p_j| < \sigma$.

    `poles` (k,) are the target's poles as eigenvalues of recurrent weights would make them, $p = 1 - c^* \pm i\omega^*$
    (complex, in units of the inverse membrane time constant); `gain` $\sigma$ is the radius of the disk that the
    eigenvalues of the initial weights fill. The coefficients of the read-out are sums of $(p_j/\sigma)^n$: for
    $e^{-c^*s}(C\cos\omega s + S\sin\omega s)$ they are $\mathrm{Re}[(C - iS)p^n]/(\kappa\sigma^n)$, whatever C and S.
    Poles that cancel do not count: leave them out.

    Source: Bordelon et al. 2025 (arXiv 2503.18754) for one real pole; derived for any rational target.
    """
    poles = np.atleast_1d(np.asarray(poles))
    return np.asarray(np.max(np.abs(poles), axis=-1) < np.asarray(gain))


class _Problem(NamedTuple):
    """The numbers of the theory: gain, read-in norm, read-out along and across it, rate, and the target filter."""

    gain: Array
    read_in: Array
    along: Array
    across: Array
    rate: Array
    transition: Array
    drive: Array
    output: Array


def _problem(setup: Setup, gain: float | None) -> _Problem:
    # Plain numbers, worked out without compiling: networks of every size share the compiled solution.
    target, network = setup.task.population(), setup.network
    read_in, read_out = np.asarray(network.w_in)[:, 0], np.asarray(network.w_out)[0]
    norm = np.linalg.norm(read_in)
    along = float(read_out @ read_in) / norm
    across = np.linalg.norm(read_out - along * read_in / norm)
    gain = measured_gain(network) if gain is None else gain
    rate = np.asarray(setup.rates["w_out"])
    parts = (gain, norm, along, across, rate, target.transition, target.drive[:, 0], target.output[0])
    return _Problem(*(np.asarray(part, dtype=float) for part in parts))  # pyright: ignore[reportArgumentType]


def _features(problem: _Problem, modes: int) -> tuple[Array, Array, Array]:
    """Covariance P of the features, their products X with the target, and the target's energy."""
    n = np.arange(modes)
    total = n[:, None] + n[None]
    factorial = jax.scipy.special.gammaln(jnp.arange(2 * modes) + 1.0)
    # Binomials of 100 overflow nothing as logarithms; gain 0 leaves the first mode alone.
    binomial = factorial[total] - factorial[n][:, None] - factorial[n][None]
    power = jnp.where(total > 0, total * jnp.log(jnp.maximum(problem.gain, 1e-300)), 0.0)
    covariance = problem.read_in**2 * jnp.exp(binomial + power - (total + 1) * jnp.log(2.0))
    resolvent = jnp.linalg.inv(jnp.eye(problem.transition.shape[0]) - problem.transition)

    def advance(vector, _):
        return problem.gain * (resolvent @ vector), problem.output @ vector

    first = problem.read_in * (resolvent @ problem.drive)
    products = jax.lax.scan(advance, first, None, length=modes)[1]
    return covariance, products, _energy(problem)


def _energy(problem: _Problem) -> Array:
    """The target's energy, by one small linear system."""
    size = problem.transition.shape[0]
    identity = jnp.eye(size)
    both = jnp.kron(problem.transition, identity) + jnp.kron(identity, problem.transition)
    gramian = jnp.linalg.solve(both, -jnp.outer(problem.drive, problem.drive).ravel()).reshape(size, size)
    return problem.output @ gramian @ problem.output


@eqx.filter_jit
def _solve(problem: _Problem, time: Array, modes: int) -> ReadoutPath:
    covariance, products, energy = _features(problem, modes)
    values, vectors = jnp.linalg.eigh(covariance)
    values = jnp.maximum(values, CLIP * problem.read_in**2)
    start = problem.along * vectors[0]
    # Distance of each eigenmode from its end, which decays by itself.
    end = (vectors.T @ products) / values
    left = jnp.exp(-problem.rate * values * time[:, None]) * (start - end)
    gone = -jnp.expm1(-problem.rate * values * time[:, None])
    coefficients = (start + gone * (end - start)) @ vectors.T
    norm = jnp.sqrt(jnp.sum(coefficients**2, axis=1) + problem.across**2)
    loss = 0.5 * (energy - jnp.sum(values * end**2) + jnp.sum(values * left**2, axis=1))
    return ReadoutPath(time, coefficients, norm, loss)


@eqx.filter_jit
def _limit_norm(problem: _Problem) -> Array:
    step = (jnp.eye(problem.transition.shape[0]) + problem.transition) / problem.gain
    gramian, _, remainder = gramians(step, problem.drive[:, None], problem.output[None])
    squared = problem.output @ gramian @ problem.output / problem.read_in**2 + problem.across**2
    return jnp.where(remainder <= 1e-15, jnp.sqrt(squared), jnp.inf)
