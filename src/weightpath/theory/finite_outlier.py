"""The one-outlier theory for trials of finite duration and finite time steps, as sampled training uses them."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import LinearRNN
from weightpath.rules.backprop import expected_loss
from weightpath.rules.finite import finite_loss, finite_velocity
from weightpath.rules.impulse import step_matrices, steps_linearly
from weightpath.setup import Setup
from weightpath.tasks.finite import finite_target
from weightpath.theory.base import AbstractReducedDynamics, Regime
from weightpath.theory.outlier import Outlier, shares
from weightpath.theory.regime import finite_outlier_regime

NAMES = ("w_in", "w_out", "w_rec")


class FiniteOutlier(AbstractReducedDynamics):
    r"""A linear network that learns to integrate from trials of finite duration, as one outlier eigenvalue.

    Ansatz: $W = w\,\hat u\hat u^T$, $v = a\,\hat u$, $u = \kappa\,\hat u$, as in `theory.Outlier`; the loss is the
    expectation over the noise of a batch of trials of duration $T = n\,dt$ from rest,

    $$L_{T,dt} = \tfrac12\,dt\sum_{j=0}^{n-1}\Big(1-\frac jn\Big)\big(\kappa a\,z^j - e^{-c^* dt\,j}\big)^2,$$

    with $z = 1 - dt(1-w)$ for Euler steps; for "zoh" $z = e^{-dt(1-w)}$ and $\kappa a$ is multiplied by
    $(1-z)/(dt(1-w))$; for discrete-time networks $z = w$. The velocity is minus its gradient times the rates. The
    coordinates are `read_in` $\kappa$, `read_out` $a$ and `outlier` $w$.

    It holds for setups whose task was made with `noise`, trained by `wp.train` on samples with a small learning rate,
    and for `wp.FiniteTrials`; the start is as for `theory.Outlier`, and w may exceed 1. Fluctuations of order
    $\sqrt{rate/trials}$ are left out. As $dt \to 0$ and $T \to \infty$ it becomes `theory.Outlier`.

    Source: derived here, for the setting of Bordelon et al. 2025 (arXiv 2503.18754).
    """

    coords: ClassVar[tuple[str, ...]] = ("read_in", "read_out", "outlier")
    reference: ClassVar[str] = "Bordelon et al. 2025 (arXiv 2503.18754), single outlier; finite trials derived here"

    def measure(self, network: AbstractNetwork, setup: Setup) -> Float[Array, " coord"]:
        r"""$(\hat u\cdot u,\ \hat u\cdot v,\ \lambda)$, see `theory.Outlier.measure`."""
        return Outlier().measure(network, setup)

    def start(self, setup: Setup) -> Float[Array, " coord"]:
        r"""The initial network projected on the ansatz: $\kappa$, $\hat u \cdot v_0$ and $\hat u^T W_0 \hat u$."""
        return Outlier().start(setup)

    def vector_field(self, time, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, " coord"]:
        """d(kappa, a, w)/d(learning time): the exact velocity of a network of one unit on finite trials."""
        velocity = finite_velocity(_unit(setup, coords), finite_target(setup.task))[0]
        pairs = [(name, getattr(velocity, name)[0, 0]) for name in NAMES]
        return jnp.stack([setup.rates[name] * part if name in setup.train else 0 * part for name, part in pairs])

    def loss(self, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, ""]:
        """What `trajectory.loss` holds for such a network: the exact loss of the setup's own task.

        $L_{T,dt}$ for `wp.FiniteTrials`. For a task that is sampled it is the loss of the stationary state, which
        `wp.train` records (infinite for an outlier at 1 or above), and $L_{T,dt}$, the expectation of the batch loss
        that is recorded instead, where there is none (perfect integrators).
        """
        target = setup.task.population()
        return self.trial_loss(coords, setup) if target is None else expected_loss(_unit(setup, coords), target)

    def trial_loss(self, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, ""]:
        """$L_{T,dt}$, the expected loss of a batch, whatever the task's own exact loss is."""
        return finite_loss(_unit(setup, coords), finite_target(setup.task))

    def reduced(self, setup: Setup) -> Setup:
        """A network of one unit with the same read-in, read-out and outlier."""
        return setup if setup.network.w_rec.shape == (1, 1) else _single_unit(setup)

    def moving(self, setup: Setup) -> tuple[int, ...]:
        """Indices of the coordinates whose weights are trained."""
        return Outlier().moving(setup)

    def stiff(self, setup: Setup) -> bool:
        r"""True where the target and the trials are slow, $\max(c^*, 1/T) < 0.08$."""
        target = finite_target(setup.task)
        if is_traced(target.transition):
            return True
        pole = abs(float(np.asarray(target.transition)[0, 0]))
        return bool(max(-np.log(pole) if pole > 0 else np.inf, 1 / target.bins) < 0.08 * target.dt)

    def regime(self, setup: Setup) -> Regime:
        """Inside for this ansatz; otherwise the reason, and whether a prediction exists at all."""
        return finite_outlier_regime(setup)

    def endpoint(self, setup: Setup) -> Float[Array, " coord"]:
        r"""Where the flow ends when `w_rec` is trained beside the read-out or the read-in, or those alone.

        The network then matches the target in every bin: $z = e^{-c^* dt}$ and the right amplitude. For Euler steps
        the outlier is $1 - (1 - e^{-c^* dt})/dt$ with $A = 1$, below the target's decay rate by about $c^{*2} dt/2$;
        "zoh" ends at $1 - c^*$ with $A = c^* dt/(1-e^{-c^* dt})$. With the recurrent weights frozen A is the least
        squares fit. NaN for recurrent weights alone, where `theory.stationary_points` finds the end.
        """
        return _endpoint(self.reduced(setup))


