"""Recordings: reading them, fitting networks whose weights move over trials, and judging the fits on held-out data."""

from importlib import import_module
from typing import TYPE_CHECKING

from weightpath.inference.held_out import Mask, user_mask
from weightpath.inference.masks import SCHEMES, blocks
from weightpath.inference.paired import Paired, paired_difference, r_squared
from weightpath.inference.plain import PLAIN, plain_predictions
from weightpath.inference.read import Reading, read_recording, sample_path
from weightpath.inference.recording import Recording
from weightpath.inference.select import selected
from weightpath.inference.series import series_to_recording
from weightpath.inference.spikes import spikes_to_recording

if TYPE_CHECKING:
    from weightpath.inference import reading
    from weightpath.inference.bootstrapping import bootstrap
    from weightpath.inference.choose_prior import tune_prior
    from weightpath.inference.ensembles import ensemble
    from weightpath.inference.ltrrnn_params import from_ltrrnn_params
    from weightpath.inference.many import fit_many
    from weightpath.inference.new_trials import predict_trials
    from weightpath.inference.reading import reading_dataset
    from weightpath.inference.recovered import recovery
    from weightpath.inference.ridge_control import ridge_control
    from weightpath.inference.sessions import fit_sessions

__all__ = [
    "PLAIN",
    "SCHEMES",
    "Mask",
    "Paired",
    "Reading",
    "Recording",
    "blocks",
    "bootstrap",
    "ensemble",
    "fit_many",
    "fit_sessions",
    "from_ltrrnn_params",
    "paired_difference",
    "plain_predictions",
    "predict_trials",
    "r_squared",
    "read_recording",
    "reading",
    "reading_dataset",
    "recovery",
    "ridge_control",
    "sample_path",
    "selected",
    "series_to_recording",
    "spikes_to_recording",
    "tune_prior",
    "user_mask",
]


#: Names that load what fits need, and the module of each.
_LATE = {
    "bootstrap": "bootstrapping",
    "ensemble": "ensembles",
    "fit_many": "many",
    "fit_sessions": "sessions",
    "from_ltrrnn_params": "ltrrnn_params",
    "predict_trials": "new_trials",
    "reading_dataset": "reading",
    "recovery": "recovered",
    "ridge_control": "ridge_control",
    "tune_prior": "choose_prior",
}


def __getattr__(name: str):
    if name == "reading":
        return import_module("weightpath.inference.reading")
    if name in _LATE:
        return getattr(import_module(f"weightpath.inference.{_LATE[name]}"), name)
    raise AttributeError(f"module 'weightpath.inference' has no attribute {name!r}")
