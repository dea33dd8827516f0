r"""Which direction the second eigenvalue takes from small random weights, and when: the escape of one given seed.

While one exponential is learned, $W \approx w\,\hat u\hat u^T$ and $v \approx a\,\hat u$, what lies across $\hat u$ is
small and linear: $d = W\hat u$, $b = W^T\hat u$ and $e = v$ (each N - 1 numbers) obey, entry by entry,

$$\dot d = -\eta_w(\mu e + \beta b),\quad \dot b = -\eta_w\beta d,\quad \dot e = -\eta_v\mu d,$$
$$\mu = \kappa\Big[\frac{A}{2c(1+c)} - \mathrm{Re}\frac{C-iS}{(z_c-i\omega^*)(z_1-i\omega^*)}\Big],\quad
\beta = \kappa a\Big[\frac{A}{4c^2(1+c)} - \mathrm{Re}\frac{C-iS}{(z_c-i\omega^*)^2(z_1-i\omega^*)}\Big],\
z_q=q+c^*.$$

At the plateau one combination grows at the rate $\gamma$. Traced back to the start it is $p_d d_0 + p_b b_0 + p_e e_0$:
the direction in which the second pole grows, and with $\hat u$ the plane of a two-unit problem.

Source: derived, for the conjugate pair of Bordelon et al. 2025 (arXiv 2503.18754).
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._explicit import path as follow_path
from weightpath._precision import require_x64
from weightpath._types import Array, Float
from weightpath.setup import Setup
from weightpath.theory.base import Regime
from weightpath.theory.collision import Milestones, checked, follow
from weightpath.theory.crossings import crossings
from weightpath.theory.outlier import read_in_direction
from weightpath.theory.pair import ConjugatePair
from weightpath.theory.pair_regime import check_structure
from weightpath.theory.plateau import overlap
from weightpath.theory.two_pole import Oscillation, oscillation

#: The single pole has reached its plateau once it moves more slowly than this.
SETTLED = 1e-7
MAX_STEPS = 50_000


class Escape(eqx.Module):
    """How learning leaves the plateau from one given small start."""

    weights: Float[Array, "3"]
    """$(p_d, p_b, p_e)$, the largest of size 1."""
    size: Float[Array, ""]
    r"""$|n|/p_d$ with $n = p_d d_0 + p_b b_0 + p_e e_0$: the $M_{21}(0)$ of the two-unit problem that escapes alike."""
    direction: Float[Array, " unit"]
    """Unit vector along n, across the read-in."""
    settled: Float[Array, ""]
    """Learning time at which the single pole has reached the plateau."""
    pair: ConjugatePair
    """The theory in the plane of read-in and escape direction."""
    regime: Regime
    """Whether the start is small enough for it."""
    times: Milestones
    """Predicted collision, half-plateau time and learning time of this very start."""


def escape(setup: Setup, fraction: float = 0.01) -> Escape:
    r"""Escape direction of a start from small W0 and v0, and the two-unit problem that learns like it.

    The single-pole flow and the 3 x 3 linear system above are integrated from `setup.network` until the flow moves more
    slowly than 1e-7 per unit of learning time; $(p_d, p_b, p_e)$ is the growing mode of the plateau taken back
    to the start, so that nothing depends on where exactly one stops. The network's start, projected on
    the plane of read-in and n, then escapes as the network does: `pair` is that theory, `times` its events.
    First order in the initial weights: the relative error of the times falls with their size.

    **Warns:** UserWarning when the weights are too large for that, or nothing grows.
    **Raises:** ValueError where `ConjugatePair` has no prediction, or in 32-bit mode; RuntimeError when the plateau is
    not reached.
    """
    require_x64("theory.escape")
    check_structure(setup)
    system, start = _single(setup)
    weights, settled, reached = _phase_one(system, start)
    pair = ConjugatePair(weights)
    ready, regime = checked(pair, setup)
    if not reached:
        raise RuntimeError("theory.escape: not_converged. The single exponential did not settle at its plateau.")
    across = np.asarray(ready.seen.coords)[[2, 1, 5]]
    size = np.asarray(weights) @ across / np.asarray(weights)[0]
    return Escape(
        weights, jnp.asarray(size), ready.direction, settled, pair, regime, follow(pair, ready.small, fraction)
    )


def escape_weights(setup: Setup, time: float) -> Float[Array, "3"]:
    r"""First row of the 3 x 3 fundamental matrix at learning time `time`: $d(\tau) = p_d d_0 + p_b b_0 + p_e e_0$.

    Past the plateau all three grow as $e^{\gamma\tau}$ in constant proportion, that of `Escape.weights`.

    **Raises:** ValueError where `ConjugatePair` has no prediction, or in 32-bit mode.
    """
    require_x64("theory.escape_weights")
    check_structure(setup)
    return _weights_at(*_single(setup), jnp.asarray([float(time)]))


class _Single(eqx.Module):
    """The single-pole flow and the linear system across it: numbers of a setup."""

    target: Oscillation
    kappa: Array
    speed: Array
    readout_speed: Array

    def field(self, time, state: Array) -> Array:
        """d(a, c, fundamental matrix)/d(learning time)."""
        readout, rate = state[0], state[1]
        amplitude = self.kappa * readout
        value, slope = overlap(rate, self.target)
        pull = -self.readout_speed * self.kappa * (amplitude / (2 * rate) - value)
        drift = self.speed * (amplitude**2 / (4 * rate**2) + amplitude * slope)
        grown = self.generator(readout, rate) @ state[2:].reshape(3, 3)
        return jnp.where(rate > 0, jnp.concatenate([jnp.stack([pull, drift]), grown.reshape(9)]), jnp.nan)

    def generator(self, readout: Array, rate: Array) -> Float[Array, "3 3"]:
        """The matrix of the linear system for (d, b, e)."""
        decay, frequency, cosine, sine = self.target
        amplitude, phase = self.kappa * readout, cosine - 1j * sine
        here, bulk = rate + decay - 1j * frequency, 1 + decay - 1j * frequency
        mu = self.kappa * (amplitude / (2 * rate * (1 + rate)) - (phase / (here * bulk)).real)
        beta = amplitude * (amplitude / (4 * rate**2 * (1 + rate)) - (phase / (here**2 * bulk)).real)
        zero = jnp.zeros_like(mu)
        return -jnp.stack(
            [
                jnp.stack([zero, self.speed * beta, self.speed * mu]),
                jnp.stack([self.speed * beta, zero, zero]),
                jnp.stack([self.readout_speed * mu, zero, zero]),
            ]
        )

    def growing(self, readout: Array, rate: Array) -> Float[Array, "3"]:
        """Half the left eigenvector of the growing mode, scaled to give d its share of that mode."""
        row = self.generator(readout, rate)[0]
        column = self.generator(readout, rate)[:, 0]
        growth = jnp.sqrt(row @ column)
        # With the zero rate of (0, b, e) known, the eigenvector needs no decomposition.
        return 0.5 * jnp.concatenate([jnp.ones(1), row[1:] / jnp.where(growth > 0, growth, 1.0)])


@eqx.filter_jit
def _single(setup: Setup) -> tuple[_Single, Float[Array, " state"]]:
    """The system of a setup, and its start: read-out and decay rate along the read-in, and the identity."""
    along, network, zero = read_in_direction(setup), setup.network, jnp.zeros(())
    kappa = jnp.sqrt(jnp.sum(network.w_in**2))
    speed, readout_speed = setup.rates.get("w_rec", zero), setup.rates.get("w_out", zero)
    begin = jnp.stack([network.w_out[0] @ along, 1 - along @ network.w_rec @ along])
    system = _Single(oscillation(setup.task.population()), kappa, speed, readout_speed)
    return system, jnp.concatenate([begin, jnp.eye(3).reshape(9)])


@eqx.filter_jit
def _phase_one(system: _Single, start: Array) -> tuple[Array, Array, Array]:
    path = crossings(
        system.field, start, lambda state: jnp.zeros(1),
        lambda state, slope: jnp.sum(jnp.abs(slope[:2])) < SETTLED, (False,), 1e-9, 1e-12, MAX_STEPS,
    )  # fmt: skip
    weights = system.growing(path.end[0], path.end[1]) @ path.end[2:].reshape(3, 3)
    return weights / jnp.max(jnp.abs(weights)), path.end_time, path.finished


@eqx.filter_jit
def _weights_at(system: _Single, start: Array, time: Array) -> Array:
    return follow_path(system.field, start, time, 1e-9, 1e-12, MAX_STEPS).states[0, 2:5]
