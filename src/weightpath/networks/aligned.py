"""Linear networks made of modes that learn apart: students, teachers and feedback in common orthogonal bases."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Float, Key
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.checks import as_float
from weightpath.networks.linear import LinearRNN


class Bases(eqx.Module):
    r"""Orthogonal bases in which a data-aligned network is diagonal, one mode a column.

    $A = U \bar A P^T$, $W = P \bar W P^T$, $B = P \bar B V^T$ and, for feedback, $R = U \bar R P^T$. A student and its
    teacher share `outputs` U (out, out) and `inputs` V (in, in); each has `hidden` units P (unit, unit) of its own.
    """

    outputs: Float[Array, "out out"] = eqx.field(converter=as_float)
    hidden: Float[Array, "unit unit"] = eqx.field(converter=as_float)
    inputs: Float[Array, "in in"] = eqx.field(converter=as_float)

    def __check_init__(self):
        for name in ("outputs", "hidden", "inputs"):
            basis = getattr(self, name)
            if basis.ndim != 2 or basis.shape[0] != basis.shape[1]:
                raise ValueError(f"the {name} basis must be square, a mode a column; got shape {basis.shape}.")

    def with_hidden(self, hidden: Float[Array, "unit unit"]) -> "Bases":
        """The same output and input bases, for a network with other units."""
        return Bases(self.outputs, hidden, self.inputs)


def orthogonal(key: Key, size: int) -> Float[Array, "size size"]:
    """A random orthogonal matrix, uniformly distributed."""
    factor, triangle = jnp.linalg.qr(jax.random.normal(key, (size, size)))
    return factor * jnp.sign(jnp.diagonal(triangle))


def random_bases(key: Key, *, outputs: int, units: int, inputs: int) -> Bases:
    """Uniformly distributed orthogonal bases."""
    keys = jax.random.split(key, 3)
    return Bases(orthogonal(keys[0], outputs), orthogonal(keys[1], units), orthogonal(keys[2], inputs))


def data_aligned(bases: Bases, *, read_out, read_in, recurrent) -> LinearRNN:
    r"""The linear network whose modes have the scalars $a$ = `read_out`, $b$ = `read_in`, $w$ = `recurrent`.

    Each is a list of numbers, one a mode; modes that are left out have zeros. A teacher is made with
    `bases.with_hidden(...)`, or with bases of its own that share `outputs` and `inputs`.

    **Raises:** ValueError for more numbers than there are modes.
    Source: the data-aligned setting of Proca, Domine, Shanahan and Mediano 2025, as in Williams, Payeur and Lajoie 2026
    (arXiv 2606.00243).
    """
    out, units, channels = (len(basis) for basis in (bases.outputs, bases.hidden, bases.inputs))
    diagonal_out = _rectangular("read_out", read_out, out, units)
    diagonal_in = _rectangular("read_in", read_in, units, channels)
    diagonal_rec = _rectangular("recurrent", recurrent, units, units)
    return LinearRNN(
        bases.hidden @ diagonal_rec @ bases.hidden.T,
        bases.hidden @ diagonal_in @ bases.inputs.T,
        bases.outputs @ diagonal_out @ bases.hidden.T,
    )


def aligned_feedback(bases: Bases, feedback) -> Float[Array, "out post"]:
    r"""Feedback weights $R = U \bar R P^T$ with the numbers $\hat a$ = `feedback`, one a mode.

    **Raises:** ValueError for more numbers than there are modes.
    """
    diagonal = _rectangular("feedback", feedback, len(bases.outputs), len(bases.hidden))
    return bases.outputs @ diagonal @ bases.hidden.T


def mode_scalars(
    network: AbstractNetwork, bases: Bases
) -> tuple[Float[Array, "*step mode"], Float[Array, "*step mode"], Float[Array, "*step mode"]]:
    r"""The diagonals $(a, b, w)$ of a network in `bases`, one entry a hidden unit, zero where there is no such channel.

    The networks of a trajectory give an axis of steps in front.
    """
    w_out = bases.outputs.T @ network.w_out @ bases.hidden
    w_in = bases.hidden.T @ network.w_in @ bases.inputs
    w_rec = bases.hidden.T @ network.w_rec @ bases.hidden
    units = len(bases.hidden)

    def diagonal(matrix):
        found = jnp.diagonal(matrix, axis1=-2, axis2=-1)
        return jnp.pad(found, [(0, 0)] * (found.ndim - 1) + [(0, units - found.shape[-1])])

    return diagonal(w_out), diagonal(w_in), diagonal(w_rec)


def _rectangular(name: str, numbers, rows: int, columns: int) -> Array:
    """A (rows, columns) matrix with `numbers` at the head of its diagonal."""
    numbers = jnp.atleast_1d(as_float(numbers))
    if numbers.ndim != 1 or numbers.shape[0] > min(rows, columns):
        raise ValueError(f"{name} has room for {min(rows, columns)} modes, one number each; got shape {numbers.shape}.")
    heads = jnp.arange(numbers.shape[0])
    return jnp.zeros((rows, columns), numbers.dtype).at[heads, heads].set(numbers)
