"""How one update of the weights stands to another: direction, signs, length, and the directions it can reach."""

import jax.numpy as jnp

from weightpath._types import Array, Float, PyTree

#: Weights into the units: their first axis is the unit, so that feedback can confine them.
INTO_UNITS = ("w_rec", "w_in", "bias")
MEASURES = ("cosine", "sign_agreement", "along", "inside_feedback")


def alignment(
    velocity: PyTree, reference: PyTree, names: tuple[str, ...], source: Float[Array, "post out"]
) -> dict[str, Float[Array, " weight"]]:
    r"""Measures of `velocity` $v$ against `reference` $r$ for each weight of `names`, last for all together.

    - `cosine` $v\cdot r/(|v||r|)$.
    - `sign_agreement`: share of the entries with $r \ne 0$ at which $v$ has the sign of $r$.
    - `along` $v\cdot r/|r|^2$: the component along $r$, 1 for $v = r$.
    - `inside_feedback`: share of $|v|^2$ whose columns lie in the range of `source` (the transposed feedback); weights
      into the units only.

    NaN where a measure is undefined: an update of zero, weights out of the units.
    """
    basis = _basis(source)
    sums = jnp.stack([_sums(name, getattr(velocity, name), getattr(reference, name), basis) for name in names])
    sums = jnp.concatenate([sums, jnp.sum(sums, axis=0, keepdims=True)])
    dot, own, other, agreeing, compared, inside, into = sums.T
    return {
        "cosine": _ratio(dot, jnp.sqrt(own) * jnp.sqrt(other)),
        "sign_agreement": _ratio(agreeing, compared),
        "along": _ratio(dot, other),
        "inside_feedback": _ratio(inside, into),
    }


def _sums(name: str, v: Array, r: Array, basis: Float[Array, "post k"]) -> Float[Array, " sum"]:
    """Sums over the entries of one weight; those of all weights together are their sums."""
    nothing = jnp.zeros((), v.dtype)
    confined = (jnp.sum((basis.T @ v) ** 2), jnp.sum(v**2)) if name in INTO_UNITS else (nothing, nothing)
    signs = (jnp.sum(v * r > 0, dtype=v.dtype), jnp.sum(r != 0, dtype=v.dtype))
    return jnp.stack([jnp.sum(v * r), jnp.sum(v**2), jnp.sum(r**2), *signs, *confined])


def _basis(source: Float[Array, "post out"]) -> Float[Array, "post k"]:
    """Orthonormal basis of the range of `source`; columns of zero in place of the directions that it lacks."""
    left, values, _ = jnp.linalg.svd(source, full_matrices=False)
    return left * (values > 1e-10 * jnp.max(values))


def _ratio(above: Array, below: Array) -> Array:
    """The first over the second, NaN where the second is zero."""
    defined = below > 0
    return jnp.where(defined, above / jnp.where(defined, below, 1.0), jnp.nan)
