r"""How a student's weights line up with its teacher's modes and with its feedback, whether or not it is data-aligned.

With the teacher's output and input directions $u_i, v_i$ (singular vectors of its responses $A^* W^{*k} B^*$):

| measure | definition |
|---|---|
| `input_output` | cosine of $A^T u_i$ and $B v_i$: read-out and read-in of a mode share their hidden direction |
| `recurrent` | cosine of $B v_i$ and $W B v_i$: that direction is an eigenvector of the recurrent weights |
| `feedback` | cosine of $A^T u_i$ and $R^T u_i$: the read-out has come to agree with the fixed feedback |
| `kappa`, `pole` | effective mode: $\kappa = u_i^T A B v_i$ and $w = u_i^T A W B v_i / \kappa$ |

Source: in the sense of Williams, Payeur and Lajoie 2026 (arXiv 2606.00243), whose exact definitions are not reproduced;
these are derived here.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float
from weightpath.analysis.aligned_bases import ZERO, output_input_bases, responses
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import LinearRNN


class Alignment(eqx.Module):
    """Measures of each of the teacher's modes, by falling strength; a trajectory's steps come first."""

    input_output: Float[Array, "*step mode"]
    recurrent: Float[Array, "*step mode"]
    feedback: Float[Array, "*step mode"] | None
    """None where no feedback was given."""
    kappa: Float[Array, "*step mode"]
    pole: Float[Array, "*step mode"]


def teacher_modes(teacher) -> tuple[np.ndarray, np.ndarray]:
    """Output and input directions (out, mode) and (in, mode) of a linear teacher's modes, strongest first.

    **Raises:** ValueError when the teacher is not one LinearRNN.
    """
    teacher = getattr(teacher, "network", teacher)
    if not isinstance(teacher, LinearRNN) or teacher.w_rec.ndim != 2:
        raise ValueError(f"the modes of a teacher are defined for one LinearRNN; got {type(teacher).__name__}.")
    w_rec, w_in, w_out = (np.asarray(part) for part in (teacher.w_rec, teacher.w_in, teacher.w_out))
    lagged = responses(w_rec, w_in, w_out, len(w_rec) + 1)
    left, right = output_input_bases(lagged)
    count = min(lagged.shape[1:])
    strength = np.linalg.norm(np.einsum("om,koi,im->km", left[:, :count], lagged, right[:, :count]), axis=0)
    kept = int(np.sum(strength > ZERO * np.max(strength, initial=0.0)))
    return left[:, :kept], right[:, :kept]


def alignment(network: AbstractNetwork, teacher, feedback=None) -> Alignment:
    """The measures of the module for a network, or for the networks of a trajectory (steps first).

    `teacher`: a `LinearRNN`, the task or its target, or the pair that `teacher_modes` gives (under `jit` or `vmap`).
    `feedback`: (out, post) or None. A cosine with a vector of length zero is zero.

    **Raises:** ValueError when the channels of student and teacher differ.
    """
    outputs, inputs = teacher if isinstance(teacher, tuple) else teacher_modes(teacher)
    if (network.w_out.shape[-2], network.w_in.shape[-1]) != (outputs.shape[0], inputs.shape[0]):
        raise ValueError(
            f"student and teacher must have the same channels; the student has {network.w_in.shape[-1]} inputs and "
            f"{network.w_out.shape[-2]} outputs, the teacher {inputs.shape[0]} and {outputs.shape[0]}."
        )
    read_out = jnp.swapaxes(network.w_out, -1, -2) @ outputs
    read_in = network.w_in @ inputs
    carried = network.w_rec @ read_in
    kappa = jnp.sum(read_out * read_in, axis=-2)
    once = jnp.sum(read_out * carried, axis=-2)
    return Alignment(
        input_output=_cosine(read_out, read_in),
        recurrent=_cosine(read_in, carried),
        feedback=None if feedback is None else _cosine(read_out, jnp.asarray(feedback).T @ outputs),
        kappa=kappa,
        pole=jnp.where(kappa == 0, 0.0, once / jnp.where(kappa == 0, 1.0, kappa)),
    )


def _cosine(one: Array, other: Array) -> Float[Array, "*step mode"]:
    """Cosines of the columns."""
    sizes = jnp.linalg.norm(one, axis=-2) * jnp.linalg.norm(other, axis=-2)
    return jnp.where(sizes > 0, jnp.sum(one * other, axis=-2) / jnp.where(sizes > 0, sizes, 1.0), 0.0)
