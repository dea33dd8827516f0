r"""Bounds on the ranks of weights that learn by gradient descent from low-dimensional inputs and errors.

The gradient of any loss on trials is a sum of products of adjoints and states, $\sum \lambda x^\top$. In a linear
network both stay in $M = E + X_0 + O + \mathrm{col}(W_0) + \mathrm{row}(W_0)$, where $E$ is spanned by the inputs that
are used, $X_0$ by initial states and biases, and $O$ by the errors seen through the read-out: if $W$ and $W^\top$ map
$M$ into itself, then so do the weights after a step whose change has columns and rows in $M$. Nothing else about the
steps matters: learning rate, batches, momentum, weight decay. A multiple of the identity in $W_0$ maps every space into
itself: of $W_0 = cI + L$ only $L$ counts for the change (but weight decay then acts outside $M$, on $cI$).

Rules with fixed feedback bound the columns alone, see `weightpath.theory.rank_bound_local`.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS
from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Numeric
from weightpath.networks.base import AbstractNetwork
from weightpath.setup import Setup
from weightpath.theory.base import AbstractBound, Regime
from weightpath.theory.optimisers import keeps_columns, keeps_subspace
from weightpath.theory.rank_bound_local import (
    ColumnBounds,
    column_bounds,
    columns_hold,
    follows_adjoint,
    inside_columns,
    is_linear,
    step_rank,
    why_no_bound,
)

#: Directions below this share of the largest are rounding.
ROUNDING = 1e-10
#: Singular values of weights below this share of the largest are rounding.
TOLERANCE = 1e-8


class RankBounds(eqx.Module):
    """The subspace M in which weights can change, and what follows from its dimension d for a path of `steps` steps."""

    basis: Float[np.ndarray, "unit d"]
    """Orthonormal basis of M."""
    parts: dict[str, int] = eqx.field(static=True)
    """Dimensions of the inputs, errors and initial states, and the rank of the first weights (beside the shift)."""
    shift: float = eqx.field(default=0.0, static=True)
    """Multiple of the identity in the first weights, beside which the rest is of low rank."""

    @property
    def d(self) -> int:
        """Dimension of M."""
        return self.basis.shape[1]

    @property
    def matrix_rank(self) -> int:
        """Bound on the rank of the change at every step."""
        return self.d

    @property
    def weights_rank(self) -> int:
        """Bound on the rank of the weights themselves: d, or none where they hold a multiple of the identity."""
        return self.d if self.shift == 0 else self.basis.shape[0]

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

    Of first weights $W_0 = cI + L$ the rank of $L$ counts: from $W_0 = cI$ the change has at most as many dimensions as
    there are inputs and outputs.

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
    if not np.all(np.isfinite(first)):
        raise ValueError("w_rec holds NaN or infinite entries.")
    shift = _shift(first)
    first = first - shift * np.eye(units)
    both_sides = np.concatenate([first, first.T], axis=1)
    pieces = {"inputs": used, "errors": seen, "starts": begun, "first weights": both_sides}
    if not all(np.all(np.isfinite(piece)) for piece in pieces.values()):
        raise ValueError("the weights, the start or the bases hold NaN or infinite entries.")
    spans = {name: _span(piece) for name, piece in pieces.items()}
    parts = {name: span.shape[1] for name, span in spans.items()} | {"first weights": _span(first).shape[1]}
    return RankBounds(_span(np.concatenate(list(spans.values()), axis=1)), parts, shift)


def _shift(first: np.ndarray) -> float:
    """The multiple c of the identity for which first - cI has the lowest rank: 0, or what most eigenvalues share."""
    shifts = [0.0, float(np.median(np.diagonal(first))), float(np.median(np.linalg.eigvals(first).real))]
    ranks = [_span(first - shift * np.eye(len(first))).shape[1] for shift in shifts]
    return shifts[int(np.argmin(ranks))]


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
    r"""Bounds on the rank of the recurrent weights and of their change, for the rules and optimisers that have one.

    `change` is $\mathrm{rank}(W - W_0)$ and `weights` $\mathrm{rank}(W)$, with a tolerance of 1e-8 of the largest
    singular value; `bounds(setup)` holds the subspace and the bounds for the whole path as a tensor.

    - Rules that follow the adjoint (`BPTT`, `RTRL`, `TruncatedBPTT`, and RFLO or SnAp-0 fed back through the present
      read-out), linear networks: $d = \dim M$ for both, with every optimiser whose steps combine past gradients and
      weights as whole matrices: SGD, momentum, weight decay, clipping by norm.
    - `RFLO` and `SnAp0` with fixed feedback R, linear networks (and others in rate form with
      `RFLO(trace_derivative=False)`): the rank of R for the change, whose columns lie in $\mathrm{range}(R^\top)$; one
      step of truncation with a read-out that is not trained: the same of the read-out. SGD, momentum, averaging and
      clipping by norm keep it; weight decay does when the first weights are zero or have their columns there.

    Adam, RMSprop, sign descent and clipping by entry leave both, and so do nonlinear units. Read-in, read-out and
    biases may be trained too. `theory.step_rank` bounds a single step of more rules.

    **Arguments:** `input_basis` (in, k), `error_basis` (out, k): vectors that span the inputs and errors that occur,
    where they do not fill all channels; `start` (unit, k): initial states; `optimiser`: what the weights will be
    trained with, plain gradient descent when left out.

    **Raises:** ValueError when their shapes do not fit the network, on use.
    Source: derived here; Pellegrino et al. 2023 (arXiv 2308.11567) bound the same ranks under gradient descent,
    Williams, Payeur and Lajoie 2026 (arXiv 2606.00243) the change under RFLO.
    """

    input_basis: Float[Array, "in k"] | None = None
    error_basis: Float[Array, "out j"] | None = None
    start: Float[Array, "unit i"] | None = None
    optimiser: object | None = eqx.field(default=None, static=True)

    coords: ClassVar[tuple[str, ...]] = ("change", "weights")
    reference: ClassVar[str] = (
        "bounds derived here; Pellegrino et al. 2023 (arXiv 2308.11567), ranks under gradient descent; "
        "Williams, Payeur and Lajoie 2026 (arXiv 2606.00243), rank under RFLO"
    )

    def bounds(self, setup: Setup) -> RankBounds | ColumnBounds:
        """The column space that the rule leaves open, or the subspace M of the network, and the bounds that follow."""
        columns = column_bounds(setup)
        if columns is not None:
            return columns
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
        """Bounds on the ranks of the change and of the weights."""
        bounds = self.bounds(setup)
        return jnp.asarray([bounds.matrix_rank, bounds.weights_rank], dtype=float)

    def regime(self, setup: Setup) -> Regime:
        """Outside for other units, rules and optimisers than the class names, and where the bound is all dimensions."""
        network, rule = setup.network, setup.rule
        if not columns_hold(rule, network) and not (is_linear(network) and follows_adjoint(rule)):
            return Regime.outside(why_no_bound(setup), defined=False)
        if is_traced(network):
            return Regime(RESULTS.successful)
        bounds, units = self.bounds(setup), network.w_rec.shape[0]
        if self.optimiser is not None and not self._kept(setup, bounds):
            return Regime.outside(
                "the optimiser changes single entries of the weights at their own rates (as Adam and RMSprop do) or "
                "shrinks first weights that lie outside the subspace (weight decay), which leaves the subspace; train "
                "with SGD, with or without momentum.",
                defined=False,
            )
        if bounds.d == units:
            if isinstance(bounds, ColumnBounds):
                return Regime.outside(f"the feedback reaches all {units} dimensions, and the bound says nothing.")
            single = step_rank(setup)
            return Regime.outside(
                f"inputs, errors and first weights fill all {units} dimensions, and the bound says nothing; it needs "
                "first weights of low rank, or a multiple of the identity beside them."
                + (f" A single step has rank at most {single}." if single < units else "")
            )
        return Regime(RESULTS.successful)

    def _kept(self, setup: Setup, bounds: RankBounds | ColumnBounds) -> bool:
        """Whether the optimiser's steps stay where the gradients are."""
        if isinstance(bounds, ColumnBounds):
            return keeps_columns(self.optimiser, weights_inside=inside_columns(setup, bounds))
        return keeps_subspace(self.optimiser, shift=bounds.shift)


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
