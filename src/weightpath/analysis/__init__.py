"""Analyses of weights and of their paths, for simulated and for inferred networks alike."""

from weightpath.analysis.aligned import DataAlignment, data_alignment, is_data_aligned
from weightpath.analysis.alignment import Alignment, alignment
from weightpath.analysis.change_ranks import ChangeRanks, change_ranks
from weightpath.analysis.effective_rank import effective_rank
from weightpath.analysis.learned_change import LearnedChange, learned_change
from weightpath.analysis.read_path import PathReading, read_path
from weightpath.analysis.sharpness import Sharpness, sharpness
from weightpath.analysis.spectrum import Spectrum, spectrum
from weightpath.analysis.subspace import matched_correlation, principal_angles, share_outside
from weightpath.analysis.tensor_rank import TensorRank, tensor_rank
from weightpath.analysis.which_rule import RuleVerdict, which_rule

__all__ = [
    "Alignment",
    "ChangeRanks",
    "DataAlignment",
    "LearnedChange",
    "PathReading",
    "RuleVerdict",
    "Sharpness",
    "Spectrum",
    "TensorRank",
    "alignment",
    "change_ranks",
    "data_alignment",
    "effective_rank",
    "is_data_aligned",
    "learned_change",
    "matched_correlation",
    "principal_angles",
    "read_path",
    "share_outside",
    "sharpness",
    "spectrum",
    "tensor_rank",
    "which_rule",
]
