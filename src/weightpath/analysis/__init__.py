"""Analyses of weights and of their paths, for simulated and for inferred networks alike."""

from weightpath.analysis.sharpness import Sharpness, sharpness
from weightpath.analysis.spectrum import Spectrum, spectrum
from weightpath.analysis.subspace import matched_correlation, principal_angles, share_outside
from weightpath.analysis.tensor_rank import TensorRank, tensor_rank

__all__ = [
    "Sharpness",
    "Spectrum",
    "TensorRank",
    "matched_correlation",
    "principal_angles",
    "share_outside",
    "sharpness",
    "spectrum",
    "tensor_rank",
]
