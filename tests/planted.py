"""Systems with planted factors, whose fixed points and bifurcations are known."""

import warnings
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np

import weightpath as wp
from weightpath.inference.reading.in_span import InSpan, in_span
from weightpath.networks.kernels import RationalQuadratic


def planted(a, b, c, *, start=None, inputs=None, bins=10, time_constant=10.0, solver="rk4"):
    """Trials with weights a diag(c_k) b^T; `inputs` (trial, time, rank) and `start` (trial, rank) along the a_r."""
    a, b, c = (np.asarray(one, float) for one in (a, b, c))
    a, b = a / np.linalg.norm(a, axis=0), b / np.linalg.norm(b, axis=0)
    basis, to_basis = np.linalg.qr(a)
    trials, rank = c.shape
    mixing = c[:, :, None] * np.eye(rank)
    start = np.ones((trials, rank)) if start is None else np.asarray(start, float)
    inputs = np.zeros((trials, bins, rank)) if inputs is None else np.asarray(inputs, float)
    return InSpan(
        basis=basis, to_basis=to_basis, pre=b, mixing=mixing, smooth_mixing=mixing, inputs=inputs @ to_basis.T,
        start=start @ to_basis.T, time_constant=time_constant, solver=solver, substeps=1,
    )  # fmt: skip


TRIALS, BINS, NEURONS = 14, 6, 5


def small_recording(**labels):
    """Two conditions and two epochs of seven trials; shapes are those of `test_fit_trajectory`."""
    rng = np.random.default_rng(0)
    condition = np.arange(TRIALS) % 2
    values = rng.standard_normal((2, BINS, NEURONS))[condition] + 0.3 * rng.standard_normal((TRIALS, BINS, NEURONS))
    epoch = np.repeat(["before", "after"], TRIALS // 2)
    return wp.Recording(values, **(dict(condition=condition, epoch=epoch) | labels))


def small_fit(changes="trial", recording=None, **settings):
    """A few iterations in float64: a fit whose numbers are its own, not those of its data."""
    model = wp.LowTensorRankRNN(rank=2, units=12, changes=changes, kernel=RationalQuadratic(5.0, 0.3, 0.05), **settings)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the fit is not settled")
        return wp.fit(model, recording or small_recording(), iterations=20, dtype="float64")


def with_factors(fit, c):
    """The same fit with other trial factors, all of them smooth, and the states that they lead to."""
    network = eqx.tree_at(lambda one: one.trial_factor, fit.network, jnp.asarray(c))
    changed = replace(fit, network=network, c_smooth=np.asarray(c), c_sd=np.zeros_like(c))
    system = in_span(changed)
    return replace(changed, z=system.to_factors(system.states))
