r"""Exact update of every local rule for linear networks: no sampling, no alignment, any horizon.

An error at some time changes the weights into the units k steps earlier by the operators $P_k = D^k S$ of the rule
(`weightpath.rules.credit`). With the responses $X_k = W^k B$ of the student and the lagged errors

$$E_k = \langle \epsilon_T x_{T-1-k}^T\rangle = A W^k B - A^* W^{*k} B^*, \qquad
C_k = \langle \epsilon_T h_{T-1-k}^T\rangle = E_{k+1} B^T + C_{k+1} W^T, \quad C_{T-1} = 0,$$

a rule takes $\Delta A = \sum_k E_k X_k^T$, $\Delta W = \sum_k P_k C_k$ and $\Delta B = \sum_k P_k E_k$ off the weights;
the velocity is $-\Delta$. The loss of the last step is $\tfrac12\sum_k |E_k|^2$.

The mean over the horizons 1 .. T needs no second sum: an error of lag k is seen by T - k of the T horizons, so that all
of the above holds with $(1 - k/T) E_k$ in place of $E_k$ (and one factor $1 - k/T$ in the loss).

For long trials the sums are those of the error system $(Z, B_s, C_s)$ of `weightpath.rules.population`, student and
teacher together, with $E_k = C_s Z^k B_s$, the Gramian $P = Z P Z^T + B_s B_s^T$ and

$$Y = D\,Y Z + S C_s, \qquad \Delta B = Y B_s, \quad \Delta W = Y Z P_{:h}, \quad \Delta A = C_s P_{:h},$$

where $:h$ takes the student's columns. In continuous time, $e^{(D - 1)s} S$ stands for $D^k S$ ($D$ in place of the
recurrent weights: 0 for a trace that decays with the membrane), $(D - 1) Y + Y Z + S C_s = 0$, and $\Delta W = Y
P_{:h}$. With $D = W^T$ and $S = A^T$ these are the gradient.

Source: the finite sums are those of Williams, Payeur and Lajoie 2026 (arXiv 2606.00243); the stationary and the
sequence form are derived here.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._linalg import bilinear, gramians
from weightpath._results import RESULTS
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.rules.base import Info
from weightpath.rules.carried import carried_errors, credit_powers
from weightpath.rules.credit import Credit
from weightpath.rules.impulse import powers
from weightpath.rules.population import ErrorSystem, NoExactForm, error_system, outcome, population_loss
from weightpath.tasks.filters import RationalTarget
from weightpath.tasks.finite import FiniteTarget
from weightpath.tasks.teacher import TeacherTarget


def teacher_loss(network: AbstractNetwork, target) -> Float[Array, ""]:
    r"""Exact loss of a linear network on a `TeacherTarget`; infinite where there is no stationary state to look at.

    A sum of squares, hence never negative, and accurate to the square of the rounding error. Differentiable in every
    array.

    **Raises:** NoExactForm (a ValueError) when the network is not linear or runs in another time than the target.
    """
    filter, bins = _parts(network, target)
    if bins is None:
        return population_loss(network, filter)
    errors = _errors(powers(network.w_rec, network.w_in, bins), network, filter)
    return 0.5 * jnp.sum(_seen(target, bins)[:, None, None] * errors**2)


def teacher_velocity(rule, network: AbstractNetwork, target) -> tuple[AbstractNetwork, Info]:
    """Minus the expected update of `rule` (any with a `credit`) for a linear network, and what was found on the way.

    `target`: a `TeacherTarget`; a discrete- or continuous-time `RationalTarget`, since a filter is a teacher; a
    `FiniteTarget` in discrete time. Without a stationary state the velocity is NaN and the outcome says so.

    **Raises:** NoExactForm (a ValueError) naming rule, network and target where there is no exact form.
    """
    try:
        filter, bins = _parts(network, target)
        credit = rule.credit(network)
        if bins is None:
            system = error_system(network, filter)
            if system.continuous and credit.terms is not None:
                raise NoExactForm("a truncation counts time steps, and the network runs in continuous time")
            update, info = _stationary(credit, network, system, population_loss(network, filter))
        else:
            update, info = _finite(credit, network, filter, _seen(target, bins))
    except NoExactForm as reason:
        names = [type(part).__name__ for part in (rule, network, target)]
        raise NoExactForm(f"{names[0]} has no exact form for {names[1]} on {names[2]}: {reason}.") from None
    velocity = jax.tree.map(jnp.negative, update)
    return eqx.tree_at(lambda net: (net.w_rec, net.w_in, net.w_out), network, velocity), info


def _finite(credit: Credit, network: AbstractNetwork, filter: RationalTarget, seen: Array) -> tuple[tuple, Info]:
    """Update (W, B, A) and `Info` on trials of `len(seen)` steps, whose errors of lag k count `seen[k]` times."""
    responses = powers(network.w_rec, network.w_in, len(seen))
    errors = _errors(responses, network, filter)
    counted = seen[:, None, None] * errors
    operators = credit_powers(credit, len(seen))

    def backward(correlation, error):
        return error @ network.w_in.T + correlation @ network.w_rec.T, correlation

    start = jnp.zeros((errors.shape[1], network.w_rec.shape[0]), errors.dtype)
    _, correlations = jax.lax.scan(backward, start, counted, reverse=True)
    update = (
        jnp.einsum("kuo,kop->up", operators, correlations),
        jnp.einsum("kuo,koi->ui", operators, counted),
        jnp.einsum("koi,kui->ou", counted, responses),
    )
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(part)) for part in update]))
    loss = 0.5 * jnp.sum(errors * counted)
    result = RESULTS.where(finite, RESULTS.successful, RESULTS.nonfinite)
    return update, Info(loss, jnp.zeros_like(loss), result)


def _stationary(credit: Credit, network: AbstractNetwork, system: ErrorSystem, loss: Array) -> tuple[tuple, Info]:
    """Update (W, B, A) and `Info` in the stationary state."""
    units = network.w_rec.shape[0]
    source, step = credit.source @ system.output, system.step
    if system.continuous:
        discrete, drive, output = bilinear(step, system.drive, system.output)
    else:
        discrete, drive, output = step, system.drive, system.output
    controlled, _, remainder = gramians(discrete, drive, output)
    if credit.terms is not None:
        left = credit_powers(credit, credit.terms)
        right = powers(step.T, system.output.T, credit.terms)
        carried, spread, residual = jnp.einsum("kuo,kso->us", left, right), jnp.zeros(()), jnp.zeros(())
    else:
        carried, spread, residual = carried_errors(credit.carry, step, source, continuous=system.continuous)
    inner = carried if system.continuous else carried @ step
    update = (
        inner @ controlled[:, :units],
        carried @ system.drive,
        system.output @ controlled[:, :units],
    )
    result = outcome(network, jnp.maximum(remainder, spread))
    good = result == RESULTS.successful
    update = tuple(jnp.where(good, part, jnp.nan) for part in update)
    return update, Info(loss, residual, result)


def _errors(responses: Array, network: AbstractNetwork, filter: RationalTarget) -> Float[Array, "k out in"]:
    """Lagged errors E_k, one for each response."""
    wanted = powers(filter.transition, filter.drive, len(responses))
    return jnp.einsum("ou,kui->koi", network.w_out, responses) - jnp.einsum("ou,kui->koi", filter.output, wanted)


def _seen(target, bins: int) -> Float[Array, " k"]:
    """How much an error of lag k counts: by 1 at the last step alone, by 1 - k/T in the mean over all horizons."""
    if isinstance(target, TeacherTarget) and target.loss == "final":
        return jnp.ones(bins)
    return 1 - jnp.arange(bins) / bins


def _parts(network: AbstractNetwork, target) -> tuple[RationalTarget, int | None]:
    """The target as a filter, and the time steps of a trial (None: the stationary state). **Raises:** NoExactForm."""
    if not isinstance(network, LinearRNN | ContinuousLinearRNN):
        raise NoExactForm("the network is not linear")
    discrete = isinstance(network, LinearRNN)
    if isinstance(target, RationalTarget):
        return target, None
    if isinstance(target, TeacherTarget):
        if not discrete:
            raise NoExactForm("the teacher runs in discrete time; make the student a LinearRNN")
        return RationalTarget(target.transition, target.drive, target.output, 1.0), target.horizon
    if isinstance(target, FiniteTarget):
        if target.continuous or not discrete:
            raise NoExactForm("finite trials have an exact form for local rules in discrete time only")
        return RationalTarget(target.transition, target.drive, target.output, 1.0), target.bins
    raise NoExactForm("the task has no linear teacher")
