"""Learning a damped oscillation from small weights: two real outliers that meet and leave as a conjugate pair."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from weightpath._tracing import is_traced
from weightpath._types import Array, Complex, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.setup import Setup
from weightpath.tasks.oscillator import DampedOscillator
from weightpath.theory.base import AbstractReducedDynamics, Regime
from weightpath.theory.crossings import crossings
from weightpath.theory.outlier import read_in_direction
from weightpath.theory.pair_regime import Seen, pair_regime, structure
from weightpath.theory.two_pole import energy, filter_of, is_stable, oscillation, two_pole_loss, two_pole_slope

#: Steps after which the search for an end point gives up.
MAX_STEPS = 50_000
#: The coordinates that stay zero on rank one: M12, M21 and v2.
ACROSS = (1, 2, 5)


class ConjugatePair(AbstractReducedDynamics):
    r"""A continuous-time linear network that learns a damped oscillation, as a pair of outlier eigenvalues.

    With W0 = 0, or W0 within the plane of the read-in u and the initial read-out v0, both stay in that plane and learn
    like a network of two units: $W = B M B^T$, $v = B\,(v_1, v_2)$, $u = B\,(\kappa, 0)$. The six coordinates
    $M_{11}, M_{12}, M_{21}, M_{22}, v_1, v_2$ obey $\dot M = -\eta_w\,\partial L/\partial M$,
    $\dot v = -\eta_v\,\partial L/\partial v$ with the closed-form loss of `theory.two_pole`; u is fixed. One
    quantity is conserved, $(M_{21}^2 - M_{12}^2)/\eta_w - v_2^2/\eta_v$.

    Learning fits one exponential first (`theory.plateau`), leaves it at `theory.escape_rate`, and ends when two real
    eigenvalues have met (`theory.collision_time`) and gone to $1 - c^* \pm i\omega^*$. The final M is not unique: two
    directions are invisible in the filter. If v0 is parallel to u and W0 = 0 the pair can not form.

    Argument: `weights` $(p_d, p_b, p_e)$: None for the plane of u and v0; otherwise its second direction is
    $p_d d_0 + p_b b_0 + p_e e_0$, from $W_0 u$, $W_0^T u$ and $v_0$ across u. `theory.escape` finds those with which
    the theory holds, to first order, for small random W0 and v0.

    Assumptions: full-batch gradient flow (BPTT) on the stationary loss; read-in fixed; two complex target poles.
    Source: reproduces the stated findings of Bordelon et al. 2025 (arXiv 2503.18754); the equations are derived for
    the setting above, and their normalisation is that of `Setup.rates`.
    """

    coords: ClassVar[tuple[str, ...]] = ("m11", "m12", "m21", "m22", "v1", "v2")
    reference: ClassVar[str] = "Bordelon et al. 2025 (arXiv 2503.18754), conjugate pair of a damped oscillation"

    weights: Float[Array, "3"] | None = None

    def measure(self, network: AbstractNetwork, setup: Setup) -> Float[Array, " coord"]:
        """The network projected on the theory's plane; works on word-Krylov projections and on the network itself."""
        return _coordinates(network, plane(setup, self.weights))

    def start(self, setup: Setup) -> Float[Array, " coord"]:
        """The initial network projected on the plane."""
        return _project(self, setup)

    def vector_field(self, time, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, " coord"]:
        """d(M, v)/d(learning time); NaN for an unstable network, which makes solvers take a smaller step."""
        slope = two_pole_slope(coords, _kappa(setup), oscillation(setup.task.population()))
        return jnp.where(is_stable(coords), -_rates(setup) * slope, jnp.nan)

    def loss(self, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, ""]:
        r"""$\tfrac12\int (f-f^*)^2 ds$ in closed form, accurate also near zero; infinite for an unstable network."""
        value = two_pole_loss(coords, _kappa(setup), oscillation(setup.task.population()))
        return jnp.where(is_stable(coords), value, jnp.inf)

    def reduced(self, setup: Setup) -> Setup:
        """A network of two units in the plane, and the target as a `DampedOscillator`."""
        if setup.network.w_rec.shape == (2, 2) and type(setup.task) is DampedOscillator and setup.task.noise is None:
            return setup
        return _two_units(self, setup)

    def moving(self, setup: Setup) -> tuple[int, ...]:
        """Indices of the coordinates whose weights are trained."""
        return tuple(range(4)) * ("w_rec" in setup.train) + (4, 5) * ("w_out" in setup.train)

    def stiff(self, setup: Setup) -> bool:
        r"""True for $c^* < 0.08$, where the loss is steep around its optimum."""
        small = self.reduced(setup)
        if is_traced(small):
            return True
        assert isinstance(small.task, DampedOscillator), "reduced setups oscillate"
        return bool(float(small.task.decay) < 0.08)

    def regime(self, setup: Setup) -> Regime:
        """Inside for this plane; otherwise the reason, and whether a prediction exists at all."""
        reason, traced = structure(setup), is_traced(setup.network, setup.task, setup.rates)
        seen = None if reason or traced else prepared(self, setup).seen
        return pair_regime(reason, seen, self.weights is not None)

    def endpoint(self, setup: Setup) -> Float[Array, " coord"]:
        r"""Where the flow from `setup.network` ends, by integration: to the target, or to the plateau from rank one.

        NaN where it does not settle. Which of the networks of zero loss is reached depends on the start.
        """
        small = self.reduced(setup)
        return _endpoint(self, small, self.start(small))

    def eigenvalues(self, coords: Float[Array, "*batch coord"]) -> Complex[Array, "*batch 2"]:
        r"""Eigenvalues of M, $\tfrac12\mathrm{tr}M \pm \sqrt D$: the larger (or upper) first, continuous in time."""
        middle, root = (coords[..., 0] + coords[..., 3]) / 2, jnp.sqrt(self.discriminant(coords).astype(complex))
        return jnp.stack([middle + root, middle - root], axis=-1)

    def discriminant(self, coords: Float[Array, "*batch coord"]) -> Float[Array, "*batch"]:
        r"""$D = (M_{11}-M_{22})^2/4 + M_{12}M_{21}$: two real eigenvalues above 0, a conjugate pair below."""
        return (coords[..., 0] - coords[..., 3]) ** 2 / 4 + coords[..., 1] * coords[..., 2]

    def visible(self, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, "4"]:
        r"""$(c, \omega, A, B)$ of the filter $e^{-cs}(A\cos\omega s + B\sin\omega s)$; $\omega$, B NaN for real poles.

        $c = 1 - \tfrac12\mathrm{tr}M$, $\omega = \sqrt{-D}$, $A = v\cdot u$,
        $B = (v^T M u - \tfrac12\mathrm{tr}M\,A)/\omega$.
        """
        a1, _, amplitude, numerator = filter_of(coords, _kappa(setup))
        frequency = jnp.sqrt(-self.discriminant(coords))
        return jnp.stack([a1 / 2, frequency, amplitude, (numerator - a1 / 2 * amplitude) / frequency])

    def conserved(self, coords: Float[Array, "*batch coord"], setup: Setup) -> Float[Array, "*batch"]:
        r"""$(M_{21}^2 - M_{12}^2)/\eta_w - v_2^2/\eta_v$, constant when recurrent weights and read-out are trained."""
        speed, readout_speed = setup.rates["w_rec"], setup.rates["w_out"]
        return (coords[..., 2] ** 2 - coords[..., 1] ** 2) / speed - coords[..., 5] ** 2 / readout_speed


