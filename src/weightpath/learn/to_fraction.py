r"""Flows of many small networks to a fraction of their initial loss, as one batched program of matrix products.

A network with one input and one output learns $e^{-c^* s}$ with recurrent weights and read-out trained. The loss
falls all the way, so that $s = \ln(L_0/L)$ can take the place of learning time:

$$\frac{d\tau}{ds} = \frac{L}{D},\quad \frac{d\theta}{ds} = -\eta\,\frac{\partial L}{\partial\theta}\,\frac{L}{D},\quad
D = \sum_\theta \eta\,\Big|\frac{\partial L}{\partial\theta}\Big|^2.$$

Every network then travels the same interval, $0 \le s \le \ln(1/p)$, and ends at the loss $p L_0$ without a search: the
members of a batch need similar numbers of steps, and learning times of any length cost the same.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._linalg import gramians
from weightpath._types import Array, Bool, Float, Int
from weightpath.networks.fock import infinite

#: How strongly the exact loss pulls the speed towards the loss that $s$ stands for; 1 would be no pull.
PULL = 5.0
#: Steps shorter than this in $s$ mean that the flow has come to rest above the fraction asked for.
SHORTEST = 1e-9


class Fallen(NamedTuple):
    """Where a flow was when its loss had fallen to the fraction, or where it stopped."""

    change: Float[Array, "..."]
    """Frobenius norm of the change of the recurrent weights."""
    time: Float[Array, "..."]
    """Learning time."""
    remaining: Float[Array, "..."]
    """Loss as a fraction of its start, evaluated at the end."""
    arrived: Bool[Array, "..."]
    steps: Int[Array, "..."]


class _State(NamedTuple):
    w_rec: Float[Array, "word word"]
    w_out: Float[Array, " word"]
    time: Float[Array, ""]


class _Stepper(NamedTuple):
    progress: Float[Array, ""]
    size: Float[Array, ""]
    state: _State
    slope: _State
    error: Float[Array, ""]
    steps: Int[Array, ""]


@eqx.filter_jit
def fall(gain, decay, ratio, depth: int, fraction, rtol, max_steps) -> Fallen:
    """Flows of networks of infinitely many units, one for each entry of `gain`, `decay` and `ratio`, all (setting,).

    Read-in of norm 1, read-out from zero at rate 1, recurrent weights at rate `ratio`.
    """

    def one(gain, decay, ratio):
        return _fall(gain, decay, ratio, depth, fraction, rtol, max_steps)

    return jax.vmap(one)(gain, decay, ratio)


def _fall(gain, decay, ratio, depth: int, fraction, rtol, max_steps) -> Fallen:
    network = infinite(gain, depth, read_in_norm=1.0, readout="zero")
    start = _State(network.w_rec, network.w_out[0], jnp.zeros(()))
    initial, end = 1 / (4 * decay), -jnp.log(fraction)

    def field(progress, state: _State) -> tuple[_State, Array]:
        w_rec, w_out, loss = _gradient(state, network.w_in, decay)
        expected = initial * jnp.exp(-progress)
        power = ratio * jnp.sum(w_rec**2) + jnp.sum(w_out**2)
        # Where rounding of the path has left the loss too high the pull makes the flow go on a little longer.
        speed = (expected + PULL * (loss - expected)) / power
        return _State(-ratio * speed * w_rec, -speed * w_out, speed), loss

    last = _travel(field, start, end, rtol, max_steps)
    slope, loss = field(last.progress, last.state)
    # One Newton step in s along the flow lands on the fraction exactly.
    missing = jnp.log(loss / initial) + end
    arrived = (last.progress >= end) & jnp.isfinite(loss) & (jnp.abs(missing) < 0.1)
    landed = _combine(last.state, [(jnp.where(arrived, missing, 0.0), slope)])
    remaining = jnp.where(arrived, fraction, loss / initial)
    return Fallen(jnp.linalg.norm(landed.w_rec - start.w_rec), landed.time, remaining, arrived, last.steps)


def _gradient(state: _State, w_in, decay) -> tuple[Array, Array, Array]:
    """Gradients by recurrent weights and read-out, and the loss, from the Gramians of the error system."""
    units = state.w_out.size
    identity = jnp.eye(units + 1)
    # The bilinear step 2/m with m = max(1, c*): its matrix is then m/(1+m) times the identity up to a part whose
    # eigenvalues lie in the unit disk, and its inverse a product of squares, free of LAPACK.
    scale = jnp.maximum(1.0, decay)
    step = jnp.zeros_like(identity).at[:units, :units].set(state.w_rec - jnp.eye(units)).at[-1, -1].set(-decay) / scale
    drive, output = jnp.append(w_in[:, 0], 1.0)[:, None], jnp.append(state.w_out, -1.0)[None]
    inverse = _inverse(identity - step, scale / (1 + scale))
    root = jnp.sqrt(2 / scale)
    controlled, observed, _ = gramians(inverse @ (identity + step), root * (inverse @ drive), root * (output @ inverse))
    read = (output @ controlled)[0]
    return observed[:units] @ controlled[:, :units], read[:units], 0.5 * output[0] @ read


def _inverse(matrix: Float[Array, "n n"], scale) -> Float[Array, "n n"]:
    r"""Newton and Schulz's iteration, $M^{-1} = \alpha\prod_j (1 + E^{2^j})$ with $E = 1 - \alpha M$."""
    identity = jnp.eye(matrix.shape[0])

    def double(state):
        value, error = state
        return value + value @ error, error @ error

    def unfinished(state):
        left = jnp.sum(state[1] ** 2)
        return (left > 1e-32) & jnp.isfinite(left)

    return jax.lax.while_loop(unfinished, double, (scale * identity, identity - scale * matrix))[0]


