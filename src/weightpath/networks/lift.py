"""How a small projected network sits inside the large one."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from weightpath._types import Array, Float, Numeric
from weightpath.networks.base import AbstractNetwork


class Factors(NamedTuple):
    r"""A change of the large recurrent weights as $\Delta W = post\,core\,pre^T$, three small arrays."""

    post: Float[Array, "unit k"]
    core: Float[Array, "k k"]
    pre: Float[Array, "unit k"]


class Lift(eqx.Module):
    r"""Places a network of size k in one of N units: $W = W_0 + B (M - B^T W_0 B) B^T$, $u = B m_u$, $v = B m_v$.

    Holds exactly when the span of `basis` is invariant under learning, and to the stated error of the word-Krylov
    projection otherwise. The projected matrices reproduce the filter, the loss, the gradient, the norm of the change
    and the outlier; they do not reproduce the bulk of the spectrum, for which `bulk_radius` stands. What learning
    changed is known in factors (`change_factors`), and W acts on vectors (`apply`), without any N x N product.
    """

    basis: Float[Array, "unit k"]
    """Orthonormal columns."""
    base: Float[Array, "unit unit"] | None
    """Initial recurrent weights W0 of the large network; None stands for zero."""
    bulk_radius: Float[Array, ""]
    """Radius of the disk that the eigenvalues of W0 fill (its `gain`); 0 without a bulk."""
    projected_base: Float[Array, "k k"] | None = None
    r"""$B^T W_0 B$, which is worked out at each use where it is not given."""
    depth: int | None = eqx.field(default=None, static=True)
    """Length of the longest word in the basis, where it is made of words."""

    def change_factors(self, small: AbstractNetwork) -> Factors:
        r"""$W - W_0$ in factors of sizes (unit, k), (k, k) and (unit, k); `core` has the norm of the whole change."""
        if self.base is None:
            return Factors(self.basis, small.w_rec, self.basis)
        base = self.projected_base
        return Factors(
            self.basis, small.w_rec - (self.basis.T @ (self.base @ self.basis) if base is None else base), self.basis
        )

    def apply(
        self, small: AbstractNetwork, vectors: Float[Numeric, "unit column"], *, transpose: bool = False
    ) -> Float[Array, "unit column"]:
        r"""$W x$, or $W^T x$, of the large network for the columns x of `vectors`, without forming W."""
        vectors = jnp.asarray(vectors)
        post, core, pre = self.change_factors(small)
        core = core.T if transpose else core
        change = post @ (core @ (pre.T @ vectors))
        if self.base is None:
            return change
        return change + (self.base.T if transpose else self.base) @ vectors

    def network(self, small: AbstractNetwork) -> AbstractNetwork:
        """The large network whose projection is `small`; its `w_rec` takes 8 N^2 bytes."""
        post, core, pre = self.change_factors(small)
        change = post @ core @ pre.T
        return eqx.tree_at(
            lambda net: (net.w_rec, net.w_in, net.w_out),
            small,
            (
                change if self.base is None else self.base + change,
                self.basis @ small.w_in,
                small.w_out @ self.basis.T,
            ),
        )
