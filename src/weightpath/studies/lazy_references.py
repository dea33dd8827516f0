"""Rich and lazy learning in the study `lazy-learning`: the phase diagram, its reference table, and other modes."""

import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from weightpath.learn.crossover import phase_diagram
from weightpath.learn.flow import flow
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.tasks.filters import Integrator
from weightpath.theory import Outlier, RecurrentOnly, learning_time, solve

GAINS, DECAYS, RATIOS = (0.05, 0.3, 0.6), (0.2, 0.5), (1.0, 0.1, 0.01)
#: Richness and learning time of (gain, decay, ratio) at K = 4, from an independent solver.
RICHNESS = np.array(
    [
        [[0.962, 0.938, 0.906], [0.893, 0.762, 0.577]],
        [[0.846, 0.693, 0.582], [0.832, 0.470, 0.179]],
        [[0.652, 0.360, 0.247], [0.625, 0.186, 0.041]],
    ]
)
LEARNING_TIME = np.array(
    [
        [[1.544, 12.208, 151.50], [2.705, 30.009, 215.99]],
        [[1.549, 8.351, 104.50], [2.495, 16.990, 68.276]],
        [[1.739, 3.013, 25.318], [2.950, 4.698, 12.218]],
    ]
)
#: Loss of recurrent weights that learn alone between orthogonal read-in and read-out of norm 1, decay .2.
ORTHOGONAL = {5.0: 0.15849, 20.0: 0.11199, 100.0: 0.06807, 1000.0: 0.03189}


def table() -> xr.Dataset:
    """I7: richness and learning time of the reference settings."""
    found = phase_diagram(GAINS, DECAYS, RATIOS, depth=4, error_bars=False, progress=False)
    names = {"gain": "table_gain", "decay": "table_decay", "ratio": "table_ratio"}
    kept = found[["richness", "learning_time"]].rename(names | {"richness": "table_richness"})
    kept = kept.rename({"learning_time": "table_time"}).drop_attrs()
    return kept.assign(
        reference_richness=(kept.table_richness.dims, RICHNESS), reference_time=(kept.table_time.dims, LEARNING_TIME)
    )


def diagram(config, progress, workspace: Path | None) -> xr.Dataset:
    """The map of richness and learning time; resumes from the workspace."""
    gain = np.linspace(0.04, 0.76, config.map_size)
    decay = np.linspace(0.08, 0.92, config.map_size)
    ratios = (1.0, 0.01, 0.1)[: config.map_ratios]
    found = phase_diagram(
        gain, decay, sorted(ratios, reverse=True), depth=config.depth, error_bars=config.error_bars,
        progress=progress if progress is not None else False,
        checkpoint=None if workspace is None else Path(workspace) / "phase-diagram.npz",
    )  # fmt: skip
    return found.rename({"learning_time": "time_to_fraction", "loss": "loss_at_fraction"})


def chosen(config) -> xr.Dataset:
    """Richness and learning time at the chosen settings, with the difference from one depth less."""
    if config.decay == 1:
        return xr.Dataset({"own_richness": np.nan, "own_time": np.nan})
    found = phase_diagram([config.gain], [config.decay], [config.ratio], depth=4, error_bars=False, progress=False)
    return xr.Dataset({"own_richness": found.richness.item(), "own_time": found.learning_time.item()})


def other_modes() -> xr.Dataset:
    """I12: the plateau when the read-in learns too; I13: recurrent weights alone, v across or along u."""
    sizes = np.array([1e-2, 1e-3, 1e-4])
    trained = ("w_rec", "w_in", "w_out")
    times = [
        float(learning_time(Setup(ContinuousLinearRNN([[0.0]], [e], [e]), Integrator(0.2), BPTT(), trained), 0.01))
        for e in sizes
    ]
    across = _alone([1.0, 0.0], [0.0, 1.0])
    path = solve(RecurrentOnly(), across, list(ORTHOGONAL))
    along = _alone([1.0, 0.0], [1.5, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the loss cannot reach zero is what is looked at
        run, end = flow(across, [5.0, 20.0]), flow(along, [50.0])
    weights = np.asarray(run.networks.w_rec)
    return xr.Dataset(
        {
            "plateau_time": ("start_size", times),
            "plateau_slope": ("start_pair", np.diff(times) / np.log(10.0)),
            "across_loss": ("across_time", np.asarray(path.loss)),
            "across_reference": ("across_time", list(ORTHOGONAL.values())),
            "across_flow_error": float(np.max(np.abs(np.asarray(run.loss) - np.asarray(path.loss)[:2]))),
            "across_asymmetry": float(np.max(np.abs(weights[:, 0, 0] - weights[:, 1, 1]))),
            "across_poles": (("across_time", "pole_number"), np.real(RecurrentOnly().poles(path.coords))),
            "along_end": float(end.networks.w_rec[0, 0, 0]),
            "along_predicted": float(Outlier().endpoint(along)[2]),
        },
        {"start_size": sizes, "across_time": list(ORTHOGONAL)},
    )


def _alone(read_in, read_out) -> Setup:
    """Two units, recurrent weights from zero, which learn alone."""
    network = ContinuousLinearRNN(np.zeros((2, 2)), read_in, read_out)
    return Setup(network, Integrator(0.2), BPTT(), ("w_rec",))
