"""Recurrent weights that learn alone, between a frozen read-in and a frozen read-out of any angle."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS
from weightpath._tracing import is_traced
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.tasks.filters import Integrator, RationalTarget
from weightpath.theory.base import AbstractReducedDynamics, Regime
from weightpath.theory.regime import ELSEWHERE, SMALL


class RecurrentOnly(AbstractReducedDynamics):
    r"""A continuous-time linear network whose recurrent weights alone learn $e^{-c^* s}$ (`train=("w_rec",)`).

    From zero recurrent weights, learning stays in the plane of read-in u and read-out v, and the symmetry of the loss
    under exchange of u and v (with $W \to W^T$) leaves three coordinates. With $e_\pm \propto \hat u \pm \hat v$,

    $$W = p\,e_+e_+^T + q\,(e_+e_-^T - e_-e_+^T) + r\,e_-e_-^T,$$

    which are `along` p, `twist` q and `across` r. The filter is a ratio of polynomials of degree 1 and 2,
    $f(z) = (\beta_1 z + \beta_0)/(z^2 + \alpha_1 z + \alpha_0)$ with $\beta_1 = v\cdot u$,
    $\alpha_1 = -\mathrm{tr}(W-1)$, $\alpha_0 = \det(W-1)$, and

    $$L = \tfrac12\Big[\frac{\beta_1^2\alpha_0 + \beta_0^2}{2\alpha_0\alpha_1} - 2f(c^*) + \frac1{2c^*}\Big].$$

    The filter starts at $f(0) = v\cdot u$ for ever, the target at 1. For $v\cdot u$ not 1 the loss cannot reach zero
    with finite weights: parallel vectors level off at one pole (`Outlier.endpoint`); orthogonal ones send one pole to
    $1 - c^*$ and the other to $-\infty$, and the loss falls ever more slowly. Orthogonal: with $W$ in the basis
    $(\hat u, \hat v)$ the diagonal entries are equal, $(p + r)/2$.

    Assumptions: full-batch gradient flow (BPTT) on the stationary loss; initial recurrent weights zero or of this
    form.
    Source: derived; the setting is that of Bordelon et al. 2025 (arXiv 2503.18754).
    """

    coords: ClassVar[tuple[str, ...]] = ("along", "twist", "across")
    reference: ClassVar[str] = "derived, in the setting of Bordelon et al. 2025 (arXiv 2503.18754)"

    def measure(self, network: AbstractNetwork, setup: Setup) -> Float[Array, " coord"]:
        """The recurrent weights of `network` in the plane of the read-in and read-out of `setup`."""
        return _project(network.w_rec, _plane(setup))

    def start(self, setup: Setup) -> Float[Array, " coord"]:
        """The initial recurrent weights in the plane of read-in and read-out."""
        return _start(setup)

    def vector_field(self, time, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, " coord"]:
        """d(p, q, r)/d(learning time)."""
        rate = setup.rates["w_rec"] if "w_rec" in setup.train else 0.0
        slopes = jax.grad(lambda value: self.loss(value, setup))(coords)
        # q stands in two entries of W, so that it moves at half its own slope.
        return -rate * slopes * jnp.array([1.0, 0.5, 1.0])

    def loss(self, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, ""]:
        """Half the stationary mean squared error of the two-pole network."""
        plane = _plane(setup)
        (u_plus, u_minus), (v_plus, v_minus) = plane @ setup.network.w_in[:, 0], plane @ setup.network.w_out[0]
        p, q, r = coords
        trace, determinant = 2 - p - r, (1 - p) * (1 - r) + q**2
        direct = v_plus * u_plus + v_minus * u_minus
        # v^T (z - W + 1)^{-1} u times the determinant is `direct` z + `constant`.
        constant = v_plus * u_plus * (1 - r) + v_minus * u_minus * (1 - p) + q * (v_plus * u_minus - v_minus * u_plus)
        decay = -setup.task.population().transition[0, 0]
        energy = (direct**2 * determinant + constant**2) / (2 * determinant * trace)
        shared = (direct * decay + constant) / (decay**2 + trace * decay + determinant)
        return 0.5 * (energy - 2 * shared + 1 / (2 * decay))

    def reduced(self, setup: Setup) -> Setup:
        """A network of two units with the same coordinates, read-in and read-out."""
        if setup.network.w_rec.shape == (2, 2) and type(setup.task) is Integrator and setup.task.noise is None:
            return setup
        return _two_units(setup)

    def stiff(self, setup: Setup) -> bool:
        """True for targets slower than a decay of 0.08."""
        decay = -setup.task.population().transition[0, 0]
        return is_traced(decay) or bool(float(decay) < 0.08)

    def regime(self, setup: Setup) -> Regime:
        """Inside for recurrent weights that learn alone from zero; otherwise the reason."""
        reason = _structure(setup)
        if reason:
            return Regime.outside(reason, defined=False)
        if is_traced(setup.network, setup.task):
            return Regime(RESULTS.successful)
        return _weights(setup)

    def poles(self, coords: Float[Array, "... 3"]) -> Array:
        """The two eigenvalues of the recurrent weights at `coords`, as complex numbers."""
        p, q, r = (coords[..., index] for index in range(3))
        root = jnp.sqrt(((p - r) / 2) ** 2 - q**2 + 0j)
        return jnp.stack([(p + r) / 2 + root, (p + r) / 2 - root], axis=-1)


def _plane(setup: Setup) -> Float[Array, "2 unit"]:
    """Unit vectors along the sum and the difference of the directions of read-in and read-out; zero where parallel."""
    read_in, read_out = setup.network.w_in[:, 0], setup.network.w_out[0]
    first, second = _unit(read_in), _unit(read_out)
    return jnp.stack([_unit(first + second), _unit(first - second)])


def _unit(vector):
    norm = jnp.linalg.norm(vector)
    return jnp.where(norm > 1e-8, vector / jnp.where(norm > 1e-8, norm, 1.0), 0.0)


def _project(w_rec, plane):
    inside = plane @ w_rec @ plane.T
    return jnp.stack([inside[0, 0], 0.5 * (inside[0, 1] - inside[1, 0]), inside[1, 1]])


@eqx.filter_jit
def _start(setup: Setup):
    return _project(setup.network.w_rec, _plane(setup))


@eqx.filter_jit
def _two_units(setup: Setup) -> Setup:
    plane = _plane(setup)
    p, q, r = _project(setup.network.w_rec, plane)
    network = ContinuousLinearRNN(
        jnp.array([[p, q], [-q, r]]), plane @ setup.network.w_in[:, 0], plane @ setup.network.w_out[0]
    )
    decay = -setup.task.population().transition[0, 0]
    return Setup(network, Integrator(decay), setup.rule, setup.train, setup.rates)


def _structure(setup: Setup) -> str:
    network, target = setup.network, setup.task.population()
    if setup.train != ("w_rec",):
        return (
            f'it assumes that the recurrent weights learn alone, train=("w_rec",); here {", ".join(setup.train)} learn.'
        )
    if type(setup.rule) is not BPTT:
        return f"it assumes the gradient (BPTT); the rule is {type(setup.rule).__name__}, for which nothing is derived."
    if not isinstance(network, ContinuousLinearRNN):
        return f"it assumes a ContinuousLinearRNN; the network is a {type(network).__name__}."
    if not isinstance(target, RationalTarget) or target.dt is not None or target.transition.shape[0] != 1:
        return "it assumes the target exp(-decay s) in continuous time, as Integrator(decay) gives."
    if network.w_in.shape[1] != 1 or network.w_out.shape[0] != 1:
        channels = network.w_in.shape[1], network.w_out.shape[0]
        return f"it assumes one input and one output; the network has {channels[0]} and {channels[1]}."
    return ""


def _weights(setup: Setup) -> Regime:
    network, target = setup.network, setup.task.population()
    amplitude = float(np.asarray(target.output)[0, 0] * np.asarray(target.drive)[0, 0])
    if abs(amplitude - 1) > 1e-12:
        return Regime.outside(f"the target has amplitude {amplitude:g}, and the theory assumes 1.", defined=False)
    if not np.any(np.asarray(network.w_in)) or not np.any(np.asarray(network.w_out)):
        return Regime.outside("read-in or read-out is zero and frozen: the gradient is zero.", defined=False)
    plane, w_rec = np.asarray(_plane(setup)), np.asarray(network.w_rec)
    p, q, r = np.asarray(_project(network.w_rec, plane))
    if np.max(np.linalg.eigvals(np.array([[p, q], [-q, r]])).real) >= 1:
        return Regime.outside("the initial network is unstable and its stationary loss infinite.", defined=False)
    kept = plane.T @ np.array([[p, q], [-q, r]]) @ plane
    away = max(np.linalg.norm((matrix - part) @ plane.T, 2) for matrix, part in ((w_rec, kept), (w_rec.T, kept.T)))
    if away > SMALL:
        return Regime.outside(
            f"the initial recurrent weights move read-in and read-out out of their plane by {away:.3g} (limit "
            f"{SMALL}); {ELSEWHERE}."
        )
    return Regime(RESULTS.successful)
