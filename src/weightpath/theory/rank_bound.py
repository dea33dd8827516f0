r"""Bounds on the ranks of weights that learn by gradient descent from low-dimensional inputs and errors.

The gradient of any loss on trials is a sum of products of adjoints and states, $\sum \lambda x^\top$. In a linear
network both stay in $M = E + X_0 + O + \mathrm{col}(W_0) + \mathrm{row}(W_0)$, where $E$ is spanned by the inputs that
are used, $X_0$ by initial states and biases, and $O$ by the errors seen through the read-out: if $W$ and $W^\top$ map
$M$ into itself, then so do the weights after a step whose change has columns and rows in $M$. Nothing else about the
steps matters: learning rate, batches, momentum, weight decay.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS
from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Numeric
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.networks.rate import RateRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.theory.base import AbstractBound, Regime
from weightpath.theory.optimisers import keeps_subspace

#: Directions below this share of the largest are rounding.
ROUNDING = 1e-10
#: Singular values of weights below this share of the largest are rounding.
TOLERANCE = 1e-8


class RankBounds(eqx.Module):
    """The subspace M in which weights can change, and what follows from its dimension d for a path of `steps` steps."""

    basis: Float[np.ndarray, "unit d"]
    """Orthonormal basis of M."""
    parts: dict[str, int] = eqx.field(static=True)
    """Dimensions of the inputs, errors and initial states, and the rank of the first weights."""

    @property
    def d(self) -> int:
        """Dimension of M."""
        return self.basis.shape[1]

    @property
    def matrix_rank(self) -> int:
        """Bound on the rank of the weights and of their change at every step."""
        return self.d

    def multilinear_rank(self, steps: int) -> tuple[int, int, int]:
        """Bounds on the ranks of the unfoldings (step, post, pre) of the change over `steps` steps."""
        return min(self.d**2, steps), self.d, self.d

    def tensor_rank(self, steps: int) -> int:
        """Bound on the number of rank-one terms of the change over `steps` steps: d min(d, steps)."""
        return self.d * min(self.d, steps)


def rank_bound(
    w_in: Numeric,
    w_out: Numeric,
    w_rec: Numeric | None = None,
    *,
    start: Numeric | None = None,
    input_basis: Numeric | None = None,
    error_basis: Numeric | None = None,
) -> RankBounds:
    r"""The subspace M of a linear network and the bounds on ranks, $d \le p + q + n_0 + 2\,\mathrm{rank}(W_0)$.

    Arguments: read-in `w_in` (post, in), read-out `w_out` (out, pre), first recurrent weights `w_rec` (post, pre), left
    out: zero; `start` (post, k): vectors that span the initial states and the biases; `input_basis` (in, k) and
    `error_basis` (out, k): vectors that span the inputs and the errors that occur, left out: all channels.

    **Raises:** ValueError when shapes do not fit or an array is not finite.
    Source: derived here; Pellegrino et al. 2023 (arXiv 2308.11567) bound the same ranks.
    """
    read_in, read_out = np.asarray(w_in, dtype=float), np.asarray(w_out, dtype=float)
    if read_in.ndim != 2 or read_out.ndim != 2 or read_out.shape[1] != read_in.shape[0]:
        raise ValueError(
            f"w_in must be (post, in) and w_out (out, pre) of the same units; got {read_in.shape} and {read_out.shape}."
        )
    units = read_in.shape[0]
    first = np.zeros((units, units)) if w_rec is None else np.asarray(w_rec, dtype=float)
    if first.shape != (units, units):
        raise ValueError(f"w_rec must be ({units}, {units}) to fit w_in {read_in.shape}; got {first.shape}.")
    seen = read_out.T @ _spanning("error_basis", error_basis, read_out.shape[0])
    used = read_in @ _spanning("input_basis", input_basis, read_in.shape[1])
    begun = np.zeros((units, 0)) if start is None else _spanning("start", start, units)
    both_sides = np.concatenate([first, first.T], axis=1)
    pieces = {"inputs": used, "errors": seen, "starts": begun, "first weights": both_sides}
    if not all(np.all(np.isfinite(piece)) for piece in pieces.values()):
        raise ValueError("the weights, the start or the bases hold NaN or infinite entries.")
    spans = {name: _span(piece) for name, piece in pieces.items()}
    parts = {name: span.shape[1] for name, span in spans.items()} | {"first weights": _span(first).shape[1]}
    return RankBounds(_span(np.concatenate(list(spans.values()), axis=1)), parts)


def _spanning(name: str, basis: Numeric | None, size: int) -> np.ndarray:
    if basis is None:
        return np.eye(size)
    columns = np.asarray(basis, dtype=float)
    if columns.ndim != 2 or columns.shape[0] != size:
        raise ValueError(f"{name} must be ({size}, k), vectors as columns; got {columns.shape}.")
    return columns


def _span(columns: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the span of the columns."""
    if columns.shape[1] == 0:
        return columns
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, (values > ROUNDING * values[0]) & (values > 0)]


