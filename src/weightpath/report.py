"""The report: one self-contained page of what finished runs claim, measured and came from. No script, no server."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weightpath.store.text import read_json, write_text
from weightpath.studies.base import CheckResult, format_value
from weightpath.studies.result import CONFIG_FILE, RESULTS_FILE, SUMMARY_FILE, read_checks

MEDIA_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
LONGEST_ENTRY = 40
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TEMPLATES = Path(__file__).parent / "templates"


def find_runs(directory: Path) -> list[Path]:
    """Directories of finished runs: `directory` itself, or those below it, in the order of their names.

    Raises:
        ValueError: when there are none.
    """
    if (directory / SUMMARY_FILE).is_file():
        return [directory]
    runs = sorted(path.parent for path in directory.glob(f"**/{SUMMARY_FILE}"))
    if not directory.is_dir():
        raise ValueError(f"there is no directory {directory}; give that of a run, or one that holds several")
    if not runs:
        raise ValueError(f"{directory} holds no finished run (no {SUMMARY_FILE} in it or below it)")
    return runs


def write_report(directories: Sequence[Path], page: Path, *, failures: Mapping[str, str] | None = None) -> Path:
    """Write one page about the runs in `directories`, figures inside it; `failures` names runs that did not finish."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {"value": _shown, "typeset": _typeset, "sentences": _sentences}
    studies = [describe_run(directory, page.parent) for directory in directories]
    text = environment.get_template("report.html").render(studies=studies, failures=dict(failures or {}))
    return write_text(text, page)


def describe_run(directory: Path, base: Path) -> dict[str, Any]:
    """What the page says about one run; paths of files are relative to `base`, where the page is."""
    stored = read_json(directory / SUMMARY_FILE)
    checks = read_checks(stored["checks"])
    sentences = [check for check in checks if _is_sentence(check)]
    return {
        **stored,
        "headline": _headline(str(sentences[0].value)) if sentences else "",
        "checks": [check for check in checks if not _is_sentence(check) and not check.tabled],
        "sentences": sentences,
        "tables": [{**table, "groups": _grouped(table["rows"])} for table in stored.get("tables", [])],
        "met": sum(check.passed is True for check in checks),
        "required": sum(check.passed is not None for check in checks),
        "figures": [_embed(directory, figure) for figure in stored["figures"]],
        "files": [_relative(directory / name, base) for name in (RESULTS_FILE, SUMMARY_FILE, CONFIG_FILE)],
    }


def _embed(directory: Path, figure: Mapping[str, str]) -> dict[str, str]:
    path = directory / figure["file"]
    encoded = base64.b64encode(path.read_bytes()).decode()
    return {**figure, "source": f"data:{MEDIA_TYPES[path.suffix]};base64,{encoded}"}


def _relative(path: Path, base: Path) -> str:
    """The path as the page can link it; outside the page's directory only its name."""
    path, base = path.resolve(), base.resolve()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name


def _is_sentence(check: CheckResult) -> bool:
    """Whether a check's value is a text to be read and not a table entry."""
    return isinstance(check.value, str) and len(check.value) > LONGEST_ENTRY


def _grouped(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Rows of a table under the names of their groups, in the order in which these first occur."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    return groups


def _sentences(text: str) -> list[list[tuple[bool, str]]]:
    """A text cut into sentences, each in parts: whether a part is an aside in brackets, and its words."""
    sentences = re.split(r"(?<=\.)\s+(?=[A-Z])", text.strip())
    parts = [re.split(r"(\([^()]*\))", _typeset(sentence)) for sentence in sentences]
    return [[(part.startswith("("), part) for part in one if part] for one in parts]


def _headline(text: str) -> str:
    """The first sentence of a text, without its asides."""
    words = "".join(part for aside, part in _sentences(text)[0] if not aside)
    return re.sub(r"\s+(?=[.,;])", "", " ".join(words.split()))


def _typeset(text: str) -> str:
    """Plain-text signs as a page writes them."""
    text = re.sub(r"\^(-?\d+)", lambda power: power[1].translate(SUPERSCRIPTS), text.replace("+-", "±"))
    return re.sub(r"(?<![\w.])-(?=[\d.])", "\N{MINUS SIGN}", text)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return "none" if value is None else format_value(value)
