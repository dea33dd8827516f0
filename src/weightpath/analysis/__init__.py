"""Analyses of weights and of their paths, for simulated and for inferred networks alike."""

from weightpath.analysis.aligned import DataAlignment, data_alignment, is_data_aligned
from weightpath.analysis.alignment import Alignment, alignment
from weightpath.analysis.change_ranks import ChangeRanks, change_ranks
from weightpath.analysis.effective_rank import effective_rank
from weightpath.analysis.fixed_points import fixed_points
from weightpath.analysis.fixed_result import FixedPoints
from weightpath.analysis.fixed_starts import starting_states
from weightpath.analysis.follow_points import FixedPointBranches, follow_fixed_points
from weightpath.analysis.landscape import Landscape, landscape
from weightpath.analysis.learned_change import LearnedChange, learned_change
from weightpath.analysis.poles import poles
from weightpath.analysis.read_path import PathReading, read_path
from weightpath.analysis.sharpness import Sharpness, sharpness
from weightpath.analysis.spectrum import Spectrum, spectrum
from weightpath.analysis.stability_radius import StabilityRadius, stability_radius
from weightpath.analysis.subspace import matched_correlation, principal_angles, share_outside
from weightpath.analysis.tensor_rank import TensorRank, tensor_rank
from weightpath.analysis.update_angles import UpdateAngles, update_angles
from weightpath.analysis.which_rule import RuleVerdict, which_rule

__all__ = [
    "Alignment",
    "ChangeRanks",
    "DataAlignment",
    "FixedPointBranches",
    "FixedPoints",
    "Landscape",
    "LearnedChange",
    "PathReading",
    "RuleVerdict",
    "Sharpness",
    "Spectrum",
    "StabilityRadius",
    "TensorRank",
    "UpdateAngles",
    "alignment",
    "change_ranks",
    "data_alignment",
    "effective_rank",
    "fixed_points",
    "follow_fixed_points",
    "is_data_aligned",
    "landscape",
    "learned_change",
    "matched_correlation",
    "poles",
    "principal_angles",
    "read_path",
    "share_outside",
    "sharpness",
    "spectrum",
    "stability_radius",
    "starting_states",
    "tensor_rank",
    "update_angles",
    "which_rule",
]