class RankBound(AbstractBound):
    r"""Rank of the recurrent weights, and of their change, under gradient descent: both at most $d = \dim M$.

    `change` is $\mathrm{rank}(W - W_0)$ and `weights` $\mathrm{rank}(W)$, with a tolerance of 1e-8 of the largest
    singular value; `bounds(setup)` holds M itself and the bounds for the whole path as a tensor. It holds for linear
    networks, `BPTT`, and every optimiser whose steps combine past gradients and weights as whole matrices: SGD,
    momentum, weight decay, clipping by norm. Adam and RMSprop scale entry by entry and leave M; so do nonlinear units.
    Read-in, read-out and biases may be trained too.

    **Arguments:** `input_basis` (in, k), `error_basis` (out, k): vectors that span the inputs and errors that occur,
    where they do not fill all channels; `start` (unit, k): initial states; `optimiser`: what the weights will be
    trained with, plain gradient descent when left out.

    **Raises:** ValueError when their shapes do not fit the network, on use.
    Source: derived here; Pellegrino et al. 2023 (arXiv 2308.11567) bound the same ranks.
    """

    input_basis: Float[Array, "in k"] | None = None
    error_basis: Float[Array, "out j"] | None = None
    start: Float[Array, "unit i"] | None = None
    optimiser: object | None = eqx.field(default=None, static=True)

    coords: ClassVar[tuple[str, ...]] = ("change", "weights")
    reference: ClassVar[str] = (
        "bounds derived here; Pellegrino et al. 2023 (arXiv 2308.11567), ranks under gradient descent"
    )

    def bounds(self, setup: Setup) -> RankBounds:
        """The subspace M of the setup's network, and the bounds that follow."""
        network = setup.network
        columns = [] if self.start is None else [np.asarray(self.start)]
        bias = getattr(network, "bias", None)
        if bias is not None:
            columns.append(np.asarray(bias)[:, None])
        return rank_bound(
            network.w_in, network.w_out, network.w_rec,
            start=np.concatenate(columns, axis=1) if columns else None,
            input_basis=self.input_basis, error_basis=self.error_basis,
        )  # fmt: skip

    def measure(self, network: AbstractNetwork, setup: Setup) -> Float[Array, " coord"]:
        """Ranks of `w_rec` minus that of `setup.network`, and of `w_rec`."""
        before, now = setup.network.w_rec, network.w_rec
        # A difference is known to the rounding of its terms, which must not count as directions.
        floor = now.shape[0] * jnp.finfo(now.dtype).eps * jnp.maximum(jnp.linalg.norm(before), jnp.linalg.norm(now))
        return jnp.stack([_rank(now - before, floor), _rank(now, 0 * floor)])

    def bound(self, setup: Setup) -> Float[Array, " coord"]:
        """The dimension of M for both."""
        return jnp.full(2, float(self.bounds(setup).d))

    def regime(self, setup: Setup) -> Regime:
        """Outside for nonlinear networks, other rules, optimisers that leave M, and where M is the whole space."""
        network = setup.network
        if not is_linear(network):
            return Regime.outside(
                f"the units of this {type(network).__name__} are not linear, so that states and adjoints leave the "
                "subspace; it holds approximately for small signals.",
                defined=False,
            )
        if not isinstance(setup.rule, BPTT):
            return Regime.outside(
                f"{type(setup.rule).__name__} does not follow the gradient, whose factors the bound is about.",
                defined=False,
            )
        if self.optimiser is not None and not keeps_subspace(self.optimiser):
            return Regime.outside(
                "the optimiser changes single entries of the weights at their own rates (as Adam and RMSprop do), "
                "which leaves the subspace; train with SGD, with or without momentum.",
                defined=False,
            )
        if is_traced(network):
            return Regime(RESULTS.successful)
        d, units = self.bounds(setup).d, network.w_rec.shape[0]
        if d == units:
            return Regime.outside(
                f"inputs, errors and first weights fill all {units} dimensions, and the bound says nothing; it needs "
                "first weights of low rank."
            )
        return Regime(RESULTS.successful)


def is_linear(network: AbstractNetwork) -> bool:
    """Whether the state and the output are linear in inputs, state and bias."""
    if isinstance(network, RateRNN):
        return network.activation == "linear"
    return isinstance(network, LinearRNN | ContinuousLinearRNN)


def _rank(matrix: Array, floor: Array) -> Array:
    values = jnp.linalg.svd(matrix, compute_uv=False)
    return jnp.sum((values > TOLERANCE * values[0]) & (values > floor)).astype(matrix.dtype)


def shared_terms(
    w_in: Float[Numeric, "unit 1"], w_out: Float[Numeric, "1 unit"]
) -> tuple[Float[np.ndarray, "unit 3"], Float[np.ndarray, "unit 3"]]:
    r"""Three pairs (post, pre) that carry every change of a linear network with one input and one output from W0 = 0.

    With unit vectors b of the read-in and c of the read-out, and the reflection F that swaps them, all gradients obey
    $F G^\top F = G$; hence $G F$ is symmetric, and the weights at every step are $\sum_i s_i\, u_i (F u_i)^\top$ with
    $u = b, c, b + c$: three rank-one terms shared by all steps, where the dimension count alone gives four.

    **Raises:** ValueError when read-in and read-out are zero or parallel (the weights then have rank one).
    Source: derived here.
    """
    b, c = (np.asarray(vector, dtype=float).ravel() for vector in (w_in, w_out))
    sizes = np.linalg.norm(b), np.linalg.norm(c)
    if min(sizes) == 0 or abs(b @ c) > (1 - 1e-12) * sizes[0] * sizes[1]:
        raise ValueError("read-in and read-out must be two directions, neither zero nor parallel to one another.")
    b, c = b / sizes[0], c / sizes[1]
    axis = (b - c) / np.linalg.norm(b - c)
    post = np.stack([b, c, b + c], axis=1)
    return post, post - 2 * np.outer(axis, axis @ post)
