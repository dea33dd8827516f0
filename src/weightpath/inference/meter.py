"""Progress of fits in several threads, and the word that stops them all."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any


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

    def run(
        self,
        work: Callable[[Sequence[int], Callable[..., None]], Sequence[Any]],
        groups: Sequence[Sequence[int]],
        waiting: Sequence[int],
        workers: int,
    ) -> dict[int, Any]:
        """What `work(group, progress)` gives, one outcome a fit, on `workers` threads; by index of the fit.

        `groups` hold places in `waiting`, which holds the indices of the fits that are not finished.
        JAX releases the interpreter while it computes, so that threads use the cores. When one raises, or the user
        interrupts, the others stop at their next report.
        """
        done: dict[int, Any] = {}
        with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
            # A group counts at the place of its first fit.
            futures = {pool.submit(work, group, self.of(waiting[group[0]])): group for group in groups}
            try:
                for future in as_completed(futures):
                    done |= zip((waiting[place] for place in futures[future]), future.result(), strict=True)
            except BaseException:
                self.stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return done

    def _tell(self, **numbers: float) -> None:
        self._report(self._label, sum(self._done), max(1, sum(self._totals)), **numbers)
