"""Figures from datasets and arrays: draw into given axes and return them; nothing is shown or set globally."""

from weightpath.plot.style import axis_label, figure, finish, letter, save_figure, simulated, theory

__all__ = ["axis_label", "figure", "finish", "letter", "save_figure", "simulated", "theory"]
