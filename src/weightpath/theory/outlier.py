"""Learning to integrate white noise from small weights: one outlier eigenvalue, followed by three coordinates."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.setup import Setup
from weightpath.tasks.filters import Integrator
from weightpath.theory.base import AbstractReducedDynamics, Regime
from weightpath.theory.regime import outlier_regime


class Outlier(AbstractReducedDynamics):
    r"""A continuous-time linear network that learns to integrate white noise, as one outlier eigenvalue.

    Ansatz: $W = w\,\hat u\hat u^T$, $v = a\,\hat u$, $u = \kappa\,\hat u$. With $A = \kappa a$ and $c = 1 - w$ the loss

    $$L = \tfrac12\Big[\frac{A^2}{2c} - \frac{2A}{c+c^*} + \frac1{2c^*}\Big],\qquad
      L_A = \frac{A}{2c} - \frac1{c+c^*},\qquad L_c = -\frac{A^2}{4c^2} + \frac{A}{(c+c^*)^2}$$

    gives $\dot\kappa = -\eta_u a L_A$, $\dot a = -\eta_v \kappa L_A$, $\dot w = \eta_w L_c$, with rate 0 for what is
    frozen. The coordinates are `read_in` $\kappa$, `read_out` $a$ and `outlier` $w$.

    Assumptions: full-batch gradient flow (BPTT) on the stationary loss; target $e^{-c^* s}$; initial read-out zero or
    parallel to the read-in. Exact for initial recurrent weights zero or along $\hat u\hat u^T$, to first order in the
    gain of random ones. As $c \to 0$ the loss diverges: the flow never reaches instability.

    Source: reproduces the stated findings of Bordelon et al. 2025 (arXiv 2503.18754); the equations are re-derived for
    the setting above, and their normalisation is that of `Setup.rates`.
    """

    coords: ClassVar[tuple[str, ...]] = ("read_in", "read_out", "outlier")
    reference: ClassVar[str] = "Bordelon et al. 2025 (arXiv 2503.18754), single outlier from small initial weights"

    def measure(self, network: AbstractNetwork, setup: Setup) -> Float[Array, " coord"]:
        r"""$(\hat u\cdot u,\ \hat u\cdot v,\ \lambda)$ with $\hat u$ the direction of the initial read-in.

        $\lambda$ is the real part of the eigenvalue whose unit right eigenvector lies most along $\hat u$. It is the
        outlier as soon as that has left the bulk of the initial weights, where its squared overlap is
        $1-\sigma^2/\lambda^2$ against order $1/N$ of the bulk, and one of the bulk before. (The eigenvalue nearest to
        $\hat u^T W \hat u$ would not do: at gain .3 that entry is still inside the bulk when the outlier is at .8.)
        Works on projected networks and at W = 0.
        """
        direction = read_in_direction(setup)
        eigenvalues, vectors = jnp.linalg.eig(network.w_rec)
        outlier = eigenvalues[jnp.argmax(jnp.abs(direction @ vectors))].real
        return jnp.stack([direction @ network.w_in[:, 0], network.w_out[0] @ direction, outlier])

    def start(self, setup: Setup) -> Float[Array, " coord"]:
        r"""The initial network projected on the ansatz: $\kappa$, $\hat u \cdot v_0$ and $\hat u^T W_0 \hat u$."""
        return _project(setup)

    def vector_field(self, time, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, " coord"]:
        """d(kappa, a, w)/d(learning time)."""
        kappa, readout, outlier = coords
        slope, curvature = _slopes(kappa * readout, 1 - outlier, _decay(setup))
        rate_in, rate_out, rate_rec = (_rate(setup, name) for name in ("w_in", "w_out", "w_rec"))
        return jnp.stack([-rate_in * readout * slope, -rate_out * kappa * slope, rate_rec * curvature])

    def loss(self, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, ""]:
        r"""Half the stationary mean squared error of the one-pole network.

        As a sum of squares, $\tfrac12\big[(A - \tfrac{2c}{c+c^*})^2/(2c) + (c-c^*)^2/(2c^*(c+c^*)^2)\big]$, which keeps
        its digits near the optimum.
        """
        kappa, readout, outlier = coords
        rate, decay = 1 - outlier, _decay(setup)
        missing = kappa * readout - 2 * rate / (rate + decay)
        return 0.25 * (missing**2 / rate + ((rate - decay) / (rate + decay)) ** 2 / decay)

    def reduced(self, setup: Setup) -> Setup:
        """A network of one unit with the same read-in, read-out and outlier: the reduced dynamics are its flow."""
        if setup.network.w_rec.shape == (1, 1) and type(setup.task) is Integrator and setup.task.noise is None:
            return setup
        return _single_unit(setup)

    def moving(self, setup: Setup) -> tuple[int, ...]:
        """Indices of the coordinates whose weights are trained."""
        return tuple(i for i, name in enumerate(("w_in", "w_out", "w_rec")) if name in setup.train)

    def stiff(self, setup: Setup) -> bool:
        r"""True for $c^* < 0.08$ or a read-out more than 100 times as fast as the recurrent weights."""
        small = self.reduced(setup)
        if is_traced(small):
            return True
        assert isinstance(small.task, Integrator), "reduced setups integrate"
        size = max(float(np.asarray(weight)[0, 0]) ** 2 for weight in (small.network.w_in, small.network.w_out))
        fast = max([float(small.rates[name]) for name in small.rates if name != "w_rec"], default=0.0)
        slow = float(small.rates.get("w_rec", 1.0)) or 1.0
        return bool(float(small.task.decay) < 0.08 or fast * size > 100 * slow)

    def regime(self, setup: Setup) -> Regime:
        """Inside for this ansatz; otherwise the reason, and whether a prediction exists at all."""
        return outlier_regime(setup)

    def endpoint(self, setup: Setup) -> Float[Array, " coord"]:
        r"""Where the flow from `setup.network` ends; NaN where it has no end (outlier to minus infinity).

        With $W$ trained beside the read-out or the read-in this is $A = 1$, $w = 1 - c^*$; with $W$ frozen
        $A = 2c/(c+c^*)$; with $W$ alone $c = c^*\sqrt A/(2-\sqrt A)$, which exists for $0 < A < 4$. The read-in and
        read-out share $A$ as the conserved $a^2/\eta_v - \kappa^2/\eta_u$ says.
        """
        return _endpoint(setup)

    def conserved(self, coords: Float[Array, "... coord"], setup: Setup) -> Float[Array, "..."]:
        r"""$a^2/\eta_v - \kappa^2/\eta_u$, constant along the flow when read-in and read-out are both trained."""
        return coords[..., 1] ** 2 / _rate(setup, "w_out") - coords[..., 0] ** 2 / _rate(setup, "w_in")


def read_in_direction(setup: Setup) -> Float[Array, " unit"]:
    """Unit vector along the initial read-in, or along the initial read-out where the read-in is zero."""
    read_in, read_out = setup.network.w_in[:, 0], setup.network.w_out[0]
    vector = jnp.where(jnp.any(read_in != 0), read_in, read_out)
    norm = jnp.linalg.norm(vector)
    return vector / jnp.where(norm > 0, norm, 1.0)


def _slopes(amplitude, rate, decay):
    """Derivatives of the loss by A and by c."""
    return (
        amplitude / (2 * rate) - 1 / (rate + decay),
        amplitude / (rate + decay) ** 2 - amplitude**2 / (4 * rate**2),
    )


def _decay(setup: Setup) -> Float[Array, ""]:
    return -setup.task.population().transition[0, 0]


def _rate(setup: Setup, name: str) -> Float[Array, ""]:
    return setup.rates[name] if name in setup.train else jnp.zeros(())


@eqx.filter_jit
def _project(setup: Setup) -> Float[Array, " coord"]:
    direction = read_in_direction(setup)
    network = setup.network
    return jnp.stack(
        [direction @ network.w_in[:, 0], network.w_out[0] @ direction, direction @ network.w_rec @ direction]
    )


@eqx.filter_jit
def _single_unit(setup: Setup) -> Setup:
    # Compiled as a whole: the border checks of the constructors would cost more than the theory.
    kappa, readout, outlier = _project(setup)
    network = ContinuousLinearRNN(outlier[None, None], kappa[None, None], readout[None, None])
    return Setup(network, Integrator(_decay(setup)), setup.rule, setup.train, setup.rates)


@eqx.filter_jit
def _endpoint(setup: Setup) -> Float[Array, " coord"]:
    kappa, readout, outlier = _project(setup)
    decay, rate_in, rate_out, rate_rec = _decay(setup), *(_rate(setup, name) for name in ("w_in", "w_out", "w_rec"))
    amplitude, rate = kappa * readout, 1 - outlier
    trained, recurrent = (rate_in > 0) | (rate_out > 0), rate_rec > 0
    alone = jnp.where((amplitude > 0) & (amplitude < 4), decay / (2 / jnp.sqrt(jnp.abs(amplitude)) - 1), jnp.nan)
    alone = jnp.where(amplitude == 0, rate, alone)
    rate_end = jnp.where(recurrent, jnp.where(trained, decay, alone), rate)
    amplitude_end = jnp.where(trained, jnp.where(recurrent, 1.0, 2 * rate / (rate + decay)), amplitude)
    kappa_end, readout_end = shares(kappa, readout, amplitude_end, rate_in, rate_out)
    return jnp.stack([kappa_end, readout_end, 1 - rate_end])


def shares(kappa, readout, amplitude, rate_in, rate_out):
    """Read-in and read-out whose product is `amplitude`, on the conserved hyperbola of the start."""
    both = (rate_in > 0) & (rate_out > 0)
    safe_in, safe_out = jnp.where(both, rate_in, 1.0), jnp.where(both, rate_out, 1.0)
    constant = readout**2 / safe_out - kappa**2 / safe_in
    root = jnp.sqrt(constant**2 + 4 * amplitude**2 / (safe_in * safe_out))
    sign = jnp.sign(kappa / jnp.sqrt(safe_in) + readout / jnp.sqrt(safe_out))
    kappa_both = sign * jnp.sqrt(jnp.maximum(safe_in * (root - constant) / 2, 0.0))
    readout_both = sign * jnp.sqrt(jnp.maximum(safe_out * (root + constant) / 2, 0.0))
    kappa_end = jnp.where(both, kappa_both, jnp.where(rate_in > 0, amplitude / readout, kappa))
    readout_end = jnp.where(both, readout_both, jnp.where(rate_out > 0, amplitude / kappa, readout))
    return kappa_end, readout_end
