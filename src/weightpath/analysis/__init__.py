"""Analyses of weights and of their paths, for simulated and for inferred networks alike."""

from weightpath.analysis.sharpness import Sharpness, sharpness
from weightpath.analysis.spectrum import Spectrum, spectrum

__all__ = ["Sharpness", "Spectrum", "sharpness", "spectrum"]
