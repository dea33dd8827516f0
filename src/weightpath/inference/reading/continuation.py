"""A fixed point carried along while the factors move from those of one trial to those of another."""

from weightpath.analysis.continuation import Carried, carry

__all__ = ["Carried", "carry"]
