"""Tables of a study's report: many findings of one kind, side by side where they are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

#: How the reference of a comparison stands to a cell.
Tone = Literal["", "ahead", "level", "behind"]


@dataclass(frozen=True)
class Cell:
    """One entry: a number in words and, smaller, what belongs to it; `best` is the best of its column."""

    text: str
    detail: str = ""
    tone: Tone = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """One row. Rows of the same `group` stand together under its name; `detail` is the name that files and code use."""

    label: str
    cells: Sequence[Cell]
    group: str = ""
    detail: str = ""
    chosen: bool = False


@dataclass(frozen=True)
class Table:
    """What the report shows as one table: `note` says above it what it holds, `reading` below it how to read it."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Row]
    reading: str = ""
    head: str = "Model"
    """Above the labels of the rows."""
