"""Local learning rules on an aligned linear network: every mode learns alone, as three numbers."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Int
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import LinearRNN
from weightpath.setup import Setup
from weightpath.tasks.teacher import TeacherRNN
from weightpath.theory.base import AbstractReducedDynamics, Regime
from weightpath.theory.mode_advice import mode_advice
from weightpath.theory.mode_basis import (
    horizon_of,
    is_single,
    mode_basis,
    mode_coordinates,
    mode_problem,
    rule_of_mode,
    taught,
)
from weightpath.theory.mode_end import final_state
from weightpath.theory.mode_equations import loss_of, velocity_of
from weightpath.theory.mode_path import STIFF
from weightpath.theory.mode_regime import mode_regime

#: The weights behind the coordinates.
WEIGHTS = ("w_out", "w_in", "w_rec")


class Modes(AbstractReducedDynamics):
    r"""One mode of a discrete-time linear network that learns from a teacher, under any rule with a linear credit.

    Where network, teacher and feedback share their singular vectors, mode i (`mode`, strongest first) evolves alone as
    `read_out` a, `read_in` b and `recurrent` w, on the velocity `theory.mode_velocity` times the rates of the setup;
    weights that are not trained stay. BPTT, RTRL (and its unbiased estimates, in expectation), TruncatedBPTT, RFLO,
    EProp and SnAp0; final and sequence loss; trials of any length. Only the mode asked for has to be aligned: the rest
    of the network is then invisible to it. On the manifold of solutions `theory.stability` finds one eigenvalue zero,
    along it; `theory.linearise` gives the two across.

    Assumptions: flow of the expected update on white noise; hidden direction, output and input of the mode split off
    from the rest at the start. Two complex poles of a teacher are not a mode.

    Source: reproduces the stated findings of Williams, Payeur and Lajoie 2026 (arXiv 2606.00243). Final states,
    conserved quantities and basins are derived here.
    """

    coords: ClassVar[tuple[str, ...]] = ("read_out", "read_in", "recurrent")
    reference: ClassVar[str] = "Williams, Payeur and Lajoie 2026 (arXiv 2606.00243), modes of aligned linear networks"

    mode: Int[Array, ""] = eqx.field(default=0, converter=jnp.asarray)

    def measure(self, network: AbstractNetwork, setup: Setup) -> Float[Array, " coord"]:
        """(a, b, w) of `network` in the directions of the mode in `setup.network`."""
        return mode_coordinates(network, mode_basis(setup, self.mode))

    def start(self, setup: Setup) -> Float[Array, " coord"]:
        """(a, b, w) of the initial network."""
        return _project(self, setup)

    def vector_field(self, time, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, " coord"]:
        """d(a, b, w)/d(learning time); NaN where there is no stationary loss, so that solvers take a smaller step."""
        problem = mode_problem(setup, self.mode)
        velocity = velocity_of(problem.rule, coords, problem.teacher, problem.weights)
        inside = jnp.abs(coords[2]) < 1 if problem.weights is None else True
        return jnp.where(inside, _rates(setup) * velocity, jnp.nan)

    def loss(self, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, ""]:
        """Half the expected squared error of the mode; the network's loss is the sum over its modes."""
        problem = mode_problem(setup, self.mode)
        return loss_of(coords, problem.teacher, problem.weights)

    def reduced(self, setup: Setup) -> Setup:
        """A network of one unit and a teacher of one unit with the same mode."""
        if is_single(setup) and type(setup.network) is LinearRNN and type(setup.task) is TeacherRNN:
            return setup
        return _single_unit(self, setup)

    def moving(self, setup: Setup) -> tuple[int, ...]:
        """Indices of the coordinates whose weights are trained."""
        return tuple(i for i, name in enumerate(WEIGHTS) if name in setup.train)

    def stiff(self, setup: Setup) -> bool:
        r"""True for $|w^*| > 0.95$."""
        if is_traced(setup):
            return False
        return abs(float(mode_problem(setup, self.mode).teacher[2])) > STIFF

    def regime(self, setup: Setup) -> Regime:
        """Inside for a mode that is aligned with its teacher; otherwise what is not, and by how much."""
        return mode_regime(setup, self.mode)

    def endpoint(self, setup: Setup) -> Float[Array, " coord"]:
        """Where the flow from `setup.network` ends if it converges (`theory.final_state`); NaN without closed form.

        That is for rates that differ, for weights that are not trained, and for BPTT truncated to several steps.
        """
        rule, teacher, _ = mode_problem(setup, self.mode)
        rates = {float(rate) for rate in setup.rates.values()}
        if rule.terms is not None or len(self.moving(setup)) < 3 or len(rates) > 1:
            return jnp.full(3, jnp.nan)
        return final_state(rule, self.start(setup), teacher).coords

    def conserved(self, coords: Float[Array, "*batch coord"], setup: Setup) -> Float[Array, "*batch"]:
        r"""The conserved number of the mode (`theory.invariant`) at the rates of the setup, if all three are trained.

        RFLO $b^2/\eta_b + (w-\hat w)^2/\eta_w - 2\hat aa/\eta_a$; the others alike. NaN for BPTT truncated to several
        steps.
        """
        rule, rates = mode_problem(setup, self.mode).rule, _rates(setup)
        a, b, w = coords[..., 0], coords[..., 1], coords[..., 2]
        shared = (1 - rule.follow) * (w - rule.trace_decay) ** 2 / rates[2]
        kept = b**2 / rates[1] + shared - (rule.tied * a**2 + 2 * rule.feedback * a) / rates[0]
        return jnp.where(rule.tied == 1, -kept, kept) if rule.terms is None else jnp.full_like(kept, jnp.nan)

    def advice(self, setup: Setup, learning_rate: float | None = None) -> tuple[str, ...]:
        """What is worth knowing before learning starts, in sentences: `theory.mode_advice` for this mode."""
        rule, teacher, _ = mode_problem(setup, self.mode)
        return mode_advice(rule, self.start(setup), teacher, learning_rate, horizon_of(setup.task.population())[0])


def _rates(setup: Setup) -> Float[Array, " coord"]:
    return jnp.stack([setup.rates.get(name, jnp.zeros(())) for name in WEIGHTS])


@eqx.filter_jit
def _project(theory: Modes, setup: Setup) -> Float[Array, " coord"]:
    return theory.measure(setup.network, setup)


@eqx.filter_jit
def _single_unit(theory: Modes, setup: Setup) -> Setup:
    # Compiled as a whole: the border checks of the constructors would cost more than the theory.
    target, basis = setup.task.population(), mode_basis(setup, theory.mode)
    read_out, read_in, recurrent = mode_coordinates(setup.network, basis)[:, None, None]
    asked_out, asked_in, pole = taught(target, basis)[:, None, None]
    task = TeacherRNN(LinearRNN(pole, asked_in, asked_out), *horizon_of(target))
    rule = rule_of_mode(setup.rule, basis)
    return Setup(LinearRNN(recurrent, read_in, read_out), task, rule, setup.train, setup.rates)