def plane(setup: Setup, weights: Float[Array, "3"] | None) -> Float[Array, "unit 2"]:
    """Orthonormal basis of the theory's plane: along the read-in, and across it; a zero column where nothing is."""
    along = read_in_direction(setup)
    d, b, e = transverse(setup)
    if weights is None:
        direction = jnp.where(jnp.any(e != 0), e, jnp.where(jnp.any(d != 0), d, b))
    else:
        direction = weights[0] * d + weights[1] * b + weights[2] * e
    norm = jnp.linalg.norm(direction)
    return jnp.stack([along, direction / jnp.where(norm > 0, norm, 1.0)], axis=1)


def transverse(setup: Setup) -> tuple[Float[Array, " unit"], Float[Array, " unit"], Float[Array, " unit"]]:
    r"""$W_0\hat u$, $W_0^T\hat u$ and $v_0$ across the read-in; zero where they are rounding errors."""
    along, network = read_in_direction(setup), setup.network

    def across(vector):
        rest = vector - along * (along @ vector)
        return jnp.where(jnp.linalg.norm(rest) > 1e-13 * jnp.linalg.norm(vector), rest, 0.0)

    return across(network.w_rec @ along), across(network.w_rec.T @ along), across(network.w_out[0])


def _coordinates(network: AbstractNetwork, basis: Array) -> Float[Array, " coord"]:
    inside = basis.T @ network.w_rec @ basis
    return jnp.concatenate([inside.reshape(4), network.w_out[0] @ basis])


