"""`weightpath completion`: scripts that complete commands, studies and flags in a shell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import make_dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any

import tyro

from weightpath.cli.arguments import (
    CONFIG,
    CompletionOptions,
    FitOptions,
    PlainOptions,
    PredictOptions,
    ReadOptions,
    ReportOptions,
    ReproduceOptions,
    RunOptions,
    parse,
    study_flags,
)
from weightpath.studies import STUDIES


def completion(arguments: Sequence[str]) -> int:
    """`weightpath completion bash|zsh|fish`: print the script."""
    options = parse(CompletionOptions, "completion", arguments, "Print a script that completes commands and flags.")
    try:
        tyro.cli(whole_program(), args=["--tyro-print-completion", options.shell], prog="weightpath", config=CONFIG)
    except SystemExit as end:  # tyro prints the script and leaves
        return int(end.code or 0)
    return 0


def whole_program() -> Any:
    """All commands and their flags as one type, as tyro describes a program with subcommands."""
    commands = {
        "list": PlainOptions,
        "run": _by_study(RunOptions),
        "reproduce": ReproduceOptions,
        "predict": _by_study(PredictOptions),
        "fit": FitOptions,
        "read": ReadOptions,
        "report": ReportOptions,
        "doctor": PlainOptions,
        "completion": CompletionOptions,
    }
    return _one_of(commands)


def _by_study(options: type) -> type:
    members = {name: study_flags(STUDIES[name], options) for name in STUDIES}
    return make_dataclass("ByStudy", [("study", _one_of(members))], frozen=True)


def _one_of(types: dict[str, type]) -> Any:
    named = [Annotated[cls, tyro.conf.subcommand(name, prefix_name=False)] for name, cls in types.items()]
    return reduce(or_, named)
