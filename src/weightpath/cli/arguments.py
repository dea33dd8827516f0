"""Flags: the options of commands, and a study's settings as flags. Precedence: preset, then file, then flags."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import tyro
from pydantic import ValidationError

from weightpath.store.text import read_toml
from weightpath.studies.base import Study, nearest

Preset = Literal["quick", "full"]
CONFIG = (tyro.conf.OmitArgPrefixes,)


NOTHING_SAID = tyro.conf.arg(help_behavior_hint="")
Switch = Annotated[tyro.conf.FlagCreatePairsOff[bool], NOTHING_SAID]
Name = Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]
Number = Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")]
Seconds = Annotated[float | None, tyro.conf.arg(metavar="SECONDS", help_behavior_hint="")]
Condition = Annotated[str | None, tyro.conf.arg(metavar="CONDITION", help_behavior_hint="")]
Directory = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")]
SettingsFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE.toml", help_behavior_hint="")]


@dataclass(frozen=True)
class Output:
    """How a command speaks; every command has these."""

    json: Switch = False
    """print one JSON object to standard output, and nothing else there"""
    quiet: Switch = False
    """no progress and no messages"""
    debug: Switch = False
    """show the traceback of an error"""


@dataclass(frozen=True)
class RunOptions:
    """Options of `weightpath run`."""

    preset: Preset = "quick"
    """the settings to start from: quick takes about a minute; full has larger networks, more seeds and schemes"""
    config: SettingsFile = None
    """file of settings; flags win over it"""
    out: Directory = None
    """directory of the results (default: results/STUDY/HASH)"""
    force: Switch = False
    """compute again what is already there"""
    output: Output = Output()


@dataclass(frozen=True)
class PredictOptions:
    """Options of `weightpath predict`."""

    preset: Preset = "quick"
    """the settings to start from"""
    config: SettingsFile = None
    """file of settings; flags win over it"""
    output: Output = Output()


@dataclass(frozen=True)
class ReproduceOptions:
    """Options of `weightpath reproduce`."""

    preset: Preset = "quick"
    """quick: a few minutes in all; full: larger networks, more seeds and schemes"""
    out: Directory = None
    """directory of the results and of report.html (default: results)"""
    force: Switch = False
    """compute again what is already there"""
    output: Output = Output()


@dataclass(frozen=True)
class FitOptions:
    """Options of `weightpath fit`."""

    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATA")]
    """the recording: .npz, .npy, .nc (netCDF), .nwb, .mat (MATLAB) or .csv (table of spikes)"""
    array: Name = None
    """array with the activity, when the file holds several"""
    dims: Annotated[tuple[str, ...], tyro.conf.arg(metavar="A,B,C", help_behavior_hint="")] = ()
    """dimensions of that array in order, e.g. trial,time,neuron"""
    condition: Name = None
    """array or column with one condition label a trial"""
    epoch: Name = None
    """array or column with one epoch label a trial"""
    align: Name = None
    """column of the trial table with the event that becomes time 0, for spike times (default: the start)"""
    window: Annotated[tuple[float, ...], tyro.conf.arg(metavar="PRE,POST", help_behavior_hint="")] = ()
    """seconds around it to take, e.g. -0.2,0.8 (default: whole trials)"""
    bin: Seconds = None
    """width of a time bin [s]"""
    smooth: Seconds = None
    """standard deviation of a Gaussian along time [s]"""
    likelihood: Annotated[
        Literal["gaussian", "poisson", "negative_binomial"] | None, tyro.conf.arg(help_behavior_hint="")
    ] = None
    """of the data given the model; those of counts read whole counts (default: gaussian)"""
    counts: Switch = False
    """read whole counts, not rates"""
    clip: Switch = False
    """bins before the start and after the stop of a trial are missing"""
    trials: Condition = None
    """trials to take, e.g. "correct and block == 2", or their numbers"""
    neurons: Condition = None
    """neurons to take, e.g. "quality == 'good'", or their names"""
    trial_table: Name = None
    """table of the trials: its name in an NWB file, or a second .csv file"""
    rank: Annotated[tuple[int, ...], tyro.conf.arg(metavar="R,R,...")] = (1, 2, 3, 5)
    """tensor ranks to compare"""
    seeds: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """random starts of each fit"""
    scheme: Annotated[tuple[str, ...], tyro.conf.arg(metavar="S,S")] = ("trials", "blocks")
    """what is held out: trials (whole ones), blocks (of time x trials), or both"""
    comparisons: Annotated[tuple[str, ...], tyro.conf.arg(metavar="C,C", help_behavior_hint="")] = ()
    """further comparison networks: all, per_trial, per_epoch, ..."""
    baselines: Switch = False
    """a linear dynamical system and a CP decomposition of the data beside"""
    prior_multiplier: Annotated[str | None, tyro.conf.arg(metavar="X", help_behavior_hint="")] = None
    """times the automatic prior weight of the factors; auto: chosen on training trials (default: 40)"""
    units: Number = None
    """units of the model (default: 60)"""
    iterations: Number = None
    """iterations of each fit (default: 800)"""
    seed: Number = None
    """root seed of every random number (default: 0)"""
    out: Directory = None
    """directory of the results (default: results/fit/HASH)"""
    force: Switch = False
    """compute again what is already there"""
    output: Output = Output()


@dataclass(frozen=True)
class ReadOptions:
    """Options of `weightpath read`."""

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """the weight history: .npz, .nc (netCDF), .zarr or .mat (MATLAB)"""
    w_rec: Name = None
    """array with the recurrent weights (step, post, pre); default: a usual name"""
    w_in: Name = None
    """array with the read-in (step, post, in)"""
    w_out: Name = None
    """array with the read-out (step, out, pre)"""
    time: Name = None
    """array with the learning time (step)"""
    trace_decay: Annotated[float | None, tyro.conf.arg(metavar="X", help_behavior_hint="")] = None
    """trace decay of RFLO, where it is known (default: fitted)"""
    leak: Annotated[float | None, tyro.conf.arg(metavar="X", help_behavior_hint="")] = None
    """leak of the units, time step over time constant (default: 1)"""
    seed: Number = None
    """root seed of the resamples behind the confidence (default: 0)"""
    out: Directory = None
    """write figures, numbers and a report page to this directory"""
    output: Output = Output()


@dataclass(frozen=True)
class ReportOptions:
    """Options of `weightpath report`."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """directory of a run, or one that holds the directories of several"""
    output: Output = Output()


@dataclass(frozen=True)
class CompletionOptions:
    """Options of `weightpath completion`."""

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]]
    """the shell to write for"""
    debug: Switch = False
    """show the traceback of an error"""


@dataclass(frozen=True)
class PlainOptions:
    """Options of a command that has none of its own."""

    output: Output = Output()


def parse(options: type, command: str, arguments: Sequence[str], description: str) -> Any:
    """The options of a command; `--help` and wrong flags end the program (exit codes 0 and 2)."""
    arguments = split_lists(arguments, _list_names(get_type_hints(options)))
    return tyro.cli(options, args=arguments, prog=f"weightpath {command}", description=description, config=CONFIG)


def study_flags(study: Study, options: type) -> type:
    """A data class with the settings of a study and the options of a command, both as top-level flags."""
    flat = tyro.conf.arg(name="")
    members = [("settings", Annotated[study.config, flat]), ("options", Annotated[options, flat])]
    return make_dataclass("Flags", members, frozen=True)


def parse_study(study: Study, options: type, command: str, arguments: Sequence[str]) -> tuple[Any, Any]:
    """Settings and options of a command on a study: preset, then the TOML file, then flags."""
    arguments = split_lists(arguments, _list_names(get_type_hints(study.config)))
    start = _starting_options(options, arguments)
    settings = starting_settings(study, start.preset, start.config)
    flags = study_flags(study, options)
    parsed = tyro.cli(
        flags,
        args=arguments,
        prog=f"weightpath {command} {study.name}",
        description=f"{study.title}.\n\n{study.paper}.",
        default=flags(settings, start),
        config=CONFIG,
    )
    return parsed.settings, parsed.options


def starting_settings(study: Study, preset: str, config: Path | None) -> Any:
    """The settings before flags: the preset, and over it the file.

    Raises:
        ValueError: naming the file, for unknown settings and for values out of range.
    """
    changes = {} if config is None else read_toml(config)
    for name in changes:
        if name not in (known := study.config.model_fields):
            raise ValueError(f"{config}: study {study.name} has no setting {name!r}{nearest(name, known)}")
    try:
        return study.settings(preset, **changes)
    except ValidationError as error:
        if config is None:
            raise
        problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
        raise ValueError(f"{config}: {'; '.join(problems)}") from error


def _starting_options(options: type, arguments: Sequence[str]) -> Any:
    """The two flags that decide the defaults of the others, read ahead of them."""
    ahead = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    ahead.add_argument("--preset", choices=("quick", "full"))
    ahead.add_argument("--config", type=Path)
    try:
        found, _ = ahead.parse_known_args(list(arguments))
    except argparse.ArgumentError:  # the whole parser meets the same mistake and words it better
        return options()
    return replace(options(), **{name: value for name, value in vars(found).items() if value is not None})


def _list_names(hints: dict[str, Any]) -> set[str]:
    """Names of the fields that take several values."""
    return {name for name, hint in hints.items() if "tuple[" in str(hint)}


def split_lists(arguments: Sequence[str], names: set[str]) -> list[str]:
    """`--rank 1,2,3` and `--rank=1,2,3` as `--rank 1 2 3`, for the flags that take several values."""
    result: list[str] = []
    inside = False
    for argument in arguments:
        if argument.startswith("--"):
            flag, equals, value = argument.partition("=")
            inside = flag[2:].replace("-", "_") in names
            result += [flag, *value.split(",")] if inside and equals else [argument]
        else:
            result += [part for part in argument.split(",") if part] if inside else [argument]
    return result
