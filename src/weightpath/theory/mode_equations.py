r"""How one mode learns: velocity and loss of $(a, b, w)$ for every rule, on endless trials and on finite ones.

A mode is a network of one unit, read-out a, read-in b, recurrent weight w, that learns the impulse response
$\kappa\,w^{*k}$, $\kappa = a^*b^*$, from its own $ab\,w^k$. With the error $E_k = ab\,w^k - \kappa w^{*k}$ at lag k
and the credit $P_k = c^k s$ of a rule (`theory.mode_rule`)

$$\Delta a = b\sum_k E_k w^k,\quad \Delta b = \sum_k P_k E_k,\quad
  \Delta w = b\sum_k P_k \sum_j E_{k+1+j}w^j,\quad \text{velocity} = -\Delta.$$

Source: reproduces the stated mode equations of Williams, Payeur and Lajoie 2026 (arXiv 2606.00243); the forms below,
which keep their digits near the optimum, are derived here.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float
from weightpath.theory.base import Values
from weightpath.theory.mode_rule import ModeRule, mode_rule

LOSSES = ("final", "sequence")


def mode_velocity(
    rule, state: Values, teacher: Values, horizon: int | None = None, loss: str = "final"
) -> Float[Array, "*batch coord"]:
    r"""d(a, b, w)/d(learning time) of one mode under `rule`, in closed form.

    Arguments: `state` (..., 3) read-out, read-in, recurrent weight; `teacher` (..., 3) the same of the teacher;
    `horizon` number T of inputs per trial, None for endless trials; `loss` "final" for the error at the last step,
    "sequence" for its mean over the trial (the same flow on endless trials). With $u = 1-w^2$, $x = 1-ww^*$,
    $v = 1-cw$, $y = 1-cw^*$ and all steps back kept, on endless trials

    $$\Delta a = b\Big[\tfrac{ab}{u}-\tfrac{\kappa}{x}\Big],\quad \Delta b = s\Big[\tfrac{ab}{v}-\tfrac{\kappa}{y}\Big],
      \quad \Delta w = sb\Big[\tfrac{ab\,w}{uv}-\tfrac{\kappa w^*}{xy}\Big],$$

    evaluated through $ab-\kappa$ and $w-w^*$, so that small velocities keep their digits. A formula at |w| >= 1 too,
    where it no longer describes a network.

    **Raises:** ValueError for an unknown loss or a horizon below 1.
    """
    return _velocity(mode_rule(rule), as_states(state), as_states(teacher), lag_weights(horizon, loss))


def mode_loss(
    state: Values, teacher: Values, horizon: int | None = None, loss: str = "final"
) -> Float[Array, "*batch"]:
    r"""Half the expected squared error of one mode; arguments as for `mode_velocity`.

    On endless trials a sum of squares, equal to $\tfrac12[a^2b^2/u - 2ab\kappa/x + \kappa^2/(1-w^{*2})]$ without its
    cancellation:

    $$L = \tfrac12\Big[\frac{(ab-\kappa u/x)^2}{u} + \frac{\kappa^2(w-w^*)^2}{x^2(1-w^{*2})}\Big].$$

    On trials of T inputs $\tfrac12\sum_{k<T}E_k^2$, for the sequence loss with weights 1 - k/T. Infinite at |w| >= 1 on
    endless trials.
    """
    return _loss(as_states(state), as_states(teacher), lag_weights(horizon, loss))


def as_states(values: Values) -> Float[Array, "*batch coord"]:
    """Modes as an array (..., 3). **Raises:** ValueError for another shape."""
    states = jnp.asarray(values, dtype=float)
    if states.ndim == 0 or states.shape[-1] != 3:
        raise ValueError(f"a mode is (read_out, read_in, recurrent), shape (..., 3); got shape {states.shape}.")
    return states


def lag_weights(horizon: int | None, loss: str) -> Float[Array, " time"] | None:
    """How much the error at each lag counts, (T,): 1, or 1 - k/T for the sequence loss; None for endless trials.

    **Raises:** ValueError for an unknown loss or a horizon below 1.
    """
    if loss not in LOSSES:
        raise ValueError(f'loss must be "final" or "sequence"; got {loss!r}.')
    if horizon is None:
        return None
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 input per trial, or None for endless trials; got {horizon}.")
    return jnp.asarray(np.ones(horizon) if loss == "final" else 1 - np.arange(horizon) / horizon)


def velocity_of(rule: ModeRule, state: Array, teacher: Array, weights: Array | None) -> Float[Array, "*batch coord"]:
    """`mode_velocity` for programs that are compiled as a whole; `weights` as `lag_weights` gives them."""
    return -jnp.stack(_changes(rule, state, teacher, weights), axis=-1)


def loss_of(state: Array, teacher: Array, weights: Array | None) -> Float[Array, "*batch"]:
    """`mode_loss` for programs that are compiled as a whole."""
    (a, b, w), kappa, target = _parts(state), teacher[..., 0] * teacher[..., 1], teacher[..., 2]
    if weights is not None:
        return _sums(a * b, w, kappa, target, w, weights, None).loss
    u, x = 1 - w**2, 1 - w * target
    amplitude, pole = (a * b - kappa * u / x) ** 2 / u, (kappa * (w - target) / x) ** 2 / (1 - target**2)
    return jnp.where(jnp.abs(w) < 1, 0.5 * (amplitude + pole), jnp.inf)


def _changes(rule: ModeRule, state, teacher, weights):
    (a, b, w), kappa, target = _parts(state), teacher[..., 0] * teacher[..., 1], teacher[..., 2]
    c, s = rule.carry(w), rule.source(a)
    if weights is not None:
        sums = _sums(a * b, w, kappa, target, c, weights, rule.terms)
        return jnp.broadcast_arrays(b * sums.through, s * sums.carried, s * b * sums.nested)
    amplitude, distance = a * b - kappa, w - target
    u, x = 1 - w**2, 1 - w * target
    read_out = b * (amplitude / u + kappa * w * distance / (u * x))
    if rule.terms is not None:
        own, taught = geometric(c * w, rule.terms), geometric(c * target, rule.terms)
        recurrent = a * b * w * own / u - kappa * target * taught / x
        return jnp.broadcast_arrays(read_out, s * (a * b * own - kappa * taught), s * b * recurrent)
    v, y = 1 - c * w, 1 - c * target
    read_in = s * (amplitude / v + kappa * c * distance / (v * y))
    recurrent = amplitude * w / (u * v) + kappa * distance * (1 - c * w**2 * target) / (u * v * x * y)
    return jnp.broadcast_arrays(read_out, read_in, s * b * recurrent)


def geometric(ratio: Array, terms: int | None) -> Array:
    """1 + z + ... + z^(terms-1) by repeated products; 1/(1-z) for all terms."""
    return 1 / (1 - ratio) if terms is None else jnp.polyval(jnp.ones(terms), ratio)


class Sums(eqx.Module):
    """Weighted sums over the lags of a finite trial."""

    through: Array
    """Of E_k w^k."""
    carried: Array
    """Of c^k E_k."""
    nested: Array
    """Of E_k times the sum of c^i w^(k-1-i) over i < k."""
    loss: Array
    """Half of that of the squared E_k."""


def _sums(amplitude, w, kappa, target, carry, weights, terms: int | None) -> Sums:
    """All of them in one pass with repeated products, without a quotient by (w - c)."""
    amplitude, w, kappa, target, carry = jnp.broadcast_arrays(amplitude, w, kappa, target, carry)
    kept = jnp.arange(weights.shape[0]) < (weights.shape[0] if terms is None else terms)

    def add(now, lag):
        own, taught, back, mixed, sums = now
        weight, keep = lag
        error = amplitude * own - kappa * taught
        counted, back = weight * error, jnp.where(keep, back, 0.0)
        sums = Sums(
            sums.through + counted * own,
            sums.carried + counted * back,
            sums.nested + counted * mixed,
            sums.loss + 0.5 * counted * error,
        )
        return (own * w, taught * target, back * carry, w * mixed + back, sums), None

    one, zero = jnp.ones_like(w), jnp.zeros_like(w)
    start = one, one, one, zero, Sums(zero, zero, zero, zero)
    return jax.lax.scan(add, start, (weights, kept), unroll=4)[0][-1]


def _parts(state):
    return state[..., 0], state[..., 1], state[..., 2]


_velocity = eqx.filter_jit(velocity_of)
_loss = eqx.filter_jit(loss_of)
