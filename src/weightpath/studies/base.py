"""What a study is: settings, a run, checks of its result, and figures of its result.

A study's module imports jax, xarray and the rest of weightpath inside `run`, `predict` and the check and figure
functions, never at its top: `weightpath list` and `weightpath run STUDY --help` read every study and must stay fast.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from weightpath.studies.tables import Table

if TYPE_CHECKING:
    from xarray import Dataset
else:  # xarray stays unloaded, and the annotations stay true for a run-time type checker
    Dataset = Any
Figure = Any  # a matplotlib figure; only the plot room knows matplotlib

Compare = Literal["abs", "rel", "at_most", "at_least", "between", "true"]
Value = float | int | bool | str


class Settings(BaseModel):
    """The settings of a study: typed, frozen, unknown names refused.

    Subclass it and give every field a default and a description that ends in its unit, if it has one, in brackets:
    `decay: float = Field(0.1, gt=0, description="target decay rate c* [1/time constant]")`. Each field becomes a flag
    of the command line and a line of config.toml. All randomness derives from `seed`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    seed: int = Field(0, ge=0, description="root seed of every random number")


@dataclass(frozen=True)
class CheckResult:
    """One evaluated check; `passed` is None when the value is a finding and not a requirement."""

    name: str
    source: str
    value: Value
    expected: Any
    tolerance: float | None
    passed: bool | None
    compare: Compare = "abs"
    tabled: bool = False

    @property
    def requirement(self) -> str:
        """The expectation in words: "0.3 ± 0.01", "≤ 0.05", "0.1 … 0.4", "yes"; "–" when nothing is expected."""
        if self.expected is None:
            return "–"
        if self.compare == "between":
            return " … ".join(format_value(bound) for bound in self.expected)
        sign = {"at_most": "≤ ", "at_least": "≥ "}.get(self.compare, "")
        text = sign + format_value(self.expected)
        if self.tolerance and self.compare == "rel":
            return f"{text} ± {100 * self.tolerance:.3g} %"
        return f"{text} ± {self.tolerance:.3g}" if self.tolerance and self.compare == "abs" else text

    @property
    def outcome(self) -> str:
        """One word: "passed", "FAILED" or "finding"."""
        return {True: "passed", False: "FAILED", None: "finding"}[self.passed]


