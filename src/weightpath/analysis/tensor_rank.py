"""How many rank-one terms a path of weights needs: its tensor rank, beside the ranks of its unfoldings and slices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS, outcome_name
from weightpath._types import Bool, Float, Int, Numeric
from weightpath.analysis.cp import alternate, congruence, first_guesses
from weightpath.analysis.rank import MODES, TOLERANCE, energy_count, higher_order_svd, numerical_rank
from weightpath.analysis.weight_tensor import weight_tensor
from weightpath.trajectory import Trajectory

#: Share of the energy that the core of the higher-order SVD may lose, and the most it keeps of each axis.
LOST, LARGEST = 1e-12, 30


class TensorRank(eqx.Module):
    r"""What `tensor_rank` found: decompositions $\sum_r c_r\, a_r b_r^\top$ of the weights, and spectra beside them.

    Restarts are ordered by $R^2$, best first.
    """

    time: Float[np.ndarray, " step"]
    """Learning time; the index of the first axis for plain arrays."""
    ranks: tuple[int, ...] = eqx.field(static=True)
    relative_to: str | None = eqx.field(static=True)
    r2_restarts: Float[np.ndarray, "rank restart"]
    r"""$1 - |T - \hat T|^2/|T|^2$ of the whole tensor T, by rank and restart."""
    congruence: Float[np.ndarray, "rank restart"]
    """Likeness of every restart's terms to those of the best: 1 for the same terms in any order."""
    settled: Bool[np.ndarray, "rank restart"]
    """Whether the error had settled before the last sweep."""
    terms: tuple[tuple[Float[np.ndarray, "step _"], Float[np.ndarray, "post _"], Float[np.ndarray, "pre _"]], ...]
    """Factors of the best decomposition of every rank, as `factors` gives them."""
    unfolding_values: tuple[Float[np.ndarray, " a"], Float[np.ndarray, " b"], Float[np.ndarray, " c"]]
    """Singular values of the unfoldings with step, post and pre as rows."""
    slice_values: Float[np.ndarray, "step eig"]
    """Singular values of the change at every step."""
    core_energy: float = eqx.field(static=True)
    """Share of the energy inside the core on which the terms were sought."""
    result: RESULTS

    @property
    def r2(self) -> Float[np.ndarray, " rank"]:
        """Best $R^2$ of each rank."""
        return self.r2_restarts[:, 0]

    @property
    def multilinear_rank(self) -> tuple[int, int, int]:
        """Ranks of the three unfoldings (step, post, pre), up to rounding; the tensor rank is at least the largest."""
        step, post, pre = (int(numerical_rank(values)) for values in self.unfolding_values)
        return step, post, pre

    @property
    def unfolding_count(self) -> tuple[int, int, int]:
        """Singular values that hold 99% of the energy of each unfolding (step, post, pre)."""
        step, post, pre = (int(energy_count(values)) for values in self.unfolding_values)
        return step, post, pre

    @property
    def slice_rank(self) -> Int[np.ndarray, " step"]:
        """Rank of the change at every step, up to rounding relative to the largest change of the path."""
        return np.sum(self.slice_values > TOLERANCE * self.slice_values.max(initial=0.0), axis=1)

    @property
    def slice_count(self) -> Int[np.ndarray, " step"]:
        """Singular values that hold 99% of the energy of the change at every step."""
        return energy_count(self.slice_values)

    def factors(
        self, rank: int
    ) -> tuple[Float[np.ndarray, "step term"], Float[np.ndarray, "post term"], Float[np.ndarray, "pre term"]]:
        """Factors c (step, term), a (post, term), b (pre, term) of the best decomposition of this rank.

        a and b have unit columns, c carries the scale; terms are ordered by the mean of c^2. Signs: the largest entry
        of a column of a is positive, then the mean of the column of c.

        **Raises:** ValueError for a rank that was not asked for.
        """
        if rank not in self.ranks:
            raise ValueError(f"rank {rank} was not decomposed; there are {', '.join(map(str, self.ranks))}.")
        return self.terms[self.ranks.index(rank)]

    def to_dataset(self):
        """An `xarray.Dataset` with dims rank, restart, step, post, pre, term, mode, eig; short rows end in NaN."""
        import xarray as xr

        longest = max(values.size for values in (*self.unfolding_values, self.slice_values[0]))
        dims = ("step", "post", "pre")
        data = {
            "r2": ("rank", self.r2),
            "r2_restarts": (("rank", "restart"), self.r2_restarts),
            "congruence": (("rank", "restart"), self.congruence),
            "settled": (("rank", "restart"), self.settled),
            "unfolding_value": (("mode", "eig"), np.stack([_padded(v, longest) for v in self.unfolding_values])),
            "unfolding_count": ("mode", np.array(self.unfolding_count)),
            "multilinear_rank": ("mode", np.array(self.multilinear_rank)),
            "slice_value": (("step", "eig"), _padded(self.slice_values, longest)),
            "slice_count": ("step", self.slice_count),
        }
        for axis, name in enumerate(dims):
            stacked = np.stack([_padded(terms[axis], max(self.ranks)) for terms in self.terms])
            data[f"{name}_factor"] = (("rank", name, "term"), stacked)
        coords = {"rank": list(self.ranks), "mode": list(MODES), "learning_time": ("step", self.time)}
        attrs = {"relative_to": self.relative_to or "", "core_energy": self.core_energy}
        return xr.Dataset(data, coords, {**attrs, "result": outcome_name(self.result)})


