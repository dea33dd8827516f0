"""Where the program starts: finds the command, runs it, and turns what happened into words and an exit code.

Exit codes: 0 done and every required check passed; 1 a check failed or a run ended in a named numerical failure; 2 the
command or its input was wrong; 130 interrupted. Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import difflib
import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

#: Command -> (function that runs it, usage, what it does). This table is also the help text.
COMMANDS = {
    "list": ("weightpath.cli.about:list_studies", "[--json]", "the studies and what each reproduces"),
    "run": ("weightpath.cli.running:run", "STUDY [options]", "run one study, check it, write its report"),
    "reproduce": ("weightpath.cli.running:reproduce", "[options]", "run every study, write one report page"),
    "predict": ("weightpath.cli.running:predict", "STUDY [options]", "the theory of a study alone, no simulation"),
    "fit": ("weightpath.cli.fitting:fit", "DATA [options]", "fit low-tensor-rank RNNs to a recording"),
    "read": ("weightpath.cli.reading:read", "FILE [options]", "what a weight history saved elsewhere shows"),
    "report": ("weightpath.cli.running:report", "DIR", "write the report page of finished runs again"),
    "doctor": ("weightpath.cli.about:doctor", "[--json]", "versions, devices, caches: is this machine fit?"),
    "completion": ("weightpath.cli.completion:completion", "bash|zsh|fish", "print a shell completion script"),
}

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"weightpath {_version()}")
        return 0
    if arguments[0] not in COMMANDS:
        close = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; commands: {', '.join(COMMANDS)}"
        return complain(f"there is no command {arguments[0]!r}{hint}", 2)
    return _guarded(arguments[0], arguments[1:])


def help_text() -> str:
    """The help of the whole program."""
    width = max(len(f"{name} {usage}") for name, (_, usage, _) in COMMANDS.items())
    lines = [f"  {f'{name} {usage}':<{width}}  {what}" for name, (_, usage, what) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: weightpath COMMAND ...",
            "",
            "How the weights of recurrent networks move while they learn: simulated,",
            "predicted by theory, and inferred from recordings.",
            "",
            "commands:",
            *lines,
            "",
            "`weightpath COMMAND --help` lists the options of a command; `weightpath run",
            "STUDY --help` the settings of a study with units and defaults. Everywhere:",
            "--quiet, --debug (tracebacks). An interrupted command resumes when it is given",
            "again.",
            "",
            "exit codes: 0 done and every required check passed; 1 a check failed or a run",
            "ended in a numerical failure; 2 wrong command or input; 130 interrupted",
        ]
    )


def complain(message: str, code: int) -> int:
    """Say on standard error what went wrong, and give back the exit code."""
    print(f"weightpath: {message}", file=sys.stderr)
    return code


def _version() -> str:
    from importlib.metadata import version

    return version("weightpath")


def _guarded(command: str, arguments: list[str]) -> int:
    """Run a command; every exception becomes one message and an exit code, with a traceback only for --debug."""
    module, function = COMMANDS[command][0].split(":")
    try:
        with _manners():
            code = getattr(importlib.import_module(module), function)(arguments)
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # the reader of our output went away (`weightpath list | head -1`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in arguments:
            traceback.print_exc()
        return complain(*_explain(error, command))


@contextmanager
def _manners() -> Iterator[None]:
    """For the time of a command: being told to stop acts like Ctrl-C, and warnings are one line without source code."""
    format_before, handler_before = warnings.formatwarning, signal.signal(signal.SIGTERM, _interrupt)
    warnings.formatwarning = _one_line
    try:
        yield
    finally:
        warnings.formatwarning = format_before
        signal.signal(signal.SIGTERM, handler_before)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _explain(error: BaseException, command: str) -> tuple[str, int]:
    if isinstance(error, KeyboardInterrupt):
        resumable = command in ("run", "reproduce", "fit")
        return "interrupted" + ("; give the same command again to resume" if resumable else ""), INTERRUPTED
    if isinstance(error, ValueError):
        return _reason(error), 2
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or 'unnamed file'}", 2
    if isinstance(error, RuntimeError | ArithmeticError):
        return f"the computation failed: {error}", 1
    return f"unexpected {type(error).__name__}: {error}; --debug shows where. Please report it.", 1


def _reason(error: ValueError) -> str:
    """The message of a ValueError; of a settings error, one line a problem, each with the setting's flag."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    problems = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"]).replace("_", "-")
        message = problem["msg"].removeprefix("Value error, ")
        problems.append(f"--{place}: {message} (got {problem['input']!r})" if place else message)
    return "\n  ".join(problems)


def _one_line(message: Warning | str, category: type, filename: str, lineno: int, line: str | None = None) -> str:
    return f"weightpath: note: {message}\n"