def format_value(value: Any) -> str:
    """A number with four significant digits (whole ones in full), a truth value as yes or no, words as they are."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:.0f}" if abs(value) < 1e9 and value == round(value) else f"{value:.4g}"


@dataclass(frozen=True)
class Check:
    """A number read from a study's dataset, set beside what it should be.

    Arguments:
        name: what is checked, in a few words.
        source: where the expectation comes from (a paper's figure or equation, or an identity).
        value: reads the number (or truth value, or words) from the dataset.
        expected: the number it is compared with; for "between" the pair (low, high); None for a pure finding.
        tolerance: allowed difference, in the unit of the value ("rel": as a fraction of `expected`).
        compare: "abs" |value - expected| <= tolerance; "rel" the same with tolerance * |expected|; "at_most",
            "at_least" and "between" are one-sided or two-sided bounds widened by the tolerance; "true" asks for True.
        required: False makes it a finding: reported, never able to fail a run.
        tabled: the value also stands in the study's tables, and lists of checks for people leave it out.

    A value that is NaN never passes.
    """

    name: str
    source: str
    value: Callable[[Dataset], Any]
    expected: Any = None
    tolerance: float | None = None
    compare: Compare = "abs"
    required: bool = True
    tabled: bool = False

    def evaluate(self, dataset: Dataset) -> CheckResult:
        """The value in this dataset and whether it meets the requirement."""
        value = _plain(self.value(dataset))
        expected = True if self.compare == "true" and self.expected is None else self.expected
        passed = _meets(value, expected, self.tolerance or 0.0, self.compare) if self.required else None
        return CheckResult(self.name, self.source, value, expected, self.tolerance, passed, self.compare, self.tabled)


def _plain(value: Any) -> Value:
    """A Python bool, float, int or str from whatever scalar a check returned (numpy, jax or xarray)."""
    if type(value) in (bool, int, float, str):
        return value
    if getattr(value, "size", 1) != 1:
        raise ValueError(f"a check's value must be one number; got an array of shape {value.shape}")
    return value.item()


def _meets(value: Value, expected: Any, tolerance: float, compare: Compare) -> bool:
    if compare == "true":
        return value is True
    if isinstance(value, str):
        raise ValueError(f"a required check compares numbers; got {value!r}. Use compare='true' or required=False")
    if math.isnan(value):
        return False
    if compare == "abs":
        return bool(abs(value - expected) <= tolerance)
    if compare == "rel":
        return bool(abs(value - expected) <= tolerance * abs(expected))
    low, high = {
        "at_most": lambda: (-math.inf, expected),
        "at_least": lambda: (expected, math.inf),
        "between": lambda: tuple(expected),
    }[compare]()
    return bool(low - tolerance <= value <= high + tolerance)


def _no_files(config: Any) -> Sequence[Path]:
    return ()


def _no_tables(dataset: Dataset) -> Sequence[Table]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Study:
    """A paper's result as a program: settings in, dataset out, checks and figures of the dataset.

    Arguments:
        name: the word of the command line ("integrate-white-noise").
        title: one line.
        paper: authors, year, identifier.
        claim: one paragraph: the stated finding that the study reproduces, and under what assumptions.
        config: a `Settings` class.
        presets: settings of "quick" (about a minute) and "full" (larger networks, more seeds and schemes) that differ
            from the defaults.
        run: `run(config, *, progress, workspace) -> Dataset`. `workspace` is a directory for checkpoints that is empty
            at first, is kept when a run is interrupted, and is handed in again when it resumes. The attributes
            `understood` and `table` of the dataset are texts of at most 80 columns: what was read (in the report), and
            the results (on the terminal).
        checks: what is asked of the dataset, or a function of the config that gives it.
        figures: name -> function of the dataset that draws a matplotlib figure; its docstring is the caption.
        tables: function of the dataset that gives tables for the report.
        predict: theory alone: config -> {quantity: number or list}, without simulation; None when there is no theory.
        units: units of the quantities that `predict` gives.
        data_files: config -> files whose content belongs to the content hash of a run.
    """

    name: str
    title: str
    paper: str
    claim: str
    config: type[BaseModel]
    presets: Mapping[str, Mapping[str, Any]]
    run: Callable[..., Dataset]
    checks: Sequence[Check] | Callable[[Any], Sequence[Check]]
    figures: Mapping[str, Callable[[Dataset], Figure]] = field(default_factory=dict)
    tables: Callable[[Dataset], Sequence[Table]] = _no_tables
    predict: Callable[[Any], Mapping[str, Any]] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    data_files: Callable[[Any], Sequence[Path]] = _no_files

    def settings(self, preset: str = "quick", **changes: Any) -> Any:
        """The configuration of a preset with some settings changed.

        Raises:
            ValueError: for an unknown preset or setting (naming close ones), and for a value out of its range.
        """
        if preset not in self.presets:
            raise ValueError(f"study {self.name} has no preset {preset!r}{nearest(preset, self.presets)}")
        for name in changes:
            if name not in self.config.model_fields:
                raise ValueError(f"study {self.name} has no setting {name!r}{nearest(name, self.config.model_fields)}")
        return self.config(**{**self.presets[preset], **changes})

    def checks_of(self, config: Any) -> Sequence[Check]:
        """What is asked of the dataset of a run with these settings."""
        return self.checks(config) if callable(self.checks) else self.checks


def nearest(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """End of a message about a misspelt word: "; did you mean 'x'?", or the list of what is known."""
    close = difflib.get_close_matches(word, list(known), n=2, cutoff=0.6)
    if close:
        return "; did you mean " + " or ".join(repr(name) for name in close) + "?"
    return f"; known: {', '.join(known)}"
