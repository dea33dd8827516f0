"""Two brain-computer-interface sessions: arrays cut into trials (.npz), and the authors' own MATLAB files.

Sources: Hennig et al. 2021, Nat Neurosci 24:727 (learning of a perturbed mapping, latents); Hennig et al. 2018,
eLife 7:e36774 (before and after learning, spike counts).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from weightpath.inference.file_reading import Asked, Reading, binned_reading, built
from weightpath.inference.read_arrays import named

#: Arrays by which the layout of these sessions is known.
BCI_ARRAYS = frozenset({"latents", "phase", "condition", "bin_s"})

#: Activity of the unit itself or derived from it, (trial, neuron, time); the first one there is read by default.
ACTIVITY = ("counts", "latents", "rates")

#: Entry of `counts` where there is no bin.
NO_BIN = 255

#: Width of a bin [s] and names of the phases, which the MATLAB files do not say.
BIN = 0.045
PHASES = ("baseline", "perturbation")


def read_bci(path: Path, arrays: Mapping[str, np.ndarray], asked: Asked) -> Reading:
    """The layout (trial, neuron, time), phases as epochs, targets as conditions."""
    array = asked.array or next(name for name in ACTIVITY if name in arrays)
    data, width = named(arrays, array, path), float(arrays["bin_s"])
    if array == "counts" and data.dtype == np.uint8:
        data = np.where(data == NO_BIN, np.nan, data) / (1.0 if asked.binning.counts else width)
    phase = arrays["phase"]
    if "phase_names" in arrays:
        # The names carry an explanation in brackets, which is no part of a label.
        phase = np.array([str(name).split(" (")[0] for name in arrays["phase_names"]])[phase]
    trials, bins = len(arrays["condition"]), data.shape[-1]
    wanted: dict[str, Any] = {"condition": arrays["condition"], "epoch": phase}
    wanted |= {key: named(arrays, name, path) for key, name in asked.labels.items() if name is not None}
    per_trial = {
        name: _time_second(value, bins)
        for name, value in arrays.items()
        if value.ndim and value.shape[0] == trials and name not in (*ACTIVITY, "phase", "condition", "trial_id")
    }
    recording = built(
        data,
        asked,
        dims=("trial", "neuron", "time"),
        time=np.arange(bins) * width,
        trial_id=arrays.get("trial_id", np.arange(trials)),
        covariates=per_trial,
        name=path.stem,
        **wanted,
    )
    if array == "counts" and not asked.binning.counts:
        recording = recording._with(counts=False)
    unit = {"counts": " as counts" if asked.binning.counts else " as rates in Hz"}.get(array, "")
    head = [f"{path.name}: brain-computer-interface session, array {array!r} (trial, neuron, time){unit}"]
    extras = {name: value for name, value in arrays.items() if "decoder" in name or name in ("bin_s", "freeze_bins")}
    return binned_reading(recording, "bci", "global" if array == "latents" else "neuron", head, extras, asked)


def _time_second(value: np.ndarray, bins: int) -> np.ndarray:
    return np.moveaxis(value, -1, 1) if value.ndim == 3 and value.shape[-1] == bins else value


def original_arrays(tree: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """The arrays of `read_bci` from the contents of one of the authors' MATLAB files; None for any other file."""
    if isinstance(blocks := tree.get("Bs"), list) and all({"latents", "trial_index", "time"} <= set(b) for b in blocks):
        return _learning_session(blocks)
    blocks = tree["D"].get("blocks") if isinstance(tree.get("D"), Mapping) else None
    if isinstance(blocks, list) and all({"spikes", "isFreezePeriod", "latents"} <= set(b) for b in blocks):
        return _before_and_after(blocks)
    return None


def _learning_session(blocks: list) -> dict[str, np.ndarray]:
    """Bins carry the number of their trial and, counted from 1, their place in it."""
    trial = np.concatenate([block["trial_index"] for block in blocks]).astype(int)
    place = np.concatenate([block["time"] for block in blocks]).astype(int) - 1
    numbers, first, row = np.unique(trial, return_index=True, return_inverse=True)

    def cut(name: str) -> np.ndarray:
        flat = np.concatenate([block[name] for block in blocks]).astype(float)
        return _cut(flat.reshape(len(flat), -1), row, place)

    target = np.concatenate([block["target"] for block in blocks])[first].astype(int)
    phase = np.concatenate([np.full(len(block["time"]), i) for i, block in enumerate(blocks)])[first]
    return {
        "latents": cut("latents"),
        "phase": phase,
        "phase_names": _phases(len(blocks)),
        "condition": target // 45,
        "target_deg": target,
        "trial_id": numbers,
        "bin_s": np.array(BIN),
        "target_pos": np.concatenate([block["targetpos"] for block in blocks])[first],
        "cursor_pos": cut("pos"),
        "progress_intuitive": cut("progress_int")[:, 0],
        "progress_perturbed": cut("progress_wmp")[:, 0],
    }


def _before_and_after(blocks: list) -> dict[str, np.ndarray]:
    """Trials begin where the cursor is frozen; the target is the direction to it while it is."""
    counts, latents, angle, phase, row, place = [], [], [], [], [], []
    for i, block in enumerate(blocks):
        frozen = np.asarray(block["isFreezePeriod"]).astype(bool)
        start = frozen & ~np.concatenate([[False], frozen[:-1]])
        used = np.cumsum(start) > 0
        trial = np.cumsum(start)[used] - 1
        began = np.flatnonzero(start)
        row.append(trial + len(phase))
        place.append(np.flatnonzero(used) - began[trial])
        counts.append(block["spikes"][used])
        latents.append(block["latents"][used])
        angle.extend(np.asarray(block["thetas"])[began])
        phase.extend([i] * len(began))
    at, position = np.concatenate(row), np.concatenate(place)
    target = np.round(np.array(angle) / 90).astype(int) * 90 % 360
    return {
        "counts": np.nan_to_num(_cut(np.concatenate(counts).astype(float), at, position), nan=NO_BIN).astype(np.uint8),
        "latents": _cut(np.concatenate(latents), at, position),
        "phase": np.array(phase),
        "phase_names": _phases(len(blocks)),
        "condition": target // 90,
        "target_deg": target,
        "bin_s": np.array(BIN),
    }


def _phases(blocks: int) -> np.ndarray:
    return np.array([PHASES[i] if i < len(PHASES) else f"block {i + 1}" for i in range(blocks)])


def _cut(flat: np.ndarray, row: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(trial, neuron, time) from bins in a row, NaN where a trial has none."""
    cut = np.full((row.max() + 1, flat.shape[1], place.max() + 1), np.nan)
    cut[row, :, place] = flat
    return cut
