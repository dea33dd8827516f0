"""Fixed feedback weights of local rules: which shape they have, and what is worth a warning."""

import warnings

import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.checks import as_float, as_row, check_finite
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.rules.credit import Credit
from weightpath.rules.population import NoExactForm


def as_feedback(value) -> Array | None:
    """Feedback weights as (out, post); a vector (post,) is one output channel; None passes."""
    return None if value is None else as_row(value)


def as_decay(value) -> Array | None:
    """A trace's decay as an array; None passes."""
    return None if value is None else as_float(value)


def check_feedback(rule: str, feedback: Array | None) -> None:
    """Refuse feedback that is no finite matrix; warn of outputs without feedback.

    **Raises:** ValueError.
    """
    if feedback is None or is_traced(feedback):
        return
    if feedback.ndim != 2:
        raise ValueError(f"feedback of {rule} must be (out, post); got shape {feedback.shape}.")
    check_finite(feedback=feedback)
    silent = np.flatnonzero(~np.any(np.asarray(feedback) != 0, axis=1))
    if silent.size:
        rows = ", ".join(map(str, silent))
        warnings.warn(
            f"feedback of {rule} is zero for output {rows}: errors of that output never change w_rec, w_in or bias.",
            stacklevel=4,
        )


def source(rule: str, feedback: Array | None, network: AbstractNetwork) -> Float[Array, "post out"]:
    """What carries an output error to the units: the transposed feedback, or the transposed present read-out.

    **Raises:** ValueError when the feedback does not fit the network, saying which axis.
    """
    if feedback is None:
        return network.w_out.T
    wanted = network.w_out.shape
    if feedback.shape == wanted:
        return feedback.T
    given = f"got {feedback.shape}"
    if feedback.shape == wanted[::-1]:
        mend = f"{given}, which is (post, out): give its transpose"
    else:
        wrong = [
            f"axis {axis} ({name}) must be {size}"
            for axis, (name, size) in enumerate(zip(("out", "post"), wanted, strict=True))
            if feedback.ndim != 2 or feedback.shape[axis] != size
        ]
        mend = f"{given}: {' and '.join(wrong)}"
    raise ValueError(f"feedback of {rule} must be (out, post) = {wanted} like w_out of the network; {mend}.")


def linear_credit(network: AbstractNetwork, carry, source: Array, terms: int | None = None) -> Credit:
    """The credit operators of a linear network. **Raises:** NoExactForm (a ValueError) for networks of other kinds."""
    if not isinstance(network, LinearRNN | ContinuousLinearRNN):
        raise NoExactForm("the network is not linear")
    return Credit(jnp.asarray(carry, network.w_rec.dtype), source, terms)