def tensor_rank(
    learned: Trajectory | Numeric,
    ranks: tuple[int, ...] | list[int] = (1, 2, 3, 5, 8),
    *,
    relative_to: str | None = "start",
    restarts: int = 8,
    seed: int = 0,
    sweeps: int = 1000,
    tolerance: float = 1e-8,
    largest_core: int = LARGEST,
) -> TensorRank:
    r"""Rank-one terms $W^{(k)} \approx \sum_{r \le R} c_{kr}\, a_r b_r^\top$ of a path of weights, for some R.

    The tensor is compressed to the core of its higher-order SVD (what holds all but 1e-12 of the energy, at most
    `largest_core` of each axis: `core_energy` says what is left), where nothing is lost in looking for its terms; there
    they are found by alternating least squares from `restarts` starts, one of them the leading singular vectors, and
    the best is kept. $R^2$ is that of the whole tensor. The best $R^2$ of a rank need not be attained by any
    decomposition, and starts may end in different places: `congruence` says whether they agree.

    **Arguments:**
    - `learned`: a trajectory, or an array (step, post, pre) of weights. Of a fit's trajectory, or one of a projected
      run, the square matrices are never built.
    - `relative_to`: what is subtracted first. "start": the first weights; "mean": the mean over steps; None: nothing.
      Weights that start random and full-rank are never of low tensor rank themselves; their change may be.
    - `sweeps`, `tolerance`: a start ends when a sweep changes the error by less than this share of the energy, or after
      so many sweeps. `result` is `not_converged` where the best start of some rank did not settle.

    **Raises:** ValueError in 32-bit mode; for ranks or counts below 1; for an array that is not (step, post, pre), is
    not finite, or does not change.
    Source: Pellegrino et al. 2023 (arXiv 2308.11567), tensor rank of weights over learning; Kolda and Bader 2009.
    """
    require_x64("analysis.tensor_rank")
    ranks = _checked_ranks(ranks)
    for name, value in (("restarts", restarts), ("sweeps", sweeps), ("largest_core", largest_core)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}.")
    time, tensor, post, pre = weight_tensor(learned, relative_to)
    left, values = higher_order_svd(tensor)
    power = float(np.sum(tensor**2))
    kept = [_kept(spectrum, largest_core) for spectrum in values]
    bases = [vectors[:, :count] for vectors, count in zip(left, kept, strict=True)]
    core = np.einsum("kij,ka,ib,jc->abc", tensor, *bases, optimize=True)
    inside = float(np.sum(core**2))
    guesses = first_guesses(core.shape, ranks, restarts, seed)
    found = alternate(jnp.asarray(core), *jax.tree.map(jnp.asarray, (*guesses, sweeps, tolerance)))
    shape = (len(ranks), restarts)
    error = (np.asarray(found.error) * inside + max(power - inside, 0.0)) / power
    error = error.reshape(shape)
    order = np.argsort(error, axis=1, kind="stable")
    factors = [np.asarray(factor).reshape(*shape, *factor.shape[1:]) for factor in found.factors]
    terms, likeness = [], np.ones(shape)
    for row, rank in enumerate(ranks):
        ends = [tuple(factor[row, index][:, :rank] for factor in factors) for index in order[row]]
        likeness[row] = [congruence(ends[0], end) for end in ends]
        step, one, other = (basis @ factor for basis, factor in zip(bases, ends[0], strict=True))
        terms.append(_canonical(step, one if post is None else post @ one, other if pre is None else pre @ other))
    settled = (np.asarray(found.change) <= tolerance).reshape(shape)
    settled = np.take_along_axis(settled, order, 1)
    return TensorRank(
        time=time, ranks=ranks, relative_to=relative_to, r2_restarts=1 - np.take_along_axis(error, order, 1),
        congruence=likeness, settled=settled, terms=tuple(terms), unfolding_values=values,
        slice_values=np.linalg.svd(tensor, compute_uv=False), core_energy=inside / power,
        result=RESULTS.successful if settled[:, 0].all() else RESULTS.not_converged,
    )  # fmt: skip


def _checked_ranks(ranks) -> tuple[int, ...]:
    ranks = tuple(int(rank) for rank in ranks)
    if not ranks or min(ranks) < 1 or len(set(ranks)) < len(ranks):
        raise ValueError(f"ranks must be different whole numbers from 1 on; got {ranks}.")
    return ranks


def _kept(values: np.ndarray, largest: int) -> int:
    """How many directions of an axis go into the core; each axis may lose a third of what the core may."""
    beyond = np.cumsum((values**2)[::-1])[::-1]
    needed = int(np.sum(beyond > LOST / 3 * beyond[0]))
    return min(max(needed, 1), largest)


def _canonical(step: np.ndarray, post: np.ndarray, pre: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale, signs and order of the terms as `TensorRank.factors` promises them."""
    for factor in (post, pre):
        length = np.linalg.norm(factor, axis=0)
        step = step * length
        factor /= np.where(length > 0, length, 1.0)
    sign = np.where(post[np.abs(post).argmax(axis=0), np.arange(post.shape[1])] < 0, -1.0, 1.0)
    turn = np.where(step.mean(axis=0) < 0, -1.0, 1.0)
    step, post, pre = step * turn, post * sign, pre * sign * turn
    order = np.argsort(-np.mean(step**2, axis=0), kind="stable")
    return step[:, order], post[:, order], pre[:, order]


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    """The last axis filled up with NaN."""
    pad = [(0, 0)] * (values.ndim - 1) + [(0, length - values.shape[-1])]
    return np.pad(values.astype(float), pad, constant_values=np.nan)