def _unit(setup: Setup, coords: Array) -> AbstractNetwork:
    """The network of one unit that the coordinates stand for, with the time step of the setup's."""
    weights = tuple(coords[index].reshape(1, 1) for index in (2, 0, 1))
    return eqx.tree_at(lambda net: (net.w_rec, net.w_in, net.w_out), setup.network, weights)


@eqx.filter_jit
def _single_unit(setup: Setup) -> Setup:
    return setup.with_network(_unit(setup, Outlier().start(setup)))


@eqx.filter_jit
def _endpoint(setup: Setup) -> Float[Array, " coord"]:
    target = finite_target(setup.task)
    pole, amplitude = target.transition[0, 0], target.drive[0, 0] * target.output[0, 0]
    kappa, readout, outlier = Outlier().start(setup)
    if "w_rec" in setup.train:
        outlier = _outlier_of(setup.network, pole, target.dt)
    # The response per read-in and read-out of 1, and its least-squares fit to the target.
    unit = _unit(setup, jnp.stack([jnp.ones(()), jnp.ones(()), outlier]))
    assert steps_linearly(unit), "the regime asks for it"
    step, drive = step_matrices(unit)
    lags = jnp.arange(target.bins)
    shape, wanted, seen = drive[0, 0] * step[0, 0] ** lags, amplitude * pole**lags, 1 - lags / target.bins
    product = jnp.sum(seen * shape * wanted) / jnp.sum(seen * shape**2)
    rates = (setup.rates.get(name, jnp.zeros(())) for name in ("w_in", "w_out"))
    kappa, readout = shares(kappa, readout, product, *rates)
    if setup.train == ("w_rec",):
        outlier = jnp.full((), jnp.nan)
    return jnp.stack([kappa, readout, outlier])


def _outlier_of(network, pole: Array, dt: float) -> Array:
    """The weight whose mode shrinks by `pole` in one bin."""
    if isinstance(network, LinearRNN):
        return pole
    return 1 - (1 - pole) / dt if network.scheme == "euler" else 1 + jnp.log(pole) / dt
