"""A finished run and its files: results.nc, config.toml, figures, and last the summary that marks it as finished."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightpath.store import SCHEMA_VERSION
from weightpath.store.text import read_json, replacing, to_json, to_toml, write_text
from weightpath.studies.base import CheckResult, Study

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

#: Attributes of a study's dataset that the report shows as they are: what was read, and a table of results.
TEXTS = ("understood", "table")
RESULTS_FILE, SUMMARY_FILE, CONFIG_FILE = "results.nc", "summary.json", "config.toml"


@dataclass(frozen=True)
class StudyRun:
    """A finished run. `passed` is False only when a requirement failed; findings (`passed=None`) cannot fail it."""

    study: str
    preset: str
    settings: Mapping[str, Any]
    dataset: Dataset
    checks: tuple[CheckResult, ...]
    passed: bool
    directory: Path
    figures: Mapping[str, Path]
    seconds: float
    versions: Mapping[str, str]

    def summary(self) -> dict[str, Any]:
        """The run as `weightpath run --json` prints it; `dataset` is the path of results.nc."""
        names = ("name", "source", "value", "expected", "tolerance", "passed")
        return {
            "study": self.study,
            "preset": self.preset,
            "settings": dict(self.settings),
            "checks": [{name: getattr(check, name) for name in names} for check in self.checks],
            "passed": self.passed,
            "dataset": str(self.directory / RESULTS_FILE),
            "figures": {name: str(path) for name, path in self.figures.items()},
            "seconds": self.seconds,
            "versions": dict(self.versions),
        }

    def __repr__(self) -> str:
        failed = [check.name for check in self.checks if check.passed is False]
        outcome = "passed" if self.passed else f"failed: {', '.join(failed)}"
        return f"StudyRun({self.study}, {len(self.checks)} checks, {outcome}, {self.directory})"


def is_run(directory: Path) -> bool:
    """Whether the directory holds the whole result of some run."""
    return (directory / SUMMARY_FILE).is_file() and (directory / RESULTS_FILE).is_file()


def read_run(directory: str | Path) -> StudyRun:
    """A finished run from its directory.

    Raises:
        ValueError: when the directory holds none.
    """
    from weightpath.store.netcdf import read_dataset

    directory = Path(directory)
    if not (directory / SUMMARY_FILE).is_file():
        raise ValueError(f"{directory} holds no finished run (no {SUMMARY_FILE})")
    stored = read_json(directory / SUMMARY_FILE)
    return StudyRun(
        study=stored["study"],
        preset=stored["preset"],
        settings=stored["settings"],
        dataset=read_dataset(directory / RESULTS_FILE),
        checks=read_checks(stored["checks"]),
        passed=stored["passed"],
        directory=directory,
        figures={figure["name"]: directory / figure["file"] for figure in stored["figures"]},
        seconds=stored["seconds"],
        versions=stored["versions"],
    )


def read_checks(stored: Sequence[Mapping[str, Any]]) -> tuple[CheckResult, ...]:
    """Checks from a summary; JSON has neither NaN (stored as null) nor infinity (stored as a word)."""
    words = {None: math.nan, "inf": math.inf, "-inf": -math.inf}
    return tuple(CheckResult(**{**check, "value": words.get(check["value"], check["value"])}) for check in stored)


def store_run(
    study: Study, config: Any, preset: str, digest: str, directory: Path, dataset: Dataset, seconds: float
) -> StudyRun:
    """Write dataset, figures and, last, the summary that marks the run as finished."""
    from weightpath.store.netcdf import write_dataset
    from weightpath.store.provenance import provenance

    origin, settings = provenance(seconds), config.model_dump(mode="json")
    identity = {"study": study.name, "preset": preset, "settings": settings, "hash": digest}
    _withdraw(directory)
    stamped = dataset.assign_attrs(dataset.attrs | identity | origin | {"schema_version": SCHEMA_VERSION})
    write_dataset(stamped, directory / RESULTS_FILE)
    write_config(study, config, directory)
    checks = [check.evaluate(dataset) for check in study.checks_of(config)]
    summary = {
        "schema_version": SCHEMA_VERSION,
        **identity,
        "title": study.title,
        "paper": study.paper,
        "claim": study.claim,
        "descriptions": {name: field.description or "" for name, field in type(config).model_fields.items()},
        "checks": [asdict(check) for check in checks],
        "passed": all(check.passed is not False for check in checks),
        "texts": {name: str(dataset.attrs[name]) for name in TEXTS if name in dataset.attrs},
        "tables": [asdict(table) for table in study.tables(dataset)],
        "figures": [_draw(name, draw, dataset, directory) for name, draw in study.figures.items()],
        **origin,
    }
    write_text(to_json(summary), directory / SUMMARY_FILE)
    return read_run(directory)


def write_config(study: Study, config: Any, directory: Path) -> None:
    """Write the resolved settings, from which the same run can be started."""
    again = f"weightpath run {study.name} --config {CONFIG_FILE}"
    comment = again if study.presets else "the settings of this run; its command is in summary.json"
    write_text(to_toml(config.model_dump(mode="json"), comment=comment), directory / CONFIG_FILE)


def _withdraw(directory: Path) -> None:
    """Take away the summary of an earlier run in this directory, and its figures, which nothing would name any more."""
    summary = directory / SUMMARY_FILE
    if summary.is_file():
        for figure in read_json(summary)["figures"]:
            (directory / figure["file"]).unlink(missing_ok=True)
        summary.unlink()


def _draw(name: str, draw: Callable, dataset: Dataset, directory: Path) -> dict[str, str]:
    """Draw one figure into the directory; its caption is the docstring of the function that draws it."""
    from weightpath.plot.style import save_figure

    file = f"figures/{name}.svg"
    with replacing(directory / file) as beside:
        save_figure(draw(dataset), beside)
    caption = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(draw) or name)  # the page breaks lines by itself
    return {"name": name, "file": file, "caption": caption}
