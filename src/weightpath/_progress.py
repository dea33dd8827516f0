"""Progress of long work: a callable told how much is done, and a bar on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Told now and then how far a piece of work has come; must be cheap and must not raise."""

    def __call__(self, label: str, done: int, total: int, **numbers: float) -> None:
        """`done` of `total` units of the work `label` are finished; `numbers` are shown beside (loss, ...)."""
        ...


def silent(label: str, done: int, total: int, **numbers: float) -> None:
    """Show nothing."""


@contextmanager
def resolve_progress(progress: bool | Callable | None) -> Iterator[Progress]:
    """Turn a `progress` argument into a callable, for the time of a `with` block.

    `True` draws bars on standard error, `False` nothing, `None` bars only when standard error is a terminal, and a
    callable is used as it is, so that nested work reports to the same place.
    """
    if callable(progress):
        yield progress
        return
    if progress is None:
        progress = sys.stderr.isatty()
    if not progress:
        yield silent
        return
    with _bars() as report:
        yield report


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}
    with bars:

        def report(label: str, done: int, total: int, **numbers: float) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total, numbers="")
            text = " ".join(f"{name} {value:.4g}" for name, value in numbers.items())
            bars.update(tasks[label], completed=done, total=total, numbers=text)
            if done >= total:
                bars.remove_task(tasks.pop(label))

        yield report
