"""What a command prints: one JSON object, or tables that fit the terminal."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from weightpath.cli.arguments import Output
from weightpath.store.text import jsonable, to_json
from weightpath.studies.base import CheckResult, format_value

GREEN, RED = "32", "31"
#: Longer words than this are no table entry.
LONGEST_VALUE = 20


def emit(output: Output, data: Any, text: str) -> None:
    """Print the result to standard output: `data` as JSON when asked for, `text` otherwise."""
    print(to_json(data) if output.json else text)


def say(output: Output, message: str) -> None:
    """A message on standard error, unless the command should be quiet; long lines wrap under their second column."""
    if not output.quiet:
        print("\n".join(_hanging(line) for line in message.splitlines()), file=sys.stderr, flush=True)


def _hanging(line: str) -> str:
    """The line within 80 columns; what wraps stands under the text that follows the first word and its gap."""
    found = re.match(r" +\S+(?: \S+)* {2,}", line)
    return textwrap.fill(
        line, 80, subsequent_indent=" " * (found.end() if found else 2), break_on_hyphens=False, break_long_words=False
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None, indent: int = 2) -> str:
    """Aligned columns; the first wraps so that lines stay within the terminal (80 columns when there is none)."""
    if not rows:
        return ""
    width = min(shutil.get_terminal_size((80, 24)).columns, 110) if width is None else width
    sizes = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    sizes[0] = min(sizes[0], max(20, width - indent - sum(sizes[1:]) - 2 * (len(sizes) - 1)))
    lines = []
    for number, row in enumerate([header, *rows]):
        first = textwrap.wrap(row[0], sizes[0]) or [""]
        for part, words in enumerate(first):
            cells = [words.ljust(sizes[0])]
            if part == 0:
                cells += [cell.ljust(size) for cell, size in zip(row[1:], sizes[1:], strict=True)]
            lines.append((" " * indent + "  ".join(cells)).rstrip())
        if number == 0:
            lines.append(" " * indent + "-" * (sum(sizes) + 2 * (len(sizes) - 1)))
    return "\n".join(lines)


def checks_table(checks: Sequence[CheckResult]) -> str:
    """Name, value, expectation and outcome of each check; values that are sentences follow below the table.

    Findings that stand in a table of their own are left out.
    """
    checks = [check for check in checks if not check.tabled]
    sentences = [check for check in checks if isinstance(check.value, str) and len(check.value) > LONGEST_VALUE]
    rows = [
        (check.name, "see below" if check in sentences else format_value(check.value), check.requirement, check.outcome)
        for check in checks
    ]
    below = [_paragraph(f"{check.name}: {check.value}") for check in sentences]
    return "\n".join([_coloured(table(("check", "value", "expected", "result"), rows)), *below])


def _paragraph(text: str) -> str:
    lines = [textwrap.fill(line, 80, initial_indent="  ", subsequent_indent="  ") for line in text.splitlines()]
    return "\n".join(lines)


def settings_text(settings: Mapping[str, Any], *, indent: str = "  ") -> str:
    """Settings as `name value` pairs, wrapped."""
    pairs = [f"{name} {_short(value)}".replace(" ", "\N{NO-BREAK SPACE}") for name, value in settings.items()]
    wrapped = textwrap.fill(", ".join(pairs), 80, initial_indent=indent, subsequent_indent=indent)
    return wrapped.replace("\N{NO-BREAK SPACE}", " ")


def values_text(values: Mapping[str, Any]) -> str:
    """Named numbers, one a line; of long lists the ends."""
    width = max((len(name) for name in values), default=0)
    return "\n".join(f"  {name:<{width}}  {_short(value)}" for name, value in values.items())


def prediction_text(prediction: Mapping[str, Any], units: Mapping[str, str], *, rows: int = 9) -> str:
    """Words, then numbers one a line with their units, then lists of equal length as a table of some of their rows."""
    lists = {name: value for name, value in prediction.items() if isinstance(jsonable(value), list)}
    words = {name: value for name, value in prediction.items() if isinstance(value, str)}
    single = [(name.replace("_", " "), _short(value), units.get(name, "")) for name, value in prediction.items()
              if name not in lists and name not in words]  # fmt: skip
    wide = [max((len(one[column]) for one in single), default=0) for column in (0, 1)]
    lines = [_paragraph(f"{name.replace('_', ' ')}: {value}") for name, value in words.items()]
    lines += [f"  {name:<{wide[0]}}  {value:<{wide[1]}}  {unit}".rstrip() for name, value, unit in single]
    for length in dict.fromkeys(len(value) for value in lists.values()):
        names = [name for name, value in lists.items() if len(value) == length]
        some = sorted({round(place * (length - 1) / (rows - 1)) for place in range(rows)}) if length else []
        entries = [[_short(lists[name][place]) for name in names] for place in some]
        lines += ["", table([name.replace("_", " ") for name in names], entries)]
    return "\n".join(lines)


def summary_line(checks: Sequence[CheckResult]) -> str:
    """How many requirements were met."""
    required = [check for check in checks if check.passed is not None]
    met = sum(check.passed is True for check in required)
    findings = len(checks) - len(required)
    text = f"{met} of {len(required)} requirements met"
    return f"{text}, {findings} finding{'s' * (findings != 1)} reported" if findings else text


def _short(value: Any) -> str:
    value = jsonable(value)
    if isinstance(value, list):
        words = [_short(item) for item in value]
        words = words if len(words) <= 8 else [*words[:3], "...", *words[-2:]]
        return f"[{', '.join(words)}]"
    return "none" if value is None else format_value(value)


def _coloured(text: str) -> str:
    """Outcomes in colour, on a terminal only (and not when NO_COLOR asks for none)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return text.replace("  passed", f"  \033[{GREEN}mpassed\033[0m").replace("  FAILED", f"  \033[{RED}mFAILED\033[0m")
