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

    def run(self, work: Callable[[int, Callable[..., None]], Any], waiting: Sequence[int], workers: int) -> dict:
        """`work(index, progress)` of every waiting fit on `workers` threads, by index.

        JAX releases the interpreter while it computes, so that threads use the cores. When one raises, or the user
        interrupts, the others stop at their next report.
        """
        done = {}
        with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
            futures = {pool.submit(work, index, self.of(index)): index for index in waiting}
            try:
                for future in as_completed(futures):
                    done[futures[future]] = future.result()
            except BaseException:
                self.stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return done

    def _tell(self, **numbers: float) -> None:
        self._report(self._label, sum(self._done), max(1, sum(self._totals)), **numbers)
