"""Telling values that can be looked at from those that JAX is tracing."""

import jax
from jax.core import Tracer


def is_traced(*values) -> bool:
    """Whether any array within `values` (pytrees) is being traced by jit, vmap or grad, so that border checks pass."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(values))
