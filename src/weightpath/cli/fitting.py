"""Command `fit`: low-tensor-rank RNNs for a recording in a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from weightpath.cli.arguments import FitOptions, parse
from weightpath.cli.environment import working
from weightpath.cli.output import emit, say
from weightpath.cli.running import REPORT_FILE, run_text, write_page


def fit(arguments: Sequence[str]) -> int:
    """`weightpath fit DATA`: says what it understood of the file, then fits, compares and writes a report."""
    options = parse(FitOptions, "fit", arguments, "Fit low-tensor-rank RNNs to a recording, with controls.")
    for name in ("rank", "scheme"):
        if not getattr(options, name):
            raise ValueError(f"--{name} needs at least one value; leave it out for the default.")
    chosen = {name: getattr(options, name) for name in ("units", "iterations", "seed", "likelihood")}
    chosen["prior_multiplier"] = _multiplier(options.prior_multiplier)
    with working():
        from weightpath.studies.fit_recording import fit_recording

        finished = fit_recording(
            options.data,
            array=options.array,
            dims=options.dims or None,
            condition=options.condition,
            epoch=options.epoch,
            bin=options.bin,
            align=options.align,
            window=options.window or None,
            smooth=options.smooth,
            counts=options.counts,
            clip=options.clip,
            trials=options.trials,
            neurons=options.neurons,
            trial_table=options.trial_table,
            rank=options.rank,
            seeds=options.seeds,
            scheme=options.scheme,
            comparisons=options.comparisons,
            baselines=options.baselines,
            out=options.out,
            force=options.force,
            progress=False if options.output.quiet else None,
            say=partial(say, options.output),
            **{name: value for name, value in chosen.items() if value is not None},
        )
        page = write_page([finished.directory], finished.directory / REPORT_FILE)
    emit(options.output, finished.summary(), run_text(finished, page))
    return 0 if finished.passed else 1


def _multiplier(given: str | None) -> float | str | None:
    """The number that was given, or the word "auto"."""
    if given in (None, "auto"):
        return given
    try:
        return float(given)
    except ValueError:
        raise ValueError(f'--prior-multiplier must be a number or "auto"; got {given!r}.') from None
