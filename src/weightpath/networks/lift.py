"""How a small projected network sits inside the large one."""

import equinox as eqx

from weightpath._types import Array, Float
from weightpath.networks.base import AbstractNetwork


class Lift(eqx.Module):
    r"""Places a network of size k in one of N units: $W = W_0 + B (M - B^T W_0 B) B^T$, $u = B m_u$, $v = B m_v$.

    Holds exactly when the span of `basis` is invariant under learning, and to the stated error of the word-Krylov
    projection otherwise. The projected matrices reproduce the filter, the loss, the gradient, the norm of the change
    and the outlier; they do not reproduce the bulk of the spectrum, for which `bulk_radius` stands.
    """

    basis: Float[Array, "unit k"]
    """Orthonormal columns."""
    base: Float[Array, "unit unit"] | None
    """Initial recurrent weights W0 of the large network; None stands for zero."""
    bulk_radius: Float[Array, ""]
    """Radius of the disk that the eigenvalues of W0 fill (its `gain`); 0 without a bulk."""

    def network(self, small: AbstractNetwork) -> AbstractNetwork:
        """The large network whose projection is `small`."""
        change = small.w_rec if self.base is None else small.w_rec - self.basis.T @ self.base @ self.basis
        w_rec = self.basis @ change @ self.basis.T
        w_rec = w_rec if self.base is None else self.base + w_rec
        return eqx.tree_at(
            lambda net: (net.w_rec, net.w_in, net.w_out),
            small,
            (w_rec, self.basis @ small.w_in, small.w_out @ self.basis.T),
        )
