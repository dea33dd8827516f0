"""Progress of fits in several threads, and the word that stops them all."""

import threading
from collections.abc import Callable, Sequence


class Cancelled(Exception):
    """Ends the fits that are still running when another one failed or the user interrupted."""


class Meter:
    """Adds up the iterations of fits in several threads, `totals` (fit,) of them, some `finished` already (fit,)."""

    def __init__(self, totals: Sequence[int], finished: Sequence[bool], label: str, report: Callable[..., None]):
        self.stop, self._lock = threading.Event(), threading.Lock()
        self._totals = list(totals)
        self._done = [total if end else 0 for total, end in zip(totals, finished, strict=True)]
        self._label, self._report = label, report
        self._tell()

    def of(self, index: int) -> Callable[..., None]:
        """The progress callable of one fit; it raises `Cancelled` once `stop` is set."""

        def progress(label: str, done: int, total: int, **numbers: float) -> None:
            if self.stop.is_set():
                raise Cancelled
            with self._lock:
                self._done[index] = done
                self._tell(**numbers)

        return progress

    def _tell(self, **numbers: float) -> None:
        self._report(self._label, sum(self._done), max(1, sum(self._totals)), **numbers)