def _kappa(setup: Setup) -> Float[Array, ""]:
    return jnp.sqrt(jnp.sum(setup.network.w_in**2))


def _rates(setup: Setup) -> Float[Array, " coord"]:
    zero = jnp.zeros(())
    speed, readout_speed = setup.rates.get("w_rec", zero), setup.rates.get("w_out", zero)
    return jnp.stack([speed] * 4 + [readout_speed] * 2)


@eqx.filter_jit
def _project(theory: ConjugatePair, setup: Setup) -> Float[Array, " coord"]:
    return theory.measure(setup.network, setup)


@eqx.filter_jit
def _two_units(theory: ConjugatePair, setup: Setup) -> Setup:
    # Compiled as a whole: the border checks of the constructors would cost more than the theory.
    return _small(theory.measure(setup.network, setup), setup)


def _small(coords: Float[Array, " coord"], setup: Setup) -> Setup:
    kappa = _kappa(setup)
    read_in = jnp.stack([kappa, jnp.zeros_like(kappa)])
    network = ContinuousLinearRNN(coords[:4].reshape(2, 2), read_in[:, None], coords[None, 4:])
    task = DampedOscillator(*oscillation(setup.task.population()))
    return Setup(network, task, setup.rule, setup.train, setup.rates)


class Prepared(NamedTuple):
    """A setup seen in the theory's plane: what its regime depends on, the problem of two units, and the direction."""

    seen: Seen
    small: Setup
    direction: Float[Array, " unit"]


@eqx.filter_jit
def prepared(theory: ConjugatePair, setup: Setup) -> Prepared:
    """Everything that a prediction needs from a network of any size, in one compiled program."""
    basis, network, target = plane(setup, theory.weights), setup.network, setup.task.population().transition
    leaving = [matrix @ basis - basis @ (basis.T @ matrix @ basis) for matrix in (network.w_rec, network.w_rec.T)]
    read_out = network.w_out[0] - basis @ (basis.T @ network.w_out[0])
    coords = _coordinates(network, basis)
    seen = Seen(
        frequency=-((target[0, 0] - target[1, 1]) ** 2) / 4 - target[0, 1] * target[1, 0],
        kappa=_kappa(setup),
        coords=coords,
        missed=jnp.sqrt(jnp.maximum(sum(jnp.sum(part**2) for part in leaving), jnp.sum(read_out**2))),
        spans=jnp.any(basis[:, 1] != 0),
    )
    return Prepared(seen, _small(coords, setup), basis[:, 1])


def is_patient(coords: Float[Array, " coord"], setup: Setup) -> Array:
    """Whether the flow reaches the target in the end: both weights trained, and a start off rank one."""
    both = {"w_rec", "w_out"} <= set(setup.train)
    return jnp.any(coords[jnp.array(ACROSS)] != 0) & both


def at_rest(slope: Float[Array, " coord"]) -> Array:
    """Whether a flow that will not reach the target has settled, to the accuracy of the solver."""
    return jnp.sum(slope**2) < 1e-18


@eqx.filter_jit
def _endpoint(theory: ConjugatePair, setup: Setup, start: Array) -> Array:
    patient, goal = is_patient(start, setup), 1e-18 * energy(oscillation(setup.task.population()))

    def finished(coords, slope):
        return jnp.where(patient, theory.loss(coords, setup) <= goal, at_rest(slope))

    path = crossings(
        lambda time, coords: theory.vector_field(time, coords, setup),
        start, lambda coords: jnp.zeros(1), finished, (False,), 1e-10, 1e-13, MAX_STEPS,
    )  # fmt: skip
    return jnp.where(path.finished, path.end, jnp.nan)
