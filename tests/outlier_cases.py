"""Setups of the one-outlier theory, shared by its tests."""

import jax
import numpy as np

import weightpath as wp
from weightpath.networks.init import gaussian

BOTH = ("w_rec", "w_out")
ALL = ("w_rec", "w_in", "w_out")


def rank_one(decay=0.2, *, units=1, kappa=1.0, readout=0.0, outlier=0.0, train=BOTH, rates=None, seed=0) -> wp.Setup:
    """W = outlier uhat uhat^T, u = kappa uhat, v = readout uhat along a random direction."""
    direction = np.random.default_rng(seed).normal(size=units)
    direction /= np.linalg.norm(direction)
    network = wp.ContinuousLinearRNN(outlier * np.outer(direction, direction), kappa * direction, readout * direction)
    return wp.Setup(network, wp.Integrator(decay), wp.BPTT(), train=train, rates=rates)


def random_start(units, gain, *, seed=0, decay=0.2, train=BOTH, **fields) -> wp.Setup:
    """Gaussian recurrent weights of this gain, read-in of norm 1, read-out zero unless given."""
    fields = {"read_in_norm": 1.0, "readout": "zero"} | fields
    network = gaussian(jax.random.key(seed), units, gain=gain, **fields)
    return wp.Setup(network, wp.Integrator(decay), wp.BPTT(), train=train)
