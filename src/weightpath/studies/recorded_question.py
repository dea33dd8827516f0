"""Does a low-tensor-rank network predict whole held-out trials of a recording better than the best tuned smoother?

The candidates and recordings of `weightpath.inference.contest`, which takes hours: every finished fit is kept in `out`
and the same call goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

#: Settings of the contests whose outcome docs/low-tensor-rank.md states.
ASKED: dict[str, dict[str, Any]] = {
    "latents": dict(schemes=("odd", "runs"), folds=2, multipliers=(8, 30, 100), seeds=(0, 1, 2)),
    "counts": dict(
        schemes=("runs", "odd", "even"), folds=3, multipliers=(8, 30, 100, 300), seeds=(0, 1, 2, 3, 4), iterations=500
    ),
}


def candidates(*, counts: bool = False, rank: int = 5, units: int = 60) -> dict[str, Any]:
    """Models to choose among, by label: offsets, ranks, kernels, states per trial; for counts with that likelihood.

    They start from the settings recommended for recordings of learning (a slow offset, a strong prior).
    """
    from dataclasses import replace

    from weightpath.networks.kernels import RationalQuadratic
    from weightpath.networks.low_tensor_rank import LowTensorRankRNN, SmoothOffset

    base = LowTensorRankRNN(rank=rank, units=units, prior_multiplier=30.0, trial_offset=SmoothOffset())
    bare = replace(base, trial_offset=None, prior_multiplier=8.0)
    if counts:
        base, bare = (replace(one, likelihood="poisson") for one in (base, bare))
        return {
            "Poisson, offset": base,
            "Poisson, no offset": bare,
            "offset, more terms": replace(base, rank=rank + 3),
            "no offset, more terms": replace(bare, rank=rank + 3),
            "offset, fewer terms": replace(base, rank=max(1, rank - 2)),
            "no offset, longer kernel": replace(
                bare, kernel=RationalQuadratic(length=400.0, sd=0.3, noise_sd=0.05)
            ),
        }  # fmt: skip
    return {
        "offset": base,
        "no offset": bare,
        "quick offset": replace(base, trial_offset=SmoothOffset(length=40.0)),
        "wide offset": replace(base, trial_offset=SmoothOffset(sd=0.6)),
        "shorter kernel": replace(base, kernel=RationalQuadratic(length=100.0, sd=0.3, noise_sd=0.05)),
        "wider kernel": replace(base, kernel=RationalQuadratic(length=200.0, sd=0.6, noise_sd=0.02)),
        "state per trial": replace(base, initial_state="trial"),
        "dropout": replace(base, trial_dropout=0.2),
        "more terms": replace(base, rank=rank + 3),
    }


def winner_among_controls(recording: Any, model: Any, *, out: str | Path | None = None, **settings: Any):
    """The model that won a contest beside networks in which nothing, inputs, read-out or weights per epoch change.

    A contest is won against a smoother; what it is that changes is for these to say. `settings` are those of
    `wp.cross_validate`, which gives the result.
    """
    from weightpath.inference.crossval import cross_validate

    kept = None if out is None else Path(out) / "controls"
    return cross_validate(model, recording, checkpoint_dir=kept, **settings)


def answer(
    recordings: Mapping[str, Any],
    *,
    models: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    say: Callable[[str], None] = print,
    **settings: Any,
) -> dict[str, Any]:
    """One contest for each recording (`wp.Recording` by name), told as it goes; `settings` are those of `contest`.

    `models` default to `candidates()`, with likelihoods of counts where a recording holds counts.
    """
    from weightpath.inference.bits import spike_counts
    from weightpath.inference.contest import contest

    found = {}
    for name, recording in recordings.items():
        counted = spike_counts(recording) is not None
        tried = candidates(counts=counted) if models is None else models
        kept = None if out is None else Path(out) / name
        found[name] = contest(tried, recording, seeds=seeds, checkpoint_dir=kept, **settings)
        say(f"{name}\n{found[name]}")
    return found


def recordings(folder: str | Path | None = None, *, bins: int = 30) -> dict[str, Any]:
    """The recorded session that is shipped, standardised, and, where `folder` has them, the sets of the same group.

    `folder` holds `bci_before_after_hennig2018/analysis_20131218.npz` (spike counts, cut to the first `bins` bins) and
    `bci_learning_hennig2021/analysis_20160728.npz` (denoised rates of the units beside the latents).
    """
    from weightpath.inference.read import read_recording, sample_path

    found = {"latents": read_recording(sample_path()).recording.standardised("global")}
    if folder is not None:
        before = Path(folder) / "bci_before_after_hennig2018" / "analysis_20131218.npz"
        learning = Path(folder) / "bci_learning_hennig2021" / "analysis_20160728.npz"
        for file in (before, learning):
            if not file.is_file():
                raise ValueError(f"{file} is not there; give the folder that holds both sets, or leave folder out.")
        counts = read_recording(before, array="counts", counts=True).recording
        found["counts"] = _first_bins(counts, bins)
        found["latents before and after"] = _first_bins(
            read_recording(before, array="latents").recording, bins
        ).standardised("global")
        found["rates"] = read_recording(learning, array="rates").recording.standardised("neuron")
    return found


def _first_bins(recording, bins: int):
    from weightpath.inference.recording import Recording

    return Recording(
        recording.values[:, :bins],
        time=recording.time[:bins],
        condition=[recording.conditions[code] for code in recording.condition],
        epoch=[recording.epochs[code] for code in recording.epoch],
        trial_id=recording.trial_id,
        neuron=recording.neuron,
        name=recording.name,
        counts=recording.counts,
    )
