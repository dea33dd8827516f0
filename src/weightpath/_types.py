"""Array types and the dimension vocabulary shared by every room of the library.

Dimension names: step (learning), trial, time (within a trial), post, pre, unit, in, out, neuron, rank, coord, seed,
eig (eigenvalue) and k (order of a filter). A recurrent matrix is `(post, pre)` and acts as `w_rec @ h`.
"""

import jax
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Complex, Float, Int, PyTree, Shaped
from jaxtyping import PRNGKeyArray as Key

#: An array of either library; functions that only read their input take both.
Numeric = jax.Array | np.ndarray

__all__ = ["Array", "ArrayLike", "Bool", "Complex", "Float", "Int", "Key", "Numeric", "PyTree", "Shaped"]
