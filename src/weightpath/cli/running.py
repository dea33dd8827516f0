"""Commands that run studies: run, reproduce, predict, and the report of what was run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weightpath.cli.arguments import (
    PredictOptions,
    ReportOptions,
    ReproduceOptions,
    RunOptions,
    parse,
    parse_study,
)
from weightpath.cli.environment import working
from weightpath.cli.output import checks_table, emit, prediction_text, say, settings_text, summary_line, values_text
from weightpath.studies import STUDIES
from weightpath.studies.base import Study, nearest

REPORT_FILE = "report.html"


def run(arguments: Sequence[str]) -> int:
    """`weightpath run STUDY`."""
    study, rest = _take_study("run", arguments)
    if study is None:
        return 0
    settings, options = parse_study(study, RunOptions, "run", rest)
    with working():
        finished = _run(study, settings, options, options.out)
        page = write_page([finished.directory], finished.directory / REPORT_FILE)
    emit(options.output, finished.summary(), run_text(finished, page))
    return 0 if finished.passed else 1


def reproduce(arguments: Sequence[str]) -> int:
    """`weightpath reproduce`: every study; a numerical failure of one does not keep the others from running."""
    options = parse(ReproduceOptions, "reproduce", arguments, "Run every study and write one report page.")
    started, runs, failures = time.perf_counter(), [], {}
    with working():
        for name in STUDIES:
            out = None if options.out is None else options.out / name
            try:
                runs.append(_run(STUDIES[name], STUDIES[name].settings(options.preset), options, out))
            except (RuntimeError, ArithmeticError) as error:
                failures[name] = str(error)
                say(options.output, f"{name}: the computation failed: {error}")
        page = (options.out or Path("results")) / REPORT_FILE
        write_page([finished.directory for finished in runs], page, failures=failures)
    passed = not failures and all(finished.passed for finished in runs)
    seconds = round(time.perf_counter() - started, 3)
    blocks = [outcome_text(finished) for finished in runs]
    blocks += [f"{name}\n  did not finish: {reason}" for name, reason in failures.items()]
    count, everything = len(STUDIES), [check for finished in runs for check in finished.checks]
    noun = "study" if count == 1 else "studies"
    blocks.append(f"{count} {noun}, {summary_line(everything)}, {seconds:.1f} s\nreport   {page}")
    data = {
        "preset": options.preset,
        "studies": [finished.summary() for finished in runs],
        "failures": failures,
        "passed": passed,
        "report": page,
        "seconds": seconds,
    }
    emit(options.output, data, "\n\n".join(blocks))
    return 0 if passed else 1


def predict(arguments: Sequence[str]) -> int:
    """`weightpath predict STUDY`: theory alone."""
    study, rest = _take_study("predict", arguments)
    if study is None:
        return 0
    settings, options = parse_study(study, PredictOptions, "predict", rest)
    if study.predict is None:
        able = [name for name in STUDIES if STUDIES[name].predict is not None]
        raise ValueError(f"study {study.name} has no theory to predict with; studies that have: {', '.join(able)}")
    with working(brief=True):
        prediction = study.predict(settings)
    data = {"study": study.name, "settings": settings.model_dump(mode="json"), "prediction": prediction}
    head = f"{study.name}: what theory says, without simulation\n{settings_text(data['settings'])}"
    emit(options.output, data, f"{head}\n\n{prediction_text(prediction, study.units)}")
    return 0


def report(arguments: Sequence[str]) -> int:
    """`weightpath report DIR`."""
    options = parse(ReportOptions, "report", arguments, "Write the report page of finished runs again.")
    with working():
        from weightpath.report import find_runs

        directories = find_runs(options.directory)
        page = write_page(directories, options.directory / REPORT_FILE)
    emit(options.output, {"report": page, "runs": directories}, str(page))
    return 0


def _take_study(command: str, arguments: Sequence[str]) -> tuple[Study | None, list[str]]:
    """The study named on the command line and the other arguments; None after showing the command's help."""
    places = [place for place, argument in enumerate(arguments) if argument in STUDIES]
    if places:
        rest = [argument for place, argument in enumerate(arguments) if place != places[0]]
        return STUDIES[arguments[places[0]]], rest
    if {"-h", "--help"} & set(arguments):
        print(f"usage: weightpath {command} STUDY [options]\n\nstudies:")
        print(values_text({name: STUDIES[name].title for name in STUDIES}))
        print(f"\n`weightpath {command} STUDY --help` lists the settings of a study.")
        return None, []
    words = [argument for argument in arguments[:1] if not argument.startswith("-")]
    if not words:
        raise ValueError(f"`weightpath {command}` needs the name of a study: {', '.join(STUDIES)}")
    raise ValueError(f"there is no study {words[0]!r}{nearest(words[0], STUDIES)}")


def _run(study: Study, settings: Any, options: Any, out: Path | None) -> Any:
    from weightpath.studies.running import is_finished, run_config, run_directory

    digest, directory = run_directory(study, settings, out)
    done = is_finished(directory, digest) and not options.force
    where = f"already finished in {directory} (--force computes it again)" if done else f"-> {directory}"
    say(options.output, f"{study.name} ({options.preset})  {where}")
    if not done:
        say(options.output, settings_text(settings.model_dump(mode="json")))
    return run_config(
        study,
        settings,
        preset=options.preset,
        out=out,
        force=options.force,
        progress=False if options.output.quiet else None,
    )


def write_page(directories: Sequence[Path], page: Path, failures: dict[str, str] | None = None) -> Path:
    """The report page of some runs; loads the report room only now."""
    from weightpath.report import write_report

    return write_report(directories, page, failures=failures or {})


def outcome_text(finished: Any) -> str:
    """What was run, its table of results if it has one, and its checks."""
    how = ", ".join([*filter(None, [finished.preset]), f"{finished.seconds:.1f} s"])
    parts = [f"{finished.study}  ({how})", finished.dataset.attrs.get("table"), checks_table(finished.checks)]
    return ("\n\n" if parts[1] else "\n").join(filter(None, parts))


def run_text(finished: Any, page: Path) -> str:
    """What a person reads after a run: the results, the checks, and where things are."""
    return "\n".join(
        [
            outcome_text(finished),
            "",
            summary_line(finished.checks),
            f"dataset  {finished.directory / 'results.nc'}",
            *(f"figure   {path}" for path in finished.figures.values()),
            f"report   {page}",
        ]
    )
