"""Setups of the conjugate pair, shared by its tests."""

import jax
import numpy as np

import weightpath as wp
from weightpath.networks.init import gaussian

BOTH = ("w_rec", "w_out")


def two_units(decay=0.2, frequency=1.0, *, size=1e-4, kappa=1.0, cosine=1.0, sine=0.0, train=BOTH, rates=None):
    """W0 = 0, u = (kappa, 0), v0 = (0, size)."""
    network = wp.ContinuousLinearRNN(np.zeros((2, 2)), np.array([kappa, 0.0]), np.array([0.0, size]))
    return wp.Setup(network, wp.DampedOscillator(decay, frequency, cosine, sine), wp.BPTT(), train, rates)


def in_plane(units, coords, *, kappa=1.0, target=(0.2, 1.0), seed=0, train=BOTH, rates=None):
    """A network of any size with weights in the plane of a random u and another direction."""
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(units, 2)))[0]
    matrix = np.asarray(coords[:4]).reshape(2, 2)
    network = wp.ContinuousLinearRNN(basis @ matrix @ basis.T, kappa * basis[:, 0], basis @ np.asarray(coords[4:]))
    return wp.Setup(network, wp.DampedOscillator(*target), wp.BPTT(), train, rates)


def random_start(seed, size, *, units=40, decay=0.2, frequency=1.0, **fields):
    """Gaussian recurrent weights of gain `size`, a random read-out of norm `size`, read-in of norm 1."""
    network = gaussian(jax.random.key(seed), units, gain=size, read_in_norm=1.0, readout="random", readout_norm=size)
    return wp.Setup(network, wp.DampedOscillator(decay, frequency, **fields), wp.BPTT(), BOTH)
