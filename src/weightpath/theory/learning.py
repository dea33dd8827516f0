"""How long learning takes, in learning time and in steps of gradient descent."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS
from weightpath._tracing import is_traced
from weightpath._types import Array, ArrayLike, Float, Int
from weightpath.setup import Setup
from weightpath.tasks.teacher import TeacherTarget
from weightpath.theory.mode_basis import is_single
from weightpath.theory.modes import Modes
from weightpath.theory.outlier import Outlier
from weightpath.theory.pair import ACROSS, ConjugatePair
from weightpath.theory.plateau import best_exponential
from weightpath.theory.solve import Arrival, first_time, raise_unless_successful
from weightpath.theory.two_pole import is_stable, oscillation

#: Theories of a few numbers that say how long learning takes.
Reduced = Outlier | ConjugatePair | Modes
#: Eigenvalues smaller than this, relative to the largest, belong to the direction along the solutions.
ALONG = 1e-9


class Descent(eqx.Module):
    """Gradient descent on the reduced coordinates: steps to the goal, and where they led."""

    steps: Int[Array, ""]
    coords: Float[Array, " coord"]
    loss: Float[Array, ""]
    result: RESULTS


def learning_time(setup: Setup, fraction: float, theory: Reduced | None = None) -> Float[Array, ""]:
    r"""First learning time at which the loss of the reduced theory has fallen to `fraction` of its start.

    $t_p = \min\{\tau : L(\tau) \le p\,L(0)\}$, located by an event with root finding on the loss. Without `theory`,
    that is `theory.Outlier` for one target pole, `theory.ConjugatePair` for an oscillating target, and `theory.Modes`
    for a teacher of one unit; of several modes name one, `theory=theory.Modes(mode)`: the loss is then the mode's.
    Infinite when the flow ends above that level (read-out or recurrent weights alone, say). In gradient descent the
    same takes at least `steps_at_edge` steps.

    **Warns:** UserWarning outside the regime of the theory.
    **Raises:** ValueError for a fraction outside (0, 1), where the theory has no prediction, or in 32-bit mode.
    """
    require_x64("theory.learning_time")
    _check_fraction(fraction)
    theory, small = _checked_theory(setup, theory)
    goal, end = _levels(theory, small, jnp.asarray(float(np.asarray(fraction))))
    if end >= goal:
        return jnp.asarray(jnp.inf)
    return _time(first_time(theory, small, _loss, goal), "theory.learning_time")


def detachment_time(setup: Setup, radius: float) -> Float[Array, ""]:
    """First learning time at which the outlier's modulus exceeds `radius`, the gain of the initial weights.

    Infinite when the outlier ends inside the bulk.

    **Warns:** UserWarning outside the regime of the theory.
    **Raises:** ValueError for a radius that is not positive, where the theory has no prediction, or in 32-bit mode.
    """
    require_x64("theory.detachment_time")
    if not radius > 0:
        raise ValueError(
            f"radius must be positive; got {radius}. Without a bulk the outlier is detached from the start."
        )
    theory, small = _checked_theory(setup, Outlier())
    if abs(float(theory.start(small)[2])) >= radius:
        return jnp.zeros(())
    if abs(float(theory.endpoint(small)[2])) <= radius:
        return jnp.asarray(jnp.inf)
    return _time(first_time(theory, small, _modulus, radius), "theory.detachment_time")


def lr_max(setup: Setup, theory: Reduced | None = None) -> Float[Array, ""]:
    r"""Largest stable learning rate at the end point: $2/\lambda_{max}$ of the scaled Hessian for the gradient.

    It multiplies the rates of the setup. From the Jacobian of the reduced flow at `Outlier.endpoint`, so that it holds
    in every training mode, or at `ConjugatePair.endpoint`, which is found by integration and depends on the start (its
    two invisible directions have eigenvalue zero); NaN where the flow has no end point. For `theory.Modes` (default for
    a teacher of one unit), where other rules have complex eigenvalues, $\min -2\,\mathrm{Re}\lambda/|\lambda|^2$ across
    the manifold of solutions; NaN where the flow ends on an unstable point.

    **Raises:** ValueError where the theory has no prediction, or in 32-bit mode.
    """
    require_x64("theory.lr_max")
    theory, small = _checked_theory(setup, theory)
    limit = _lr_max_across if isinstance(theory, Modes) else _lr_max
    return limit(theory, small, theory.endpoint(small))


def steps_at_edge(setup: Setup, fraction: float, theory: Reduced | None = None) -> Float[Array, ""]:
    r"""Learning time over the largest stable learning rate: about how many steps gradient descent needs.

    It grows as $c^{*-3}$ for small decay although the learning time itself does not.
    """
    return learning_time(setup, fraction, theory) / lr_max(setup, theory)


def descent_steps(setup: Setup, fraction: float, learning_rate: ArrayLike, *, max_steps: int = 10_000_000) -> Descent:
    """Steps of plain gradient descent on the reduced coordinates until the loss is at most `fraction` of its start.

    Arguments: `learning_rate` multiplies the rates of the setup. `result` is `unstable` when a step crosses into
    unstable weights (outlier at 1 or above) and `max_steps` when the goal is not reached.

    **Raises:** ValueError for a fraction outside (0, 1) or a learning rate that is not positive.
    """
    require_x64("theory.descent_steps")
    _check_fraction(fraction)
    if not is_traced(learning_rate) and not float(np.asarray(learning_rate)) > 0:
        raise ValueError(f"learning_rate must be positive; got {learning_rate}.")
    theory, small = _checked_theory(setup)
    numbers = jnp.asarray(fraction, float), jnp.asarray(learning_rate, float), jnp.asarray(max_steps)
    return _descend(theory, small, theory.start(small), *numbers)


@eqx.filter_jit
def _levels(theory, setup, fraction):
    """The loss to be reached, and the loss at which the flow ends (of a pair: at least ends)."""
    start = theory.start(setup)
    if isinstance(theory, ConjugatePair):
        stuck = best_exponential(oscillation(setup.task.population())).loss
        end = jnp.where(jnp.all(start[jnp.array(ACROSS)] == 0), stuck, 0.0)
    elif isinstance(theory, Modes):
        end = jnp.zeros(())  # where a flow stays above the goal, it comes to rest or loses stability there
    else:
        end = theory.loss(theory.endpoint(setup), setup)
    return fraction * theory.loss(start, setup), end


@eqx.filter_jit
def _lr_max(theory, setup, end):
    index = jnp.asarray(theory.moving(setup))
    matrix = jax.jacfwd(lambda y: theory.vector_field(jnp.zeros(()), y, setup))(end)[index][:, index]
    # A gradient flow's Jacobian is minus the rates times a symmetric matrix; the square roots make it symmetric.
    rates = jnp.stack([setup.rates[name] for name in _weights(theory) if name in setup.train])
    scale = jnp.sqrt(jnp.where(rates > 0, rates, 1.0))
    return 2 / jnp.max(jnp.linalg.eigvalsh(-matrix * scale[None, :] / scale[:, None]))


@eqx.filter_jit
def _lr_max_across(theory, setup, end):
    index = jnp.asarray(theory.moving(setup))
    matrix = jax.jacfwd(lambda y: theory.vector_field(jnp.zeros(()), y, setup))(end)[index][:, index]
    values = jnp.linalg.eigvals(matrix)
    size = jnp.abs(values)
    along = size <= ALONG * jnp.max(size)
    limit = jnp.min(jnp.where(along, jnp.inf, -2 * values.real / jnp.where(along, 1.0, size) ** 2))
    return jnp.where(jnp.all(jnp.isfinite(end)) & (limit > 0), limit, jnp.nan)


def _weights(theory) -> tuple[str, ...]:
    """The weights that each coordinate belongs to."""
    return ("w_rec",) * 4 + ("w_out",) * 2 if isinstance(theory, ConjugatePair) else ("w_in", "w_out", "w_rec")


def _is_stable(theory, coords):
    """Whether the coordinates stand for a stable network."""
    return is_stable(coords) if isinstance(theory, ConjugatePair) else coords[2] < 1


@eqx.filter_jit
def _descend(theory, setup, start, fraction, learning_rate, max_steps) -> Descent:
    goal = fraction * theory.loss(start, setup)

    def unfinished(state):
        step, coords = state
        return (theory.loss(coords, setup) > goal) & (step < max_steps) & _is_stable(theory, coords)

    def descend(state):
        step, coords = state
        return step + 1, coords + learning_rate * theory.vector_field(jnp.zeros(()), coords, setup)

    steps, coords = jax.lax.while_loop(unfinished, descend, (jnp.zeros((), int), start))
    loss = theory.loss(coords, setup)
    result = RESULTS.where(loss <= goal, RESULTS.successful, RESULTS.max_steps)
    result = RESULTS.where(_is_stable(theory, coords), result, RESULTS.unstable)
    return Descent(steps, coords, loss, result)


def _loss(theory, coords, setup):
    return theory.loss(coords, setup)


def _modulus(theory, coords, setup):
    return jnp.abs(coords[2])


def _time(arrival: Arrival, what: str):
    if bool(arrival.result == RESULTS.not_converged):
        return jnp.asarray(jnp.inf)
    raise_unless_successful(arrival.result, what)
    return arrival.time


def _check_fraction(fraction) -> None:
    if not 0 < float(np.asarray(fraction)) < 1:
        raise ValueError(
            f"fraction must be between 0 and 1 (0.01 for the time to 1% of the initial loss); got {fraction}."
        )


def _checked_theory(setup: Setup, theory: Reduced | None = None):
    """The theory, by the number of the target's poles, and the reduced setup, once there is a prediction."""
    if theory is None and isinstance(setup.task.population(), TeacherTarget):
        if not is_single(setup):
            raise ValueError("this teacher has more than one mode; name one of them: theory=wp.theory.Modes(mode).")
        theory = Modes()
    if theory is None:
        transition = getattr(setup.task.population(), "transition", None)
        theory = ConjugatePair() if transition is not None and transition.shape == (2, 2) else Outlier()
    regime = theory.regime(setup)
    if not regime.defined:
        raise ValueError(f"no prediction for this setup: {regime.reason}")
    if not regime.inside:
        warnings.warn(f"{type(theory).__name__} outside its regime: {regime.reason}", UserWarning, stacklevel=3)
    return theory, theory.reduced(setup)
