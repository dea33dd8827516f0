"""Recordings: reading them, fitting networks whose weights move over trials, and judging the fits on held-out data."""

from weightpath.inference.masks import SCHEMES, Mask, blocks, user_mask
from weightpath.inference.paired import Paired, paired_difference, r_squared
from weightpath.inference.plain import PLAIN, plain_predictions
from weightpath.inference.read import Reading, read_recording, sample_path
from weightpath.inference.recording import Recording

__all__ = [
    "PLAIN",
    "SCHEMES",
    "Mask",
    "Paired",
    "Reading",
    "Recording",
    "blocks",
    "paired_difference",
    "plain_predictions",
    "r_squared",
    "read_recording",
    "sample_path",
    "user_mask",
]