def _travel(field, start: _State, end, rtol, max_steps) -> _Stepper:
    """Bogacki and Shampine's pair of orders 3 and 2, whose last stage is the next step's first.

    Of the explicit pairs it takes the fewest evaluations at an error of a part in a thousand, since the fast
    relaxation of the read-out limits the step more than accuracy does.
    """
    first, _ = field(jnp.zeros(()), start)
    begin = _Stepper(jnp.zeros(()), jnp.asarray(1e-2), start, first, jnp.ones(()), jnp.zeros((), int))

    def unfinished(now: _Stepper):
        return (now.progress < end) & (now.steps < max_steps) & (now.size > SHORTEST)

    def step(now: _Stepper) -> _Stepper:
        size = jnp.minimum(now.size, end - now.progress)

        def stage(index, slopes):
            weights = jnp.asarray(_STAGES)[index]
            state = jax.tree.map(lambda y, k: y + size * jnp.tensordot(weights, k, 1), now.state, slopes)
            slope, _ = field(now.progress + jnp.asarray(_NODES)[index] * size, state)
            return jax.tree.map(lambda k, value: k.at[index + 1].set(value), slopes, slope)

        empty = jax.tree.map(lambda k: jnp.zeros((4, *k.shape)).at[0].set(k), now.slope)
        slopes = jax.lax.fori_loop(0, 3, stage, empty)
        state = jax.tree.map(lambda y, k: y + size * jnp.tensordot(jnp.asarray(_STAGES[2]), k, 1), now.state, slopes)
        wrong = jax.tree.map(lambda k: size * jnp.tensordot(jnp.asarray(_ERROR), k, 1), slopes)
        error = _size(wrong, state, slopes.time[0]) / rtol
        error = jnp.where(jnp.isfinite(error), jnp.maximum(error, 1e-4), 1e4)
        good = error <= 1
        factor = jnp.clip(0.9 * error ** (-0.7 / 3) * now.error ** (0.4 / 3), 0.2, 5.0)
        keep = lambda new, old: jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)  # noqa: E731
        last = jax.tree.map(lambda k: k[3], slopes)
        reached = jnp.where(size < now.size, end, now.progress + size)
        return _Stepper(
            jnp.where(good, reached, now.progress), size * jnp.where(good, factor, jnp.minimum(factor, 0.9)),
            keep(state, now.state), keep(last, now.slope), jnp.where(good, error, now.error), now.steps + 1,
        )  # fmt: skip

    return jax.lax.while_loop(unfinished, step, begin)


_STAGES = np.array([[0.5, 0, 0, 0], [0, 0.75, 0, 0], [2 / 9, 1 / 3, 4 / 9, 0]])
_NODES = np.array([0.5, 0.75, 1.0])
_ERROR = np.array([2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8])


def _size(wrong: _State, state: _State, speed) -> Array:
    """Largest error: weights beside 1, the size of the pole that is made; time beside itself."""
    return jnp.max(
        jnp.stack(
            [
                jnp.linalg.norm(wrong.w_rec),
                jnp.linalg.norm(wrong.w_out),
                jnp.abs(wrong.time) / (state.time + speed),
            ]
        )
    )


def _combine(state: _State, parts) -> _State:
    for weight, slope in parts:
        state = jax.tree.map(lambda y, k, weight=weight: y + weight * k, state, slope)
    return state
