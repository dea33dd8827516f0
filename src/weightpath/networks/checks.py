"""Border checks shared by the constructors of networks: shapes and finiteness, with messages for the user."""

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array


def as_float(value) -> Array:
    """`value` as a floating-point JAX array; integers become floats, tracers pass.

    Python numbers lose their weak type, so that `decay=0.1` and `decay=jnp.array(0.1)` share one compiled program.

    **Raises:** ValueError for what is no array, and for complex numbers.
    """
    try:
        array = _read(value)
    except (TypeError, ValueError) as reason:
        raise ValueError(f"expected an array of real numbers; got {value!r}, which JAX cannot read.") from reason
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ValueError(f"expected real numbers; got {array.dtype} of shape {array.shape}. Give the real part.")
    dtype = array.dtype if jnp.issubdtype(array.dtype, jnp.inexact) else jnp.result_type(float)
    if array.dtype == dtype and not array.weak_type:
        return array
    return jax.lax.convert_element_type(array, np.dtype(dtype))


def _read(value) -> Array:
    """`value` as a JAX array; what NumPy reads is converted by it, since JAX compiles a program for every shape."""
    if not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(value)):
        given = np.asarray(value)
        if given.dtype.kind in "biuf":
            dtype = jax.dtypes.canonicalize_dtype(given.dtype) if given.dtype.kind == "f" else jnp.result_type(float)
            return jnp.asarray(given.astype(dtype), dtype)  # a copy, as later changes of `value` must not reach it
    return jnp.asarray(value)


def as_column(value) -> Array:
    """Read-in weights as (post, in); a vector (post,) is one input channel."""
    array = as_float(value)
    if array.ndim != 1:
        return array
    return array[:, None] if is_traced(array) else _read(np.asarray(array)[:, None])


def as_row(value) -> Array:
    """Read-out weights as (out, pre); a vector (pre,) is one output channel."""
    array = as_float(value)
    if array.ndim != 1:
        return array
    return array[None, :] if is_traced(array) else _read(np.asarray(array)[None, :])


def as_number(value) -> float | None:
    """A static number as a Python float (hashable, so that it can be a compile-time constant); None passes."""
    return None if value is None else float(value)


def check_finite(**arrays: Array | None) -> None:
    """Refuse NaN and infinity, naming the array. Tracers cannot be looked at and pass."""
    for name, array in arrays.items():
        if array is None or is_traced(array):
            continue
        if not np.all(np.isfinite(np.asarray(array))):
            raise ValueError(f"{name} holds NaN or infinite entries; give finite numbers.")


def check_weights(w_rec: Array, w_in: Array, w_out: Array) -> None:
    """Refuse weights that do not fit one another, or that are not finite.

    **Raises:** ValueError that gives both shapes.
    """
    if w_rec.ndim != 2 or w_rec.shape[0] != w_rec.shape[1]:
        raise ValueError(f"w_rec must be square, (post, pre); got shape {w_rec.shape}.")
    units = w_rec.shape[0]
    if units < 1:
        raise ValueError("a network needs at least one unit; w_rec is empty.")
    if w_in.ndim != 2 or w_in.shape[0] != units:
        raise ValueError(f"w_in must be (post, in) = ({units}, in) to fit w_rec {w_rec.shape}; got {w_in.shape}.")
    if w_out.ndim != 2 or w_out.shape[1] != units:
        raise ValueError(f"w_out must be (out, pre) = (out, {units}) to fit w_rec {w_rec.shape}; got {w_out.shape}.")
    check_finite(w_rec=w_rec, w_in=w_in, w_out=w_out)
