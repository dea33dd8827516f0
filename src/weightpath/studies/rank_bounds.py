"""Study: ranks of learning: gradient descent on low-dimensional tasks moves weights in a small fixed subspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from weightpath.studies.base import Check, Settings, Study

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

PAPER = "Pellegrino, Cayco-Gajic, Chadwick 2023 (arXiv 2308.11567)"


class RankBounds(Settings):
    """Settings of the study; sizes of the networks are fixed, since ranks do not depend on them."""

    networks: int = Field(5, ge=1, le=50, description="networks of each kind, each from its own random start")


def run(config: RankBounds, *, progress=None, workspace=None) -> Dataset:
    """Identities of gradients, networks that meet the bound, networks that leave it, and sums of rank-one terms."""
    import xarray as xr

    from weightpath._precision import require_x64
    from weightpath.studies import rank_bounds_tables as tables

    require_x64("the study rank-bounds")
    seeds = range(config.seed, config.seed + config.networks)
    labels = ("gradients", "bounded networks", "exceptions", "rank-one terms")

    def told(done):
        if progress is not None:
            progress(f"rank-bounds: {labels[min(done, 3)]}", done, 4)

    told(0)
    pieces = [tables.identities(seeds)]
    told(1)
    bounded, runs = tables.bounded(seeds)
    told(2)
    failing, shown = tables.failures(seeds)
    told(3)
    shown = {"linear, gradient descent": runs["2 inputs, 1 error"], **shown}
    pieces += [bounded, failing, tables.terms(runs), tables.spectra(shown)]
    told(4)
    merged = xr.merge(pieces, combine_attrs="no_conflicts")
    assert isinstance(merged, xr.Dataset)
    return merged


def predict(config: RankBounds) -> dict[str, Any]:
    """Dimensions and bounds of every network of the study, from their first weights alone."""
    import jax.numpy as jnp

    from weightpath.studies.rank_bounds_runs import BOUNDED, STEPS, problem
    from weightpath.theory import RankBound

    found = {}
    for case in BOUNDED:
        setup, used, seen = problem(case, config.seed)
        bounds = RankBound(input_basis=jnp.asarray(used), error_basis=jnp.asarray(seen)).bounds(setup)
        found[case.name] = {"d": bounds.d, "tensor_rank": bounds.tensor_rank(STEPS)}
    return found


def _worst(ds: Dataset, name: str) -> float:
    return float(ds[name].max())


def _same(ds: Dataset, name: str) -> bool:
    return bool((ds[name] == ds["dimension"]).all())


def _term(ds: Dataset, path: str, rank: int) -> float:
    return float(ds.term_error.sel(path=path, rank=rank))


DERIVED = "derived: invariant subspace"
CHECKS = (
    *(Check(f"5.1 gradient as adjoints times rates against autodiff, {kind} units", "identity",
            lambda ds, kind=kind: ds.adjoint_error.sel(units_kind=kind).max(), 1e-12, compare="at_most")
      for kind in ("linear", "tanh")),
    Check("5.2 dimension of the subspace is that of inputs, errors, starts and twice W0's rank", DERIVED,
          lambda ds: _same(ds, "bound"), compare="true"),
    Check("5.2 largest rank of the change equals the bound in every network", DERIVED,
          lambda ds: _same(ds, "slice_rank"), compare="true"),
    Check("5.2 norm of the change outside the subspace, largest share", DERIVED,
          lambda ds: _worst(ds, "outside"), 1e-12, compare="at_most"),
    Check("5.2 the theory counts every one of these networks as inside its regime", DERIVED,
          lambda ds: (ds.inside_regime == 1).all(), compare="true"),
    Check("losses are finite, largest at the end", "precondition", lambda ds: _worst(ds, "last_loss"), 10.0,
          compare="at_most"),
    Check("5.3 ranks of the post and pre unfoldings equal the bound", DERIVED,
          lambda ds: _same(ds, "rank_post") and _same(ds, "rank_pre"), compare="true"),
    Check("5.3 rank of the step unfolding is at most min(d^2, steps)", DERIVED,
          lambda ds: (ds.rank_step <= (ds.dimension**2).clip(max=ds.attrs["steps"])).all(), compare="true"),
    Check("5.4 one input, one error: residual of three terms shared by all steps", "derived: reflection symmetry",
          lambda ds: ds.three_terms_error, 1e-12, compare="at_most"),
    Check("5.4 one input, one error: the weights equal their reflected transpose", "derived: reflection symmetry",
          lambda ds: ds.reflection_error, 1e-12, compare="at_most"),
    Check("5.4 two terms are not enough, error of the best two found", "derived: reflection symmetry",
          lambda ds: _term(ds, "1 input", 2), 1e-5, compare="at_least"),
    Check("5.5 thirty random slices of rank one: least unfolding rank of the tensor", "identity",
          lambda ds: ds.random_slices_rank.min(), 30, compare="at_least"),
    Check("5.6 Adam and RMSprop: rank of the change, least", DERIVED,
          lambda ds: ds.adaptive_rank.min(), 30, compare="at_least"),
    Check("5.6 the theory refuses Adam, RMSprop and random W0", DERIVED,
          lambda ds: ds.adaptive_refused.all() and ds.random_refused.all(), compare="true"),
    Check("5.6 tanh units: share outside grows with the inputs, at either rate", DERIVED,
          lambda ds: (ds.tanh_outside.mean("seed").diff("scale") > 0).all(), compare="true"),
    *(Check(f"5.6 tanh units, rate {rate:g}: energy in three directions, least", DERIVED,
            lambda ds, rate=rate: ds.tanh_top.sel(rate=rate).min(), least, compare="at_least")
      for rate, least in ((0.1, 0.98), (0.5, 0.9))),
    Check("5.6 random W0, gain .3: share outside, least", DERIVED,
          lambda ds: ds.random_outside.sel(gain=0.3).min(), 0.1, compare="at_least"),
    Check("5.6 random W0, gain .6: share outside, least", DERIVED,
          lambda ds: ds.random_outside.sel(gain=0.6).min(), 0.2, compare="at_least"),
    Check("5.6 random W0: energy in three directions, least", DERIVED,
          lambda ds: ds.random_top.min(), 0.98, compare="at_least"),
    *(Check(f"error of the best {rank} terms found, two inputs, constant", "finding",
            lambda ds, rank=rank: _term(ds, "2 inputs, constant", rank), required=False) for rank in (2, 3, 8, 9)),
    *(Check(f"error of the best {rank} terms found, two inputs, changing", "finding",
            lambda ds, rank=rank: _term(ds, "2 inputs, changing", rank), required=False) for rank in (2, 3, 8, 9)),
    Check("share outside, tanh units with inputs of size 1, rate .5", "finding",
          lambda ds: ds.tanh_outside.sel(scale=1.0, rate=0.5).mean(), required=False),
)  # fmt: skip


def bounds(dataset: Dataset) -> Figure:
    """The rank of the change of the recurrent weights over learning (dots: the largest at any step) beside the bound d
    (bars), for linear networks of 40 units. "2, 1" means inputs in two dimensions and errors in one. Every way to learn
    that treats the gradient as a whole matrix meets the bound exactly; Adam and RMSprop, on the task of the second row,
    fill nearly all dimensions.
    """
    from weightpath.plot import ranks, style

    drawn, ax = style.figure(width=7.2, height=5.0)
    ranks.plot_bounds(dataset, ax=ax)
    return drawn


def spectra(dataset: Dataset) -> Figure:
    """Singular values of the change of the weights at the end of learning, over the largest; two inputs, one error.
    Gradient descent in a linear network leaves rounding beyond d = 3. Saturating units and random first weights leave
    the subspace, with little energy beyond three directions; Adam spreads over all of them.
    """
    from weightpath.plot import ranks, style

    drawn, ax = style.figure(width=5.6, height=3.6)
    ranks.plot_spectra(dataset, ax=ax)
    return drawn


def exceptions(dataset: Dataset) -> Figure:
    """How far the change of the weights leaves the subspace of inputs and errors (filled), and how much of it lies
    beyond its own three largest directions (open), as shares of its norm; mean over networks. Left: tanh units, nearly
    linear for small inputs. Right: random first weights of full rank, where the bound itself is empty. In both the
    subspace turns but stays small.
    """
    from weightpath.plot import ranks, style

    drawn, (left, right) = style.figure(1, 2, width=8.4, height=3.6)
    ranks.plot_outside(dataset, "scale", ax=left)
    ranks.plot_outside(dataset, "gain", ax=right)
    style.letter((left, right))
    return drawn


def terms(dataset: Dataset) -> Figure:
    """Error, relative to the norm of the change, of the best sum of R rank-one terms that was found, for one network of
    each kind. The theory needs at most d² = 9 terms for two inputs and one error, and three for one input; far fewer
    carry nearly all of it. 3e-8 is the rounding of the search; the constructions themselves leave less than 1e-12.
    """
    from weightpath.plot import ranks, style

    drawn, ax = style.figure(width=5.6, height=3.6)
    ranks.plot_terms(dataset, ax=ax)
    return drawn


STUDY = Study(
    name="rank-bounds",
    title="Ranks of learning: gradient descent moves weights in a small subspace",
    paper=PAPER,
    claim=(
        "Gradient descent on a task with few inputs and few errors changes the recurrent weights of a linear network "
        "in one fixed subspace, whose dimension bounds the rank of every change and the tensor rank of the whole path. "
        "The paper states such bounds; those verified here are derived anew. They hold whatever the learning rate, the "
        "batches, momentum or weight decay, and end with optimisers that scale single weights, with saturating units "
        "and with random first weights, where the change stays low-dimensional without being bounded."
    ),
    config=RankBounds,
    presets={"quick": {"networks": 1}, "full": {}},
    run=run,
    checks=CHECKS,
    figures={"bounds": bounds, "spectra": spectra, "exceptions": exceptions, "terms": terms},
    predict=predict,
    units={},
)
